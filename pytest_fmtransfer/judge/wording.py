"""What a verdict says: one line of at most 120 characters, and the full text of a report section."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from pytest_fmtransfer.errors import first_few
from pytest_fmtransfer.judge.bounds import Bound
from pytest_fmtransfer.judge.comparison import Comparison, patients_by_class
from pytest_fmtransfer.judge.court import Court, Verdict, current
from pytest_fmtransfer.judge.hidden import cannot_show
from pytest_fmtransfer.judge.per_class import class_line
from pytest_fmtransfer.judge.power import POWER, both_ways
from pytest_fmtransfer.judge.reading import ALLOWING, Reading, settling
from pytest_fmtransfer.judge.rounding import ROUNDED
from pytest_fmtransfer.judge.settling import IF_ALIKE, Needed, needed_of, sources
from pytest_fmtransfer.metrics import absent_labels
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

WIDTH = 120


def worded(draft: Verdict, reading: Reading, court: Court, diagnostics: list[str]) -> Verdict:
    """The verdict with its line, its text and what would settle it."""
    settle = what_would_settle_it(draft, reading) if draft.outcome == "inconclusive" else ""
    verdict = replace(draft, summary=one_line(draft, reading.comparison.candidate.patient_unit), settle=settle)
    return replace(verdict, text=_full_text(verdict, reading, court, diagnostics))


def one_line(verdict: Verdict, unit: str) -> str:
    """Outcome, effect, interval and smallest detectable effect; or outcome and reason. `unit` is as for `figures`."""
    return shortened(f"{verdict.outcome}: {verdict.reason or figures(verdict, unit)}")


def shortened(line: str) -> str:
    """One printable line of at most `WIDTH` characters, the last one '…' where something was left out."""
    line = inline(line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def in_full(lines: Iterable[str]) -> str:
    """The text of a verdict: its first line, and the others below it. Each stays one line, whatever it names."""
    return "\n  ".join(map(inline, lines))


def figures(verdict: Verdict, unit: str) -> str:
    """Effect, interval and smallest detectable effect; `unit` is what patients are on the dataset."""
    if verdict.effect is None:
        return "no difference was measured"
    if verdict.lower is None or verdict.level is None:
        return f"Δ {verdict.effect:+.4f}, too few {plural(unit)} for an interval"
    what = "margin that could be shown" if verdict.kind in ALLOWING else "detectable"
    return (
        f"Δ {verdict.effect:+.4f}, {100 * (1 - 2 * verdict.level):.4g} % interval "
        f"[{verdict.lower:+.4f}, {verdict.upper:+.4f}], smallest {what} {_unsigned_zero(f'{verdict.detectable:.4f}')}"
    )


def _unsigned_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text


def what_would_settle_it(verdict: Verdict, reading: Reading, power: float = POWER) -> str:
    """How many patients or seeds, or what else is lacking.

    Enough to support, with `power`, an effect that lies beyond the threshold by the dataset's margin, or of no
    effect that it stays within both ends of its own.
    """
    comparison, planned, patients = reading.comparison, reading.planned, reading.comparison.patient_piece
    if verdict.reason or planned is None or patients is None:
        kind, pair = reading.kind, (comparison.candidate, comparison.reference)
        return settling(kind, pair, reading.level, verdict.reason)
    margin, true_effect = comparison.candidate.margin, reading.threshold + comparison.candidate.margin
    if reading.ceiling is not None:
        margin, true_effect, power = reading.ceiling, 0.0, both_ways(power)
    result = comparison.candidate
    drawn, seeds = sources(reading, patients)
    needed = partial(needed_of, patients=result.patients, drawn=drawn, delta=margin, alpha=reading.level, power=power)
    alone = more_seeds(needed().least, result.patients, result.patient_unit)
    enough = needed(seeds=seeds)
    return it_takes(result, enough, true_effect, seeds="more seeds", otherwise=alone)


def more_seeds(patients: int | None, there: int, unit: str) -> str:
    """What it takes where training's randomness alone is too large, whoever the patients are.

    `patients` are what it would take with no randomness left: where they are more than are there, they are needed too.
    """
    if patients is None or patients <= there:
        return f"more seeds, not more {plural(unit)}"
    return f"more seeds, and at least {counted(patients, unit)} where there are {there}"


def it_takes(result: Result, needed: Needed, true_effect: float, *, seeds: str, otherwise: str) -> str:
    """'would settle it: …' so many patients, with `seeds` where they may not be enough; `otherwise` where none are."""
    told = f"for a true difference of {round(true_effect, 9):g}"
    if needed.least is None:
        return f"would settle it: {otherwise}, {told}"
    what = f"{needed.said(result.patient_unit)} in the test side (it has {result.patients}; {IF_ALIKE})"
    if needed.most is None:
        what += f", and perhaps {seeds}"
    elif needed.most <= result.patients:
        told += ", which is therefore probably not the true one"
    return f"would settle it: {what}, {told}"


def scope(result: Result, level: float) -> list[str]:
    """What every verdict on a result's dataset is conditional on; what it cannot show depends on its level."""
    unit, by_class = result.patient_unit, patients_by_class(result)
    return [
        f"the verdict is about this training set and test {plural(unit)} like these",
        *cannot_show(result.cell.dataset, by_class, level, unit, result.hidden_share),
        *assumptions(result),
    ]


def assumptions(result: Result) -> list[str]:
    """What any figure of a result's dataset takes for granted."""
    lines: list[str] = []
    if result.patient_unit != "patient":
        lines.append(f"assumes independent {plural(result.patient_unit)}: the dataset names no patients")
    if result.labels_N.ndim > 1 and (absent := absent_labels(result.labels_N, result.classes)):
        lines.append(
            "counts 0.5 in every cell, because no image is known to bear it, or none is known not to: "
            f"{', '.join(absent)}"
        )
    for finding, reason in current().acknowledged.get(result.cell.dataset, {}).items():
        lines.append(f"an audit found {finding.replace('_', ' ')}, and the dataset's row acknowledges it: {reason}")
    return lines


def controls_line(court: Court) -> str:
    """What the controls said, or how to ask them."""
    if court.telling is None:
        return "controls not run: --fm-controls says whether this dataset and regime can tell backbones apart"
    return f"controls: {court.telling.summary}"


def _full_text(verdict: Verdict, reading: Reading, court: Court, diagnostics: list[str]) -> str:
    """Both metrics, patients, seeds, level and family, the rule that decided, and what would settle it."""
    comparison = reading.comparison
    candidate = comparison.candidate
    patients, unit = counted(candidate.patients, candidate.patient_unit), candidate.patient_unit
    classes = ", ".join(f"{name} {count}" for name, count in comparison.patients_by_class.items())
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"{candidate.metric_of}: candidate {_values(candidate)}, reference {_values(comparison.reference)}",
        f"test side: {patients if unit == 'image' else f'{len(candidate.ids_N)} images of {patients}'} ({classes})",
    ]
    if verdict.reason:
        lines.append(figures(verdict, unit))
    lines += [*_same(comparison), *_rule(verdict, reading, court)]
    lines += class_line(verdict.classes)
    lines += diagnostics and [f"for comparison, deciding nothing: {'; '.join(diagnostics)}"]
    lines += [*scope(candidate, reading.level), *filter(None, [verdict.mark])]
    if court.telling is None or court.telling.summary.partition(": ")[2] not in verdict.mark:
        lines.append(controls_line(court))
    if verdict.outcome == "inconclusive":
        if reading.underpowered:
            lines.append(
                f"underpowered: these data show a difference of {reading.reach:.4f} or more, and the margin is "
                f"{reading.margin:g}"
            )
        lines.append(verdict.settle)
    return in_full(lines)


def _same(comparison: Comparison) -> list[str]:
    """That a verdict rests on scores that are the same, where they are."""
    if comparison.identical:
        return ["scores are the same, byte for byte"]
    if not comparison.within_rounding:
        return []
    return [
        f"scores differ by rounding alone, at most {ROUNDED:g} of their spread within a class: patients who were not "
        "drawn are taken to be scored alike too"
    ]


def _rule(verdict: Verdict, reading: Reading, court: Court) -> list[str]:
    bound = reading.comparison.bound
    if bound is None:
        return []
    mover = reading.comparison.mover if reading.at_a_margin else None
    named = {"a score bound": reading.comparison.score_bound, "MOVER on logit(AUC)": mover}
    others = [name for name, other in named.items() if other is not None]
    wider = f", or {' or '.join(others)} where that is wider" if others else ""
    ceiling = "" if reading.ceiling is None else f" and the upper one below {reading.ceiling:g}"
    if bound.alike:
        of = exact_rule(bound, reading.comparison.candidate.patient_unit)
    else:
        of = f"standard error {bound.standard_error:.4f} ({_pieces(reading.comparison)})"
        of += f", {bound.degrees:.0f} degrees of freedom"
    corrected = ", before correction for the family" if court.family_size > 1 else ""
    side = f"above {reading.threshold:g}"
    if reading.ceiling is not None:
        side = f"the larger of {side} and below {reading.ceiling:g}"
    return [
        f"bound: {'exact' if bound.alike else 't'}{wider} at one-sided level {court.level:.4g} ({court.shared}), "
        f"{of}; supported when the lower limit is above {reading.threshold:g}{ceiling}",
        *([] if verdict.p is None else [f"one-sided p {verdict.p:.2g} ({side}){corrected}"]),
    ]


def exact_rule(bound: Bound, unit: str) -> str:
    """What limits are made of where no patient shows any variance; `unit` is what patients are on the dataset."""
    seeds = f", and standard error {bound.standard_error:.4f} of the seeds" if bound.standard_error else ""
    return f"by the share of the smallest class that may differ though no {unit} shows any variance{seeds}"


def _pieces(comparison: Comparison) -> str:
    """Where the standard error comes from, patients and seeds."""
    unit = plural(comparison.candidate.patient_unit)
    if comparison.patient_piece is None or not comparison.seed_pieces:
        return unit
    seeds = sum(piece.variance for piece in comparison.seed_pieces)
    whole = seeds + comparison.patient_piece.variance
    share = 100 * seeds / whole if whole else 0.0
    recorded = ", by the recorded variance" if comparison.recorded is not None else ""
    return f"{unit}, and seeds for {share:.0f} % of its square{recorded}{_paired(comparison)}"


def _paired(comparison: Comparison) -> str:
    """That seeds are paired, and which where not all are; empty where they are not."""
    if not (shared := comparison.shared_seeds):
        return ""
    sides = (comparison.candidate, comparison.reference)
    all_shared = all(set(result.seeds) == set(shared) for result in sides)
    which = "" if all_shared else f" where both ran, at seeds {first_few([str(seed) for seed in shared])}"
    return f", paired by seed{which}: both sides saw the same draws"


def _values(result: Result) -> str:
    if len(result.seeds) == 1:
        return f"{result.mean:.4f}"
    return f"{result.mean:.4f} (seeds {', '.join(f'{value:.4f}' for value in result.by_seed)})"

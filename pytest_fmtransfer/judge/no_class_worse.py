"""The claim that no class is worse by as much as the margin: of an average that hides what a rare class loses.

Each class is tested at the level of the whole claim: all must hold, so that nothing is corrected further
(intersection-union; Berger, Technometrics 1982). To refute, one class that fails is enough, and that is corrected for
their number.
"""

from dataclasses import replace

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge import deciding
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, current
from pytest_fmtransfer.judge.hidden import hidden_shares
from pytest_fmtransfer.judge.per_class import KIND, OWN_METRIC, OfClass, class_comparisons, class_difference
from pytest_fmtransfer.judge.per_class import class_reading as reading_of
from pytest_fmtransfer.judge.power import shared_power
from pytest_fmtransfer.judge.reading import Reading, settling, too_few_patients
from pytest_fmtransfer.judge.verdicts import compare, margin_of, margin_warning, uninformative
from pytest_fmtransfer.judge.wording import controls_line, figures, in_full, scope, shortened, what_would_settle_it
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted


def no_class_worse_than(candidate: Result, reference: Result, margin: float | None = None) -> Verdict:
    """Is every class's own metric worse by less than `margin`, by default the dataset's?

    The own metric is `per_class.OWN_METRIC`'s. Raises InvalidInput for a metric that is no average over classes, and
    for margins as `not_worse_than` does, and where no class can be measured.
    """
    whole = compare(candidate, reference)
    if whole.metric not in OWN_METRIC:
        raise InvalidInput(
            f"{candidate.cell} is measured in {candidate.metric_of}, which is no average over classes; "
            f"not_worse_than() is the claim about it, and {KIND}() takes {', '.join(OWN_METRIC)}"
        )
    allowed = margin_of(candidate, margin, KIND)
    readings = [reading_of(each, current().level, allowed) for each in class_comparisons(whole)]
    if not readings:
        raise InvalidInput(
            f"{candidate.cell}: no label is borne by one test image and not by another, so that none can be judged; "
            "look at the dataset's labels with `fmtransfer audit`"
        )
    verdict = _whole(whole, readings, allowed)
    current().record(verdict)
    return verdict


def _whole(whole: Comparison, readings: list[Reading], margin: float) -> Verdict:
    """The weakest class speaks for all: its effect, limits and p-value. The detectable effect is the largest."""
    court, parts = current(), len(readings)
    outcomes: list[Outcome] = [
        "inconclusive" if each.reason else each.outcome_at(each.level / parts) for each in readings
    ]
    at = deciding.weakest(outcomes, [each.p for each in readings], [each.comparison.effect for each in readings])
    weakest, limits = readings[at], readings[at].limits
    outcome, reason = deciding.of_all(outcomes), ""
    if outcome != "refuted":
        reason = _lack(whole, court.level) or weakest.reason
    uninformed, mark = uninformative(KIND, court)
    reason = reason or uninformed
    power = shared_power(parts)
    detectable = [each.detectable(power) for each in readings]
    own, name = OWN_METRIC[whole.metric], _name(weakest)
    draft = Verdict(
        kind=KIND,
        candidate=whole.candidate.cell.id,
        reference=whole.reference.cell.id,
        outcome="inconclusive" if reason else outcome,
        effect=weakest.comparison.effect,
        lower=limits[0] if limits else None,
        upper=limits[1] if limits else None,
        detectable=max((each for each in detectable if each is not None), default=None),
        p=None if reason else weakest.p,
        level=court.level,
        family_size=court.family_size,
        metric=weakest.comparison.metric,
        metric_of=f"{own} of {name}",
        margin=margin,
        reason=reason,
        mark="; ".join(filter(None, (mark, margin_warning(weakest.comparison.candidate, margin)))),
        hidden=tuple(hidden_shares(whole.patients_by_class, court.level).items()),
        classes=tuple(sorted((class_difference(own, each) for each in readings), key=lambda each: each.effect)),
    )
    unit = whole.candidate.patient_unit
    said = reason or f"weakest in '{name}': {figures(draft, unit)}"
    settle = _settle(draft, whole, weakest, power) if draft.outcome == "inconclusive" else ""
    verdict = replace(draft, summary=shortened(f"{draft.outcome}: {said}"), settle=settle)
    return replace(verdict, text=_text(verdict, whole, readings, outcomes, court))


def _lack(whole: Comparison, level: float) -> str:
    """Why not every class can be judged: one has too few test patients, or none; else empty.

    Of a label that no image is known to bear nothing can be said, and the text says so (`wording.assumptions`).
    """
    result = whole.candidate
    return too_few_patients(KIND, whole.patients_by_class, result.patient_unit, level, result.hidden_share)


def _name(reading: Reading) -> str:
    assert isinstance(reading.comparison, OfClass)
    return reading.comparison.name


def _settle(verdict: Verdict, whole: Comparison, weakest: Reading, power: float) -> str:
    if verdict.reason:
        return settling(KIND, (whole.candidate, whole.reference), weakest.level, verdict.reason)
    return f"{what_would_settle_it(verdict, weakest, power)}, in class '{_name(weakest)}'"


def _text(verdict: Verdict, whole: Comparison, readings: list[Reading], outcomes: list[Outcome], court: Court) -> str:
    candidate, reference, parts = whole.candidate, whole.reference, len(readings)
    lines = [
        f"{verdict.candidate} {KIND.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"{candidate.metric_of}, deciding nothing: candidate {candidate.mean:.4f}, reference {reference.mean:.4f}",
        f"{counted(parts, 'class')} at one-sided level {court.level:.4g} ({court.shared}): supported when each "
        f"lower limit is above {-verdict.margin:g}, refuted when one upper limit is at most that at "
        f"{court.level / parts:.4g}",
    ]
    own = OWN_METRIC[whole.metric]
    for reading, outcome in zip(readings, outcomes, strict=True):
        pair, row = reading.comparison, class_difference(own, reading)
        interval = f"[{row.lower:+.4f}, {row.upper:+.4f}]" if row.lower is not None else "no interval"
        lines.append(
            f"'{row.name}', {counted(row.patients, candidate.patient_unit)}: {own} {pair.candidate.mean:.4f} against "
            f"{pair.reference.mean:.4f}, Δ {row.effect:+.4f} {interval}: {outcome}"
            + (f" ({reading.reason})" if reading.reason else "")
        )
    if verdict.p is not None:
        lines.append(f"one-sided p {verdict.p:.2g} (above {-verdict.margin:g}, of the weakest class)")
    lines += scope(candidate, court.level)
    lines += [line for line in (verdict.mark, controls_line(court), verdict.settle) if line]
    return in_full(lines)

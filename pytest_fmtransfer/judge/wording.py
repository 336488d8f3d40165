"""What a verdict says: one line of at most 120 characters, and the full text of a report section."""

import numpy as np

from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Verdict
from pytest_fmtransfer.judge.power import patients_to_settle
from pytest_fmtransfer.results import Result

WIDTH = 120


def one_line(verdict: Verdict) -> str:
    """Outcome, effect, interval and smallest detectable effect; or outcome and reason."""
    return shortened(f"{verdict.outcome}: {verdict.reason or _figures(verdict)}")


def shortened(line: str) -> str:
    """At most `WIDTH` characters, the last one '…' where something was left out."""
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def full_text(verdict: Verdict, comparison: Comparison, court: Court, threshold: float) -> str:
    """Both metrics, patients, seeds, level and family, the rule that decided, and what would settle it."""
    candidate = comparison.candidate
    patients = f"{len(np.unique(candidate.patients_N))} {plural(candidate.patient_unit)}"
    classes = ", ".join(
        f"{name} {count}" for name, count in zip(candidate.classes, comparison.patients_by_class, strict=True)
    )
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"  {candidate.question.metric}: candidate {_values(candidate)}, reference {_values(comparison.reference)}",
        f"  test side: {len(candidate.ids_N)} images of {patients} ({classes})",
    ]
    if verdict.reason:
        lines.append(f"  {_figures(verdict)}")
    if (bound := comparison.bound) is not None:
        wider = ", or MOVER on logit(AUC) where that is wider" if verdict.kind == "not_worse_than" else ""
        family = f"{court.alpha:g} over {court.family_size} declared claims"
        lines += [
            f"  bound: t{wider} at one-sided level {court.level:.4g} ({family}), standard error "
            f"{bound.standard_error:.4f}, {bound.degrees:.0f} degrees of freedom; supported when the lower limit is "
            f"above {threshold:g}",
            f"  p {verdict.p:.2g} before correction for the family",
        ]
    lines.append("  the verdict is about this training set and test patients like these")
    if candidate.patient_unit != "patient":
        lines.append(f"  assumes independent {plural(candidate.patient_unit)}: the dataset names no patients")
    if verdict.outcome == "inconclusive":
        lines += _what_would_settle_it(verdict, comparison, court, threshold)
    return "\n".join(lines)


def plural(unit: str) -> str:
    """'patient' → 'patients', 'group of near copies' → 'groups of near copies'."""
    head, space, rest = unit.partition(" ")
    return f"{head}s{space}{rest}"


def _figures(verdict: Verdict) -> str:
    if verdict.lower is None or verdict.level is None:
        return f"Δ {verdict.effect:+.4f}, too few patients for an interval"
    return (
        f"Δ {verdict.effect:+.4f}, {100 * (1 - 2 * verdict.level):.4g} % interval "
        f"[{verdict.lower:+.4f}, {verdict.upper:+.4f}], smallest detectable {verdict.detectable:.4f}"
    )


def _what_would_settle_it(verdict: Verdict, comparison: Comparison, court: Court, threshold: float) -> list[str]:
    if verdict.reason or comparison.patient_piece is None:
        return [f"  would settle it: what is named above ({verdict.reason})"]
    margin = comparison.candidate.margin
    lines: list[str] = []
    if verdict.detectable is not None and verdict.detectable - threshold > margin:
        lines.append(f"  underpowered: the smallest detectable difference is larger than the margin {margin:g}")
    enough = patients_to_settle(
        patients=len(np.unique(comparison.candidate.patients_N)),
        patient_variance=comparison.patient_piece.variance,
        seed_variance=sum(piece.variance for piece in comparison.seed_pieces),
        delta=margin,
        alpha=court.level,
    )
    unit = plural(comparison.candidate.patient_unit)
    what = "more seeds, not more patients" if enough is None else f"{enough} {unit} in the test side"
    return [*lines, f"  would settle a true difference of {margin:g}: {what}"]


def _values(result: Result) -> str:
    if len(result.seeds) == 1:
        return f"{result.mean:.4f}"
    return f"{result.mean:.4f} (seeds {', '.join(f'{value:.4f}' for value in result.by_seed)})"

"""Claims about two results become verdicts: supported, refuted or inconclusive.

Legend: N test images.
"""

from dataclasses import dataclass, replace

import numpy as np

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import (
    Bound,
    Piece,
    combine,
    patient_piece,
    patients_per_stratum,
    seed_piece,
)
from pytest_fmtransfer.judge.court import Court, Outcome, current
from pytest_fmtransfer.judge.power import patients_to_settle, smallest_detectable
from pytest_fmtransfer.results import Result

# Test patients below which the smallest class cannot carry a verdict of each kind.
FEWEST_PATIENTS = {"beats": 20, "not_worse_than": 50}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the data say of a claim; true only when they support it.

    `effect`, `lower`, `upper` and `detectable` are in the metric's unit, candidate minus reference;
    `lower` and `upper` are the two-sided interval at 1 − 2 × `level`, whose ends are the one-sided limits
    that decide. `p` is one-sided. `reason` says why a verdict is not what the interval alone would say.
    """

    kind: str
    candidate: str
    reference: str
    outcome: Outcome
    summary: str
    text: str
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    detectable: float | None = None
    p: float | None = None
    level: float | None = None
    family_size: int = 1
    reason: str = ""

    def __bool__(self) -> bool:
        return self.outcome == "supported"

    def __repr__(self) -> str:
        return self.summary


def beats(candidate: Result, reference: Result, margin: float = 0.0) -> Verdict:
    """Is the candidate's metric higher by more than `margin`?"""
    return _compare("beats", candidate, reference, threshold=margin)


def not_worse_than(candidate: Result, reference: Result, margin: float | None = None) -> Verdict:
    """Is the candidate's metric lower by less than `margin`, by default the dataset's?"""
    allowed = candidate.margin if margin is None else margin
    if allowed <= 0:
        raise InvalidInput(f"not_worse_than needs a margin above 0, not {allowed}; beats() is the claim without one")
    return _compare("not_worse_than", candidate, reference, threshold=-allowed)


def _compare(kind: str, candidate: Result, reference: Result, threshold: float) -> Verdict:
    """Both kinds ask whether the effect lies above a threshold: the margin, or its negative."""
    check_comparable(candidate, reference)
    court = current()
    effect = candidate.mean - reference.mean
    influence_N = _mean_influence(candidate) - _mean_influence(reference)
    stratum_N = candidate.estimates[0].stratum_N
    patients = patient_piece(influence_N, stratum_N, candidate.patients_N)
    seeds = [piece for piece in map(_seed_piece, (candidate, reference)) if piece is not None]
    bound = combine(effect, [patients, *seeds])
    lower, upper = bound.lower(court.level), bound.upper(court.level)
    outcome: Outcome = "supported" if lower > threshold else "refuted" if upper <= threshold else "inconclusive"
    reason = _cannot_tell(kind, candidate, reference, court)
    if reason:
        outcome = "inconclusive"
    detectable = smallest_detectable(bound, court.level) + threshold
    verdict = Verdict(
        kind=kind,
        candidate=candidate.cell.id,
        reference=reference.cell.id,
        outcome=outcome,
        summary="",
        text="",
        effect=effect,
        lower=lower,
        upper=upper,
        detectable=detectable,
        p=bound.p_above(threshold),
        level=court.level,
        family_size=court.family_size,
        reason=reason,
    )
    seed_variance = sum(piece.variance for piece in seeds)
    verdict = replace(verdict, summary=_one_line(verdict))
    text = _full_text(verdict, candidate, reference, bound, court, threshold, patients.variance, seed_variance)
    verdict = replace(verdict, text=text)
    court.record(verdict)
    return verdict


def check_comparable(candidate: Result, reference: Result) -> None:
    """Raises InvalidInput when two results do not score the same test images by the same metric."""
    if candidate.question.metric != reference.question.metric:
        raise InvalidInput(
            f"{candidate.cell} is measured in {candidate.question.metric}, {reference.cell} in "
            f"{reference.question.metric}; compare results of one dataset"
        )
    same = candidate.question.dataset_fingerprint == reference.question.dataset_fingerprint
    if not same or not np.array_equal(candidate.ids_N, reference.ids_N):
        raise InvalidInput(
            f"{candidate.cell} and {reference.cell} were not scored on the same images; compare results of one "
            "dataset, and record a stored reference again when the dataset changed (--fm-update=changed)"
        )


def _mean_influence(result: Result) -> np.ndarray:
    return np.mean([estimate.influence_N for estimate in result.estimates], axis=0)


def _seed_piece(result: Result) -> Piece | None:
    return seed_piece(result.by_seed) if result.seeded else None


def _cannot_tell(kind: str, candidate: Result, reference: Result, court: Court) -> str:
    """Why the data cannot carry a verdict whatever the interval says; empty when they can."""
    fewest = FEWEST_PATIENTS[kind]
    counts = patients_per_stratum(candidate.labels_N, candidate.patients_N)
    if counts.min() < fewest:
        label = int(np.unique(candidate.labels_N)[counts.argmin()])
        return (
            f"not enough patients to tell: class '{candidate.classes[label]}' has {counts.min()} in the test side, "
            f"{kind} needs {fewest}"
        )
    for result in (candidate, reference):
        if result.seeded and len(result.seeds) < 2:
            return f"training randomness not measured: {result.cell} ran at one seed"
        if result.seeded and court.level < 0.01 and len(result.seeds) < 5:
            return f"{result.cell} needs 5 seeds at this level, not {len(result.seeds)}"
    return ""


def _one_line(verdict: Verdict) -> str:
    if verdict.reason:
        return f"{verdict.outcome}: {verdict.reason}"[:120]
    return (
        f"{verdict.outcome}: Δ {verdict.effect:+.4f}, {_coverage(verdict)} interval "
        f"[{verdict.lower:+.4f}, {verdict.upper:+.4f}], smallest detectable {verdict.detectable:.4f}"
    )


def _coverage(verdict: Verdict) -> str:
    assert verdict.level is not None
    return f"{100 * (1 - 2 * verdict.level):.4g} %"


def _full_text(
    verdict: Verdict,
    candidate: Result,
    reference: Result,
    bound: Bound,
    court: Court,
    threshold: float,
    patient_variance: float,
    seed_variance: float,
) -> str:
    patients = len(np.unique(candidate.patients_N))
    counts = patients_per_stratum(candidate.labels_N, candidate.patients_N)
    classes = ", ".join(
        f"{candidate.classes[label]} {count}"
        for label, count in zip(np.unique(candidate.labels_N).tolist(), counts.tolist(), strict=True)
    )
    rule = {
        "beats": f"supported when the lower limit is above {threshold:g}",
        "not_worse_than": f"supported when the lower limit is above the margin {threshold:g}",
    }[verdict.kind]
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"  {candidate.question.metric}: candidate {_values(candidate)}, reference {_values(reference)}",
        f"  test side: {len(candidate.ids_N)} images of {patients} {_plural(candidate.patient_unit)} ({classes})",
        f"  bound: t at one-sided level {court.level:.4g} ({court.alpha:g} over {court.family_size} declared claims), "
        f"standard error {bound.standard_error:.4f}, {bound.degrees:.0f} degrees of freedom; {rule}",
        f"  p {verdict.p:.2g} before correction for the family",
        "  the verdict is about this training set and test patients like these",
    ]
    if candidate.patient_unit != "patient":
        lines.append(f"  assumes independent {_plural(candidate.patient_unit)}: the dataset names no patients")
    if verdict.outcome == "inconclusive":
        if verdict.detectable is not None and verdict.detectable - threshold > candidate.margin:
            lines.append(
                f"  underpowered: the smallest detectable difference is larger than the margin {candidate.margin:g}"
            )
        enough = patients_to_settle(
            patients=patients,
            patient_variance=patient_variance,
            seed_variance=seed_variance,
            delta=candidate.margin,
            alpha=court.level,
        )
        lines.append(
            f"  would settle a true difference of {candidate.margin:g}: "
            + (
                f"{enough} {_plural(candidate.patient_unit)} in the test side"
                if enough is not None
                else "more seeds, not more patients"
            )
        )
    return "\n".join(lines)


def _values(result: Result) -> str:
    if len(result.seeds) == 1:
        return f"{result.mean:.4f}"
    return f"{result.mean:.4f} (seeds {', '.join(f'{value:.4f}' for value in result.by_seed)})"


def _plural(unit: str) -> str:
    return f"groups{unit.removeprefix('group')}" if unit.startswith("group") else f"{unit}s"

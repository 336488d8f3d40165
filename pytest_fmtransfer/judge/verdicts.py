"""Claims about two results become verdicts: supported, refuted or inconclusive."""

import math
from dataclasses import replace

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge import wording
from pytest_fmtransfer.judge.bounds import Bound
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, current
from pytest_fmtransfer.judge.mover import Mover
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.results import Result

# Test patients below which the smallest class cannot carry a verdict of each kind.
FEWEST_PATIENTS = {"beats": 20, "not_worse_than": 50}

# Where the level of a single claim is below this, a seeded regime needs this many seeds.
STRICT_LEVEL, STRICT_SEEDS = 0.01, 5


def beats(candidate: Result, reference: Result, margin: float = 0.0) -> Verdict:
    """Is the candidate's metric higher by more than `margin`? Raises InvalidInput for a margin below 0."""
    if not 0 <= margin < math.inf:
        raise InvalidInput(f"beats needs a margin of 0 or more, not {margin}; not_worse_than() allows for a loss")
    return _judge("beats", Comparison(candidate=candidate, reference=reference), threshold=margin)


def not_worse_than(candidate: Result, reference: Result, margin: float | None = None) -> Verdict:
    """Is the candidate's metric lower by less than `margin`, by default the dataset's?

    On an AUC the wider of the t bound and MOVER on the logit scale decides, because near the ceiling plain
    bounds are too narrow at a margin. Raises InvalidInput for a margin that is not above 0.
    """
    allowed = candidate.margin if margin is None else margin
    if not 0 < allowed < math.inf:
        raise InvalidInput(f"not_worse_than needs a margin above 0, not {allowed}; beats() is the claim without one")
    return _judge("not_worse_than", Comparison(candidate=candidate, reference=reference), threshold=-allowed)


def _judge(kind: str, comparison: Comparison, threshold: float) -> Verdict:
    """Both kinds ask whether the effect lies above a threshold: the margin, or its negative."""
    court = current()
    verdict = Verdict(
        kind=kind,
        candidate=comparison.candidate.cell.id,
        reference=comparison.reference.cell.id,
        outcome="inconclusive",
        effect=comparison.effect,
        level=court.level,
        family_size=court.family_size,
        reason=_cannot_tell(kind, comparison, court),
    )
    bound = comparison.bound
    if bound is not None:
        bounds: list[Bound | Mover] = [bound]
        if kind == "not_worse_than" and comparison.mover is not None:
            bounds.append(comparison.mover)
        lower = min(each.lower(court.level) for each in bounds)
        upper = max(each.upper(court.level) for each in bounds)
        verdict = replace(
            verdict,
            outcome=verdict.outcome if verdict.reason else _outcome(lower, upper, threshold),
            lower=lower,
            upper=upper,
            detectable=smallest_detectable(bound, court.level) + threshold,
            p=max(each.p_above(threshold) for each in bounds),
        )
    verdict = replace(verdict, summary=wording.one_line(verdict))
    verdict = replace(verdict, text=wording.full_text(verdict, comparison, court, threshold))
    court.record(verdict)
    return verdict


def _outcome(lower: float, upper: float, threshold: float) -> Outcome:
    return "supported" if lower > threshold else "refuted" if upper <= threshold else "inconclusive"


def _cannot_tell(kind: str, comparison: Comparison, court: Court) -> str:
    """Why the data cannot carry a verdict whatever the interval says; empty when they can."""
    counts, fewest = comparison.patients_by_class, FEWEST_PATIENTS[kind]
    if min(counts) < fewest:
        label = comparison.candidate.classes[counts.index(min(counts))]
        return f"not enough patients to tell: class '{label}' has {min(counts)} in the test side, {kind} needs {fewest}"
    for result in (comparison.candidate, comparison.reference):
        if result.seeded and len(result.seeds) < 2:
            return f"training randomness not measured: {result.cell} ran at one seed"
        if result.seeded and court.level < STRICT_LEVEL and len(result.seeds) < STRICT_SEEDS:
            return f"{result.cell} needs {STRICT_SEEDS} seeds at this level, not {len(result.seeds)}"
    return ""

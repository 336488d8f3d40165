"""Claims about two results become verdicts: supported, refuted or inconclusive."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import cast

from pytest_fmtransfer.errors import InvalidInput, number_of, require, shown
from pytest_fmtransfer.judge import wording
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Verdict, current
from pytest_fmtransfer.judge.diagnostics import diagnostics
from pytest_fmtransfer.judge.hidden import hidden_shares
from pytest_fmtransfer.judge.per_class import class_differences
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.margins import check_margin, unusual
from pytest_fmtransfer.results import Result


def beats(candidate: Result, reference: Result, margin: float = 0.0) -> Verdict:
    """Is the candidate's metric better by more than `margin`?

    With a margin, bounds are those of `not_worse_than`. Raises InvalidInput for a margin below 0 or outside the
    metric's range.
    """
    if not 0 <= number_of(margin, "margin") < math.inf:
        raise InvalidInput(f"beats needs a margin of 0 or more, not {margin}; not_worse_than() allows for a loss")
    if margin:
        check_margin(margin, candidate.question.metric, len(candidate.classes), "beats")
    court = current()
    return _judge(Reading(kind="beats", comparison=compare(candidate, reference), level=court.level, threshold=margin))


def not_worse_than(candidate: Result, reference: Result, margin: float | None = None) -> Verdict:
    """Is the candidate's metric worse by less than `margin`, by default the dataset's?

    The widest of the t bound, a score bound and, on an AUC, MOVER on the logit scale decides, because at a margin the t
    bound is too narrow where few patients differ, and near the ceiling. Raises InvalidInput for a margin that is not
    above 0 or lies outside the metric's range; one beyond a tenth of that is a warning in the verdict.
    """
    allowed = margin_of(candidate, margin, "not_worse_than")
    comparison = compare(candidate, reference)
    return _judge(Reading(kind="not_worse_than", comparison=comparison, level=current().level, threshold=-allowed))


def equivalent_to(candidate: Result, reference: Result, margin: float | None = None) -> Verdict:
    """Do the two differ by less than `margin`, by default the dataset's, either way? Two one-sided tests.

    Bounds and errors as for `not_worse_than`.
    """
    allowed = margin_of(candidate, margin, "equivalent_to")
    comparison = compare(candidate, reference)
    return _judge(
        Reading(kind="equivalent_to", comparison=comparison, level=current().level, threshold=-allowed, ceiling=allowed)
    )


def compare(candidate: Result, reference: Result) -> Comparison:
    """A comparison that knows the seed variance the court has on record for the dataset and regime."""
    for each in (candidate, reference):
        check_result(each)
    recorded = current().seed_variance(candidate, reference)
    return Comparison(candidate=candidate, reference=reference, recorded=recorded)


def check_result(value: object) -> None:
    """Raises InvalidInput for what is no result, and says what a number of a publication is compared with."""
    if isinstance(value, Real):
        raise InvalidInput(
            f"a result is compared with a result, not {value}; a published number has a source: "
            f"candidate.above(Published(value={value}, source='…'))"
        )
    require(value, Result, "a result is compared with a result", "give what transfer(cell) or a fixture returns")


def check_two(candidate: Result, reference: object) -> None:
    """Raises InvalidInput for a result that is held against itself: whatever it is worth, it is not worse than that.

    A baseline of the same cell is another result.
    """
    check_result(reference)
    if candidate == reference and isinstance(reference, Result) and candidate.recorded == reference.recorded:
        raise InvalidInput(
            f"{candidate.cell} is compared with itself, and is equal to that whatever it is worth; name another cell "
            "as the reference"
        )


def check_results(values: object) -> None:
    """Raises InvalidInput for what is no sequence of results."""
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise InvalidInput(f"{shown(values)} is no sequence of results; give a list of what transfer(cell) returns")
    for each in cast(Sequence[object], values):
        check_result(each)


def margin_of(candidate: Result, margin: float | None, kind: str) -> float:
    """The margin asked for, by default the dataset's.

    Raises InvalidInput for one that is not above 0 or lies outside the metric's range.
    """
    allowed = candidate.margin if margin is None else margin
    if not number_of(allowed, "margin") > 0:
        raise InvalidInput(f"{kind} needs a margin above 0, not {allowed}; beats() is the claim without one")
    check_margin(allowed, candidate.question.metric, len(candidate.classes), kind)
    return allowed


def margin_warning(result: Result, margin: float) -> str:
    """What a reader should hold against a margin; empty where nothing speaks against it."""
    return unusual(margin, result.question.metric, len(result.classes))


def uninformative(kind: str, court: Court) -> tuple[str, str]:
    """Reason and mark of a verdict on a dataset that cannot tell backbones apart; empty where it can.

    A difference that is found is only marked. That nothing is worse, or the same, says nothing there.
    """
    if court.telling is None or court.telling:
        return "", ""
    said = court.telling.summary.removeprefix(f"{court.telling.outcome}: ")
    return ("", said) if kind in ("beats", "above_published") else (said, "")


def _judge(reading: Reading) -> Verdict:
    court, comparison = current(), reading.comparison
    reason, mark = uninformative(reading.kind, court)
    reason = reading.reason or reason
    warning = margin_warning(comparison.candidate, abs(reading.threshold))
    limits = reading.limits
    draft = Verdict(
        kind=reading.kind,
        candidate=comparison.candidate.cell.id,
        reference=comparison.reference.cell.id,
        outcome="inconclusive" if reason else reading.outcome,
        effect=comparison.effect,
        lower=limits[0] if limits else None,
        upper=limits[1] if limits else None,
        detectable=reading.detectable(),
        p=None if reason else reading.p,
        level=court.level,
        family_size=court.family_size,
        metric=comparison.candidate.question.metric,
        metric_of=comparison.candidate.metric_of,
        margin=abs(reading.threshold),
        reason=reason,
        mark="; ".join(filter(None, (mark, warning))),
        hidden=tuple(hidden_shares(comparison.patients_by_class, court.level).items()),
        classes=class_differences(comparison, court.level),
    )
    verdict = wording.worded(draft, reading, court, diagnostics(comparison))
    court.record(verdict)
    return verdict

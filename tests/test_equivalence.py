"""Two one-sided tests: the laws of `equivalent_to`, its minimum of patients, its figures. Synthetic results."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Bound
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.power import both_ways, smallest_detectable
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.settling import IF_ALIKE, needed_of, sources
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores, result, retrained
from tests.strategies import levels, margins, pairs

STRENGTH = {"refuted": 0, "inconclusive": 1, "supported": 2}


def alike(fewest: int = 200, shift: float = 0.0, **more: Any) -> tuple[Result, Result]:
    """Two results whose scores differ by little noise, and `shift` in how far the classes lie apart."""
    labels_N = labels_of(fewest, 200)
    scores_NC = noisy_scores(labels_N, 1.5, seed=0)
    moved_NC = scores_NC + noisy_scores(labels_N, 10 * shift, seed=1) / 10
    return make_result(CANDIDATE, labels_N, moved_NC, **more), make_result(REFERENCE, labels_N, scores_NC, **more)


def limits_of(verdict: Verdict) -> tuple[float, float]:
    assert verdict.lower is not None
    assert verdict.upper is not None
    return verdict.lower, verdict.upper


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_it_is_supported_where_both_limits_lie_within_the_margin(
    pair: tuple[Result, Result], court: Court, margin: float
) -> None:
    with judging(court):
        verdict = equivalent_to(*pair, margin)
    lower, upper = limits_of(verdict)
    if verdict.reason:
        assert verdict.outcome == "inconclusive"
        return
    assert bool(verdict) == (-margin < lower and upper < margin)
    assert (verdict.outcome == "refuted") == (upper <= -margin or lower >= margin)
    assert not (verdict.outcome == "refuted" and lower <= 0 <= upper)


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_it_is_not_worse_in_either_direction_at_the_same_level(
    pair: tuple[Result, Result], court: Court, margin: float
) -> None:
    with judging(court):
        verdict = equivalent_to(*pair, margin)
        there, back = not_worse_than(*pair, margin), not_worse_than(pair[1], pair[0], margin)
    assert bool(verdict) == (bool(there) and bool(back))
    if "refuted" in (there.outcome, back.outcome):
        assert verdict.outcome == "refuted"
    if verdict.p is not None:
        assert there.p is not None
        assert back.p is not None
        assert verdict.p == pytest.approx(max(there.p, back.p), rel=1e-6, abs=1e-12)


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_it_says_the_same_with_the_two_exchanged(pair: tuple[Result, Result], court: Court, margin: float) -> None:
    with judging(court):
        there, back = equivalent_to(*pair, margin), equivalent_to(pair[1], pair[0], margin)
    assert there.outcome == back.outcome
    assert limits_of(there) == pytest.approx([-limit for limit in reversed(limits_of(back))])


@LAWS
@given(pairs(fewest=50), levels, margins, margins)
def test_a_wider_margin_is_never_less_supported(
    pair: tuple[Result, Result], court: Court, one: float, other: float
) -> None:
    with judging(court):
        narrow, wide = (equivalent_to(*pair, margin) for margin in sorted((one, other)))
    assert STRENGTH[narrow.outcome] <= STRENGTH[wide.outcome]
    if narrow.p is not None:
        assert wide.p is not None
        assert wide.p <= narrow.p + 1e-12


@LAWS
@given(pairs(fewest=50), levels, margins)
def test_the_p_value_is_below_the_level_where_it_is_supported(
    pair: tuple[Result, Result], court: Court, margin: float
) -> None:
    with judging(court):
        verdict = equivalent_to(*pair, margin)
    assume(verdict.p is not None)
    assert verdict.p is not None
    assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level, rel=1e-6)


@pytest.mark.parametrize(
    ("shift", "margin", "outcome"), [(0.0, 0.02, "supported"), (0.0, 0.001, "inconclusive"), (0.5, 0.02, "refuted")]
)
def test_the_three_outcomes(shift: float, margin: float, outcome: str) -> None:
    assert equivalent_to(*alike(shift=shift), margin).outcome == outcome


def test_a_loss_beyond_the_margin_is_refuted_too() -> None:
    better, worse = alike(shift=0.5)
    verdict = equivalent_to(worse, better)
    assert (verdict.outcome, verdict.effect is not None and verdict.effect < -0.02) == ("refuted", True)


def test_fifty_patients_a_class_are_needed() -> None:
    enough, few = (equivalent_to(*alike(fewest=fewest), 0.1) for fewest in (50, 49))
    assert enough
    assert (few.outcome, few.p) == ("inconclusive", None)
    assert few.reason == "not enough patients to tell: class 'class0' has 49 in the test side, equivalent_to needs 50"


def widest(comparison: Comparison) -> tuple[float, float]:
    """The limits at .05 of the t bound, the score bound and MOVER together."""
    bounds = (comparison.bound, comparison.score_bound, comparison.mover)
    present = [each for each in bounds if each is not None]
    assert len(present) == len(bounds)
    return min(each.lower(0.05) for each in present), max(each.upper(0.05) for each in present)


def test_an_auc_is_judged_by_the_wider_of_both_bounds() -> None:
    """Near the ceiling the limits on the logit scale are wider than the t bound."""
    labels_N = labels_of(60, 60)
    one, other = (
        make_result(cell, labels_N, noisy_scores(labels_N, 1.2, seed=seed))
        for seed, cell in enumerate((CANDIDATE, REFERENCE))
    )
    comparison = Comparison(candidate=one, reference=other)
    bound, mover = comparison.bound, comparison.mover
    assert bound is not None
    assert mover is not None
    lower, upper = limits_of(equivalent_to(one, other, 0.02))
    assert lower <= mover.lower(0.05) < bound.lower(0.05)
    assert upper >= mover.upper(0.05) > bound.upper(0.05)


def test_a_backbone_that_beats_by_a_margin_is_judged_so_too() -> None:
    """Near the ceiling, plain limits lie inside those at a margin."""
    labels_N = labels_of(60, 60)
    scores_NC = np.eye(2)[labels_N]
    scores_NC[0] = scores_NC[0, ::-1]
    pair = make_result(CANDIDATE, labels_N, np.eye(2)[labels_N]), make_result(REFERENCE, labels_N, scores_NC)
    comparison = Comparison(candidate=pair[0], reference=pair[1])
    assert comparison.score_bound is not None
    with_margin, without = (limits_of(beats(*pair, margin)) for margin in (0.001, 0.0))
    assert without == (comparison.score_bound.lower(0.05), comparison.score_bound.upper(0.05))
    assert with_margin == widest(comparison)
    assert with_margin != without


@pytest.mark.parametrize("signals", [(1.5, 0.3), (0.3, 1.5), (1.2, 1.1)])
def test_its_limits_lie_outside_those_of_each_bound(signals: tuple[float, float]) -> None:
    one, other = (
        result(cell, signal, seed=seed)
        for seed, (cell, signal) in enumerate(zip((CANDIDATE, REFERENCE), signals, strict=True))
    )
    assert limits_of(equivalent_to(one, other)) == widest(Comparison(candidate=one, reference=other))


def test_one_seed_settles_nothing() -> None:
    verdict = equivalent_to(retrained(CANDIDATE, 1.0), retrained(REFERENCE, 1.0, 1.0))
    assert (verdict.outcome, verdict.p) == ("inconclusive", None)
    assert "training randomness not measured" in verdict.reason


def test_the_default_margin_is_the_datasets() -> None:
    pair = alike(margin=0.05)
    assert equivalent_to(*pair) == equivalent_to(*pair, 0.05)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_that_allows_nothing_or_everything_is_refused(margin: float) -> None:
    with pytest.raises(InvalidInput, match="equivalent_to needs a margin above 0"):
        equivalent_to(*alike(), margin)


def test_the_line_and_the_text_say_what_could_be_shown() -> None:
    verdict = equivalent_to(*alike(), 0.004)
    assert f"smallest margin that could be shown {verdict.detectable:.4f}" in repr(verdict)
    assert "supported when the lower limit is above -0.004 and the upper one below 0.004" in verdict.text


def test_what_would_settle_it_is_enough_for_both_tests_at_its_own_margin() -> None:
    one, other = alike()
    comparison = Comparison(candidate=one, reference=other)
    assert comparison.patient_piece is not None
    reading = Reading(kind="equivalent_to", comparison=comparison, level=0.05, threshold=-0.003, ceiling=0.003)
    drawn, _ = sources(reading, comparison.patient_piece)
    enough = needed_of(patients=400, drawn=drawn, delta=0.003, alpha=0.05, power=0.9)
    assert equivalent_to(one, other, 0.003).settle == (
        f"would settle it: {enough.said('patient')} in the test side (it has 400; {IF_ALIKE}), "
        "for a true difference of 0"
    )


def test_the_narrowest_margin_is_supported_with_power_80_percent_where_nothing_differs() -> None:
    reading = Reading(
        kind="equivalent_to",
        comparison=Comparison(candidate=alike()[0], reference=alike()[1]),
        level=0.05,
        threshold=-0.02,
        ceiling=0.02,
    )
    bound = reading.planned
    assert bound is not None
    assert reading.detectable() == pytest.approx(smallest_detectable(bound, 0.05, both_ways()))
    known = Bound(effect=0.0, standard_error=0.01, degrees=1e6)
    margin = smallest_detectable(known, 0.05, both_ways())
    effect_T = np.random.default_rng(0).normal(0, 0.01, size=20_000)
    assert np.mean(np.abs(effect_T) + known.quantile(0.95) * 0.01 < margin) == pytest.approx(0.8, abs=0.01)

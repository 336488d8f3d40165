"""Claims over several datasets or in an order: what the whole says against what its parts say. Synthetic results.

Legend: N images.
"""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.compound import consistently_better, not_consistently_better, ranks_above
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.power import POWER, shared_power
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.settling import IF_ALIKE, needed_of, sources
from pytest_fmtransfer.judge.verdicts import beats
from tests.helpers import LAWS, Sides, pair_on, result, retrained, sides
from tests.strategies import levels

GOOD, UNSURE, BAD = 0.8, 0.02, -0.6


@st.composite
def some_sides(draw: st.DrawFn) -> Sides:
    gains = draw(st.lists(st.sampled_from([GOOD, 0.3, UNSURE, 0.0, -0.2, BAD]), min_size=2, max_size=4))
    sizes = [draw(st.sampled_from([30, 60, 120])) for _ in gains]
    return sides(
        *(
            pair_on(place, gain, patients=size, seed=draw(st.integers(0, 2**31)))
            for place, (gain, size) in enumerate(zip(gains, sizes, strict=True))
        )
    )


def parts_of(both: Sides) -> list[Verdict]:
    return [beats(mine, theirs) for mine, theirs in zip(*both, strict=True)]


@LAWS
@given(some_sides(), levels)
def test_the_whole_is_supported_where_each_part_is_and_refuted_by_one_at_its_share_of_the_level(
    both: Sides, court: Court
) -> None:
    with judging(court):
        whole, parts = consistently_better(*both), parts_of(both)
    bounds = [Comparison(candidate=mine, reference=theirs).wider for mine, theirs in zip(*both, strict=True)]
    assert bool(whole) == all(parts)
    refuted = [bound is not None and bound.upper(court.level / len(parts)) <= 0 for bound in bounds]
    assert (whole.outcome == "refuted") == any(refuted)


@LAWS
@given(some_sides(), levels)
def test_the_opposite_claim_swaps_support_and_refutation(both: Sides, court: Court) -> None:
    with judging(court):
        whole, opposite = consistently_better(*both), not_consistently_better(*both)
    assert {whole.outcome, opposite.outcome} in ({"supported", "refuted"}, {"inconclusive"})
    assert (whole.effect, whole.lower, whole.upper) == (opposite.effect, opposite.lower, opposite.upper)


@LAWS
@given(some_sides(), levels)
def test_p_values_are_below_the_level_where_the_claim_is_supported(both: Sides, court: Court) -> None:
    with judging(court):
        verdicts = consistently_better(*both), not_consistently_better(*both)
    for verdict in verdicts:
        assert verdict.p is not None
        assert 0 <= verdict.p <= 1
        assert (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level)


@LAWS
@given(some_sides(), levels)
def test_one_part_speaks_for_the_whole(both: Sides, court: Court) -> None:
    with judging(court):
        whole, parts = consistently_better(*both), parts_of(both)
    where = whole.summary.partition("weakest on ")[2].partition(":")[0]
    spoken = next(part for part in parts if part.candidate == where)
    assert (whole.effect, whole.lower, whole.upper) == (spoken.effect, spoken.lower, spoken.upper)
    assert whole.p == spoken.p == max(part.p for part in parts if part.p is not None)


@LAWS
@given(some_sides(), levels, st.permutations(range(4)))
def test_the_order_of_the_datasets_does_not_matter(both: Sides, court: Court, order: list[int]) -> None:
    pairs = [(both[0][place], both[1][place]) for place in order if place < len(both[0])]
    with judging(court):
        one, other = consistently_better(*both), consistently_better(*sides(*pairs))
    assert (one.outcome, one.effect, one.lower, one.upper, one.p, one.detectable) == (
        other.outcome,
        other.effect,
        other.lower,
        other.upper,
        other.p,
        other.detectable,
    )


@LAWS
@given(st.lists(st.sampled_from([0.0, 0.4, 0.8, 1.6]), min_size=2, max_size=4), levels)
def test_a_ranking_is_supported_where_each_beats_the_next(signals: Sequence[float], court: Court) -> None:
    results = [result(f"model{place}-data-knn", signal, seed=place) for place, signal in enumerate(signals)]
    with judging(court):
        whole = ranks_above(*results)
        parts = [beats(one, other) for one, other in pairwise(results)]
    assert bool(whole) == all(parts)
    if whole.outcome == "refuted":
        assert any(part.outcome == "refuted" for part in parts)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ((GOOD, GOOD), "supported"),
        ((GOOD, UNSURE), "inconclusive"),
        ((GOOD, BAD), "refuted"),
        ((UNSURE, BAD), "refuted"),
    ],
)
def test_the_three_outcomes(gains: tuple[float, ...], outcome: str) -> None:
    assert consistently_better(*sides(*(pair_on(place, gain) for place, gain in enumerate(gains)))).outcome == outcome


def test_a_refutation_is_corrected_for_the_number_of_parts() -> None:
    """Beyond what one of them takes, short of what one of eight takes."""
    worse = pair_on(0, -0.19)
    p = beats(*worse).p
    assert p is not None
    assert 0.05 / 8 < 1 - p < 0.05 / 2
    outcomes = [
        consistently_better(*sides(worse, *(pair_on(place, GOOD) for place in range(1, parts)))).outcome
        for parts in (2, 8)
    ]
    assert outcomes == ["refuted", "inconclusive"]


def test_a_dataset_that_cannot_carry_a_verdict_leaves_the_whole_open_unless_another_refutes_it() -> None:
    small = pair_on(1, GOOD, patients=19, classes=("benign", "malign"))
    open_one = consistently_better(*sides(pair_on(0, GOOD), small))
    assert (open_one.outcome, open_one.p, open_one.candidate) == ("inconclusive", None, "new.model-data0+data1-knn")
    assert "class 'benign' has 19 in the test side" in open_one.reason
    assert open_one.settle.endswith(", on new.model-data1-knn")
    closed = consistently_better(*sides(small, pair_on(0, BAD)))
    assert (closed.outcome, closed.reason, closed.settle) == ("refuted", "", "")


def test_a_dataset_with_one_patient_in_a_class_hides_no_refutation() -> None:
    tiny = pair_on(1, GOOD, patients=1)
    closed = consistently_better(*sides(tiny, pair_on(0, BAD)))
    assert closed.upper is not None
    assert (closed.outcome, closed.upper < 0) == ("refuted", True)
    assert "no interval: inconclusive (not enough patients to tell" in closed.text
    alone = consistently_better(*sides(tiny, pair_on(0, GOOD)))
    assert (alone.outcome, alone.lower, alone.upper) == ("inconclusive", None, None)


def test_one_seed_on_one_dataset_is_a_reason() -> None:
    labels = [pair_on(0, GOOD), (retrained("new.model-data-knn", 2.0), retrained("old.model-data-knn", 0.3, 0.3))]
    assert "training randomness not measured: new.model-data-knn" in consistently_better(*sides(*labels)).reason


def test_what_would_settle_it_is_about_the_part_that_is_open() -> None:
    """The open part has the larger effect: it is the smaller dataset, not the weaker one."""
    sure, unsure = pair_on(0, 0.1, patients=400), pair_on(1, 0.1, patients=20)
    whole, parts = consistently_better(*sides(sure, unsure)), parts_of(sides(sure, unsure))
    assert [part.outcome for part in parts] == ["supported", "inconclusive"]
    assert parts[0].effect is not None
    assert parts[1].effect is not None
    assert parts[0].effect < parts[1].effect
    comparison = Comparison(candidate=unsure[0], reference=unsure[1])
    assert comparison.patient_piece is not None
    reading = Reading(kind="beats", comparison=comparison, level=0.05, threshold=0.0)
    drawn, _ = sources(reading, comparison.patient_piece)
    enough = needed_of(patients=40, drawn=drawn, delta=0.02, alpha=0.05, power=POWER**0.5)
    assert whole.settle == (
        f"would settle it: {enough.said('patient')} in the test side (it has 40; {IF_ALIKE}), "
        "for a true difference of 0.02, on new.model-data1-knn"
    )


def test_the_detectable_effect_is_the_largest_of_the_parts_at_a_shared_power() -> None:
    both = sides(pair_on(0, GOOD, patients=100), pair_on(1, GOOD, patients=30), pair_on(2, GOOD))
    pairs = [Comparison(candidate=mine, reference=theirs) for mine, theirs in zip(*both, strict=True)]
    shown = [
        Reading(kind="beats", comparison=each, level=0.05, threshold=0.0).detectable(shared_power(3)) for each in pairs
    ]
    assert consistently_better(*both).detectable == max(each for each in shown if each is not None)

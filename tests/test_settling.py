"""The range of patients that would settle a claim: its ends, its words, and the numbers it is made of."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, norm, poisson

from pytest_fmtransfer.judge.bounds import Piece, combine, patient_piece, unseen_share
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.judge.settling import (
    Ends,
    Needed,
    known,
    needed_of,
    of_degrees,
    of_patients,
    patients_to_settle,
    rate_of,
)
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores, retrained

MANY = 1e9  # degrees of freedom: Student's t is then normal


def recalls(*classes: int) -> Result:
    labels_N = labels_of(*classes)
    return make_result(CANDIDATE, labels_N, noisy_scores(labels_N, 1.0, seed=0), metric="macro_recall")


def ends_of(result: Result, influence_N: NDArray[np.float64], rate: float = 0.0) -> tuple[Piece, Ends]:
    piece = patient_piece(influence_N, result.estimates[0].stratum_N, result.patients_N)
    return piece, of_patients(piece, influence_N, result, rate)


def one_way(differ: tuple[int, ...], classes: tuple[int, ...]) -> NDArray[np.float64]:
    """Each image's influence on a mean of recalls where so many of each class differ, by one each."""
    parts = [(np.arange(size) < count) / (size * len(classes)) for count, size in zip(differ, classes, strict=True)]
    return np.concatenate(parts)


@given(st.integers(1, 60))
@LAWS
def test_the_ends_of_a_count_are_the_poisson_rates_that_hold_it(count: int) -> None:
    """More than those seen have a chance of 5 % at the least rate, fewer at the most."""
    classes = (400, 400)
    piece, ends = ends_of(recalls(*classes), one_way((count, 0), classes))
    fewest = count * ends.least.variance / piece.variance
    assert poisson.sf(count - 1, fewest) == pytest.approx(0.05, rel=1e-4)
    # The other class may hold three who differ, and none was seen; reaches add as their squares.
    most = count * (ends.most.variance / piece.variance - 1)
    own, other = chi2.ppf(0.95, 2 * count + 2) / 2 - count, chi2.ppf(0.95, 2) / 2
    assert most == pytest.approx(math.hypot(own, other), rel=1e-4)


def test_a_rare_class_in_which_nobody_differs_may_hold_some_who_do() -> None:
    """One in twenty of the rare class differs in truth: the variance is then 50 times that of the common one."""
    classes = (1000, 20)
    piece, ends = ends_of(recalls(*classes), one_way((50, 0), classes))
    true = 0.05 / 20 / 4
    assert piece.variance < true / 40
    assert ends.most.variance > true


@given(st.lists(st.floats(-1, 1), min_size=20, max_size=60).filter(lambda found: max(map(abs, found)) > 1e-3))
@LAWS
def test_a_variance_lies_between_its_ends(found: list[float]) -> None:
    influence_N = np.array(found) / len(found)
    piece, ends = ends_of(recalls(len(found) // 2, len(found) - len(found) // 2), influence_N, rate=0.01)
    assert 0 <= ends.least.variance < piece.variance < ends.most.variance
    assert ends.rates == (pytest.approx(0.01 * math.sqrt(ends.least.variance / piece.variance)), 0.01)


def test_a_variance_of_few_degrees_is_known_by_their_chi_square() -> None:
    ends = of_degrees(Piece(variance=1.0, degrees=2))
    assert chi2.cdf(2 / ends.most.variance, 2) == pytest.approx(0.05)
    assert chi2.sf(2 / ends.least.variance, 2) == pytest.approx(0.05)


def test_where_nobody_shows_any_variance_there_may_be_none_or_what_was_missed() -> None:
    piece = Piece(variance=0.0, degrees=59, alike=60)
    ends = of_patients(piece, None, recalls(60, 60))
    assert ends.least == piece
    assert (ends.most.alike, ends.most.variance) == (0, pytest.approx(unseen_share(60, 0.05) / 60))
    no_influences = Piece(variance=1.0, degrees=9)
    assert of_patients(no_influences, None, recalls(60, 60)) == of_degrees(no_influences)


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (Needed(least=912, most=4_120), "910 to 4200 patients"),
        (Needed(least=12_999, most=13_001), "12000 to 14000 patients"),
        (Needed(least=9, most=99), "9 to 99 patients"),
        (Needed(least=627, most=627), "627 patients"),
        (Needed(least=627, most=None), "620 patients or more"),
    ],
)
def test_ranges_are_rounded_outward(needed: Needed, said: str) -> None:
    assert needed.said("patient") == said


def test_no_number_has_no_words() -> None:
    with pytest.raises(ValueError, match="no number"):
        Needed(least=None, most=None).said("patient")


@pytest.mark.parametrize("true_effect", [0.05, 0.2])
def test_more_patients_are_needed_the_smaller_the_difference(true_effect: float) -> None:
    """With them, effect = (z(.95) + z(.8)) × SE: the textbook's sample size, where the variance is known."""
    piece = Piece(variance=0.01, degrees=MANY)
    enough = patients_to_settle(patients=100, piece=piece, delta=true_effect, alpha=0.05)
    textbook = 100 * 0.01 * ((norm.ppf(0.95) + norm.ppf(0.8)) / true_effect) ** 2
    assert enough == pytest.approx(textbook, abs=1.01)


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
@pytest.mark.parametrize("rate", [0.0, 0.02])
@pytest.mark.parametrize("seeds", [None, 2, 3, 5])
def test_with_so_many_and_no_fewer_the_difference_is_detectable(seeds: int | None, rate: float, alpha: float) -> None:
    fixed = [] if seeds is None else [Piece(variance=2e-7, degrees=2 * (seeds - 1))]
    piece = Piece(variance=1e-3, degrees=99)
    enough = patients_to_settle(patients=200, piece=piece, seeds=fixed, rate=rate, delta=0.02, alpha=alpha)
    assert enough is not None

    def shown(number: int) -> float:
        times = number / 200
        bound = combine(0.0, [Piece(variance=1e-3 / times, degrees=100 * times - 1), *fixed])
        half = bound.quantile(1 - alpha) * rate / times / 2
        return (
            smallest_detectable(bound, alpha) * (half + math.hypot(bound.standard_error, half)) / bound.standard_error
        )

    assert shown(enough) <= 0.02 < shown(enough - 1)


def test_few_seeds_ask_for_more_patients_than_many_with_the_same_variance() -> None:
    counts = [
        patients_to_settle(
            patients=200,
            piece=Piece(variance=1e-3, degrees=MANY),
            seeds=[Piece(variance=2e-5, degrees=degrees)],
            delta=0.02,
            alpha=0.05,
        )
        for degrees in (MANY, 8, 4)
    ]
    assert all(fewer < more for fewer, more in pairwise(count for count in counts if count is not None))
    assert counts[1] is not None


def test_no_number_of_patients_makes_up_for_noisy_seeds() -> None:
    counts = [
        patients_to_settle(
            patients=100,
            piece=Piece(variance=0.01, degrees=MANY),
            seeds=[Piece(variance=variance, degrees=MANY)],
            delta=0.02,
            alpha=0.05,
        )
        for variance in (0.0, 3e-5, 6e-5, 7e-5)
    ]
    assert counts[-1] is None
    assert all(fewer < more for fewer, more in pairwise(count for count in counts if count is not None))


def test_a_rate_is_that_which_makes_a_standard_error_as_wide_as_what_is_planned_with() -> None:
    plain = combine(0.0, [Piece(variance=1e-4, degrees=30)])
    half = plain.quantile(0.95) * 0.007 / 2
    wide = combine(0.0, [Piece(variance=(half + math.hypot(plain.standard_error, half)) ** 2, degrees=30)])
    assert rate_of(wide, plain.standard_error, 0.05) == pytest.approx(0.007, rel=0.02)
    assert rate_of(plain, plain.standard_error, 0.05) == 0


def test_seeds_that_may_vary_too_much_leave_the_range_open() -> None:
    drawn, seeds = known(Piece(variance=1e-3, degrees=MANY)), [of_degrees(Piece(variance=1e-5, degrees=4))]
    needed = needed_of(patients=200, drawn=drawn, seeds=seeds, delta=0.02, alpha=0.05, power=0.8)
    assert needed.least is not None
    assert needed.most is None


def test_a_verdict_says_that_more_seeds_may_be_needed_as_well() -> None:
    settle = beats(retrained(CANDIDATE, 1.0, 1.02, 1.04), retrained(REFERENCE, 1.0, 1.02, 1.05)).settle
    assert "patients or more in the test side" in settle
    assert "and perhaps more seeds, for a true difference of 0.02" in settle


def test_limits_of_patients_who_differ_by_unlike_amounts_are_not_taken_to_stay_wide() -> None:
    """A score bound's excess over the t bound falls faster there than patients grow in number."""
    influence_N = one_way((9, 5), (60, 60))
    _, counted = ends_of(recalls(60, 60), influence_N, rate=0.01)
    labels_N = labels_of(60, 60)
    _, graded = ends_of(make_result(CANDIDATE, labels_N, noisy_scores(labels_N, 1.0, seed=0)), influence_N, rate=0.01)
    assert 0 == graded.rates[0] < counted.rates[0] < graded.rates[1] == counted.rates[1]

"""Variances against textbook formulas, and limits against p-values.

Legend: N images; a positive is an image of class 1.
"""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2

from pytest_fmtransfer.judge.bounds import (
    Bound,
    Piece,
    at_most,
    combine,
    patient_piece,
    seed_piece,
    strata_of,
    together,
)
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import LAWS, labels_of, noisy_scores, two_columns

Floats = NDArray[np.float64]


def each_its_own(images: int) -> NDArray[np.str_]:
    return np.arange(images).astype(np.str_)


def delong_covariance(labels_N: NDArray[np.int64], scores_2N: Floats) -> Floats:
    """The 2 × 2 covariance of two AUCs on the same images, by the kernel over all pairs (DeLong 1988)."""
    components_pos, components_neg = [], []
    for score_N in scores_2N:
        difference = score_N[labels_N == 1][:, None] - score_N[labels_N == 0][None]
        kernel = (difference > 0) + 0.5 * (difference == 0)
        components_pos.append(kernel.mean(axis=1))
        components_neg.append(kernel.mean(axis=0))
    return np.cov(components_pos) / (labels_N == 1).sum() + np.cov(components_neg) / (labels_N == 0).sum()


@st.composite
def two_scores(draw: st.DrawFn) -> tuple[NDArray[np.int64], Floats]:
    """Labels, and two correlated scores of few distinct values, so that ties are common."""
    labels_N = labels_of(draw(st.integers(2, 15)), draw(st.integers(2, 15)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    common_N = rng.normal(size=len(labels_N)) + draw(st.floats(-2, 2)) * labels_N
    scores_2N = common_N + rng.normal(size=(2, len(labels_N)))
    return labels_N, np.round(scores_2N * draw(st.sampled_from([1, 1000])))


@LAWS
@given(two_scores())
def test_the_variance_of_an_auc_is_delongs(sample: tuple[NDArray[np.int64], Floats]) -> None:
    labels_N, (score_N, _) = sample
    estimate = evaluate("roc_auc", labels_N, two_columns(score_N))
    piece = patient_piece(estimate.influence_N, estimate.stratum_N, each_its_own(len(labels_N)))
    assert piece.variance == pytest.approx(delong_covariance(*sample)[0, 0], abs=1e-12)
    assert piece.degrees == min(np.bincount(labels_N)) - 1


@LAWS
@given(two_scores())
def test_the_variance_of_a_difference_of_aucs_is_delongs(sample: tuple[NDArray[np.int64], Floats]) -> None:
    labels_N, scores_2N = sample
    one, other = (evaluate("roc_auc", labels_N, two_columns(score_N)) for score_N in scores_2N)
    piece = patient_piece(one.influence_N - other.influence_N, one.stratum_N, each_its_own(len(labels_N)))
    covariance = delong_covariance(*sample)
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert piece.variance == pytest.approx(expected, abs=1e-12)


@LAWS
@given(two_scores(), st.integers(2, 5))
def test_copies_of_a_patients_images_tell_nothing_new(sample: tuple[NDArray[np.int64], Floats], copies: int) -> None:
    labels_N, (score_N, _) = sample
    once = evaluate("roc_auc", labels_N, two_columns(score_N))
    copied = evaluate("roc_auc", labels_N.repeat(copies), two_columns(score_N.repeat(copies)))
    patients_N = each_its_own(len(labels_N))
    piece = patient_piece(once.influence_N, once.stratum_N, patients_N)
    clustered = patient_piece(copied.influence_N, copied.stratum_N, patients_N.repeat(copies))
    assert clustered.variance == pytest.approx(piece.variance, abs=1e-12)
    assert clustered.degrees == piece.degrees


def test_taking_copies_for_patients_would_shrink_the_variance_by_their_number() -> None:
    labels_N, copies = labels_of(400, 400), 4
    scores_NC = noisy_scores(labels_N, 1.0, seed=0)
    once = evaluate("roc_auc", labels_N, scores_NC)
    copied = evaluate("roc_auc", labels_N.repeat(copies), scores_NC.repeat(copies, axis=0))
    right = patient_piece(once.influence_N, once.stratum_N, each_its_own(800)).variance
    wrong = patient_piece(copied.influence_N, copied.stratum_N, each_its_own(3200)).variance
    assert right / wrong == pytest.approx(copies, rel=0.01)


@LAWS
@given(st.integers(0, 30), st.integers(0, 30))
def test_the_variance_of_an_accuracy_is_the_binomials(right: int, wrong: int) -> None:
    n = right + wrong
    assume(n >= 2)
    estimate = evaluate("accuracy", labels_of(right, wrong), np.eye(2)[[0] * n])
    piece = patient_piece(estimate.influence_N, estimate.stratum_N, each_its_own(n))
    p = right / n
    assert piece.variance == pytest.approx(p * (1 - p) / (n - 1), abs=1e-12)
    assert piece.degrees == n - 1


def test_a_patient_with_images_in_both_classes_counts_in_both() -> None:
    patients_N = np.array(["a", "a", "b", "c", "c"])
    assert strata_of(np.array([0, 1, 0, 1, 1]), patients_N).patients_K.tolist() == [2, 2]


def test_a_patients_images_of_both_classes_are_summed_before_squaring() -> None:
    """Influences of opposite sign in one patient cancel; those of one sign add up."""
    stratum_N, patients_N = np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"])
    cancelling = patient_piece(np.array([1.0, -1, -1, 1]), stratum_N, patients_N)
    adding = patient_piece(np.array([1.0, -1, 1, -1]), stratum_N, patients_N)
    assert (cancelling.variance, adding.variance) == (0.0, pytest.approx(2 * (2 * math.sqrt(2)) ** 2))


@pytest.mark.parametrize("degrees", [1.0, 7.0, 1e4])
def test_one_piece_keeps_its_degrees_of_freedom(degrees: float) -> None:
    bound = combine(0.5, [Piece(variance=0.04, degrees=degrees), Piece(variance=0.0, degrees=1)])
    assert (bound.standard_error, bound.degrees) == (pytest.approx(0.2), pytest.approx(degrees))


def test_satterthwaite_on_figures_worked_by_hand() -> None:
    """(4 + 1)² / (4² / 8 + 1² / 2) = 25 / 2.5 = 10."""
    both = together([Piece(variance=4.0, degrees=8), Piece(variance=1.0, degrees=2), Piece(variance=0.0, degrees=1)])
    assert (both.variance, both.degrees) == (pytest.approx(5), pytest.approx(10))


def test_pieces_without_variance_are_together_as_uncertain_as_the_least_certain() -> None:
    assert together([Piece(variance=0.0, degrees=8), Piece(variance=0.0, degrees=2)]) == Piece(variance=0.0, degrees=2)


def test_degrees_of_freedom_reckon_with_a_variance_that_is_seen_too_small() -> None:
    """With 2 degrees the χ² quantile at q is −2 ln(1 − q), at .15 it is .325: the variance may be 6.153 times as large.

    One of many degrees is as it was seen: (4 + 6.153)² / (6.153² / 2) = 5.446. The standard error stays √5.
    """
    bound = combine(0.0, [Piece(variance=4.0, degrees=1e9), Piece(variance=1.0, degrees=2)])
    assert (bound.standard_error, bound.degrees) == (pytest.approx(math.sqrt(5)), pytest.approx(5.446, rel=2e-3))


@LAWS
@given(st.floats(1, 1e9))
def test_a_variance_is_at_most_what_it_is_seen_smaller_than_in_15_of_100_samples(degrees: float) -> None:
    times = at_most(Piece(variance=1.0, degrees=degrees))
    assert times > 1
    assert chi2.cdf(min(degrees, 1e6) / times, min(degrees, 1e6)) == pytest.approx(0.15, rel=1e-6)


pieces = st.builds(Piece, variance=st.floats(1e-9, 1), degrees=st.floats(1, 1e4))


@LAWS
@given(st.lists(pieces, min_size=1, max_size=4))
def test_combined_degrees_lie_between_the_smallest_and_their_sum(parts: list[Piece]) -> None:
    degrees = combine(0.0, parts).degrees
    smallest, total = min(part.degrees for part in parts), sum(part.degrees for part in parts)
    assert smallest * (1 - 1e-9) <= degrees <= total * (1 + 1e-9)


@pytest.mark.parametrize(("threshold", "p"), [(-0.1, 0.0), (0.0, 1.0), (0.1, 1.0)])
def test_without_variance_the_effect_is_its_own_limits(threshold: float, p: float) -> None:
    bound = combine(0.0, [Piece(variance=0.0, degrees=9)])
    assert (bound.lower(0.05), bound.upper(0.05), bound.p_above(threshold)) == (0.0, 0.0, p)


@LAWS
@given(
    effect=st.floats(-1, 1),
    standard_error=st.floats(1e-4, 1) | st.just(0.0),
    degrees=st.floats(1, 1e5) | st.just(math.inf),
    threshold=st.floats(-1, 1),
    alpha=st.floats(1e-4, 0.499),
)
def test_the_p_value_inverts_the_lower_limit(
    effect: float, standard_error: float, degrees: float, threshold: float, alpha: float
) -> None:
    bound = Bound(effect=effect, standard_error=standard_error, degrees=degrees)
    p = bound.p_above(threshold)
    assume(abs(p - alpha) > 1e-9)
    assert (bound.lower(alpha) > threshold) == (p < alpha)


@LAWS
@given(st.floats(-1, 1), st.floats(1e-4, 1), st.floats(1, 1e5), st.floats(1e-4, 0.499))
def test_the_limits_lie_evenly_about_the_effect(
    effect: float, standard_error: float, degrees: float, alpha: float
) -> None:
    bound = Bound(effect=effect, standard_error=standard_error, degrees=degrees)
    assert bound.lower(alpha) < effect < bound.upper(alpha)
    assert bound.upper(alpha) - effect == pytest.approx(effect - bound.lower(alpha), abs=1e-9)


def test_one_seed_tells_nothing_of_seeds() -> None:
    assert seed_piece((0.9,)) is None


def test_the_variance_of_a_mean_over_seeds() -> None:
    piece = seed_piece((0.90, 0.92, 0.94))
    assert piece is not None
    assert (piece.variance, piece.degrees) == (pytest.approx(0.02**2 / 3), 2)

"""How images of several labels are learnt from, some of which nobody knows.

Legend: N images, A, V, T images of the training, validation and test side, Q, B, K of a query, a bank and neighbours,
D features, C labels.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from pytest_fmtransfer.adapt import knn, label_odds, linear_probe
from pytest_fmtransfer.adapt.knn import Neighbours, neighbours
from pytest_fmtransfer.adapt.sides import Sides, shuffle_labels
from pytest_fmtransfer.catalog.regime_settings import KnnSettings, LinearProbeSettings
from pytest_fmtransfer.data.table import UNKNOWN
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import LAWS
from tests.test_adapt import made_sides

METHODS: list[tuple[ModuleType, Any]] = [
    (knn, KnnSettings()),
    (linear_probe, LinearProbeSettings(smallest_c=1e-3, largest_c=10, steps=9)),
]
every_method = pytest.mark.parametrize(("method", "regime"), METHODS, ids=["knn", "linear_probe"])


def made(unknown: float = 0.2, labels: int = 3, seed: int = 0) -> tuple[Sides, np.ndarray]:
    """Features in which each label moves a direction of its own, and the labels of the test side, all known."""
    generator = np.random.default_rng(seed)
    labels_NC = (generator.random((320, labels)) < np.linspace(0.2, 0.5, labels)).astype(np.int64)
    directions_CD = generator.normal(size=(labels, 16))
    features_ND = (labels_NC @ directions_CD + generator.normal(size=(320, 16))).astype(np.float32)
    known_NC = np.where(generator.random(labels_NC.shape) < unknown, UNKNOWN, labels_NC)
    sides = Sides(
        train_AD=features_ND[:160],
        train_labels_A=known_NC[:160],
        validation_VD=features_ND[160:240],
        validation_labels_V=known_NC[160:240],
        test_TD=features_ND[240:],
        classes=labels,
    )
    return sides, labels_NC[240:]


def bank_of(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([sides.train_AD, sides.validation_VD]),
        np.concatenate([sides.train_labels_A, sides.validation_labels_V]),
    )


@every_method
def test_each_label_is_learnt_and_nothing_is_left_to_chance(method: ModuleType, regime: Any) -> None:
    sides, labels_TC = made()
    first, second = (method.adapt(sides, regime, seed) for seed in (0, 1))
    assert first.scores_TC.dtype == np.float32
    assert first.scores_TC.shape == labels_TC.shape
    np.testing.assert_array_equal(first.scores_TC, second.scores_TC)
    for label in range(3):
        value = evaluate("mean_roc_auc", labels_TC[:, [label]], first.scores_TC[:, [label]]).value
        assert value > 0.75, label


@every_method
def test_of_one_label_that_is_known_everywhere_the_scores_rank_as_those_of_two_classes(
    method: ModuleType, regime: Any
) -> None:
    sides, labels_T = made_sides(separation=0.3)
    several = replace(
        sides,
        train_labels_A=sides.train_labels_A[:, None],
        validation_labels_V=sides.validation_labels_V[:, None],
        classes=1,
    )
    two, one = method.adapt(sides, regime, 0), method.adapt(several, regime, 0)
    margin_T = two.scores_TC[:, 1] - two.scores_TC[:, 0]
    assert one.chosen == two.chosen
    # Of kNN because the bank holds as many of either class: the vote that is added is split alike.
    np.testing.assert_allclose(one.scores_TC[:, 0], margin_T, rtol=1e-5, atol=1e-5)
    assert evaluate("mean_roc_auc", labels_T[:, None], one.scores_TC).value > 0.7


@every_method
def test_an_image_of_which_nothing_is_known_is_as_good_as_absent(method: ModuleType, regime: Any) -> None:
    """Except that it stands among the neighbours, and that features are standardised with it."""
    sides, labels_TC = made(unknown=0.0)
    half = replace(sides, train_labels_A=np.where(np.arange(160)[:, None] % 2, UNKNOWN, sides.train_labels_A))
    value = evaluate("mean_roc_auc", labels_TC, method.adapt(half, regime, 0).scores_TC).value
    assert value > 0.75
    wrong = np.where(np.arange(160)[:, None] % 2, 1 - sides.train_labels_A, sides.train_labels_A)
    misled = method.adapt(replace(sides, train_labels_A=wrong), regime, 0).scores_TC
    assert evaluate("mean_roc_auc", labels_TC, misled).value < value


@every_method
@pytest.mark.parametrize("known", [0, 1, UNKNOWN])
def test_a_label_of_which_all_that_is_known_is_the_same_scores_alike_everywhere(
    method: ModuleType, regime: Any, known: int
) -> None:
    sides, _ = made()
    train, validation = sides.train_labels_A.copy(), sides.validation_labels_V.copy()
    train[:, 1][train[:, 1] != UNKNOWN] = known
    validation[:, 1][validation[:, 1] != UNKNOWN] = known
    scores_TC = method.adapt(replace(sides, train_labels_A=train, validation_labels_V=validation), regime, 0).scores_TC
    assert np.isfinite(scores_TC).all()
    (score,) = np.unique(scores_TC[:, 1])
    assert np.sign(score) == {0: -1, 1: 1, UNKNOWN: 0}[known]
    assert len(np.unique(scores_TC[:, 0])) > 10


@every_method
def test_the_order_of_the_labels_does_not_matter(method: ModuleType, regime: Any) -> None:
    sides, _ = made()
    order = [2, 0, 1]
    other = replace(
        sides,
        train_labels_A=sides.train_labels_A[:, order],
        validation_labels_V=sides.validation_labels_V[:, order],
    )
    here, there = method.adapt(sides, regime, 0), method.adapt(other, regime, 0)
    assert here.chosen == there.chosen
    # Ridge multiplies all labels' columns at once, and the last may be added up in another order than the first.
    np.testing.assert_allclose(there.scores_TC, here.scores_TC[:, order], rtol=1e-5, atol=1e-6)


@every_method
def test_where_no_validation_label_is_known_nothing_can_be_chosen(method: ModuleType, regime: Any) -> None:
    sides, _ = made()
    blind = replace(sides, validation_labels_V=np.full_like(sides.validation_labels_V, UNKNOWN))
    with pytest.raises(DatasetError, match="no label of the 80 validation images is known"):
        method.adapt(blind, regime, 0)


def test_knn_votes_of_scikit_learns_neighbours_whose_label_is_known() -> None:
    sides, _ = made()
    scores_TC = knn.adapt(sides, KnnSettings(neighbours=(7,)), 0).scores_TC
    bank_BD, labels_BC = bank_of(sides)
    finder = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(bank_BD.astype(np.float64))
    distance_TK, index_TK = finder.kneighbors(sides.test_TD.astype(np.float64))
    weights_TK = np.exp((1 - distance_TK) / KnnSettings().temperature)
    weights_TK /= weights_TK.sum(axis=1, keepdims=True)
    for label in range(3):
        label_B = labels_BC[:, label]
        prior = ((label_B == 1).sum() + 0.5) / ((label_B >= 0).sum() + 1)
        votes_TK = label_B[index_TK]
        bears_T = (weights_TK * (votes_TK == 1)).sum(axis=1) + prior / 7
        known_T = (weights_TK * (votes_TK >= 0)).sum(axis=1) + 1 / 7
        np.testing.assert_allclose(expit(scores_TC[:, label]), bears_T / known_T, rtol=1e-4)


def test_an_image_whose_neighbours_are_all_unknown_gets_the_labels_own_odds() -> None:
    found = Neighbours(row_QK=np.array([[0, 1], [4, 2]]), similarity_QK=np.array([[0.9, 0.8], [0.9, 0.8]]))
    labels_BC = np.array([[UNKNOWN], [UNKNOWN], [1], [0], [0]])
    odds_Q = knn._log_odds(found, labels_BC, 2, 0.07)[:, 0]
    prior = 1.5 / 4
    assert odds_Q[0] == pytest.approx(np.log(prior / (1 - prior)))
    assert odds_Q[1] < odds_Q[0]


def test_k_and_c_are_chosen_by_the_log_loss_over_the_labels_that_are_known() -> None:
    """Against validation labels that say the opposite, the less is learnt the better."""
    sides, _ = made(unknown=0.3)
    opposite = np.where(sides.validation_labels_V == UNKNOWN, UNKNOWN, 1 - sides.validation_labels_V)
    flipped = replace(sides, validation_labels_V=opposite)
    assert linear_probe.adapt(flipped, LinearProbeSettings(), 0).chosen["C"] == 1e-6
    assert linear_probe.adapt(sides, LinearProbeSettings(), 0).chosen["C"] > 1e-6
    losses = {
        k: label_odds.log_loss(
            sides.validation_labels_V,
            knn._log_odds(neighbours(sides.validation_VD, sides.train_AD, k), sides.train_labels_A, k, 0.07),
        )
        for k in KnnSettings().neighbours
    }
    assert knn.adapt(sides, KnnSettings(), 0).chosen["k"] == min(losses, key=lambda k: losses[k])


@LAWS
@given(arrays(np.int64, (6, 2), elements=st.integers(-1, 1)), arrays(np.float64, (6, 2), elements=st.floats(-30, 30)))
def test_the_loss_is_the_mean_negative_log_probability_of_what_is_known(labels: np.ndarray, odds: np.ndarray) -> None:
    known = [(label, odd) for label, odd in zip(labels.ravel(), odds.ravel(), strict=True) if label != UNKNOWN]
    if not known:
        return
    expected = -np.mean([np.log(expit(odd if label else -odd)) for label, odd in known])
    assert label_odds.log_loss(labels, odds) == pytest.approx(expected, rel=1e-9)


def test_linear_probe_is_scikit_learns_fit_of_each_label_at_the_chosen_c() -> None:
    sides, _ = made()
    adapted = linear_probe.adapt(sides, LinearProbeSettings(steps=12, tolerance=1e-6), 0)
    both_ND, labels_NC = bank_of(sides)
    scaler = StandardScaler().fit(both_ND)
    test_TD = scaler.transform(sides.test_TD).astype(np.float64)
    for label in range(3):
        known_N = labels_NC[:, label] != UNKNOWN
        exact = LogisticRegression(C=adapted.chosen["C"], tol=1e-8, max_iter=5000)
        exact.fit(scaler.transform(both_ND[known_N]).astype(np.float64), labels_NC[known_N, label])
        np.testing.assert_allclose(adapted.scores_TC[:, label], exact.decision_function(test_TD), atol=0.02)


def test_a_fit_that_has_no_finite_optimum_is_not_warned_of() -> None:
    sides, labels_TC = made()
    adapted = linear_probe.adapt(sides, LinearProbeSettings(steps=3, max_iterations=2), 0)
    assert adapted.scores_TC.shape == labels_TC.shape


@LAWS
@given(arrays(np.int64, (9, 3), elements=st.integers(-1, 1)), st.integers(0, 2**32))
def test_shuffling_gives_an_image_all_labels_of_another(labels_NC: np.ndarray, seed: int) -> None:
    sides, _ = made()
    shuffled = shuffle_labels(replace(sides, train_labels_A=labels_NC), seed).train_labels_A
    assert sorted(map(tuple, shuffled.tolist())) == sorted(map(tuple, labels_NC.tolist()))

"""The regimes against scikit-learn, and against what they must not see."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from pytest_fmtransfer.adapt import knn, linear_probe, ridge
from pytest_fmtransfer.adapt.sides import Sides
from pytest_fmtransfer.catalog.regime_settings import KnnSettings, LinearProbeSettings, RidgeSettings
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import LAWS


def made_sides(classes: int = 2, separation: float = 1.0, seed: int = 0) -> tuple[Sides, np.ndarray]:
    """Gaussian classes in 16 dimensions, and the labels of the test side."""
    generator = np.random.default_rng(seed)
    labels_N = np.tile(np.arange(classes), 80)
    centres_CD = generator.normal(size=(classes, 16)) * separation
    features_ND = (centres_CD[labels_N] + generator.normal(size=(len(labels_N), 16))).astype(np.float32)
    a, b = len(labels_N) // 2, 3 * len(labels_N) // 4
    sides = Sides(
        train_AD=features_ND[:a],
        train_labels_A=labels_N[:a],
        validation_VD=features_ND[a:b],
        validation_labels_V=labels_N[a:b],
        test_TD=features_ND[b:],
        classes=classes,
    )
    return sides, labels_N[b:]


def test_the_labels_of_the_test_side_are_not_given() -> None:
    assert [field.name for field in fields(Sides) if field.name.startswith("test")] == ["test_TD"]


def test_knn_votes_of_scikit_learns_neighbours() -> None:
    sides, _ = made_sides(classes=3)
    settings = KnnSettings(neighbours=(7,))
    scores_TC = knn.adapt(sides, settings, 0).scores_TC
    bank_BD = np.concatenate([sides.train_AD, sides.validation_VD]).astype(np.float64)
    labels_B = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
    finder = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(bank_BD)
    distance_TK, index_TK = finder.kneighbors(sides.test_TD.astype(np.float64))
    weights_TK = np.exp((1 - distance_TK) / settings.temperature)
    votes_TC = np.stack([(weights_TK * (labels_B[index_TK] == label)).sum(axis=1) for label in range(3)], axis=1)
    shares_TC = votes_TC / votes_TC.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(scores_TC), (shares_TC + 1 / 21) / (1 + 1 / 7), rtol=1e-4)


@given(st.integers(1, 12), st.integers(1, 40), st.data())
@LAWS
def test_neighbours_are_those_of_a_stable_sort_whatever_is_held_at_once(
    k: int, block: int, data: st.DataObject
) -> None:
    """Of features so few that most are tied, and cosines are exact."""
    axes = st.sampled_from([(1, 0), (0, 1), (-2, 0), (0, -2), (0, 0)])
    query_QD = np.array(data.draw(st.lists(axes, min_size=1, max_size=5)), dtype=np.float32)
    bank_BD = np.array(data.draw(st.lists(axes, min_size=k, max_size=15)), dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "BLOCK", block)
        found = knn.neighbours(query_QD, bank_BD, k)
    similarity_QB = np.sign(query_QD) @ np.sign(bank_BD).T
    expected_QK = np.argsort(-similarity_QB, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.row_QK, expected_QK)
    np.testing.assert_array_equal(found.similarity_QK, np.take_along_axis(similarity_QB, expected_QK, axis=1))


def test_features_that_are_not_finite_make_scores_that_are_not_and_break_nothing() -> None:
    sides, _ = made_sides()
    broken = Sides(**(vars(sides) | {"train_AD": np.full_like(sides.train_AD, np.nan)}))
    assert np.isnan(knn.adapt(broken, KnnSettings(neighbours=(50,)), 0).scores_TC).any()


def test_knn_does_not_depend_on_a_features_scale() -> None:
    sides, _ = made_sides()
    scaled = Sides(**(vars(sides) | {"test_TD": sides.test_TD * 7}))
    np.testing.assert_allclose(
        knn.adapt(sides, KnnSettings(), 0).scores_TC, knn.adapt(scaled, KnnSettings(), 0).scores_TC, atol=1e-5
    )


def test_k_is_never_larger_than_the_training_side() -> None:
    sides, _ = made_sides()
    few = Sides(**(vars(sides) | {"train_AD": sides.train_AD[:4], "train_labels_A": sides.train_labels_A[:4]}))
    assert knn.adapt(few, KnnSettings(), 0).chosen["k"] <= 4


def test_linear_probe_is_scikit_learns_fit_at_the_chosen_c() -> None:
    sides, _ = made_sides(separation=0.3)  # overlapping classes, so that the optimum is finite
    adapted = linear_probe.adapt(sides, LinearProbeSettings(), 0)
    both_ND = np.concatenate([sides.train_AD, sides.validation_VD])
    labels_N = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
    scaler = StandardScaler().fit(both_ND)
    exact = LogisticRegression(C=adapted.chosen["C"], tol=1e-8, max_iter=5000)
    exact.fit(scaler.transform(both_ND).astype(np.float64), labels_N)
    decision_T = exact.decision_function(scaler.transform(sides.test_TD).astype(np.float64))
    np.testing.assert_allclose(adapted.scores_TC[:, 1] - adapted.scores_TC[:, 0], decision_T, atol=0.02)


def test_c_is_one_of_forty_five_and_chosen_on_validation() -> None:
    sides, _ = made_sides()
    settings = LinearProbeSettings()
    grid = np.logspace(-6, 5, 45)
    assert linear_probe.adapt(sides, settings, 0).chosen["C"] in grid[1:]
    # Against validation labels that say the opposite, the less is learnt the better.
    flipped = Sides(**(vars(sides) | {"validation_labels_V": 1 - sides.validation_labels_V}))
    assert linear_probe.adapt(flipped, settings, 0).chosen["C"] == grid[0]


@pytest.mark.parametrize(("method", "settings"), [(knn, KnnSettings()), (linear_probe, LinearProbeSettings())])
@pytest.mark.parametrize("classes", [2, 4])
def test_both_learn_and_both_repeat_themselves(method, settings, classes: int) -> None:
    sides, labels_T = made_sides(classes=classes)
    first, second = (method.adapt(sides, settings, seed) for seed in (0, 1))
    assert first.scores_TC.dtype == np.float32
    assert first.scores_TC.shape == (len(labels_T), classes)
    np.testing.assert_array_equal(first.scores_TC, second.scores_TC)
    assert evaluate("balanced_accuracy", labels_T, first.scores_TC).value > 1.5 / classes


@pytest.mark.parametrize(("method", "settings"), [(knn, KnnSettings()), (linear_probe, LinearProbeSettings())])
def test_a_class_without_training_images_scores_lowest(method, settings) -> None:
    sides, _ = made_sides(classes=2)
    wider = Sides(**(vars(sides) | {"classes": 3}))
    scores_TC = method.adapt(wider, settings, 0).scores_TC
    assert (scores_TC[:, 2] <= scores_TC[:, :2].min(axis=1)).all()


@pytest.mark.parametrize(
    ("method", "settings"), [(linear_probe, LinearProbeSettings()), (ridge, RidgeSettings())], ids=["probe", "ridge"]
)
def test_rounding_of_a_feature_that_training_does_not_show_decides_no_score(method, settings) -> None:
    """One training image has 6e-7 of it, or 9e-7 on another processor; one test image shows it."""
    sides, _ = made_sides()

    def scores(rounding: float) -> np.ndarray:
        extra = {name: np.zeros((len(getattr(sides, name)), 1), np.float32) for name in ("train_AD", "validation_VD")}
        extra["train_AD"][5] = rounding
        extra["test_TD"] = np.zeros((len(sides.test_TD), 1), np.float32)
        extra["test_TD"][3] = 0.0115
        wider = {name: np.hstack([getattr(sides, name), column]) for name, column in extra.items()}
        return method.adapt(replace(sides, **wider), settings, 0).scores_TC

    np.testing.assert_allclose(scores(6e-7), scores(9e-7), atol=1e-4)

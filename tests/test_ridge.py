"""The regime `ridge` against scikit-learn's solvers, and what changes nothing.

Legend: N images, A, V, T images of the training, validation and test side, P penalties, D features, C classes or
labels.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt import ridge
from pytest_fmtransfer.catalog.regime_settings import RidgeSettings
from pytest_fmtransfer.data.table import UNKNOWN
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import LAWS
from tests.test_adapt import made_sides
from tests.test_multilabel import made

SETTINGS = RidgeSettings(smallest_penalty=1e-4, largest_penalty=1e2, steps=13)
seeds, sizes = st.integers(0, 2**32 - 1), st.tuples(st.integers(3, 30), st.integers(1, 30))


def drawn(seed: int, images: int, features: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features to fit and to apply to, on scales of their own, and targets."""
    generator = np.random.default_rng(seed)
    scale_D = 10.0 ** generator.uniform(-1, 1, features)  # far from where a feature counts as constant
    fitted_ND, applied_MD = (
        (generator.normal(size=(rows, features)) * scale_D + scale_D).astype(np.float32) for rows in (images, 7)
    )
    return fitted_ND, np.where(generator.random((images, columns)) < 0.5, 1.0, -1.0), applied_MD


def by_scikit_learn(
    fitted_ND: np.ndarray, target_N: np.ndarray, applied_MD: np.ndarray, scale_D: np.ndarray, penalty: float
) -> np.ndarray:
    """One target's predictions, (M,); α is the penalty times the mean sum of squares of a feature."""
    rows_ND = fitted_ND.astype(np.float64) / scale_D
    alpha = penalty * np.square(rows_ND - rows_ND.mean(axis=0)).sum() / rows_ND.shape[1]
    return Ridge(alpha=alpha, solver="svd").fit(rows_ND, target_N).predict(applied_MD.astype(np.float64) / scale_D)


@LAWS
@given(seeds, sizes, st.integers(1, 3), st.lists(st.floats(-4, 3), min_size=1, max_size=4))
def test_each_penalty_predicts_what_scikit_learns_ridge_does(
    seed: int, size: tuple[int, int], columns: int, exponents: list[float]
) -> None:
    fitted_ND, targets_NC, applied_MD = drawn(seed, *size, columns)
    penalties_P = 10.0 ** np.array(exponents)
    scores_PMC = ridge.decision_values(fitted_ND, targets_NC, applied_MD, penalties_P)
    scale_D = fitted_ND.astype(np.float64).std(axis=0)
    for scores_MC, penalty in zip(scores_PMC, penalties_P, strict=True):
        for column, scores_M in enumerate(scores_MC.T):
            expected_M = by_scikit_learn(fitted_ND, targets_NC[:, column], applied_MD, scale_D, penalty)
            np.testing.assert_allclose(scores_M, expected_M, rtol=1e-5, atol=1e-5)


@LAWS
@given(seeds, sizes, st.floats(-4, 3), st.data())
def test_a_target_that_is_not_known_everywhere_is_fitted_where_it_is(
    seed: int, size: tuple[int, int], exponent: float, data: st.DataObject
) -> None:
    fitted_ND, targets_NC, applied_MD = drawn(seed, *size, 3)
    row = st.lists(st.booleans(), min_size=3, max_size=3)
    known_NC = np.array(data.draw(st.lists(row, min_size=size[0], max_size=size[0])))
    targets_NC = np.where(known_NC, targets_NC, np.nan)
    (scores_MC,) = ridge.decision_values(fitted_ND, targets_NC, applied_MD, np.array([10.0**exponent]))
    scale_D = fitted_ND.astype(np.float64).std(axis=0)
    for column, (scores_M, known_N) in enumerate(zip(scores_MC.T, known_NC.T, strict=True)):
        if known_N.sum() < 2:
            target = targets_NC[known_N, column].sum()  # the only one, or 0 of none
            np.testing.assert_allclose(scores_M, target)
            continue
        expected_M = by_scikit_learn(
            fitted_ND[known_N], targets_NC[known_N, column], applied_MD, scale_D, 10.0**exponent
        )
        np.testing.assert_allclose(scores_M, expected_M, rtol=1e-5, atol=1e-5)


@LAWS
@given(seeds, st.integers(2, 20), st.integers(1, 20))
def test_more_features_than_images_or_fewer_predict_alike(seed: int, images: int, features: int) -> None:
    """Features that are constant add to D and to nothing else: the N × N and the D × D way meet."""
    fitted_ND, targets_NC, applied_MD = drawn(seed, images, features, 2)
    padded = [np.pad(rows, ((0, 0), (0, images)), constant_values=0.1) for rows in (fitted_ND, applied_MD)]
    penalty = np.array([0.1, 10.0])
    alone = ridge.decision_values(fitted_ND, targets_NC, applied_MD, penalty)
    # The mean eigenvalue is over all features, constant ones too.
    among = ridge.decision_values(padded[0], targets_NC, padded[1], penalty * (features + images) / features)
    np.testing.assert_allclose(alone, among, rtol=1e-6, atol=1e-6)


@LAWS
@given(seeds, sizes, st.integers(-5, 5), st.floats(-5, 5))
def test_neither_scale_nor_origin_of_a_feature_matters(
    seed: int, size: tuple[int, int], power: int, shift: float
) -> None:
    fitted_ND, targets_NC, applied_MD = drawn(seed, *size, 2)
    moved = [rows.astype(np.float64) for rows in (fitted_ND, applied_MD)]
    scale_D = moved[0].std(axis=0)
    for rows in moved:
        rows[:, 0] = rows[:, 0] * 2.0**power + shift * scale_D[0] * 2.0**power
    penalties = np.array([0.01, 1.0])
    np.testing.assert_allclose(
        ridge.decision_values(fitted_ND, targets_NC, applied_MD, penalties),
        ridge.decision_values(moved[0], targets_NC, moved[1], penalties),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize(("images", "block"), [(100, 7), (100, 100), (12, 5)])
def test_how_many_images_are_held_at_once_changes_nothing(
    images: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted_ND, targets_NC, applied_MD = drawn(0, images, 20, 2)
    whole = ridge.decision_values(fitted_ND, targets_NC, applied_MD, np.array([0.3]))
    monkeypatch.setattr(ridge, "BLOCK", block)
    parts = ridge.decision_values(fitted_ND, targets_NC, applied_MD, np.array([0.3]))
    np.testing.assert_allclose(parts, whole, rtol=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("images", [10, 80])
def test_the_scores_are_those_of_scikit_learns_ridge_classifier_at_the_chosen_penalty(
    classes: int, images: int
) -> None:
    sides, _ = made_sides(classes=classes)
    few = replace(sides, train_AD=sides.train_AD[:images], train_labels_A=sides.train_labels_A[:images])
    adapted = ridge.adapt(few, SETTINGS, 0)
    both_ND = np.concatenate([few.train_AD, few.validation_VD]).astype(np.float64)
    labels_N = np.concatenate([few.train_labels_A, few.validation_labels_V])
    scaler = StandardScaler().fit(both_ND)
    alpha = adapted.chosen["penalty"] * len(both_ND)  # the mean eigenvalue of standardised features is 1
    classifier = RidgeClassifier(alpha=alpha, solver="cholesky").fit(scaler.transform(both_ND), labels_N)
    decision = classifier.decision_function(scaler.transform(few.test_TD.astype(np.float64)))
    expected_TC = np.stack([-decision, decision], axis=1) if classes == 2 else decision
    np.testing.assert_allclose(adapted.scores_TC, expected_TC, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_penalty_has_the_smallest_squared_error_on_validation(classes: int) -> None:
    sides, _ = made_sides(classes=classes, separation=0.2)
    grid = np.logspace(-4, 2, 13)
    scaler = StandardScaler().fit(sides.train_AD.astype(np.float64))
    train_AD, validation_VD = (
        scaler.transform(rows.astype(np.float64)) for rows in (sides.train_AD, sides.validation_VD)
    )
    one_hot = 2 * np.eye(classes) - 1
    errors = [
        np.square(
            Ridge(alpha=penalty * len(train_AD)).fit(train_AD, one_hot[sides.train_labels_A]).predict(validation_VD)
            - one_hot[sides.validation_labels_V]
        ).mean()
        for penalty in grid
    ]
    chosen = ridge.adapt(sides, SETTINGS, 0).chosen["penalty"]
    assert chosen == pytest.approx(grid[int(np.argmin(errors))])
    # Against validation labels that say the opposite, the less is learnt the better.
    flipped = replace(sides, validation_labels_V=(sides.validation_labels_V + 1) % classes)
    assert ridge.adapt(flipped, SETTINGS, 0).chosen["penalty"] > chosen


def test_ties_go_to_the_larger_penalty() -> None:
    sides, _ = made_sides()
    blank = replace(sides, train_AD=np.ones_like(sides.train_AD), validation_VD=np.ones_like(sides.validation_VD))
    adapted = ridge.adapt(blank, SETTINGS, 0)
    assert adapted.chosen["penalty"] == pytest.approx(SETTINGS.largest_penalty)
    # Of features that are all constant nothing is learnt: classes are as frequent as each other.
    np.testing.assert_allclose(adapted.scores_TC, 0, atol=1e-12)


def test_a_feature_that_is_constant_in_training_changes_nothing_where_it_is_not() -> None:
    sides, _ = made_sides()
    constant = [np.full((len(rows), 1), 0.1, np.float32) for rows in (sides.train_AD, sides.validation_VD)]
    wider = replace(
        sides,
        train_AD=np.hstack([sides.train_AD, constant[0]]),
        validation_VD=np.hstack([sides.validation_VD, constant[1]]),
        test_TD=np.hstack([sides.test_TD, np.linspace(-9, 9, len(sides.test_TD), dtype=np.float32)[:, None]]),
    )
    settings = RidgeSettings(smallest_penalty=0.1, largest_penalty=0.1, steps=1)
    other = replace(settings, smallest_penalty=0.1 * 17 / 16, largest_penalty=0.1 * 17 / 16)
    np.testing.assert_allclose(
        ridge.adapt(sides, settings, 0).scores_TC, ridge.adapt(wider, other, 0).scores_TC, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_it_learns_and_repeats_itself_whatever_the_seed_and_the_threads(classes: int) -> None:
    sides, labels_T = made_sides(classes=classes)
    first = ridge.adapt(sides, RidgeSettings(), 0)
    with threadpool_limits(2):
        second = ridge.adapt(sides, RidgeSettings(), 1)
    assert first.scores_TC.dtype == np.float32
    assert first.scores_TC.shape == (len(labels_T), classes)
    np.testing.assert_array_equal(first.scores_TC, second.scores_TC)
    assert evaluate("balanced_accuracy", labels_T, first.scores_TC).value > 1.5 / classes


def test_a_class_without_images_scores_lowest() -> None:
    sides, _ = made_sides(classes=3)
    wider = replace(sides, classes=5, train_labels_A=sides.train_labels_A + 1)
    wider = replace(wider, validation_labels_V=sides.validation_labels_V + 1)
    scores_TC = ridge.adapt(wider, SETTINGS, 0).scores_TC
    assert (scores_TC[:, [0, 4]] < scores_TC[:, 1:4].min(axis=1, keepdims=True)).all()


def test_a_class_that_only_validation_has_is_fitted_with_it() -> None:
    sides, labels_T = made_sides(classes=3, separation=2.0)
    kept = sides.train_labels_A != 2
    without = replace(sides, train_AD=sides.train_AD[kept], train_labels_A=sides.train_labels_A[kept])
    scores_TC = ridge.adapt(without, SETTINGS, 0).scores_TC
    assert (scores_TC[labels_T == 2].argmax(axis=1) == 2).mean() > 0.8


def test_features_that_are_not_finite_make_scores_that_are_not_and_break_nothing() -> None:
    sides, _ = made_sides()
    broken = replace(sides, train_AD=np.full_like(sides.train_AD, np.nan))
    assert np.isnan(ridge.adapt(broken, SETTINGS, 0).scores_TC).all()


def test_each_label_is_learnt_from_the_images_of_which_it_is_known() -> None:
    sides, labels_TC = made(unknown=0.4)
    scores_TC = ridge.adapt(sides, SETTINGS, 0).scores_TC
    assert scores_TC.shape == labels_TC.shape
    for label in range(3):
        assert evaluate("mean_roc_auc", labels_TC[:, [label]], scores_TC[:, [label]]).value > 0.75, label


def test_of_one_label_that_is_known_everywhere_the_scores_are_those_of_the_second_class() -> None:
    sides, _ = made_sides(separation=0.3)
    train, validation = sides.train_labels_A[:, None], sides.validation_labels_V[:, None]
    several = replace(sides, train_labels_A=train, validation_labels_V=validation, classes=1)
    two, one = ridge.adapt(sides, SETTINGS, 0), ridge.adapt(several, SETTINGS, 0)
    assert one.chosen == two.chosen
    np.testing.assert_allclose(one.scores_TC[:, 0], two.scores_TC[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("known", [0, 1, UNKNOWN])
def test_a_label_of_which_all_that_is_known_is_the_same_scores_alike_everywhere(known: int) -> None:
    sides, _ = made()
    train, validation = sides.train_labels_A.copy(), sides.validation_labels_V.copy()
    for labels in (train, validation):
        labels[:, 1][labels[:, 1] != UNKNOWN] = known
    scores_TC = ridge.adapt(replace(sides, train_labels_A=train, validation_labels_V=validation), SETTINGS, 0).scores_TC
    assert np.unique(scores_TC[:, 1]).tolist() == [{0: -1, 1: 1, UNKNOWN: 0}[known]]
    assert len(np.unique(scores_TC[:, 0])) > 10


def test_where_no_validation_label_is_known_nothing_can_be_chosen() -> None:
    sides, _ = made()
    blind = replace(sides, validation_labels_V=np.full_like(sides.validation_labels_V, UNKNOWN))
    with pytest.raises(DatasetError, match="no label of the 80 validation images is known"):
        ridge.adapt(blind, SETTINGS, 0)

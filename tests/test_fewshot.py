"""The regime `fewshot<k>`: k labelled images of each class and no more, each seed another draw.

The pictures are synthetic. Legend: N images of a dataset, T of its test side, D features, C labels.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.adapt import fewshot
from pytest_fmtransfer.adapt.job import Job
from pytest_fmtransfer.adapt.sides import on_one_scale
from pytest_fmtransfer.catalog.regime_settings import FewShotSettings, LinearProbeSettings
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.subsets import few_shot, up_to
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.features import load_features
from pytest_fmtransfer.metrics import evaluate
from tests.small import BACKBONE, catalogue

REGISTRY = catalogue()
CELL = Cell("tiny", "stripes", "fewshot5")
FEW = LinearProbeSettings(smallest_c=1e-2, largest_c=1e2, steps=5)


def job(small: Places, dataset: str = "stripes") -> Job:
    opened = open_dataset(REGISTRY.dataset(dataset), small)
    return Job(
        cell=replace(CELL, dataset=dataset),
        dataset=opened,
        spec=BACKBONE,
        dtype="float32",
        training_dtype="float32",
        places=small,
        workspace=Path("unused"),
    )


def with_labels(given: Job, labels_N: np.ndarray, classes: tuple[str, ...]) -> Job:
    spec = replace(given.dataset.spec, classes=classes, metric="mean_roc_auc" if labels_N.ndim > 1 else "accuracy")
    table = replace(given.dataset.table, labels_N=labels_N)
    return replace(given, dataset=replace(given.dataset, spec=spec, table=table))


@pytest.mark.parametrize("shots", [1, 5, 12])
def test_a_draw_is_fitted_on_k_training_images_of_each_class(small: Places, shots: int) -> None:
    given = job(small)
    rows = fewshot.training_rows(given, shots, 3)
    assert Counter(given.dataset.table.labels_N[rows].tolist()) == {0: shots, 1: shots}
    assert set(given.dataset.table.split_N[rows]) == {TRAIN}


def test_a_draw_of_more_holds_all_of_one_of_fewer_and_another_draw_does_not(small: Places) -> None:
    given = job(small)
    five, ten = (set(fewshot.training_rows(given, k, 0).tolist()) for k in (5, 10))
    assert five < ten
    assert not set(fewshot.training_rows(given, 5, 1).tolist()) <= ten


def test_the_scores_are_those_of_a_fit_on_k_of_each_class_and_nothing_else(small: Places) -> None:
    given = job(small)
    (adapted,) = fewshot.run(given, FewShotSettings(shots=5, probe=replace(FEW, tolerance=1e-6)), (2,)).adapted
    table = given.dataset.table
    rows = few_shot(table, given.dataset.spec.classes, 5, draw=2)
    pooled_ND = load_features(given.dataset, given.spec, "float32", small).pooled_ND
    fitted_ND, test_TD = on_one_scale(pooled_ND[rows], pooled_ND[table.side(TEST)])
    exact = LogisticRegression(C=adapted.chosen["C"], tol=1e-9, max_iter=5000)
    exact.fit(fitted_ND.astype(np.float64), table.labels_N[rows])
    margin_T = adapted.scores_TC[:, 1] - adapted.scores_TC[:, 0]
    np.testing.assert_allclose(margin_T, exact.decision_function(test_TD), rtol=1e-3, atol=1e-3)


def test_images_beyond_k_of_each_class_on_either_side_change_nothing(small: Places) -> None:
    """Images that are in neither subset of a draw might as well not be there."""
    given = job(small)
    table, classes = given.dataset.table, given.dataset.spec.classes
    seen = [few_shot(table, classes, 5, draw=0), up_to(table, classes, 5, draw=0, side=VALIDATION)]
    assert [len(rows) for rows in seen] == [10, 10]
    unseen_N = ~np.isin(np.arange(len(table.ids_N)), np.concatenate(seen)) & (table.split_N != TEST)
    fewer = given.dataset.table.rows(np.flatnonzero(~unseen_N))
    pooled_ND = load_features(given.dataset, given.spec, "float32", small).pooled_ND
    kept = replace(given, dataset=replace(given.dataset, table=fewer))
    settings = FewShotSettings(shots=5, probe=FEW)
    whole = fewshot._adapted(given, pooled_ND, settings, 0, fewshot.training_rows(given, 5, 0))
    alone = fewshot._adapted(kept, pooled_ND[~unseen_N], settings, 0, fewshot.training_rows(kept, 5, 0))
    assert alone.chosen == whole.chosen
    np.testing.assert_array_equal(alone.scores_TC, whole.scores_TC)


def test_a_class_with_fewer_than_k_training_images_is_refused_before_a_forward_pass(small: Places) -> None:
    given = job(small)
    unseen = replace(given, spec=replace(given.spec, image_size=64))
    with pytest.raises(InvalidInput, match=r"class '(no )?tumour' has \d+ training images, not 500"):
        fewshot.run(unseen, FewShotSettings(shots=500), (0, 1))


def test_where_validation_has_fewer_than_k_of_a_class_all_of_them_choose(small: Places) -> None:
    given = job(small)
    table = given.dataset.table
    available = Counter(table.labels_N[table.side(VALIDATION)].tolist())
    rows = up_to(table, given.dataset.spec.classes, max(available.values()) + 1, draw=0, side=VALIDATION)
    assert rows.tolist() == table.side(VALIDATION).tolist()


def test_ten_draws_under_smoke_learn_more_from_more_and_nothing_from_shuffled_labels(small: Places) -> None:
    five = transfer(CELL, profile="smoke", registry=REGISTRY, places=small)
    assert five.seeds == tuple(range(10))
    assert len({each["C"] for each in five.chosen}) > 1
    one, twenty, chance = (
        transfer(Cell("tiny", dataset, regime), profile="smoke", seeds=(0, 1, 2), registry=REGISTRY, places=small)
        for dataset, regime in (("stripes", "fewshot1"), ("stripes", "fewshot20"), ("stripes.shuffled", "fewshot20"))
    )
    assert one.mean < five.mean < twenty.mean
    assert twenty.mean > 0.8
    assert abs(chance.mean - 0.5) < 0.2


def test_a_draw_is_the_same_alone_and_among_others(small: Places, tmp_path: Path) -> None:
    own = replace(small, store=tmp_path)  # of one pass: features of another's batches may be rounded otherwise
    ten = transfer(CELL, profile="smoke", registry=REGISTRY, places=own)
    alone = transfer(CELL, profile="smoke", seeds=(4,), registry=REGISTRY, places=own)
    assert alone.origin == "computed"
    np.testing.assert_array_equal(alone.scores_SNC[0], ten.scores_SNC[4])


def test_on_shuffled_labels_an_image_belongs_to_the_class_it_was_given(small: Places) -> None:
    control = job(small, "stripes.shuffled")
    rows = fewshot.training_rows(control, 5, 0)
    given_N = control.dataset.table.labels_N.copy()
    given_N[control.rows[TRAIN]] = control.labels_of(TRAIN, 0)
    assert Counter(given_N[rows].tolist()) == {0: 5, 1: 5}
    assert rows.tolist() != fewshot.training_rows(job(small), 5, 0).tolist()


def test_of_several_labels_each_is_learnt_from_k_that_bear_it(small: Places) -> None:
    given = job(small)
    stripes_N = given.dataset.table.labels_N
    chance_N = np.random.default_rng(0).integers(0, 2, len(stripes_N))
    labels_NC = np.stack([stripes_N, 1 - stripes_N, np.where(stripes_N == 1, UNKNOWN, chance_N)], axis=1)
    several = with_labels(given, labels_NC, ("along", "across", "chance"))
    rows = fewshot.training_rows(several, 8, 0)
    assert ((labels_NC[rows] == 1).sum(axis=0) >= 8).all()
    ran = fewshot.run(several, FewShotSettings(shots=8, probe=FEW), (0, 1))
    test = given.dataset.table.side(TEST)
    for adapted in ran.adapted:
        assert adapted.scores_TC.shape == (len(test), 3)
        assert np.isfinite(expit(adapted.scores_TC)).all()
        value = evaluate("mean_roc_auc", labels_NC[test][:, :2], adapted.scores_TC[:, :2]).value
        assert value > 0.7


def test_the_draws_of_a_regime_are_ten_whatever_the_profile_says() -> None:
    assert Registry().regime("fewshot5").seeds == 10

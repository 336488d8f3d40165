"""How results of several labels are judged, and the whole way of a cell from files to a verdict.

Legend: N images, C labels.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.audit import audit
from pytest_fmtransfer.data.dataset import Dataset, open_dataset, read_table
from pytest_fmtransfer.data.labels import check_labels
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.data.table import TEST, UNKNOWN, Table
from pytest_fmtransfer.errors import DatasetError, InvalidInput
from pytest_fmtransfer.judge.comparison import Comparison, count_patients
from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.judge.foresight import Sample, from_assumption, from_pair
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.planning import Planner
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, REFERENCE, make_result
from tests.small import DATASET, catalogue


def judged(signal: float, cell: str, seed: int, labels_NC: np.ndarray, **more: Any) -> Result:
    scores_NC = np.random.default_rng(seed).normal(size=labels_NC.shape) + signal * (labels_NC == 1)
    return make_result(cell, labels_NC, scores_NC, metric="mean_roc_auc", classes=("edema", "fracture", "rare"), **more)


def masked(images: int = 160) -> np.ndarray:
    """Of three labels; of the last nobody knows an image that bears it."""
    labels_NC = np.random.default_rng(0).integers(-1, 2, (images, 3))
    labels_NC[:, 2] = np.minimum(labels_NC[:, 2], 0)
    return labels_NC


def test_patients_are_counted_where_a_label_is_known_and_can_be_told_from_its_absence() -> None:
    labels_NC = masked()
    patients_N = np.array([f"p{n // 2}" for n in range(160)])
    assert count_patients(labels_NC, patients_N, ("edema", "fracture", "rare")) == {
        name: len(set(patients_N[labels_NC[:, label] == side]))
        for label, side, name in (
            (0, 1, "edema"),
            (0, 0, "no edema"),
            (1, 1, "fracture"),
            (1, 0, "no fracture"),
        )
    }


def test_a_verdict_says_which_labels_tell_nothing() -> None:
    labels_NC = masked()
    verdict = beats(judged(2.0, CANDIDATE, 1, labels_NC), judged(0.3, REFERENCE, 2, labels_NC))
    assert verdict.outcome == "supported"
    assert "because no image is known to bear it, or none is known not to: rare" in verdict.text
    assert "(edema " in verdict.text


def test_the_standard_error_is_that_of_resampled_patients() -> None:
    """Influences leave unknown labels out as replicates do."""
    labels_NC = masked(400)
    patients = [f"p{n // 2}" for n in range(400)]
    pair = Comparison(
        candidate=judged(1.0, CANDIDATE, 1, labels_NC, patients_N=patients),
        reference=judged(0.5, REFERENCE, 2, labels_NC, patients_N=patients),
    )
    assert pair.patient_piece is not None
    rng, effects = np.random.default_rng(3), list[float]()
    for _ in range(400):
        drawn_N = (2 * rng.integers(200, size=200)[:, None] + np.arange(2)).ravel()
        new, old = (
            evaluate("mean_roc_auc", labels_NC[drawn_N], result.scores_SNC[0][drawn_N]).value
            for result in (pair.candidate, pair.reference)
        )
        effects.append(new - old)
    assert np.sqrt(pair.patient_piece.variance) == pytest.approx(np.std(effects), rel=0.15)


def test_a_claim_is_foreseen_from_a_pair_and_refused_for_a_label_too_rare() -> None:
    labels_NC = masked()
    pair = judged(1.0, CANDIDATE, 1, labels_NC), judged(0.5, REFERENCE, 2, labels_NC)
    assert from_pair("beats", *pair, Court()).detectable == beats(*pair).detectable
    few = Sample(
        metric="mean_roc_auc",
        margin=0.01,
        patients=300,
        by_class={"edema": 12, "no edema": 288},
        patient_unit="patient",
    )
    found = from_assumption("beats", few, Court())
    assert (found.detectable, found.settled) == (None, False)
    assert found.answer.startswith("not enough patients to tell: class 'edema' has 12")
    with pytest.raises(InvalidInput, match="the error of mean_roc_auc is not known"):
        from_assumption("beats", replace(few, by_class={"edema": 120, "no edema": 180}), Court())


def test_a_result_with_unknown_labels_is_restored_as_it_was() -> None:
    written = judged(1.0, CANDIDATE, 1, masked())
    restored = Result.restore(written.record(), written.scores_file(), origin="store")
    np.testing.assert_array_equal(restored.labels_N, written.labels_N)
    assert restored.by_seed == written.by_seed


def test_labels_that_are_neither_known_nor_unknown_are_refused() -> None:
    labels_NC = masked()
    labels_NC[3, 0] = 2
    with pytest.raises(InvalidInput, match="give 0 or 1 each, or -1 where a label is not known"):
        _ = judged(1.0, CANDIDATE, 1, labels_NC).mean


# The whole way, from files.

LABELS = ("across", "along", "odd")
STRIPES = replace(
    DATASET,
    name="stripes.labels",
    classes=LABELS,
    metric="mean_roc_auc",
    prompts=None,
)


def with_labels(folder: Path, spec: DatasetSpec) -> Table:
    """The stripes as they are read elsewhere, under three labels: how they run, twice, and what nothing tells."""
    table = READ(folder, spec)
    images = np.arange(len(table.ids_N))
    odd_N = np.array([int(Path(name).stem) % 2 for name in table.ids_N.tolist()])
    labels_NC = np.stack([table.labels_N, 1 - table.labels_N, odd_N], axis=1)
    labels_NC[(images % 3 == 0) & (table.split_N != TEST), 0] = UNKNOWN
    labels_NC[images % 12 == 0, 1] = UNKNOWN
    return replace(table, labels_N=labels_NC)


READ = br35h.read


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(br35h, "read", with_labels)
    registry = catalogue()
    registry.register(STRIPES)
    return registry


@pytest.fixture
def dataset(labelled: Registry, small: Places) -> Dataset:
    return open_dataset(labelled.dataset("stripes.labels"), small)


@pytest.mark.parametrize("regime", ["knn", "linear_probe"])
def test_a_cell_of_several_labels_goes_from_files_to_a_verdict(regime: str, labelled: Registry, small: Places) -> None:
    cells = [Cell(backbone, "stripes.labels", regime) for backbone in ("tiny", "shortcut.metadata")]
    learnt, shortcut = (transfer(cell, registry=labelled, places=small) for cell in cells)
    assert learnt.labels_N.shape == (48, 3)
    assert (learnt.labels_N == UNKNOWN).any()
    areas = [
        evaluate("mean_roc_auc", learnt.labels_N[:, [label]], learnt.scores_SNC[0][:, [label]]).value
        for label in range(3)
    ]
    assert min(areas[:2]) > 0.9
    assert learnt.mean == pytest.approx(np.mean(areas))
    again = transfer(cells[0], registry=labelled, places=small)
    assert again.origin == "store"
    np.testing.assert_array_equal(again.scores_SNC, learnt.scores_SNC)
    verdict = learnt.beats(shortcut)
    assert verdict.outcome == "supported"
    assert "across 24, no across 24" in verdict.text


def test_a_plan_says_that_the_error_of_such_a_metric_is_not_known_beforehand_and_then_knows_it(
    labelled: Registry, small: Places
) -> None:
    planner = Planner(profile="ci", registry=labelled, places=small, baseline=lambda cell: None)
    fresh = [Cell(backbone, "stripes.labels", "knn") for backbone in ("tiny.random", "shortcut.metadata")]
    asked = planner.foresee("beats", [(fresh[0], fresh[1])], Court())
    assert asked.answer == "the error of mean_roc_auc is not known before a pair of results is"
    for cell in fresh:
        transfer(cell, registry=labelled, places=small)
    again = Planner(profile="ci", registry=labelled, places=small, baseline=lambda cell: None)
    assert again.foresee("beats", [(fresh[0], fresh[1])], Court()).detectable is not None


def test_shuffled_labels_are_learnt_no_better_than_chance(labelled: Registry, small: Places) -> None:
    cell = Cell("tiny", "stripes.labels.shuffled", "knn")
    shuffled = transfer(cell, seeds=tuple(range(5)), registry=labelled, places=small)
    assert shuffled.mean == pytest.approx(0.5, abs=0.1)


def test_the_audit_of_a_dataset_of_several_labels_finds_its_small_classes(dataset: Dataset, small: Places) -> None:
    found = {finding.kind: finding for finding in audit(dataset, small).findings}
    assert found["class_small"].examples[0] == "across: 18 training images, 24 test patients"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metric": "roc_auc", "classes": ("a", "b")}, "roc_auc, which takes one class of each image"),
        ({"classes": ("across", "along")}, "has 3 labels of each image, and its row names 2 classes"),
    ],
    ids=["metric", "classes"],
)
def test_labels_that_do_not_fit_the_row_are_refused_before_an_image_is_opened(
    change: dict[str, Any], told: str, labelled: Registry, small: Places
) -> None:
    with pytest.raises(DatasetError, match=told):
        read_table(replace(STRIPES, **change), small)


def test_a_class_where_a_row_of_labels_is_due_is_refused(small: Places) -> None:
    with pytest.raises(DatasetError, match="mean_roc_auc, which takes a row of labels of each image"):
        read_table(replace(DATASET, metric="mean_roc_auc"), small)


@pytest.mark.parametrize(
    ("labels", "metric", "told"),
    [
        ([[0, 1], [0, 3], [1, 1]], "mean_roc_auc", r"1 of 3 images .* other than 0, 1 and -1 .*: \[0, 3\]"),
        ([0, -1, 2], "roc_auc", "2 of 3 images .* other than 0 to 1, the first of them .*: -1"),
    ],
    ids=["several", "one"],
)
def test_a_label_out_of_range_names_the_first_image(labels: Any, metric: Any, told: str) -> None:
    ids_N = np.array(["a.png", "b.png", "c.png"])
    table = Table(ids_N=ids_N, labels_N=np.array(labels), patients_N=ids_N, split_N=ids_N, found=3)
    with pytest.raises(DatasetError, match=told) as raised:
        check_labels(replace(DATASET, metric=metric), table)
    assert "b.png" in str(raised.value)

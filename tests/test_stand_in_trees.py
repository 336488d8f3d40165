"""Generated folders are read by the readers of the real ones, are sound, and carry their class in one signal."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec, UserFolder
from pytest_fmtransfer.data.audit import audit
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.table import SIDES, TEST
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.stand_ins import planted
from pytest_fmtransfer.stand_ins.registry import StandIns
from pytest_fmtransfer.stand_ins.trees import grow

LAYOUTS = (
    "aptos2019",
    "aptos2019.mirror",
    "chexpert",
    "ddsm",
    "isic2019",
    "medmnist.pathmnist_64",
    "medmnist.chestmnist",
    "medmnist.breastmnist_224",
)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRAIN_EACH", "VALIDATION_EACH"):
        monkeypatch.setattr(planted, name, 2)


def opened(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """With few images; CheXpert holds fifteen more out than a fifth of them."""
    monkeypatch.setattr(planted, "TEST_EACH", 9 if name == "chexpert" else 2)
    spec = StandIns().dataset(name)
    grow(spec, root / "data")
    return open_dataset(spec, Places(store=root / "store", data_root=root / "data"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_generated_is_read_as_the_real_data_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = opened(tmp_path, name, monkeypatch)
    assert dataset.spec.classes == Registry().dataset(name).classes
    sides = [len(dataset.table.labels_N[dataset.table.side(side)]) for side in SIDES]
    assert tuple(sides) == planted.samples_of(dataset.spec)
    assert dataset.table.found == dataset.spec.expected_images == len(dataset.table.ids_N)
    shapes = {dataset.pictures.pixels(row).shape for row in range(3)}
    side = planted.side_of(dataset.spec)
    assert shapes == {(side, side) if dataset.spec.stored_channels == 1 else (side, side, 3)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_test_side_has_as_many_images_of_each_class(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = opened(tmp_path, name, monkeypatch).table
    for side in SIDES:
        labels = table.labels_N[table.side(side)]
        kinds = Counter(map(str, labels.tolist()))
        assert max(kinds.values()) - min(kinds.values()) <= 1
    tested = table.labels_N[table.side(TEST)]
    assert min(Counter(map(str, tested.tolist())).values()) >= planted.TEST_EACH


@pytest.mark.parametrize("name", ["aptos2019", "chexpert", "ddsm", "isic2019"])
def test_an_audit_finds_nothing_severe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = opened(tmp_path, name, monkeypatch)
    severe = {finding.kind for finding in audit(dataset, Places(store=tmp_path)).unacknowledged(dataset.spec)}
    assert severe <= {"class_too_small"}  # of the few that this test asks for


def test_both_splits_of_one_folder_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper, by_lesion = (opened(tmp_path, name, monkeypatch) for name in ("isic2019", "isic2019.by_lesion"))
    assert paper.folder == by_lesion.folder
    assert (paper.table.split_N != by_lesion.table.split_N).any()


def test_data_that_are_there_stay(tmp_path: Path) -> None:
    spec = StandIns().dataset("ddsm")
    (kept := tmp_path / "DDSM" / "kept").mkdir(parents=True)
    grow(spec, tmp_path)
    assert list((tmp_path / "DDSM").iterdir()) == [kept]


def test_a_layout_without_a_generator_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing is generated in the layout of patchcamelyon"):
        grow(StandIns().dataset("patchcamelyon"), tmp_path)


def test_what_lies_elsewhere_than_below_the_data_root_is_not_generated(tmp_path: Path) -> None:
    """A folder of a user's in a layout that there is a generator of."""
    row = replace(Registry().dataset("ddsm"), location=UserFolder(path=tmp_path))
    assert not planted.is_generated(row)
    assert planted.generated(row) is row


def test_a_dataset_says_that_it_is_generated_and_keeps_what_it_is_judged_by() -> None:
    real, made = Registry().dataset("isic2019"), StandIns().dataset("isic2019")
    assert made.caveats == (planted.LABEL,)

    def judged(spec: DatasetSpec) -> DatasetSpec:
        return replace(spec, caveats=(), source="", licence="", expected_images=None)

    assert judged(made) == judged(real)


def test_every_generated_image_that_tests_is_taken() -> None:
    caps = StandIns().profile(planted.PROFILE).caps
    assert caps is not None
    rows = [row for row in StandIns().rows(DatasetSpec) if planted.is_generated(row)]
    assert {len(row.classes) for row in rows} >= {2, 5, 8, 11}
    assert max(planted.samples_of(row)[2] for row in rows) <= caps.test


def test_two_pictures_of_a_class_are_not_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = opened(tmp_path, "ddsm", monkeypatch)
    pixels = [dataset.pictures.pixels(row).astype(float).ravel() for row in range(6)]
    assert np.abs(np.corrcoef(pixels) - np.eye(6)).max() < 0.9

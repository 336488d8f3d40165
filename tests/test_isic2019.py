"""ISIC 2019: one of eight classes each, the split of the paper and the one by lesion, and bad tables."""

import contextlib
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS
from tests.trees import isic

PUBLISHED = Registry().dataset("isic2019")
BY_LESION = Registry().dataset("isic2019.by_lesion")
CLASSES = PUBLISHED.classes
IMAGES = 25331
SIZES = {TRAIN: 20265, VALIDATION: 2533, TEST: 2533}
# The first and the last image of each side.
ENDS = {
    "train": ["train/ISIC_0000000.jpg", "train/ISIC_0025330.jpg"],
    "validation": ["train/ISIC_0000007.jpg", "train/ISIC_0025322.jpg"],
    "test": ["train/ISIC_0000012.jpg", "train/ISIC_0025311.jpg"],
}
TRUTH, METADATA = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"


def rows(images: int) -> list[tuple[str, str, str]]:
    """Lesions of one to four images and of one class; every twelfth image has none."""
    made: list[tuple[str, str, str]] = []
    lesion = 0
    while len(made) < images:
        lesion += 1
        for _ in range(min(1 + lesion % 4, images - len(made))):
            name = "" if len(made) % 12 == 5 else f"BCN_{lesion:07}"
            made.append((f"ISIC_{len(made):07}", CLASSES[lesion * 5 // 3 % 8], name))
    return made


SOME = rows(240)


def table_of(root: Path, spec: DatasetSpec = PUBLISHED, images: int | None = None) -> Table:
    places = Places(store=root / "store", data_root=root)
    return read_table(replace(spec, expected_images=images), places)[1]


def refused(root: Path, spec: DatasetSpec = PUBLISHED) -> str:
    with pytest.raises(DatasetError) as raised:
        table_of(root, spec)
    return str(raised.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with tables as long as the published ones."""
    root = tmp_path_factory.mktemp("isic")
    isic(root, rows(IMAGES))
    return root


@pytest.fixture(scope="module")
def published(folder: Path) -> Table:
    return table_of(folder, images=IMAGES)


def test_every_image_has_its_class_and_its_lesion(published: Table) -> None:
    names, labels, lesions = zip(*rows(IMAGES), strict=True)
    assert published.ids_N.tolist() == [f"train/{name}.jpg" for name in names]
    assert [CLASSES[label] for label in published.labels_N.tolist()] == list(labels)
    expected = [lesion or name for name, lesion in zip(names, lesions, strict=True)]
    assert published.patients_N.tolist() == expected


def test_the_split_is_that_of_the_paper(published: Table) -> None:
    assert Counter(published.split_N.tolist()) == SIZES
    order = list(range(IMAGES))
    random.Random(42).shuffle(order)
    held = IMAGES * 20 // 100
    for side, numbers in {VALIDATION: order[: held // 2], TEST: order[held // 2 : held], TRAIN: order[held:]}.items():
        assert published.side(side).tolist() == sorted(numbers)


def test_the_split_is_as_it_was(published: Table) -> None:
    assert {side: published.ids_N[published.side(side)][[0, -1]].tolist() for side in SIDES} == ENDS


def test_images_of_a_lesion_stand_on_two_sides_of_the_papers_split_and_on_one_of_the_other(folder: Path) -> None:
    def sides_of_lesions(table: Table) -> Counter[int]:
        sides: dict[str, set[str]] = {}
        for lesion, side in zip(table.patients_N.tolist(), table.split_N.tolist(), strict=True):
            sides.setdefault(lesion, set()).add(side)
        return Counter(len(names) for names in sides.values())

    assert sides_of_lesions(table_of(folder, images=IMAGES))[2] > 1000
    table = table_of(folder, BY_LESION, images=IMAGES)
    assert set(sides_of_lesions(table)) == {1}
    for side, size in SIZES.items():
        assert len(table.side(side)) == pytest.approx(size, abs=3)
        shares = np.bincount(table.labels_N[table.side(side)], minlength=8) / np.bincount(table.labels_N)
        assert shares == pytest.approx(size / IMAGES, abs=0.002)


def test_the_order_of_the_metadata_does_not_matter(tmp_path: Path) -> None:
    file = isic(tmp_path, SOME) / METADATA
    before = table_of(tmp_path)
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([header, *reversed(lines), "ISIC_9999999,,,,"]) + "\n")
    assert table_of(tmp_path).patients_N.tolist() == before.patients_N.tolist()


def one_hot(*values: str) -> str:
    return "ISIC_9999999," + ",".join(values) + "\n"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (one_hot(*["0.0"] * 8, "1.0"), "1 image with none or several of the 8 classes (row 242); leave out images of"),
        (one_hot(*["0.0"] * 9), "with none or several of the 8 classes (row 242)"),
        (one_hot("1.0", "1.0", *["0.0"] * 7), "with none or several of the 8 classes (row 242)"),
        (one_hot("2.0", *["0.0"] * 8), "a class is 0.0 or 1.0, not '2.0' (row 242)"),
        (one_hot("1.0", "", *["0.0"] * 7), "a class is 0.0 or 1.0, not '' (row 242)"),
        (f"ISIC_0000003{one_hot('1.0', *['0.0'] * 8)[12:]}", "such as 'ISIC_0000003' in rows 5 and 242"),
        (f"../x{one_hot('1.0', *['0.0'] * 8)[12:]}", "such as '../x' (row 242)"),
        ("ISIC_9999999,1.0\n", "row without the 10 fields of its first: row 242"),
    ],
)
def test_a_row_that_is_wrong_is_told(row: str, told: str, tmp_path: Path) -> None:
    file = isic(tmp_path, SOME) / TRUTH
    file.write_text(file.read_text() + row)
    message = refused(tmp_path)
    assert message.startswith(f"{file}: ")
    assert told in message


def test_metadata_that_lack_an_image_or_have_it_twice_are_told(tmp_path: Path) -> None:
    file = isic(tmp_path, SOME) / METADATA
    text = file.read_text()
    file.write_text("\n".join(text.splitlines()[:-2]) + "\n")
    assert f"{file} has no row for 2 images of the ground truth, such as ISIC_0000238" in refused(tmp_path)
    file.write_text(text + text.splitlines()[3] + "\n")
    assert f"{file}: 1 row with what column 'image' has already" in refused(tmp_path)


@pytest.mark.parametrize("name", [TRUTH, METADATA])
def test_a_missing_file_or_column_is_told(name: str, tmp_path: Path) -> None:
    file = isic(tmp_path, SOME) / name
    file.write_text(file.read_text().replace("image", "picture", 1))
    assert f"{file} has no column 'image'" in refused(tmp_path)
    file.unlink()
    assert f"cannot read {file} (No such file or directory)" in refused(tmp_path)


def test_a_class_or_a_side_without_images_is_told(tmp_path: Path) -> None:
    isic(tmp_path / "class", [row for row in SOME if row[1] != "DF"])
    assert "no training image is of class DF" in refused(tmp_path / "class")
    isic(tmp_path / "side", [(f"ISIC_{row}", name, "") for row, name in enumerate(CLASSES)])
    assert "a side of the split has no images (train 7, validation 0, test 1)" in refused(tmp_path / "side")


def test_an_unknown_split_is_told(tmp_path: Path) -> None:
    isic(tmp_path, SOME)
    with pytest.raises(InvalidInput, match="option split='by_lesions' of isic2019; did you mean by_lesion"):
        table_of(tmp_path, replace(PUBLISHED, options={"split": "by_lesions"}))


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([TRUTH, METADATA]), st.sampled_from([PUBLISHED, BY_LESION]), st.data())
def test_mangled_tables_are_read_or_refused(tmp_path: Path, name: str, spec: DatasetSpec, data: st.DataObject) -> None:
    file = isic(tmp_path, rows(90)) / name
    content = bytearray(file.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    file.write_bytes(content)
    with contextlib.suppress(FmTransferError):
        assert len(table_of(tmp_path, spec).ids_N) <= 93

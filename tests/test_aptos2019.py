"""APTOS 2019: the competition's folder, the mirror's, and what either is refused for."""

import contextlib
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

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
from tests.trees import aptos, aptos_mirror

PUBLISHED = Registry().dataset("aptos2019")
MIRROR = Registry().dataset("aptos2019.mirror")
IMAGES = 3662
# The first and the last image of each side.
ENDS = {
    "train": ["train_images/00009e3779b1.png", "train_images/08d6011fce8c.png"],
    "validation": ["train_images/000000000000.png", "train_images/08d69f57483d.png"],
    "test": ["train_images/00058ff34739.png", "train_images/08d2ea0a6e17.png"],
}
SOME = {f"{number * 7919 % 40:012x}": number % 5 for number in range(40)}


def table_of(root: Path, spec: DatasetSpec = PUBLISHED, images: int | None = None) -> Table:
    places = Places(store=root / "store", data_root=root)
    return read_table(replace(spec, expected_images=images), places)[1]


def refused(root: Path, spec: DatasetSpec = PUBLISHED) -> str:
    with pytest.raises(DatasetError) as raised:
        table_of(root, spec)
    return str(raised.value)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Table]:
    """The codes of a table as large as the competition's, in its order, and what is read of it."""
    codes = [f"{number * 2654435761 % 2**48:012x}" for number in range(IMAGES)]
    root = tmp_path_factory.mktemp("aptos")
    aptos(root, {code: row % 5 for row, code in enumerate(codes)})
    return codes, table_of(root, images=IMAGES)


def test_every_image_has_its_grade_and_stands_for_itself(tmp_path: Path) -> None:
    aptos(tmp_path, SOME)
    table = table_of(tmp_path)
    assert table.found == 40
    assert table.ids_N.tolist() == sorted(f"train_images/{code}.png" for code in SOME)
    assert table.labels_N.tolist() == [SOME[name[13:-4]] for name in table.ids_N.tolist()]
    assert (table.patients_N == table.ids_N).all()


def test_the_split_is_that_of_the_paper(published: tuple[list[str], Table]) -> None:
    codes, table = published
    assert Counter(table.split_N.tolist()) == {TRAIN: 2564, VALIDATION: 549, TEST: 549}
    rows = list(range(IMAGES))
    random.Random(42).shuffle(rows)
    held, rest = rows[: IMAGES * 30 // 100], rows[IMAGES * 30 // 100 :]
    halves = {VALIDATION: held[: len(held) // 2], TEST: held[len(held) // 2 :], TRAIN: rest}
    for side, numbers in halves.items():
        names = sorted(f"train_images/{codes[row]}.png" for row in numbers)
        assert table.ids_N[table.side(side)].tolist() == names


def test_the_split_is_as_it_was(published: tuple[list[str], Table]) -> None:
    _, table = published
    ends = {side: table.ids_N[table.side(side)][[0, -1]].tolist() for side in SIDES}
    assert ends == ENDS


def test_the_mirror_has_a_split_of_its_own(tmp_path: Path) -> None:
    aptos_mirror(
        tmp_path,
        {f"a{number}": number for number in range(5)},
        {"b0": 3, "b1": 0},
        {"c0": 4, "c1": 1, "c2": 1},
    )
    table = table_of(tmp_path, MIRROR)
    assert table.found == 10
    assert table.ids_N[table.side(TRAIN)].tolist() == [
        f"train_images/train_images/a{number}.png" for number in range(5)
    ]
    assert table.ids_N[table.side(VALIDATION)].tolist() == [f"val_images/val_images/b{number}.png" for number in (0, 1)]
    assert table.ids_N[table.side(TEST)].tolist() == [f"test_images/test_images/c{number}.png" for number in range(3)]
    assert table.labels_N[table.side(TRAIN)].tolist() == [0, 1, 2, 3, 4]
    assert table.labels_N[table.side(TEST)].tolist() == [4, 1, 1]
    assert table.labels_N[table.side(VALIDATION)].tolist() == [3, 0]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("x,5\n", "of no class in column 'diagnosis', such as '5' (row 42)"),
        ("x,-1\n", "such as '-1' (row 42)"),
        ("x,mild\n", "such as 'mild' (row 42)"),
        ("x,\n", "such as '' (row 42)"),
        ("000000000000,0\n", "column 'id_code' has already, such as '000000000000' in rows 2 and 42"),
        ("../x,0\n", "such as '../x' (row 42)"),
        ("/x,0\n", "such as '/x' (row 42)"),
        (",0\n", "such as '' (row 42)"),
        ("x\n", "row without the 2 fields of its first: row 42"),
    ],
)
def test_a_row_that_is_wrong_is_told(rows: str, told: str, tmp_path: Path) -> None:
    file = aptos(tmp_path, SOME) / "train.csv"
    file.write_text(file.read_text() + rows)
    message = refused(tmp_path)
    assert message.startswith(f"{file}: ")
    assert told in message


def test_an_image_in_two_files_of_the_mirror_is_told(tmp_path: Path) -> None:
    folder = aptos_mirror(tmp_path, {f"a{number}": number for number in range(5)}, {"b": 0}, {"c": 0, "a3": 3})
    assert f"{folder / 'test.csv'}: row 3 lists 'a3', which is in train_1.csv" in refused(tmp_path, MIRROR)


def test_a_side_without_images_or_a_grade_without_training_images_is_told(tmp_path: Path) -> None:
    aptos(tmp_path / "few", {str(grade): grade for grade in range(5)})
    assert "a side of the split has no images (train 4, validation 0, test 1)" in refused(tmp_path / "few")
    aptos(tmp_path / "one", {str(row): row % 4 for row in range(40)})
    assert "no training image is of class proliferative" in refused(tmp_path / "one")


@pytest.mark.parametrize("name", ["train_1.csv", "valid.csv", "test.csv"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    folder = aptos_mirror(tmp_path, {f"a{number}": number for number in range(5)}, {"b": 0}, {"c": 0})
    (folder / name).unlink()
    assert f"cannot read {folder / name} (No such file or directory)" in refused(tmp_path, MIRROR)


def test_another_number_of_images_or_an_unknown_release_is_told(tmp_path: Path) -> None:
    aptos(tmp_path, SOME)
    with pytest.raises(DatasetError, match="holds 40 images, aptos2019 has 3662"):
        table_of(tmp_path, images=IMAGES)
    with pytest.raises(InvalidInput, match="option release='miror' of aptos2019; did you mean mirror"):
        table_of(tmp_path, replace(PUBLISHED, options={"release": "miror"}))


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mangled_table_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    file = aptos(tmp_path, SOME) / "train.csv"
    content = bytearray(file.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    file.write_bytes(content)
    with contextlib.suppress(FmTransferError):
        assert len(table_of(tmp_path).ids_N) <= 43

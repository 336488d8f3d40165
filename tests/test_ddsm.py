"""DDSM: three lists of names, which tell class and case, and what they are refused for."""

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.data.findings import patients_on_two_sides
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS
from tests.trees import ddsm

SPEC = Registry().dataset("ddsm")
LISTS = {
    "train": [
        "normals/normal_01-A_0001_1.LEFT_CC.LJPEG.1.jpg",
        "normals/normal_01-A_0001_1.RIGHT_MLO.LJPEG.1.jpg",
        "cancers/cancer_05-C_0128_1.LEFT_CC.LJPEG.1.jpg",
        "benigns/benign_09-B_3401_1.RIGHT_CC.LJPEG.1.jpg",
    ],
    "val": ["normals/normal_02-A_0050_1.LEFT_MLO.LJPEG.1.jpg", "benigns/benign_09-B_3402_1.RIGHT_CC.LJPEG.1.jpg"],
    "test": ["cancers/cancer_05-C_0129_1.LEFT_CC.LJPEG.1.jpg", "normals/normal_02-D_4051_1.LEFT_MLO.LJPEG.1.jpg"],
}


def table_of(root: Path) -> Table:
    return read_table(replace(SPEC, expected_images=None), Places(store=root / "store", data_root=root))[1]


def refused(root: Path) -> str:
    with pytest.raises(DatasetError) as raised:
        table_of(root)
    return str(raised.value)


def test_class_case_and_side_of_every_image_are_those_of_the_lists(tmp_path: Path) -> None:
    ddsm(tmp_path, LISTS)
    table = table_of(tmp_path)
    assert table.found == 8
    rows = zip(table.ids_N.tolist(), table.labels_N.tolist(), table.patients_N.tolist(), strict=True)
    assert {name.rpartition("/")[2][:-12]: (label, case) for name, label, case in rows} == {
        "normal_01-A_0001_1.LEFT_CC": (0, "A_0001"),
        "normal_01-A_0001_1.RIGHT_MLO": (0, "A_0001"),
        "cancer_05-C_0128_1.LEFT_CC": (1, "C_0128"),
        "benign_09-B_3401_1.RIGHT_CC": (1, "B_3401"),
        "normal_02-A_0050_1.LEFT_MLO": (0, "A_0050"),
        "benign_09-B_3402_1.RIGHT_CC": (1, "B_3402"),
        "cancer_05-C_0129_1.LEFT_CC": (1, "C_0129"),
        "normal_02-D_4051_1.LEFT_MLO": (0, "D_4051"),
    }
    for side, name in ((TRAIN, "train"), (VALIDATION, "val"), (TEST, "test")):
        assert table.ids_N[table.side(side)].tolist() == sorted(f"ddsm_raw/{path}" for path in LISTS[name])


def test_a_case_that_two_volumes_tell_is_on_two_sides_as_the_row_acknowledges(tmp_path: Path) -> None:
    """A_1632 is listed so, as benign to train on and as cancer to test."""
    twice = {"train": "benign_07-A_1632_1.LEFT_CC.LJPEG.1.jpg", "test": "cancer_11-A_1632_1.LEFT_CC.LJPEG.1.jpg"}
    ddsm(tmp_path, {side: [*names, *filter(None, [twice.get(side)])] for side, names in LISTS.items()})
    found = patients_on_two_sides(table_of(tmp_path))
    assert found is not None
    assert found.kind in SPEC.acknowledged
    assert found.count == 1
    assert "A_1632" in SPEC.caveats[0]


def test_lists_as_long_as_the_published_ones(tmp_path: Path) -> None:
    kinds = ("normal", "benign", "cancer")
    names = [
        f"{kinds[row // 4 % 3]}_01-{'ABCD'[row // 4 % 4]}_{row // 4:04}_1.{side}_{view}.LJPEG.1.jpg"
        for row in range(0, 10420, 4)
        for side in ("LEFT", "RIGHT")
        for view in ("CC", "MLO")
    ]
    ddsm(tmp_path, {"train": names[:8336], "val": names[8336:9376], "test": names[9376:]})
    table = read_table(SPEC, Places(store=tmp_path / "store", data_root=tmp_path))[1]
    assert Counter(table.split_N.tolist()) == {TRAIN: 8336, VALIDATION: 1040, TEST: 1044}
    assert len(set(table.patients_N.tolist())) == 2605
    assert Counter(table.labels_N.tolist()) == Counter(int(not name.startswith("normal")) for name in names)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("malignant_05-C_0128_1.LEFT_CC.LJPEG.1.jpg", "of no class in column 'prefix', such as 'malignant' (row 3)"),
        ("cancer.jpg", "of no class in column 'prefix', such as 'cancer.jpg' (row 3); did you mean cancer"),
        ("cancer_05.jpg", "1 name without a DDSM case, such as 'cancer_05.jpg' (row 3)"),
        ("cancer_05-E_0128_1.LEFT_CC.LJPEG.1.jpg", "without a DDSM case"),
        ("../cancer_05-C_0130_1.LEFT_CC.LJPEG.1.jpg", "outside the dataset's folder, such as '../cancer_05"),
        ("/cancer_05-C_0130_1.LEFT_CC.LJPEG.1.jpg", "(row 3)"),
        ("\ncancer_05-C_0130_1.LEFT_CC.LJPEG.1.jpg", "such as '' (row 3)"),
        (LISTS["val"][0], f"has already, such as '{LISTS['val'][0]}' in rows 1 and 3"),
        (LISTS["train"][2], f"row 3 lists {LISTS['train'][2]}, which is in train.txt; leave it in one list"),
    ],
)
def test_a_line_that_is_wrong_is_told(line: str, told: str, tmp_path: Path) -> None:
    folder = ddsm(tmp_path, {**LISTS, "val": [*LISTS["val"], line]})
    message = refused(tmp_path)
    assert message.startswith(f"{folder / 'ddsm_raw_image_lists' / 'val.txt'}: ")
    assert told in message


def test_a_missing_or_an_empty_list_is_told(tmp_path: Path) -> None:
    file = ddsm(tmp_path, LISTS) / "ddsm_raw_image_lists" / "test.txt"
    file.write_text("\n")
    assert refused(tmp_path) == f"{file} has no lines; restore it, or get the data again"
    file.unlink()
    assert f"cannot read {file} (No such file or directory)" in refused(tmp_path)


def test_a_class_without_training_images_is_told(tmp_path: Path) -> None:
    ddsm(tmp_path, {**LISTS, "train": LISTS["train"][:2]})
    assert "no training image is of class abnormal" in refused(tmp_path)


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(LISTS)), st.data())
def test_a_mangled_list_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    folder = tmp_path / "DDSM" / "ddsm_raw_image_lists"
    if not folder.exists():
        ddsm(tmp_path, LISTS)
    content = bytearray("".join(f"{line}\n" for line in LISTS[name]), "ascii")
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    (folder / f"{name}.txt").write_bytes(content)
    with contextlib.suppress(FmTransferError):
        assert len(table_of(tmp_path).ids_N) > 0

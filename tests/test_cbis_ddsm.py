"""CBIS-DDSM: tables and folders as The Cancer Imaging Archive has them, with their quirks, read to the last label."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from pytest_fmtransfer import Places, Registry
from pytest_fmtransfer.availability import dataset_ready
from pytest_fmtransfer.data.dataset import pictures_of, read_table
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.readers import cbis_ddsm
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.missing import Missing
from tests.helpers import LAWS
from tests.test_dicom import dicom, written

FULL, CROPS = (Registry().dataset(name) for name in ("cbis_ddsm", "cbis_ddsm.crops"))
HEADERS = {
    "mass": "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,"
    "mass margins,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path",
    "calc": "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,calc type,"
    "calc distribution,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path",
}
FULL_SERIES, CROP_SERIES, MASK_SERIES = "full mammogram images", "cropped images", "ROI mask images"
SCAN_HW = np.arange(8 * 8, dtype=np.uint16).reshape(8, 8)
MASK_HW = np.where(SCAN_HW > 20, 255, 0).astype(np.uint16)
Row = tuple[str, str, str, int, str]  # patient, breast, view, abnormality, pathology
WOMEN = [(f"P_{number:05}", "MALIGNANT" if number % 2 else "BENIGN") for number in range(100, 140)]
ROWS: dict[tuple[str, str], list[Row]] = {
    ("mass", "train"): [
        ("P_00001", "LEFT", "CC", 1, "BENIGN"),
        ("P_00001", "LEFT", "CC", 2, "MALIGNANT"),
        ("P_00001", "LEFT", "MLO", 1, "BENIGN_WITHOUT_CALLBACK"),
        ("P_00002", "RIGHT", "CC", 1, "BENIGN"),
        ("P_00003", "LEFT", "CC", 1, "MALIGNANT"),  # who is tested for a calcification
        *((patient, "LEFT", "CC", 1, pathology) for patient, pathology in WOMEN),
    ],
    ("mass", "test"): [("P_00010", "LEFT", "CC", 1, "MALIGNANT"), ("P_00011", "LEFT", "CC", 1, "BENIGN")],
    ("calc", "train"): [("P_00002", "RIGHT", "CC", 1, "MALIGNANT"), ("P_00011", "LEFT", "CC", 1, "MALIGNANT")],
    ("calc", "test"): [("P_00003", "RIGHT", "MLO", 1, "BENIGN"), ("P_00012", "LEFT", "CC", 1, "BENIGN")],
}


def case(kind: str, side: str, row: Row) -> str:
    patient, breast, view, _, _ = row
    return f"{kind.title()}-{'Training' if side == 'train' else 'Test'}_{patient}_{breast}_{view}"


def write(root: Path, rows: dict[tuple[str, str], list[Row]] = ROWS, *, newer: bool = True) -> Path:
    """Of each abnormality a picture and a mask, whose headers say so. `newer`: as today's retriever names them."""
    folder = root / "CBIS-DDSM"
    folder.mkdir(parents=True, exist_ok=True)
    for (kind, side), own in rows.items():
        with (folder / f"{kind}_case_description_{side}_set.csv").open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(HEADERS[kind].split(","))
            for number, row in enumerate(own):
                full = case(kind, side, row)
                crop = f"{full}_{row[3]}"
                below = "1.3.6.1.4.1.9590.1/1.3.6.1.4.1.9590.2"
                paths = [f"{full}/{below}/000000.dcm", f"{crop}/{below}/000000.dcm", f"{crop}/{below}/000001.dcm\n"]
                lines.writerow([row[0], 3, row[1], row[2], row[3], kind, "ROUND", "SPICULATED", 4, row[4], 4, *paths])
                study = "07-20-2016-DDSM-NA-74994" if newer else below.split("/")[0]
                names = ("1-1.dcm", "1-2.dcm") if newer else ("000000.dcm", "000001.dcm")
                series = "1.000000-full mammogram images-24515" if newer else below.split("/")[1]
                put(folder / full / study / series / names[0], FULL_SERIES)
                picture, mask = names if number % 2 else names[::-1]  # in no certain order
                series = "1.000000-cropped images-94682" if newer else series
                put(folder / crop / study / series / picture, CROP_SERIES)
                put(folder / crop / study / series / mask, MASK_SERIES)
    return folder


def put(path: Path, series: str | None, pixels_HW: np.ndarray = SCAN_HW) -> None:
    """A DICOM file; the smaller one of an abnormality is the mask as often as not, as in the release."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written(dicom(pixels_HW, **({} if series is None else {"SeriesDescription": series})), path)


def read(root: Path, crops: bool = False) -> tuple[Path, Table]:
    return read_table(replace(CROPS if crops else FULL, expected_images=None), Places(store=root, data_root=root))


def rows_of(table: Table) -> dict[str, tuple[int, str, str]]:
    columns = (table.labels_N.tolist(), table.patients_N.tolist(), table.split_N.tolist())
    return dict(zip(table.ids_N.tolist(), zip(*columns, strict=True), strict=True))


def test_every_mammogram_stands_once_with_the_worst_of_its_abnormalities(tmp_path: Path) -> None:
    write(tmp_path)
    table = read(tmp_path)[1]
    rows = rows_of(table)
    assert table.found == 44 + 2 + 2 + 2
    assert table.ids_N.tolist() == sorted(rows)
    assert rows["Mass-Training_P_00001_LEFT_CC"][:2] == (1, "P_00001")
    assert rows["Mass-Training_P_00001_LEFT_MLO"][:2] == (0, "P_00001")
    assert rows["Calc-Training_P_00002_RIGHT_CC"][:2] == (1, "P_00002")  # benign as a mass
    assert "Mass-Training_P_00002_RIGHT_CC" not in rows
    assert rows["Mass-Test_P_00010_LEFT_CC"] == (1, "P_00010", TEST)
    assert rows["Mass-Test_P_00011_LEFT_CC"] == (1, "P_00011", TEST)  # malignant as a calcification
    assert rows["Calc-Test_P_00012_LEFT_CC"] == (0, "P_00012", TEST)
    assert rows["Calc-Test_P_00003_RIGHT_MLO"] == (0, "P_00003", TEST)
    assert len(rows) == 3 + 40 + 4


def test_every_abnormality_has_its_own_label(tmp_path: Path) -> None:
    write(tmp_path)
    table = read(tmp_path, crops=True)[1]
    rows = rows_of(table)
    assert table.found == 45 + 2 + 2 + 2
    assert [rows[f"Mass-Training_P_00001_LEFT_{end}"][0] for end in ("CC_1", "CC_2", "MLO_1")] == [0, 1, 0]
    assert rows["Mass-Training_P_00002_RIGHT_CC_1"][0] == 0
    assert rows["Calc-Training_P_00002_RIGHT_CC_1"][0] == 1
    assert rows["Mass-Test_P_00011_LEFT_CC_1"] == (0, "P_00011", TEST)
    assert len(rows) == table.found - 2


@pytest.mark.parametrize("crops", [False, True])
def test_no_woman_is_on_two_sides_and_no_training_image_of_a_tested_one_stays(tmp_path: Path, crops: bool) -> None:
    write(tmp_path)
    table = read(tmp_path, crops)[1]
    sides = {side: set(table.patients_N[table.side(side)].tolist()) for side in (TRAIN, VALIDATION, TEST)}
    assert sides[TEST] == {"P_00003", "P_00010", "P_00011", "P_00012"}
    assert sum(map(len, sides.values())) == len(set.union(*sides.values())) == 46
    assert not [name for name in table.ids_N.tolist() if "Training_P_00003" in name or "Training_P_00011" in name]
    assert len(sides[VALIDATION]) == 6
    malignant = {"P_00001", "P_00002", *(patient for patient, pathology in WOMEN if pathology == "MALIGNANT")}
    assert len(sides[VALIDATION] & malignant) == 3
    assert read(tmp_path, crops)[1].split_N.tolist() == table.split_N.tolist()


@pytest.mark.parametrize("newer", [True, False], ids=["dates", "uids"])
def test_the_files_are_found_however_the_retriever_named_them(tmp_path: Path, newer: bool) -> None:
    write(tmp_path, newer=newer)
    for crops, series in ((False, FULL_SERIES), (True, CROP_SERIES)):
        folder, table = read(tmp_path, crops)
        found = pictures_of(CROPS if crops else FULL, folder, table)
        assert isinstance(found, FilePictures)
        for row, name in enumerate(table.ids_N.tolist()):
            assert found.path(row).relative_to(folder).parts[0] == name
            assert dcmread(found.path(row)).SeriesDescription == series
    assert read(tmp_path)[1].ids_N.tolist()[0] == "Calc-Test_P_00003_RIGHT_MLO"


def test_missing_files_are_counted_and_the_first_five_folders_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for path in folder.glob("Mass-Training_P_001?[0-5]_LEFT_CC/**/*.dcm"):
        path.unlink()
    told = r"24 of 47 folders in .* do not hold one DICOM file: Mass-Training_P_00100_LEFT_CC \(0 DICOM files\), .*, …;"
    with pytest.raises(DatasetError, match=told):
        pictures_of(FULL, *read(tmp_path))


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        ((CROP_SERIES, MASK_HW), (MASK_SERIES, SCAN_HW), True),  # whatever the pixels and the sizes are
        ((MASK_SERIES, SCAN_HW), (CROP_SERIES, np.tile(SCAN_HW, (9, 9))), False),
        ((CROP_SERIES, SCAN_HW), (None, SCAN_HW), True),  # many masks have no description
        ((None, SCAN_HW), (MASK_SERIES, SCAN_HW), True),
        ((None, MASK_HW), (None, SCAN_HW), False),
        ((None, np.zeros_like(SCAN_HW)), (None, SCAN_HW), False),
        ((MASK_SERIES, SCAN_HW), (MASK_SERIES, np.tile(MASK_HW, (9, 9))), True),  # one series of both
    ],
)
def test_the_description_tells_the_picture_from_the_mask_and_then_the_pixels(
    one: tuple[str | None, np.ndarray], other: tuple[str | None, np.ndarray], first: bool, tmp_path: Path
) -> None:
    folder = write(tmp_path)
    files = sorted((folder / "Mass-Test_P_00010_LEFT_CC_1").rglob("*.dcm"))
    for path, (series, pixels_HW) in zip(files, (one, other), strict=True):
        put(path, series, pixels_HW)
    found = pictures_of(CROPS, folder, table := read(tmp_path, crops=True)[1])
    assert isinstance(found, FilePictures)
    row = table.ids_N.tolist().index("Mass-Test_P_00010_LEFT_CC_1")
    assert found.path(row) == files[0 if first else 1]


@pytest.mark.parametrize(
    ("series", "pixels_HW"), [(None, SCAN_HW), (None, MASK_HW), (CROP_SERIES, SCAN_HW), ("images", SCAN_HW)]
)
def test_a_crop_that_is_like_its_mask_or_without_it_is_not_guessed(
    series: str | None, pixels_HW: np.ndarray, tmp_path: Path
) -> None:
    folder = write(tmp_path)
    one, other = sorted((folder / "Mass-Test_P_00010_LEFT_CC_1").rglob("*.dcm"))
    for path in (one, other):
        put(path, series, pixels_HW)
    told = (
        r"1 of 49 folders in .* do not hold a picture and a mask that can be told apart: Mass-Test_P_00010_LEFT_CC_1 "
        r"\(2 DICOM files\)"
    )
    with pytest.raises(DatasetError, match=told):
        pictures_of(CROPS, *read(tmp_path, crops=True))
    one.unlink()
    with pytest.raises(DatasetError, match=r"\(1 DICOM file\)"):
        pictures_of(CROPS, *read(tmp_path, crops=True))


def test_tables_that_are_not_there_are_missing_by_name(tmp_path: Path) -> None:
    (write(tmp_path) / "calc_case_description_test_set.csv").unlink()
    found = dataset_ready(FULL, Places(store=tmp_path, data_root=tmp_path))
    assert isinstance(found, Missing)
    assert "get calc_case_description_test_set.csv from https://www.cancerimagingarchive.net" in found.remedy


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("MALIGNANT", "malignant?", r"mass.*test.*of no class in column 'pathology'.* \(row 2\)"),
        ("P_00011,", ",", r"row 3 has no patient_id"),
        ("Mass-Test_P_00010_LEFT_CC/", "../", r"row 2 has '\.\./.*' in column 'image file path', no path below"),
        ("Mass-Test_P_00011_LEFT_CC_1/", "Mass-Test_P_00010_LEFT_CC_1/", r"1 row with what column 'cropped image"),
        ("image view", "view", "has no column 'image view'"),
    ],
)
def test_a_table_that_is_not_theirs_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write(tmp_path) / "mass_case_description_test_set.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=told):
        read(tmp_path)


def test_sides_without_images_and_other_numbers_of_them_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DatasetError, match="holds 50 images, cbis_ddsm has 3103"):
        read_table(FULL, Places(store=tmp_path, data_root=tmp_path))
    write(tmp_path, {**ROWS, ("mass", "train"): ROWS["mass", "train"][:3]})
    with pytest.raises(DatasetError, match="has no images for validation"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="option image='crop' of cbis_ddsm; did you mean crops"):
        cbis_ddsm.read(tmp_path / "CBIS-DDSM", replace(FULL, options={"image": "crop"}))


@LAWS
@given(data=st.data())
def test_only_our_errors_come_out_of_a_damaged_table(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.getbasetemp() / "tables"
    path = root / "CBIS-DDSM" / "mass_case_description_test_set.csv"
    if not path.exists():
        write(root)
        path.rename(path.with_suffix(".whole"))
    broken = bytearray(path.with_suffix(".whole").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    try:
        assert set(np.unique(read(root, crops=data.draw(st.booleans()))[1].labels_N)) == {0, 1}
    except FmTransferError as error:
        assert str(root) in str(error)  # noqa: PT017

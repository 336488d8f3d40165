"""The reader of a user's own table, CSV or Parquet: columns, labels, patients, sides, and what it refuses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.user_dataset import UserDataset, own_table
from pytest_fmtransfer.data.audit import audit
from pytest_fmtransfer.data.dataset import open_dataset, read_table
from pytest_fmtransfer.data.own import rarest
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS
from tests.pictures import save, scan

HEADER = "image,diagnosis,patient_id,fold"
FOLDS = ("train", "valid", "TEST")


def rows(images: int = 30) -> list[str]:
    """Two images a patient, two patients in turn on each side."""
    return [f"i{n:02}.png,{'ill' if n % 2 else 'well'},p{n // 2},{FOLDS[n // 4 % 3]}" for n in range(images)]


def write(folder: Path, lines: Sequence[str], name: str = "scans.csv", encoding: str = "utf-8") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding=encoding)
    return file


def table_of(file: Path, keys: str = "label=diagnosis,patient=patient_id,split=fold") -> Table:
    row = UserDataset.parse(f"mine=table:{file},{keys}").row
    return read_table(row, Places(store=Path("unused")))[1]


def refused(file: Path, keys: str) -> str:
    with pytest.raises((DatasetError, InvalidInput)) as raised:
        table_of(file, keys)
    assert str(file) in str(raised.value)
    return str(raised.value)


def test_every_column_that_is_named_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, [HEADER, *reversed(rows())])
    row = own_table("mine", file, label="diagnosis", patient="patient_id", split="fold")
    assert (row.classes, row.metric, row.patient_unit) == (("ill", "well"), "roc_auc", "patient")
    table = table_of(file)
    assert table.ids_N.tolist() == [f"i{n:02}.png" for n in range(30)]
    assert table.labels_N.tolist() == [0 if n % 2 else 1 for n in range(30)]
    assert table.patients_N.tolist() == [f"p{n // 2}" for n in range(30)]
    assert table.split_N.tolist() == [(TRAIN, VALIDATION, TEST)[n // 4 % 3] for n in range(30)]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", ",")])
def test_other_delimiters_and_a_byte_order_mark(name: str, mark: str, tmp_path: Path) -> None:
    lines = [line.replace(",", mark) for line in (HEADER, *rows())]
    file = write(tmp_path, lines, name, "utf-8-sig")
    assert table_of(file).found == 30


def test_a_parquet_file_is_read_as_a_csv_file_is(tmp_path: Path) -> None:
    columns = dict(zip(HEADER.split(","), zip(*(row.split(",") for row in rows()), strict=True), strict=True))
    pq.write_table(pa.table({name: list(texts) for name, texts in columns.items()}), tmp_path / "a.parquet")
    one, other = table_of(tmp_path / "a.parquet"), table_of(write(tmp_path, [HEADER, *rows()]))
    for name in ("ids_N", "labels_N", "patients_N", "split_N"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


def test_numbers_are_classes_by_their_value(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(36)]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"path": names, "grade": [float((2, 10, 1)[n % 3]) for n in range(36)]}), file)
    row = own_table("mine", file, label="grade", ordered=True)
    assert (row.classes, row.metric) == (("1", "2", "10"), "quadratic_kappa")
    table = table_of(file, "label=grade")
    assert [table.labels_N[table.ids_N.tolist().index(name)] for name in names[:3]] == [1, 2, 0]


@pytest.mark.parametrize(("uncertain", "value"), [("", UNKNOWN), (",uncertain=zeros", 0), (",uncertain=ones", 1)])
def test_several_labels_with_those_that_nobody_knows(uncertain: str, value: int, tmp_path: Path) -> None:
    texts = ["1", "0", "", "-1", "1.0", "0.0", "-1.0", "True"] * 4
    file = write(tmp_path, ["id,oedema,mass", *(f"{n:02}.png,{text},{n % 2}" for n, text in enumerate(texts))])
    row = UserDataset.parse(f"mine=table:{file},labels=oedema+mass").row
    assert (row.classes, row.metric) == (("oedema", "mass"), "mean_roc_auc")
    table = table_of(file, f"labels=oedema+mass{uncertain}")
    assert table.labels_N[:8, 0].tolist() == [1, 0, value, value, 1, 0, value, 1]
    assert table.labels_N[:, 1].tolist() == [n % 2 for n in range(32)]


def test_images_of_several_labels_are_split_by_the_rarest() -> None:
    labels_NC = np.array([[1, 1, 0], [1, 0, 0], [0, 0, UNKNOWN], [1, 0, 1], [1, 1, 0]])
    assert rarest(labels_NC).tolist() == [1, 0, 3, 2, 1]


def test_paths_are_relative_to_the_table_or_to_a_root_and_may_be_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    lines = [f"./x/../{n}.png,{n % 2}" if n % 3 else f"{tmp_path}/{n}.png,{n % 2}" for n in range(20)]
    file = write(tmp_path / "sub", ["image,y", *lines])
    assert sorted(table_of(file, f"label=y,root={tmp_path}").ids_N.tolist()) == sorted(f"{n}.png" for n in range(20))
    assert "outside" in refused(file, "label=y")


def test_a_suffix_that_names_lack_is_added(tmp_path: Path) -> None:
    file = write(tmp_path, ["image_id,y", *(f"ISIC_{n},{n % 2}" for n in range(20))])
    assert "ISIC_7.jpg" in table_of(file, "label=y,suffix=.jpg").ids_N
    assert "say suffix=.jpg" in refused(file, "label=y")


@pytest.mark.parametrize(
    ("line", "keys", "message"),
    [
        ("", "label=diagnosi", "has no column 'diagnosi'; did you mean diagnosis"),
        ("", "label=diagnosis,patient=pid", "has no column 'pid'"),
        ("", "label=diagnosis,image=img", "has no column 'img'"),
        ("x.png,,p,train", "label=diagnosis", "1 row of column 'diagnosis' without a label"),
        ("x.png,nan,p,train", "label=diagnosis", "1 row of column 'diagnosis' without a label ('nan')"),
        ("x.png,ill,p,trian", "label=diagnosis,split=fold", "of no side, such as 'trian'"),
        ("x.png,ill,p,", "label=diagnosis,split=fold", "of no side, such as ''"),
        (",ill,p,train", "label=diagnosis", "without an image"),
        ("i03.png,ill,p,test", "label=diagnosis", "such as 'i03.png' in rows 5 and 32"),
        ("./i03.png,ill,p,test", "label=diagnosis,split=fold", "such as 'i03.png' in rows 5 and 32"),
        ("../x.png,ill,p,train", "label=diagnosis", "outside"),
        ("/etc/x.png,ill,p,train", "label=diagnosis", "such as '/etc/x.png'"),
        ("x.png,2,p,train", "labels=diagnosis", "with neither 0 nor 1"),
        ("x.png,ill,p", "label=diagnosis", "row without the 4 fields"),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_the_file(line: str, keys: str, message: str, tmp_path: Path) -> None:
    told = refused(write(tmp_path, [HEADER, *rows(), *([line] if line else [])]), keys)
    assert message in told
    assert not line or keys.startswith("labels=") or "32" in told


def test_every_spelling_of_a_missing_label_is_told(tmp_path: Path) -> None:
    lines = [HEADER, *rows(), "x.png,,p,train", "y.png,nan,p,train", "z.png,,p,train"]
    told = refused(write(tmp_path, lines), "label=diagnosis")
    assert "3 rows of column 'diagnosis' without a label ('', 'nan'): leave them out" in told


def test_spaces_around_a_columns_name_are_shown(tmp_path: Path) -> None:
    told = refused(write(tmp_path, ["image,diagnosis ", "a.png,ill", "b.png,well"]), "label=diagnosis")
    assert "has no column 'diagnosis'; it has 'diagnosis ', with a space: take it away there" in told


def test_backslashes_in_paths_are_told(tmp_path: Path) -> None:
    lines = [f"sub\\{n}.png,{n % 2}" for n in range(20)]
    row = UserDataset.parse(f"mine=table:{write(tmp_path, ['image,y', *lines])},label=y").row
    with pytest.raises(DatasetError, match=r"20 of 20 images are not in .*, …; paths use backslashes: write /$"):
        open_dataset(row, Places(store=tmp_path / "store"))


def test_a_row_of_a_column_is_named_by_its_number(tmp_path: Path) -> None:
    lines = [HEADER, *rows()]
    lines[6] = "i05.png,ill,p2,nowhere"
    assert "(row 7)" in refused(write(tmp_path, lines), "label=diagnosis,split=fold")


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "not UTF-8" in refused(write(tmp_path, ["image,y", "é.png,1"], encoding="latin-1"), "label=y")
    assert "has no rows" in refused(write(tmp_path, ["image,y"]), "label=y")
    assert "is a spreadsheet; save it as CSV" in refused(write(tmp_path, ["image,y"], "a.xlsx"), "label=y")
    assert "is a spreadsheet; save it as CSV" in refused(write(tmp_path, ["image,y"], "a.XLS"), "label=y,image=image")
    assert "not a Parquet file" in refused(write(tmp_path, ["image,y"], "a.parquet"), "label=y")
    assert "holds one label, 'a'" in refused(write(tmp_path, ["image,y", "a.png,a"]), "label=y")
    assert "give classes, not measurements" in refused(write(tmp_path, ["image,y", "a.png,.3", "b.png,.4"]), "label=y")
    assert "say image=COLUMN; its columns: scan, y" in refused(write(tmp_path, ["scan,y", "a.png,1"]), "label=y")
    two = write(tmp_path, ["image,y,s", "a.png,1,train", "b.png,0,train"])
    assert "no image is on the " in refused(two, "label=y,split=s")


def test_missing_images_are_counted_and_a_patient_on_two_given_sides_is_found(tmp_path: Path) -> None:
    lines = rows()
    file = write(tmp_path, [HEADER, *lines[:-1], lines[-1].replace("p14", "p0").replace("TEST", "valid")])
    row = UserDataset.parse(f"mine=table:{file},label=diagnosis,patient=patient_id,split=fold").row
    places = Places(store=tmp_path / "store")
    with pytest.raises(
        DatasetError, match=r"30 of 30 images are not in .*: i00.png, i01.png, i02.png, i03.png, i04.png, …"
    ):
        open_dataset(row, places)
    for number in range(30):
        save(scan(number, 32), tmp_path / f"i{number:02}.png")
    dataset = open_dataset(row, places)
    assert "patients_on_two_sides" in [each.kind for each in audit(dataset, places).unacknowledged(row)]


@pytest.mark.parametrize(
    ("ill", "keys", "remedy"),
    [
        (34, "", "say `test=0.6`, or collect more"),
        (34, ",test=0.3", "say `test=0.6`, or collect more"),
        (34, ",validation=0.5", "collect more: of a class, 20 patients are to be tested"),
        (12, "", "collect more: of a class, 20 patients are to be tested"),
        (34, ",split=fold", "hold out more patients for testing, or join classes"),
    ],
)
def test_the_remedy_for_a_class_that_is_too_small_names_the_key(
    ill: int, keys: str, remedy: str, tmp_path: Path
) -> None:
    lines = [f"{n:03}.png,{'ill' if n < ill else 'well'},{FOLDS[n % 3]}" for n in range(ill + 100)]
    for number in range(ill + 100):
        save(scan(number, 16), tmp_path / f"{number:03}.png")
    file = write(tmp_path, ["image,y,fold", *lines])
    places = Places(store=tmp_path / "store")

    def found(keys: str) -> dict[str, str]:
        dataset = open_dataset(UserDataset.parse(f"mine=table:{file},label=y{keys}").row, places)
        return {finding.kind: finding.remedy for finding in audit(dataset, places).findings}

    assert found(keys)["class_too_small"] == remedy
    if "test=0.6" in remedy:
        assert "class_too_small" not in found(",test=0.6")


def test_patients_are_kept_together(tmp_path: Path) -> None:
    table = table_of(write(tmp_path, [HEADER, *rows(60)]), "label=diagnosis,patient=patient_id")
    assert set(table.split_N.tolist()) == set(SIDES)
    for patient in set(table.patients_N.tolist()):
        assert len(set(table.split_N[table.patients_N == patient].tolist())) == 1


cells = st.sampled_from(
    ["a.png", "1", "0", "-1", "", "train", "test", "val", "../x", "/", ".", "nan", "inf", "{}", "\0"]
)
texts = cells | st.text(max_size=5)
keys = st.sampled_from(
    ["label=b", "labels=b+c", "label=b,split=c", "label=c,image=b", "label=b,suffix=.png,classes=0+1"]
)


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(texts, texts, texts), max_size=12).map(lambda lines: "\n".join(map(",".join, lines)))
    | st.text(),
    keys,
    st.sampled_from(["path,b,c\n", ""]),
)
def test_whatever_the_text_is_only_our_errors_come_out(tmp_path: Path, text: str, keys: str, header: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    try:
        table = table_of(file, keys)
    except FmTransferError:
        return
    assert set(table.split_N.tolist()) == set(SIDES)


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2000), st.binary(max_size=8))
def test_whatever_is_damaged_in_a_parquet_file_only_our_errors_come_out(tmp_path: Path, at: int, put: bytes) -> None:
    whole, file = tmp_path / "whole.parquet", tmp_path / "a.parquet"
    if not whole.exists():
        pq.write_table(pa.table({"path": [f"{n}.png" for n in range(40)], "b": [n % 2 for n in range(40)]}), whole)
    data = whole.read_bytes()
    at %= len(data)
    file.write_bytes(data[:at] + put + data[at + len(put) :])
    try:
        table_of(file, "label=b")
    except FmTransferError:
        return

"""Columns of CSV files, and the checks that every reader makes: what is wrong is told with its file and row."""

import contextlib
import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.data.checks import check_paths
from pytest_fmtransfer.data.columns import check_unique, class_indices, read_columns, read_lines, shown
from pytest_fmtransfer.errors import DatasetError
from tests.helpers import LAWS

FILE = Path("a.csv")


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path: Path, *wanted: str) -> str:
    with pytest.raises(DatasetError) as raised:
        read_columns(path, wanted)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_the_columns_wanted_come_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b,c\r\n1,"x, ""y""",\r\n2,"two\nlines",z\r\n')
    assert read_columns(path, ("c", "b")) == {"c": ["", "z"], "b": ['x, "y"', "two\nlines"]}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read_columns(write(tmp_path, "a,b\n1,2\n".encode("utf-8-sig")), ("a",)) == {"a": ["1"]}


def test_another_delimiter(tmp_path: Path) -> None:
    assert read_columns(write(tmp_path, "a;b\n1,5;2\n"), ("a",), delimiter=";") == {"a": ["1,5"]}


@pytest.mark.parametrize("end", ["\n\n\n", ",\n,\n", "\n,\n"])
def test_blank_rows_at_the_end_are_left_out(end: str, tmp_path: Path) -> None:
    assert read_columns(write(tmp_path, f"a,b\n1,2\n{end}"), ("b",)) == {"b": ["2"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,labels\nx,1\n", "has no column 'label'; did you mean labels?"),
        ("image,label,label\nx,1,2\n", "has 2 columns 'label'; leave one"),
        ("label,b\n1,2\n3\n4,5,6\n", "2 rows without the 2 fields of its first: rows 3, 4"),
        ("label,b\n1,2\n\n4,5\n", "1 row without the 2 fields of its first: row 3"),
        ("label,b\n", "has no rows"),
        ("label,b\n,\n\n", "has no rows"),
        ("", "has no column 'label'"),
        ("label,b\nÄ,2\n".encode("latin-1"), "is not UTF-8"),
        ("label,b\n".encode("utf-16"), "is not UTF-8"),
        ('label,b\n"1,2\n', "is not a CSV file"),
        ('label,b\n"1"x,2\n', "is not a CSV file"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_told(text: str | bytes, told: str, tmp_path: Path) -> None:
    assert told in refused(write(tmp_path, text), "label")


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    assert "(No such file or directory); restore it, or get the data again" in refused(tmp_path / "b.csv", "label")
    assert "cannot read" in refused(tmp_path, "label")
    with pytest.raises(DatasetError, match=r"cannot read .*b\.txt"):
        read_lines(tmp_path / "b.txt")


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["", "a,b\n", "a,b\n1,2\n"]))
def test_whatever_the_bytes_only_a_dataset_error_comes_out(tmp_path: Path, content: bytes, start: str) -> None:
    path = write(tmp_path, start.encode() + content)
    with contextlib.suppress(DatasetError):
        columns = read_columns(path, ("a", "b"))
        assert len(columns["a"]) == len(columns["b"]) > 0
    with contextlib.suppress(DatasetError):
        assert read_lines(path)


@pytest.mark.parametrize("text", ["a\n1\n", "b\n1\n"])
def test_garbage_is_collected_afterwards_as_before(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    try:
        for was_on in (True, False):
            (gc.enable if was_on else gc.disable)()
            if text.startswith("a"):
                read_columns(path, ("a",))
            else:
                refused(path, "a")
            assert gc.isenabled() == was_on
    finally:
        gc.enable()


def test_lines_are_without_blank_ones_at_the_end(tmp_path: Path) -> None:
    assert read_lines(write(tmp_path, "x\r\n y \r\n\r\n")) == ["x", "y"]
    with pytest.raises(DatasetError, match="has no lines"):
        read_lines(write(tmp_path, " \n"))


def test_classes_are_told_by_their_place() -> None:
    assert class_indices(FILE, "grade", ["b", "a", "b"], ("a", "b")).tolist() == [1, 0, 1]


def test_a_label_that_is_no_class_is_told_with_its_row_and_the_nearest() -> None:
    with pytest.raises(DatasetError) as raised:
        class_indices(FILE, "kind", ["benign", "benine", "", "x", "x", "x", "x"], ("benign", "malignant"))
    told = "a.csv: 6 labels of no class in column 'kind', such as 'benine' (rows 3, 4, 5, 6, 7, …); did you mean benign"
    assert told in str(raised.value)
    with pytest.raises(DatasetError, match=r"\(row 1\)"):
        class_indices(FILE, "kind", ["x"], ("benign",), first=1)


def test_a_text_that_stands_twice_is_told_with_both_rows() -> None:
    check_unique(FILE, "id", ["a", "b", "c"])
    with pytest.raises(DatasetError) as raised:
        check_unique(FILE, "id", ["a", "b", "c", "b", "a"])
    assert "2 rows with what column 'id' has already, such as 'b' in rows 3 and 5" in str(raised.value)


def test_five_rows_are_shown() -> None:
    assert shown([4]) == "row 4"
    assert shown(range(2, 7)) == "rows 2, 3, 4, 5, 6"
    assert shown(range(2, 9)) == "rows 2, 3, 4, 5, 6, …"


@pytest.mark.parametrize("path", ["a", "a/b.png", "..a/b", "a../b", "a/.b", ".a", "...", "a b/ä.png", "a/b:c"])
def test_a_path_below_the_folder_passes(path: str) -> None:
    check_paths(FILE, ["x.png", path, "y/z.png"])


OUTSIDE = [
    "../x",
    "a/../b",
    "..",
    ".",
    "a/.",
    "./a",
    "",
    "/x",
    "a/",
    "a//b",
    "a\\b",
    "C:/x",
    "C:x",
    "a\nb",
    "a\0b",
    "//x",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_may_leave_the_folder_is_told_with_its_row(path: str) -> None:
    with pytest.raises(DatasetError) as raised:
        check_paths(FILE, ["x.png", path, "y/z.png"])
    assert str(raised.value).startswith("a.csv: 1 path outside the dataset's folder, such as ")
    assert f"{path!r} (row 3)" in str(raised.value)
    with pytest.raises(DatasetError, match=r"\(row 2\)"):
        check_paths(FILE, ["x.png", path], first=1)


@LAWS
@given(st.lists(st.text(st.sampled_from("ab./\\:\n\x00ä"), max_size=6), max_size=4))
def test_many_paths_are_judged_as_each_alone(paths: list[str]) -> None:
    def passes(values: list[str]) -> bool:
        try:
            check_paths(FILE, values)
        except DatasetError:
            return False
        return True

    assert passes(paths) == all(passes([path]) for path in paths)
    for path in paths:
        parts = path.split("/")
        assert not passes([path]) or not {"", ".", ".."} & set(parts)

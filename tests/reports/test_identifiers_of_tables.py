"""Tables whose patients, labels and sides are spelt in several ways, or are not given."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.data.identifiers import MISSING, identifier, is_missing, one_spelling
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS

PEOPLE = [f"person {number}" for number in range(40)]  # two images each


def table_of(file: Path, keys: str) -> Table:
    return read_table(UserDataset.parse(f"mine=table:{file},{keys}").row, Places(store=Path("unused")))[1]


def written(folder: Path, columns: dict[str, Sequence[str]]) -> Path:
    """A CSV file of 80 images: the columns given, and a class that has half of them."""
    every = {"image": [f"{n:02}.png" for n in range(80)], "y": ["ab"[n // 2 % 2] for n in range(80)]} | columns
    lines = [",".join(every), *(",".join(texts) for texts in zip(*every.values(), strict=True))]
    file = folder / "scans.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def people(*spellings: str) -> list[str]:
    """Two images a person, of whom the first is written in these ways, an image each."""
    return [*spellings, *(person for person in PEOPLE for _ in range(2))][:80]


@pytest.mark.parametrize(
    "spellings",
    [
        ("12", "12.0"),  # a column of numbers with a blank in it, written by pandas
        ("12", "12."),
        ("007", "7"),  # opened in a spreadsheet and saved
        ("007.0", "07"),
        ("ab-1", "AB-1"),
        ("P_3", "p_3 "),
        (" P 3", "P  3"),
        ("P 3", "P\N{NO-BREAK SPACE}3"),
        ("P3", "\N{ZERO WIDTH SPACE}P3"),
        ("P3", "\N{ZERO WIDTH NO-BREAK SPACE}P3"),
        ("José", "Jose\N{COMBINING ACUTE ACCENT}"),  # a list made on a Mac
        ("12", "１２"),  # full-width digits of a Japanese keyboard
        ("Groß", "GROSS"),
    ],
    ids=ascii,
)
def test_spellings_of_one_patient_are_one_patient(spellings: tuple[str, ...], tmp_path: Path) -> None:
    table = table_of(written(tmp_path, {"who": people(*spellings)}), "label=y,patient=who")
    assert len(set(table.patients_N[:2].tolist())) == 1
    assert len(set(table.patients_N.tolist())) == 40
    assert len(set(table.split_N[:2].tolist())) == 1
    (notice,) = table.notices
    assert (notice.kind, notice.count) == ("names_spelt_variously", 1)
    assert spellings[0].strip() not in notice.sentence.replace("as 12 and 12.0 are", "")


@pytest.mark.parametrize(
    "names", [("12", "13"), ("12", "-12"), ("12", "1.2"), ("P12", "P012"), ("a", "á"), ("1-2", "12"), ("12", "12.5")]
)
def test_different_patients_stay_different(names: tuple[str, str], tmp_path: Path) -> None:
    table = table_of(written(tmp_path, {"who": people(*names)}), "label=y,patient=who")
    assert table.patients_N[:2].tolist() == list(names)
    assert table.notices == ()


@pytest.mark.parametrize("text", ["", "nan", "NaN", "None", "NULL", "n/a", "#N/A", "<NA>", "NaT", "Unknown", " ", "?"])
def test_an_image_without_a_patient_stands_alone_and_is_counted(text: str, tmp_path: Path) -> None:
    table = table_of(written(tmp_path, {"who": people(text, text, text)}), "label=y,patient=who")
    assert table.patients_N[:3].tolist() == table.ids_N[:3].tolist()
    assert len(set(table.patients_N.tolist())) == 3 + 39
    (notice,) = table.notices
    assert (notice.kind, notice.count) == ("patients_unknown", 3)
    assert notice.sentence.startswith("3 images of 80 without a patient (column 'who' holds ")
    assert notice.examples == ("00.png", "01.png", "02.png")


def test_a_column_that_names_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="column 'who' names no patient in any row; name another or none"):
        table_of(written(tmp_path, {"who": ["nan"] * 80}), "label=y,patient=who")


def test_numbers_of_patients_with_a_blank_among_them_in_parquet(tmp_path: Path) -> None:
    file, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    names = [f"{n:02}.png" for n in range(80)]
    numbers = [n // 2 for n in range(80)]
    columns = {"image": names, "y": [n // 2 % 2 for n in range(80)]}
    pq.write_table(pa.table({**columns, "who": pa.array([None, *map(float, numbers[1:])], pa.float64())}), file)
    pq.write_table(pa.table({**columns, "who": pa.array([None, *numbers[1:]], pa.int64())}), other)
    one, two = (table_of(each, "label=y,patient=who") for each in (file, other))
    assert one.split_N[1:].tolist() == two.split_N[1:].tolist()
    assert [notice.count for notice in one.notices] == [notice.count for notice in two.notices] == [1]


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (("Benign", "benign ", "MALIGNANT", "malignant"), ("Benign", "MALIGNANT")),
        (("1", "1.0", "0", "0.0"), ("0", "1")),
        (("01", "1", "00", "0"), ("0", "1")),
        (("1.0", "1", "x", "X"), ("1", "X")),
        (("café", "cafe\N{COMBINING ACUTE ACCENT}", "thé", "THÉ"), ("THÉ", "cafe\N{COMBINING ACUTE ACCENT}")),
    ],
)
def test_spellings_of_one_label_are_one_class(
    texts: tuple[str, str, str, str], classes: tuple[str, ...], tmp_path: Path
) -> None:
    file = written(tmp_path, {"y": [texts[n // 2 % 4] for n in range(80)]})
    assert UserDataset.parse(f"mine=table:{file},label=y").row.classes == classes
    labels = table_of(file, "label=y").labels_N.tolist()
    first = classes.index(next(name for name in classes if identifier(name) == identifier(texts[0])))
    assert labels == [first if n // 2 % 4 < 2 else 1 - first for n in range(80)]
    named = f"{texts[2].strip()}+{texts[0]}"
    assert table_of(file, f"label=y,classes={named}").labels_N.tolist() == [
        1 if n // 2 % 4 < 2 else 0 for n in range(80)
    ]


@pytest.mark.parametrize("text", ["nan", "None", "unknown", "NA"])
def test_a_label_that_names_nothing_is_a_class_where_it_is_named_as_one(text: str, tmp_path: Path) -> None:
    file = written(tmp_path, {"y": [("mild", text)[n // 2 % 2] for n in range(80)]})
    with pytest.raises(InvalidInput, match=rf"40 rows of column 'y' without a label \('{text}'\).*classes="):
        _ = UserDataset.parse(f"mine=table:{file},label=y").row
    row = UserDataset.parse(f"mine=table:{file},label=y,classes={text}+mild").row
    assert row.classes == (text, "mild")


def test_zeros_and_ones_and_what_stands_for_unknown(tmp_path: Path) -> None:
    texts = ["1", "0", "1.0", "0.0", " 1", "TRUE", "False", "", "nan", "NA", "None", "-1", "-1.0", "unknown", "?"]
    file = written(tmp_path, {"a": [texts[n % 15] for n in range(80)], "b": [str(n // 2 % 2) for n in range(80)]})
    labels = table_of(file, "labels=a+b").labels_N[:15, 0].tolist()
    assert labels == [1, 0, 1, 0, 1, 1, 0, *[UNKNOWN] * 8]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("Train", "VAL", "test "), ("ｔｒａｉｎ", "Dev", "TESTING"), ("training", "valid\N{ZERO WIDTH SPACE}", " Test")],
)
def test_sides_in_any_case_and_form(train: str, validation: str, test: str, tmp_path: Path) -> None:
    file = written(tmp_path, {"fold": [(train, validation, test)[n // 4 % 3] for n in range(80)]})
    table = table_of(file, "label=y,split=fold")
    assert table.split_N.tolist() == [(TRAIN, VALIDATION, TEST)[n // 4 % 3] for n in range(80)]


def test_folders_of_one_class_in_two_spellings_are_one_class(tmp_path: Path) -> None:
    for folder in ("Train/Benign", "Train/ill", "Test/benign", "Test/ILL "):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            (tmp_path / folder / f"{number}.png").touch()
    row = UserDataset.parse(f"mine=folder:{tmp_path}").row
    assert row.classes == ("Benign", "ILL ")
    table = read_table(row, Places(store=Path("unused")))[1]
    for side in SIDES:
        assert set(table.labels_N[table.side(side)].tolist()) == {0, 1}
    assert [notice.count for notice in table.notices] == [2]


spellings = st.text(max_size=8) | st.from_regex(r"[ 0]{0,2}[0-9]{1,3}(\.0{0,2})? ?", fullmatch=True)


@LAWS
@given(spellings)
def test_a_name_spelt_otherwise_is_the_same_name(text: str) -> None:
    name = identifier(text)
    assert identifier(name) == name
    for other in (text.upper(), text.lower(), f" {text}\t", text.replace(" ", "  "), f"{text}\N{ZERO WIDTH SPACE}"):
        if other.casefold() == text.casefold() or other.strip() == text.strip() or " " in text:
            assert identifier(other) == name
    if name.isascii() and name.isdigit():
        assert identifier(f"00{name}.00") == name


@LAWS
@given(st.lists(spellings | st.sampled_from(sorted(MISSING)), max_size=12))
def test_names_are_parted_by_their_identifiers_alone_and_none_is_respelt_without_need(texts: list[str]) -> None:
    spelt = one_spelling(texts)
    for one in texts:
        for other in texts:
            assert (spelt[one] == spelt[other]) == (identifier(one) == identifier(other))
        if sum(identifier(other) == identifier(one) for other in set(texts)) == 1:
            assert spelt[one] == one
        assert is_missing(one) == is_missing(spelt[one])

"""The reader of a user's own folder: what it takes for classes, sides and images, and what it refuses."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.catalog.user_dataset import own_folder
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS


def fill(root: Path, *names: str, each: int = 10) -> Path:
    """So many empty files in each folder named: a table is read without opening an image."""
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (root / name / f"{number:02}.png").touch()
    return root


def table_of(row: DatasetSpec) -> Table:
    return read_table(row, Places(store=Path("unused")))[1]


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    row = own_folder("mine", fill(tmp_path, "b", "a", "c/deep/er"))
    assert (row.classes, row.metric, row.patient_unit) == (("a", "b", "c"), "balanced_accuracy", "image")
    table = table_of(row)
    assert table.found == 30
    assert dict(zip(table.ids_N.tolist(), table.labels_N.tolist(), strict=True)) == {
        f"{folder}/{number:02}.png": label
        for label, folder in enumerate(("a", "b", "c/deep/er"))
        for number in range(10)
    }
    assert table.ids_N.tolist() == sorted(table.ids_N.tolist()) == table.patients_N.tolist()
    assert [len(table.side(side)) for side in SIDES] == [12, 6, 12]


def test_shares_of_the_split_can_be_chosen(tmp_path: Path) -> None:
    table = table_of(own_folder("mine", fill(tmp_path, "a", "b"), validation=0.1, test=0.2))
    assert [len(table.side(side)) for side in SIDES] == [14, 2, 4]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALID", "testing"), ("train", "dev", "test")]
)
def test_folders_of_sides_are_the_split(names: tuple[str, ...], tmp_path: Path) -> None:
    row = own_folder("mine", fill(tmp_path, *(f"{name}/{each}" for name in names for each in ("yes", "no"))))
    assert (row.classes, row.metric) == (("no", "yes"), "roc_auc")
    table = table_of(row)
    for side, name in zip((TRAIN, VALIDATION, TEST), names, strict=True):
        assert {table.ids_N[image].partition("/")[0] for image in table.side(side)} == {name}


def test_without_a_validation_side_a_fifth_of_each_class_of_the_training_side_becomes_one(tmp_path: Path) -> None:
    table = table_of(own_folder("mine", fill(tmp_path, "train/a", "train/b", "test/a", "test/b")))
    assert [len(table.side(side)) for side in SIDES] == [16, 4, 20]
    assert {table.ids_N[image].partition("/")[0] for image in table.side(VALIDATION)} == {"train"}


def test_images_are_known_by_their_suffix_in_any_case_and_hidden_files_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", ".git/objects", "__MACOSX/a")
    for name in ("x.JPG", "x.jpeg", "x.Tif", "x.tiff", "x.webp", "x.BMP", "x.dcm", "notes.txt", "Thumbs.db", "._x.png"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "readme.txt").touch()
    assert table_of(own_folder("mine", tmp_path)).found == 27


def test_a_class_that_is_only_tested_is_a_class_for_the_audit_to_find(tmp_path: Path) -> None:
    row = own_folder("mine", fill(tmp_path, "train/a", "train/b", "test/a", "test/b", "test/c"))
    table = table_of(row)
    assert row.classes == ("a", "b", "c")
    assert 2 not in table.labels_N[table.side(TRAIN)]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "has 0 class folders"),
        (["a"], "has 1 class folder, two or more are needed (10 files below it)"),
        (["train/a", "train/b"], "has train and no test side"),
        (["val/a", "test/b"], "no train side"),
        (["train/a", "test/a", "extra"], "has extra beside its sides of a split"),
        (["train/a", "val/a", "valid/a", "test/a"], "val and valid are one side; join them"),
        (["."], "10 images of no class in"),
        (["a", "b", "."], ": 00.png, 01.png, 02.png, 03.png, 04.png, …"),
        (["train", "test/a"], "of no class in"),
    ],
)
def test_another_layout_is_refused_when_it_is_registered(folders: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        own_folder("mine", fill(tmp_path, *folders))
    assert message in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    (fill(tmp_path, "a", "b") / "c").mkdir()
    with pytest.raises(DatasetError, match="no images of class c"):
        table_of(own_folder("mine", tmp_path))
    (tmp_path / "c" / "x.txt").touch()
    with pytest.raises(DatasetError, match="c has 1 file, and none ends as an image does"):
        table_of(own_folder("mine", tmp_path))


def test_too_few_images_for_three_sides(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no image is on the validation side of 2"):
        table_of(own_folder("mine", fill(tmp_path, "a", "b", each=1)))


def test_a_class_that_appears_after_registration_is_refused(tmp_path: Path) -> None:
    row = own_folder("mine", fill(tmp_path, "a", "b"))
    fill(tmp_path, "c")
    with pytest.raises(DatasetError, match="c is no class of mine"):
        table_of(row)


def test_a_share_of_a_split_that_is_given_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "train/a", "train/b", "test/a", "test/b")
    with pytest.raises(InvalidInput, match="has a test side; leave test= out"):
        own_folder("mine", tmp_path, test=0.3)


words = st.sampled_from(["train", "val", "test", "Valid", "a", "b", ".h", "é", "{}"]) | st.text(
    "ab.-{} \n%", min_size=1
)
parts = words.filter(lambda text: text not in (".", ".."))
trees = st.lists(st.lists(parts, max_size=3).map("/".join), max_size=6)


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, st.sampled_from(["x.png", "x.txt", ".x.png"]), st.integers())
def test_whatever_the_tree_is_only_our_errors_come_out(
    tmp_path: Path, trees: list[str], file: str, number: int
) -> None:
    root = tmp_path / f"{number}-{len(list(tmp_path.iterdir()))}"
    root.mkdir()
    for tree in trees:
        (root / tree).mkdir(parents=True, exist_ok=True)
        (root / tree / file).touch()
    try:
        table = table_of(own_folder("mine", root))
    except FmTransferError:
        return
    assert set(table.split_N.tolist()) == set(SIDES)

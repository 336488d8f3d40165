"""Labels on a scale, of which an alphabet knows nothing: grades in words, and grades in numbers as text."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.user_dataset import UserDataset, own_folder, own_table
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS

GRADES = ("No_DR", "Mild", "Moderate", "Severe", "Proliferate_DR")  # folders of a common copy of APTOS 2019


def folder_of(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "1.png").touch()
    return root


def table_of(folder: Path, *labels: str) -> Path:
    file = folder / "grades.csv"
    lines = [f"{number}.png,{label}" for number, label in enumerate(labels)]
    file.write_text("\n".join(["image,grade", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("more", ["ordered", "metric=quadratic_kappa", "metric=linear_kappa"])
@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_scale_of_words_is_stated_and_never_guessed(kind: str, more: str, tmp_path: Path) -> None:
    where = folder_of(tmp_path, *GRADES) if kind == "folder" else table_of(tmp_path, *GRADES)
    line = f"eyes={kind}:{where}{',label=grade' if kind == 'table' else ''},{more}"
    with pytest.raises(InvalidInput) as raised:
        _ = UserDataset.parse(line).row
    told = str(raised.value)
    assert "Mild < Moderate < No_DR < Proliferate_DR < Severe" in told
    stated = told.rpartition(" ")[2]
    assert stated.endswith(",classes=Mild+Moderate+No_DR+Proliferate_DR+Severe")
    assert UserDataset.parse(stated).row.classes == tuple(sorted(GRADES))
    assert UserDataset.parse(f"{line},classes={'+'.join(GRADES)}").row.classes == GRADES


def test_numbers_are_in_the_order_of_their_values(tmp_path: Path) -> None:
    assert own_folder("eyes", folder_of(tmp_path / "a", "0", "1", "10", "2"), ordered=True).classes == (
        *("0", "1", "2", "10"),
    )
    assert own_folder("eyes", folder_of(tmp_path / "b", "-1", "1.5", "0.5"), ordered=True).classes == (
        *("-1", "0.5", "1.5"),
    )
    row = own_table("eyes", table_of(tmp_path, "10", "2", "1.0", "0"), label="grade", ordered=True)
    assert row.classes == ("0", "1", "2", "10")


def test_names_that_no_line_can_hold_are_stated_in_python(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"classes=\('a\+b', 'c'\) of own_folder or own_table"):
        own_folder("eyes", folder_of(tmp_path, "a+b", "c"), ordered=True)


def test_words_that_are_no_scale_need_no_order(tmp_path: Path) -> None:
    assert own_folder("eyes", folder_of(tmp_path, *GRADES)).classes == tuple(sorted(GRADES))


def test_a_class_that_is_named_in_two_spellings_is_named_twice(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="names class 'Mild' twice"):
        own_folder("eyes", folder_of(tmp_path, "Mild", "Severe"), classes=("Mild", "mild", "Severe"))


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(-50, 2000), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_a_scale_of_numbers_rises_whatever_the_order_of_the_rows(
    tmp_path: Path, numbers: set[int], chance: random.Random
) -> None:
    labels = [str(number) if chance.random() < 0.5 else f"{number}.0" for number in numbers]
    chance.shuffle(labels)
    row = own_table("eyes", table_of(tmp_path, *labels), label="grade", ordered=True)
    assert row.classes == tuple(map(str, sorted(numbers)))

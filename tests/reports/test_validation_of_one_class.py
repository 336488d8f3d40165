"""Splits whose validation side has images of one class alone: whatever is chosen there means nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Registry
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.labels import check_validation
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS


def table_of(file: Path, lines: list[str], keys: str) -> Table:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_dataset(UserDataset.parse(f"mine=table:{file},{keys}").row, Places(store=Path("unused"))).table


def test_one_class_on_the_validation_side_is_refused_before_an_image_is_opened(tmp_path: Path) -> None:
    sides = ("train", "val", "test", "train")
    lines = ["image,y,fold", *(f"{n}.png,{'ab'[n % 4 < 2]},{sides[n % 4]}" for n in range(40))]
    with pytest.raises(DatasetError, match="the 10 validation images of mine are all of class b, and nothing can be"):
        table_of(tmp_path / "a.csv", lines, "label=y,split=fold")
    lines = ["image,a,b,fold", *(f"{n}.png,{int(n % 4 != 1)},,{sides[n % 4]}" for n in range(40))]
    with pytest.raises(DatasetError, match="the 10 validation images of mine bear no label that others of them are"):
        table_of(tmp_path / "b.csv", lines, "labels=a+b,split=fold")


def test_a_folder_whose_validation_images_are_of_one_class(tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "val/a", "test/a", "test/b"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(10):
            (tmp_path / folder / f"{number}.png").touch()
    with pytest.raises(DatasetError, match="10 validation images of mine are all of class a"):
        open_dataset(UserDataset.parse(f"mine=folder:{tmp_path}").row, Places(store=Path("unused")))


@LAWS
@given(st.lists(st.tuples(st.sampled_from([TRAIN, VALIDATION, TEST]), st.integers(0, 1)), min_size=1, max_size=12))
def test_it_is_refused_where_it_has_not_two_classes_and_nowhere_else(rows: list[tuple[str, int]]) -> None:
    spec = Registry().dataset("br35h")
    sides, labels = zip(*rows, strict=True)
    names_N = np.array([str(n) for n in range(len(rows))])
    table = Table(
        ids_N=names_N,
        labels_N=np.array(labels),
        patients_N=names_N,
        split_N=np.array(sides),
        found=len(rows),
    )
    if {label for side, label in rows if side == VALIDATION} == {0, 1}:
        check_validation(Path("here"), spec, table)
    else:
        with pytest.raises(DatasetError, match="nothing can be chosen"):
            check_validation(Path("here"), spec, table)


def test_a_label_that_nobody_knows_chooses_nothing() -> None:
    spec, names_N = Registry().dataset("chexpert"), np.array(["a", "b"])
    for labels, chosen in (([[1, 0], [1, UNKNOWN]], False), ([[1, 0], [1, 1]], True)):
        table = Table(
            ids_N=names_N,
            labels_N=np.array(labels),
            patients_N=names_N,
            split_N=np.array([VALIDATION, VALIDATION]),
            found=2,
        )
        if chosen:
            check_validation(Path("here"), spec, table)
        else:
            with pytest.raises(DatasetError, match="nothing can be chosen"):
                check_validation(Path("here"), spec, table)

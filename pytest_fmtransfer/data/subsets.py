"""Few-shot subsets of a side: k images of each class, by chance, and nested.

Each class has the images of a side in one order, which a draw and the class's name decide, and its k-shot subset is the
first k of them: the 5-shot subset lies inside the 10-shot one. The images of one patient stand apart in that order:
every patient's first image comes before anybody's second, so that no patient is in a class twice while others are not
in it once. What other classes or sides hold changes nothing.

Where an image may bear several labels, a subset is every label's first k of the images known to bear it. It holds k of
each at least, and more of those that come along with others; it is nested, and not balanced.

Legend: N images, M images of a class, by id.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from pytest_fmtransfer.data.table import TRAIN, Table
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics import images_by_class
from pytest_fmtransfer.words import counted


def few_shot(table: Table, classes: Sequence[str], k: int, *, draw: int) -> np.ndarray:
    """Row numbers of the subset of `k` images of each class, in the table's order; `draw` is which, from 0 on.

    Raises InvalidInput for k below 1, and where a class has fewer than k training images, with the most there can be.
    """
    if k < 1:
        raise InvalidInput(f"{k} images of each class are no training set; give 1 or more")
    check_shots(table, classes, k)
    return _first_of_each(table, _rows_of(table, classes, TRAIN), k, draw)


def check_shots(table: Table, classes: Sequence[str], k: int) -> None:
    """Raises InvalidInput where a class has fewer than `k` training images, with the most there can be."""
    count_of = {name: len(rows_M) for name, rows_M in _rows_of(table, classes, TRAIN).items()}
    smallest = min(count_of, key=lambda name: count_of[name])
    if (most := count_of[smallest]) < k:
        fewer = f"write fewshot<k> with k from 1 to {most}, take a profile with more images, or " if most else ""
        raise InvalidInput(
            f"class {smallest!r} has {counted(most, 'training image')}, not {k}; {fewer}leave the class out of the "
            "dataset's row"
        )


def up_to(table: Table, classes: Sequence[str], k: int, *, draw: int, side: str) -> np.ndarray:
    """The same of any side, and of a class with fewer than `k` images there all of them."""
    return _first_of_each(table, _rows_of(table, classes, side), k, draw)


def _rows_of(table: Table, classes: Sequence[str], side: str) -> dict[str, np.ndarray]:
    of_class = images_by_class(table.labels_N, classes)
    return {name: np.flatnonzero(of_class[name] & (table.split_N == side)) for name in classes}


def _first_of_each(table: Table, rows_of: Mapping[str, np.ndarray], k: int, draw: int) -> np.ndarray:
    chosen = [in_order(table, rows_M, f"few-shot draw {draw}, class {name}")[:k] for name, rows_M in rows_of.items()]
    return np.unique(np.concatenate(chosen))


def in_order(table: Table, rows_M: np.ndarray, what: str) -> np.ndarray:
    """By chance, everybody's first image before anybody's second.

    An image's place depends on ids, patients and `what`, not on row numbers; `random()` is the same in every Python.
    """
    chance = random.Random(what)
    rows_M = rows_M[np.argsort(table.ids_N[rows_M])]
    patients, patient_M = np.unique(table.patients_N[rows_M], return_inverse=True)
    key_of_patient = np.array([chance.random() for _ in patients])
    key_M = np.array([chance.random() for _ in rows_M])
    by_patient = np.lexsort((key_M, patient_M))
    _, first, counts = np.unique(patient_M[by_patient], return_index=True, return_counts=True)
    turn_M = np.empty(len(rows_M), dtype=np.int64)
    turn_M[by_patient] = np.arange(len(rows_M)) - np.repeat(first, counts)
    return rows_M[np.lexsort((key_of_patient[patient_M], turn_M))]

"""Few-shot subsets of the training side: k images of each class, by chance, and nested.

Each class has its training images in one order, which a draw and the class's name decide, and its k-shot subset is the
first k of them: the 5-shot subset lies inside the 10-shot one. The images of one patient stand apart in that order:
every patient's first image comes before anybody's second, so that no patient is in a class twice while others are not
in it once. What other classes or sides hold changes nothing.

Where an image may bear several labels, a subset is every label's first k of the images known to bear it. It holds k of
each at least, and more of those that come along with others; it is nested, and not balanced.

Legend: N images, M images of a class.
"""

import random
from collections.abc import Sequence

import numpy as np

from pytest_fmtransfer.data.table import TRAIN, Table
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics import images_by_class


def few_shot(table: Table, classes: Sequence[str], k: int, *, draw: int) -> np.ndarray:
    """Row numbers of the subset of `k` images of each class, in the table's order; `draw` is which, from 0 on.

    Raises InvalidInput for k below 1, and where a class has fewer than k training images, with the most there can be.
    """
    if k < 1:
        raise InvalidInput(f"{k} images of each class are no training set; give 1 or more")
    rows_of = {name: _training_rows(table, classes, name) for name in classes}
    smallest = min(rows_of, key=lambda name: len(rows_of[name]))
    if len(rows_of[smallest]) < k:
        raise InvalidInput(
            f"class {smallest!r} has {len(rows_of[smallest])} training images, not {k}; give k up to the images of the "
            "smallest class, or leave the class out of the dataset's row"
        )
    chosen = [_in_order(table, rows_M, f"{draw}, class {name}")[:k] for name, rows_M in rows_of.items()]
    return np.unique(np.concatenate(chosen))


def _training_rows(table: Table, classes: Sequence[str], name: str) -> np.ndarray:
    """Those of a class, or known to bear a label."""
    return np.flatnonzero(images_by_class(table.labels_N, classes)[name] & (table.split_N == TRAIN))


def _in_order(table: Table, rows_M: np.ndarray, what: str) -> np.ndarray:
    """By chance, everybody's first image before anybody's second.

    An image's place depends on ids and patients, not on row numbers; `random()` is the same in every Python.
    """
    chance = random.Random(f"few-shot draw {what}")
    patients_M: list[str] = table.patients_N[rows_M].tolist()
    ids_M: list[str] = table.ids_N[rows_M].tolist()
    key_of_patient = {patient: chance.random() for patient in sorted(set(patients_M))}
    key_of_image = {image: chance.random() for image in sorted(ids_M)}
    turn_of_patient = dict.fromkeys(key_of_patient, 0)
    places: list[tuple[int, float, int]] = []
    for _, patient, row in sorted(zip(map(key_of_image.__getitem__, ids_M), patients_M, rows_M.tolist(), strict=True)):
        places.append((turn_of_patient[patient], key_of_patient[patient], row))
        turn_of_patient[patient] += 1
    return np.array([row for *_, row in sorted(places)], dtype=np.int64)

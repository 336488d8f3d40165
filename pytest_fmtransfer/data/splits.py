"""Which side each image stands on, where its publisher does not say.

Every split is drawn with `random.Random`, whose sequence is the same in every Python, and decided in Python's own
arithmetic: it is the same on every machine and under every version of numpy and scikit-learn.

Legend: N images, C labels, G groups of images that stay together.
"""

import random
from collections import Counter
from collections.abc import Iterator

import numpy as np

from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput


def stratified_split(labels_N: np.ndarray, *, validation: float, test: float, seed: int) -> np.ndarray:
    """'train', 'validation' or 'test' for each row, in the given proportions within every class.

    `validation` and `test` are fractions of each class, rounded to whole images. `random.Random`
    shuffles, because its sequence is the same in every Python.
    """
    split_N = np.full(len(labels_N), TRAIN, dtype="<U10")
    for label in np.unique(labels_N):
        rows = np.flatnonzero(labels_N == label).tolist()
        random.Random(seed).shuffle(rows)
        held_out = round(len(rows) * test)
        split_N[rows[:held_out]] = TEST
        split_N[rows[held_out : held_out + round(len(rows) * validation)]] = VALIDATION
    return split_N


def shuffled_split(images: int, *, held_out: float, seed: int = 42) -> np.ndarray:
    """The split of Palés Huix et al. 2024 for rows in the order of their file, N.

    The row numbers are shuffled; the first `held_out` of them, rounded down, are held out. Half of those, rounded down,
    is the validation side and comes first; the rest of them is the test side.
    """
    rows = list(range(images))
    random.Random(seed).shuffle(rows)
    held = int(images * held_out)
    split_N = np.full(images, TRAIN, dtype="<U10")
    split_N[rows[: held // 2]] = VALIDATION
    split_N[rows[held // 2 : held]] = TEST
    return split_N


def grouped_split(
    labels_N: np.ndarray, patients_N: np.ndarray, *, validation: float, test: float, seed: int
) -> np.ndarray:
    """'train', 'validation' or 'test' for each row, N, no patient on two sides, in the proportions asked for.

    `labels_N` are class indices, N, or 0, 1 or `UNKNOWN` of several labels, N × C; every class, and every label's
    positives, is divided as nearly in the proportions as its patients allow. `validation` and `test` are fractions of
    the images. The order of the rows does not matter. Patients come in a shuffled order, those with most images first,
    and each goes to the side that lacks most of what it has. That is what scikit-learn's StratifiedGroupKFold aims at,
    whose folds cannot be of two sizes and have changed with its version.

    Raises InvalidInput for fractions that are negative or leave nothing to train on.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise InvalidInput(
            f"validation={validation} and test={test} are not fractions that leave images to train on; write "
            "two numbers from 0 whose sum is below 1"
        )
    shares = {TRAIN: 1 - validation - test, VALIDATION: validation, TEST: test}
    sides = [side for side, share in shares.items() if share > 0]
    names_G, group_N = np.unique(patients_N, return_inverse=True)
    counts: list[Counter[int]] = [Counter() for _ in names_G]
    for group, label in _memberships(labels_N, group_N):
        counts[group][label] += 1
    totals = Counter[int]()
    for each in counts:
        totals.update(each)
    lacks = {side: {label: shares[side] * total for label, total in totals.items()} for side in sides}
    images_G = np.bincount(group_N, minlength=len(names_G)).tolist()
    order = list(range(len(names_G)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -images_G[group])
    side_G = np.full(len(names_G), TRAIN, dtype="<U10")
    for group in order:
        # The squared distances from what is wanted, each relative to its label's images, shrink most on this side.
        weights = [(label, count, count / totals[label] ** 2) for label, count in sorted(counts[group].items())]
        gains = [sum(weight * lacks[side][label] for label, _, weight in weights) for side in sides]
        side = sides[gains.index(max(gains))]
        side_G[group] = side
        for label, count, _ in weights:
            lacks[side][label] -= count
    return side_G[group_N]


def _memberships(labels_N: np.ndarray, group_N: np.ndarray) -> Iterator[tuple[int, int]]:
    """Group and class of every image; of several labels its positives, and beside them -1, a class of every image."""
    if labels_N.ndim == 1:
        yield from zip(group_N.tolist(), labels_N.tolist(), strict=True)
        return
    yield from ((group, -1) for group in group_N.tolist())
    rows, columns = np.nonzero(labels_N == 1)
    yield from zip(group_N[rows].tolist(), columns.tolist(), strict=True)

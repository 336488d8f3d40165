"""Which side each image stands on, where its publisher does not say.

Legend: N images.
"""

import random

import numpy as np

from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION


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

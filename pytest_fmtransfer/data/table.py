"""What a dataset says of its images, one row per image.

Legend: N images, sorted by id.
"""

import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, kw_only=True)
class _Arrays:
    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    def save(self, path: Path) -> None:
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{field.name: archive[field.name] for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Scan(_Arrays):
    """Every image of a folder, before anything is left out or split.

    `ids_N` are paths below the folder, with '/'; `labels_N` are class indices; `patients_N` name the
    group that an image shares with its near relations; `digests_N` are over the files' bytes. `pictures_N`
    tell which files decode to one and the same picture: a backbone sees it once. A reader that decodes while it
    scans gives the pictures' digests, another may give the files'.
    """

    ids_N: np.ndarray
    labels_N: np.ndarray
    patients_N: np.ndarray
    digests_N: np.ndarray
    pictures_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Table(Scan):
    """The images a dataset keeps; `split_N` is 'train', 'validation' or 'test'."""

    split_N: np.ndarray

    def side(self, *names: str) -> np.ndarray:
        """Row numbers of the sides named."""
        return np.flatnonzero(np.isin(self.split_N, names))


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

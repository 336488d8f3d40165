"""What a dataset says of its images, one row per image.

Legend: N images, sorted by id; C labels.
"""

from dataclasses import dataclass, replace

import numpy as np

from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.metrics import UNKNOWN as UNKNOWN

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SIDES = (TRAIN, VALIDATION, TEST)
_COLUMNS = ("ids_N", "labels_N", "patients_N", "split_N")


@dataclass(frozen=True, kw_only=True)
class Table:
    """The images that a dataset keeps, as its reader lists them; no image is opened for it.

    `ids_N` are paths below the dataset's folder, with '/', or names of a like form where images are rows of an array.
    `labels_N` are class indices, N, or where an image may bear several labels 0, 1 or `UNKNOWN`, N × C. `patients_N`
    name the group that an image shares with its near relations; `split_N` is 'train', 'validation' or 'test'. `found`
    is how many images the folder holds, those included that are not kept; `notices` are what else its reader says.
    """

    ids_N: np.ndarray
    labels_N: np.ndarray
    patients_N: np.ndarray
    split_N: np.ndarray
    found: int
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _COLUMNS}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    def side(self, *names: str) -> np.ndarray:
        """Row numbers of the sides named."""
        return np.flatnonzero(np.isin(self.split_N, names))

    def rows(self, rows: np.ndarray) -> "Table":
        """The table of some rows, in the order given; `found` and `notices` stay."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

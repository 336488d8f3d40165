"""What every reader asks of a table that somebody wrote: paths that stay below the folder, ids once, no empty side.

Legend: N images, C labels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.columns import shown
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.data.table import SIDES, TRAIN, Table
from pytest_fmtransfer.errors import DatasetError, InvalidInput, nearest
from pytest_fmtransfer.words import counted

# What no path has that stays below a folder, in lines of one path each; beside '//' and the like, all that may
# be a drive's letter, '.' or '..'.
SUSPECT = ("\\", ":", "//", "/.", "\n/", "/\n", "\n.", "\n\n")


def check_paths(file: Path, values: Sequence[str], *, first: int = 2) -> None:
    """Raises DatasetError for texts that are not the path of a file below a folder: empty, absolute, or with '..'.

    `first` is the row of the file that holds the first of them.
    """
    lines = "\n".join(("", *values, ""))
    if "".join(values).isprintable() and not any(text in lines for text in SUSPECT):
        return  # hundreds of thousands of paths are looked at one by one only where one of them may be wrong
    outside = [number for number, value in enumerate(values, start=first) if not _below(value)]
    if outside:
        raise DatasetError(
            f"{file}: {counted(len(outside), 'path')} outside the dataset's folder, such as "
            f"{values[outside[0] - first]!r} ({shown(outside)}); write paths relative to it, with '/' and without '..'"
        )


def _below(value: str) -> bool:
    drive = value[1:2] == ":"
    return value.isprintable() and "\\" not in value and not drive and not {"", ".", ".."} & set(value.split("/"))


def option(spec: DatasetSpec, name: str, known: Sequence[str]) -> str:
    """A row's option. Raises InvalidInput for a value that the reader does not know, or for none."""
    value = spec.options.get(name, "")
    if value not in known:
        raise InvalidInput(f"option {name}={value!r} of {spec.name}; {nearest(value, known)}")
    return value


def arranged(
    where: Path,
    classes: Sequence[str],
    *,
    ids_N: np.ndarray,
    labels_N: np.ndarray,
    patients_N: np.ndarray,
    split_N: np.ndarray,
    found: int | None = None,
    notices: tuple[Notice, ...] = (),
) -> Table:
    """The table of those rows, sorted by id. `where` is the file or folder to name; `found` by default its N images.

    Raises DatasetError for an id that stands twice, with the sides it is on; for a side without images; and for
    a class of which no image, or a label of which no positive, is on the training side.
    """
    if (ids_N[:-1] >= ids_N[1:]).any():
        order = np.argsort(ids_N, kind="stable")
        ids_N, labels_N, patients_N, split_N = (column[order] for column in (ids_N, labels_N, patients_N, split_N))
        again = np.flatnonzero(ids_N[:-1] == ids_N[1:])
        if len(again):
            row = int(again[0])
            sides = " and ".join(dict.fromkeys(split_N[row : row + 2].tolist()))
            raise DatasetError(
                f"{where}: {counted(len(again), 'image')} listed more than once, such as {ids_N[row]} on side {sides}; "
                "leave each once"
            )
    sizes = {side: int((split_N == side).sum()) for side in SIDES}
    if not all(sizes.values()):
        told = ", ".join(f"{side} {size}" for side, size in sizes.items())
        raise DatasetError(f"{where}: a side of the split has no images ({told}); restore the data, or get them again")
    learnt = labels_N[split_N == TRAIN]
    counts = (learnt == 1).sum(axis=0) if labels_N.ndim == 2 else np.bincount(learnt, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]
    if absent:
        raise DatasetError(
            f"{where}: no training image is of class {', '.join(absent)}; leave the class out of the dataset's row, or "
            "get the data again"
        )
    return Table(
        ids_N=ids_N,
        labels_N=labels_N,
        patients_N=patients_N,
        split_N=split_N,
        found=len(ids_N) if found is None else found,
        notices=notices,
    )

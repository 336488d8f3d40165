"""MedMNIST v2 and +: `<name>.npz` of 28 pixels, `<name>_<size>.npz` of 64, 128 and 224, as Zenodo has them.

The files lie in the folder MedMNIST of the data root; the package medmnist writes the same ones into `~/.medmnist`, and
is not needed to read them. Each holds `train_images`, `train_labels`, `val_images`, `val_labels`, `test_images` and
`test_labels`: the official split. How to get each file, its licence, counts and labels are in `catalog/medmnist.py`.
An image's id is its side in the file's words and its row, `train/00000042`. There are no patients: every image is one.

Legend: N images, C labels.
"""

from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.array_pictures import (
    ArrayPictures,
    Rows,
    check_images,
    check_labels,
    read_sides,
    readable,
    remedy_of,
    row_ids,
)
from pytest_fmtransfer.data.npz_rows import open_npz, read_array
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table

SIDES = {"test": TEST, "train": TRAIN, "val": VALIDATION}  # sorted, as the ids are


def read(folder: Path, spec: DatasetSpec) -> Table:
    """All images, on the sides that their publisher put them.

    Raises DatasetError for a file that is damaged or has other arrays, shapes or labels than MedMNIST's, for a side
    without images, and where the row says how many images there are for a side with another number.
    """
    file = folder / spec.options["file"]
    columns = len(spec.classes) if spec.metric == "mean_roc_auc" else 1
    below = 2 if columns > 1 else len(spec.classes)

    def labels_of(side: str, count: int) -> np.ndarray:
        with readable(file, remedy_of(spec)):
            found = read_array(file, f"{side}_labels")
        return check_labels(found, where=f"{side}_labels in {file}", images=count, columns=columns, below=below)

    return read_sides(
        spec, SIDES, rows_of=lambda side: _open(file, side, spec), labels_of=labels_of, patients_of=row_ids
    )


def pictures(folder: Path, table: Table, spec: DatasetSpec) -> ArrayPictures:
    """The rows of the three arrays. Raises DatasetError for a damaged file."""
    file = folder / spec.options["file"]
    return ArrayPictures(
        ids=tuple(table.ids_N.tolist()),
        rows={side: _open(file, side, spec) for side in SIDES},
        remedy=remedy_of(spec),
    )


def _open(file: Path, side: str, spec: DatasetSpec) -> Rows:
    with readable(file, remedy_of(spec)):
        rows = open_npz(file, f"{side}_images")
    check_images(rows, channels=spec.stored_channels, side=int(spec.options["side"]))
    return rows

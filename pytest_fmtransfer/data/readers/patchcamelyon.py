"""PatchCamelyon (Veeling et al. 2018): patches of lymph nodes, with a metastasis in their middle or without.

`camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5` and `…_meta.csv` of https://zenodo.org/records/2546921, in the
folder PatchCamelyon of the data root; what is there as `.gz` is unpacked first. CC0. `x` holds images, N × 96 × 96 × 3,
`y` labels, N × 1 × 1 × 1: 262,144 for training, 32,768 each for validation and test, the official split, of which no
two sides share a slide. Column `wsi` of the meta files names the whole slide of each patch, in the order of the images,
and slides stand for patients: CAMELYON16 took one of each. An image's id is its side and its row, `train/00000042`.

Legend: N images.
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
)
from pytest_fmtransfer.data.columns import read_columns
from pytest_fmtransfer.data.hdf5_rows import open_hdf5, read_hdf5
from pytest_fmtransfer.data.identifiers import is_missing
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError

SIDES = {"test": TEST, "train": TRAIN, "valid": VALIDATION}  # sorted, as the ids are
PIXELS = 96
LARGEST_LABELS = 64 << 20  # bytes


def read(folder: Path, spec: DatasetSpec) -> Table:
    """All patches, on the sides that their publisher put them.

    Raises DatasetError for a file that is damaged or has other arrays, shapes, labels or columns than PatchCamelyon's,
    for a side without images, and where the row says how many images there are for a side with another number.
    """

    def labels_of(side: str, count: int) -> np.ndarray:
        file = _file(folder, side, "y.h5")
        with readable(file, remedy_of(spec)):
            found = read_hdf5(file, "y", largest=LARGEST_LABELS)
        return check_labels(found, where=f"y in {file}", images=count, columns=1, below=len(spec.classes))

    def slides_of(side: str, count: int) -> list[str]:
        meta = _file(folder, side, "meta.csv")
        of_slides = read_columns(meta, ["wsi"])["wsi"]
        named = len(of_slides) - sum(map(is_missing, of_slides))
        if len(of_slides) != count or named != count:
            raise DatasetError(f"{meta} names a slide for {named} of {count} images; {remedy_of(spec)}")
        return of_slides

    return read_sides(
        spec, SIDES, rows_of=lambda side: _open(folder, side, spec), labels_of=labels_of, patients_of=slides_of
    )


def pictures(folder: Path, table: Table, spec: DatasetSpec) -> ArrayPictures:
    """The rows of the three arrays. Raises DatasetError for a damaged file."""
    rows = {side: _open(folder, side, spec) for side in SIDES}
    return ArrayPictures(ids=tuple(table.ids_N.tolist()), rows=rows, remedy=remedy_of(spec))


def _open(folder: Path, side: str, spec: DatasetSpec) -> Rows:
    file = _file(folder, side, "x.h5")
    with readable(file, remedy_of(spec)):
        rows = open_hdf5(file, "x")
    check_images(rows, channels=3, side=PIXELS)
    return rows


def _file(folder: Path, side: str, end: str) -> Path:
    path = folder / f"camelyonpatch_level_2_split_{side}_{end}"
    packed = path.with_name(f"{path.name}.gz")
    if not path.is_file() and packed.is_file():
        raise DatasetError(f"{packed} is packed; unpack it: gunzip {packed}")
    return path

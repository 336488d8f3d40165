"""Datasets of made pictures, put together by hand: the folder, the labels, the patients and the split of each image.

Legend: N images, H and W pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.contents import Contents
from pytest_fmtransfer.data.dataset import Dataset, pictures_of
from pytest_fmtransfer.data.table import TRAIN, Table
from pytest_fmtransfer.store import fingerprint
from tests.pictures import save


@dataclass(frozen=True)
class Row:
    """One image of a table; without a patient it is a patient of its own."""

    name: str
    side: str = TRAIN
    label: int = 0
    patient: str = ""


def table_of(rows: Iterable[Row]) -> Table:
    rows = list(rows)
    return Table(
        ids_N=np.array([row.name for row in rows]),
        labels_N=np.array([row.label for row in rows], dtype=np.int64),
        patients_N=np.array([row.patient or row.name for row in rows]),
        split_N=np.array([row.side for row in rows]),
        found=len(rows),
    )


def dataset_of(folder: Path, pictures: dict[Row, np.ndarray]) -> Dataset:
    """Pictures written into a folder, and their table. Files that exist stay as they are."""
    for row, pixels_HW in pictures.items():
        if not (folder / row.name).exists():
            save(pixels_HW, folder / row.name)
    spec = replace(Registry().dataset("br35h"), name="made", acknowledged={})
    table = table_of(pictures)
    contents = [(folder / row.name).read_bytes().hex() for row in pictures]
    columns = (table.labels_N.tolist(), table.patients_N.tolist(), table.split_N.tolist())
    names_N = table.ids_N
    return Dataset(
        spec=spec,
        folder=folder,
        table=table,
        pictures=pictures_of(spec, folder, table),
        contents=Contents(digests_N=names_N, pictures_N=names_N),
        fingerprint=fingerprint(contents, columns),
    )

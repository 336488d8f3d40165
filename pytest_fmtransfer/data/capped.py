"""A dataset of which a profile uses some images only: at most so many of each side.

Which ones follows from ids, labels and patients alone. Classes keep their shares, because a metric such as kappa
moves with them; but of a class that would be left with fewer than `FEWEST` images so many are kept as there are, up to
that.

Legend: N images of a dataset, M of a side.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pytest_fmtransfer.catalog.regime_specs import Caps
from pytest_fmtransfer.data.contents import Contents
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.pictures import SomePictures
from pytest_fmtransfer.data.subsets import in_order
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.metrics import images_by_class
from pytest_fmtransfer.store import fingerprint

FEWEST = 20  # test patients without whom a class cannot carry a verdict


def capped(dataset: Dataset, caps: Caps | None) -> Dataset:
    """The dataset with at most so many images of each side; the dataset itself where it has no more."""
    if caps is None:
        return dataset
    table = dataset.table
    most = {TRAIN: caps.train, VALIDATION: caps.validation, TEST: caps.test}
    kept = {side: _some(table, dataset.spec.classes, table.side(side), cap) for side, cap in most.items()}
    rows_N = np.sort(np.concatenate([*kept.values()]))
    if len(rows_N) == len(table.ids_N):
        return dataset
    return replace(
        dataset,
        table=table.rows(rows_N),
        pictures=SomePictures(pictures=dataset.pictures, rows=tuple(rows_N.tolist())),
        contents=Contents(digests_N=dataset.contents.digests_N[rows_N], pictures_N=dataset.contents.pictures_N[rows_N]),
        fingerprint=fingerprint(dataset.fingerprint, "capped", table.ids_N[rows_N].tolist()),
        used={
            side: (len(rows_M), len(table.side(side)))
            for side, rows_M in kept.items()
            if len(rows_M) < len(table.side(side))
        },
    )


def _some(table: Table, classes: Sequence[str], rows_M: np.ndarray, cap: int) -> np.ndarray:
    """Up to `cap` of the rows; where an image may bear several labels, whichever chance takes."""
    if len(rows_M) <= cap:
        return rows_M
    if table.labels_N.ndim > 1:
        return in_order(table, rows_M, "capped")[:cap]
    of_class = images_by_class(table.labels_N, classes)
    queues = {name: in_order(table, rows_M[of_class[name][rows_M]], f"capped, class {name}") for name in classes}
    sizes = {name: len(queue) for name, queue in queues.items() if len(queue)}
    shares = {name: max(cap * size // len(rows_M), min(size, FEWEST)) for name, size in sizes.items()}
    while sum(shares.values()) > cap:  # what rare classes were given is taken from the largest
        largest = max(shares, key=lambda name: shares[name])
        shares[largest] -= 1
    return np.concatenate([queues[name][:share] for name, share in shares.items()])

"""A dataset's test side as a result holds it: named by pseudonyms and in their order.

Legend: T test images.
"""

from dataclasses import dataclass

import numpy as np

from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.table import TEST
from pytest_fmtransfer.pseudonyms import images_called, patients_called


@dataclass(frozen=True, kw_only=True)
class NamedSide:
    """`order_T` puts what follows the rows of `Table.side(TEST)` in the order of `images_T`; the others are in it.

    `ids_T` are the dataset's own, which stay here.
    """

    order_T: np.ndarray
    ids_T: np.ndarray
    images_T: np.ndarray
    patients_T: np.ndarray
    labels_T: np.ndarray

    @property
    def ids(self) -> dict[str, str]:
        """The dataset's own ids by pseudonym."""
        return dict(zip(self.images_T.tolist(), self.ids_T.tolist(), strict=True))

    def matches(self, images_T: np.ndarray, patients_T: np.ndarray, labels_T: np.ndarray) -> bool:
        """Whether a result of these is of this test side."""
        pairs = ((self.images_T, images_T), (self.patients_T, patients_T), (self.labels_T, labels_T))
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def named_test_side(dataset: Dataset) -> NamedSide:
    """The test side of a dataset."""
    rows_T, table = dataset.table.side(TEST), dataset.table
    images_T = images_called(dataset.spec.name, table.ids_N[rows_T], dataset.contents.digests_N[rows_T])
    order_T = np.argsort(images_T)
    rows_T, images_T = rows_T[order_T], images_T[order_T]
    return NamedSide(
        order_T=order_T,
        ids_T=table.ids_N[rows_T],
        images_T=images_T,
        patients_T=patients_called(images_T, table.patients_N[rows_T]),
        labels_T=table.labels_N[rows_T],
    )

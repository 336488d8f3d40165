"""Which images of a dataset are one picture, as groups: what a person goes through who cleans it.

Legend: N images, K contents, P pairs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pytest_fmtransfer.data.copies import Copy
from pytest_fmtransfer.data.table import UNKNOWN, Table


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """An image that has a copy: its row in the table, its group from 1 on, and whether it has an exact copy there."""

    group: int
    kind: Literal["exact", "near"]
    row: int


def groups_of(contents_N: np.ndarray, near: list[Copy]) -> tuple[Grouped, ...]:
    """The groups that exact and near copies make together, in the order of their first images.

    An image that is near to one of a group belongs to it; of near copies the audit finds at least one for each image
    that has any, so that a large group may come in parts.
    """
    _, content_N, images_K = np.unique(contents_N, return_inverse=True, return_counts=True)
    pairs_P2 = np.array([(copy.first, copy.second) for copy in near], dtype=np.int64).reshape(-1, 2)
    linked = (np.ones(len(pairs_P2), dtype=bool), (content_N[pairs_P2[:, 0]], content_N[pairs_P2[:, 1]]))
    _, part_K = connected_components(coo_array(linked, shape=(len(images_K), len(images_K))), directed=False)
    part_N = part_K[content_N]
    sizes = np.bincount(part_N)
    numbers: dict[int, int] = {}
    found = [
        Grouped(
            group=numbers.setdefault(int(part), len(numbers) + 1),
            kind="exact" if images_K[content_N[row]] > 1 else "near",
            row=row,
        )
        for row, part in enumerate(part_N.tolist())
        if sizes[part] > 1
    ]
    return tuple(sorted(found, key=lambda each: (each.group, each.row)))


def labels_of(table: Table, classes: tuple[str, ...], row: int) -> str:
    """The class of an image; where it may bear several labels, those it bears, and those of which nobody knows."""
    if table.labels_N.ndim == 1:
        return classes[int(table.labels_N[row])]
    labels_C = table.labels_N[row]
    told = {1: "{}", UNKNOWN: "unknown: {}"}
    return "; ".join(told[int(label)].format(name) for name, label in zip(classes, labels_C, strict=True) if label != 0)

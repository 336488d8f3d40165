"""Two images that are one picture, and which such pairs matter.

Three kinds do: a copy on the same side of the split, on another side, and under another label. Whoever looks for
copies finds at least one of each kind for every image that has one, and need not list all pairs: a thousand blank
images are half a million.

Legend: N images, R kinds of pair.
"""

from dataclasses import dataclass

import numpy as np

from pytest_fmtransfer.data.table import Table

KINDS = 3


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Two rows of a table, `first` < `second`.

    `orientation` is how the second must be laid over the first, and `likeness` how alike they are then, at most 1;
    it is 1 exactly for equal pixels.
    """

    first: int
    second: int
    orientation: str
    likeness: float


def kinds(table: Table, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether images are on the same side, on different sides, under different labels: R × the common shape."""
    elsewhere = table.split_N[rows] != table.split_N[others]
    return np.stack([~elsewhere, elsewhere, table.labels_N[rows] != table.labels_N[others]])


def exact_copies(contents_N: np.ndarray, table: Table) -> list[Copy]:
    """Copies pixel by pixel; `contents_N` are equal where pictures are."""
    pairs: set[tuple[int, int]] = set()
    order_N = np.argsort(contents_N, kind="stable")
    for members in np.split(order_N, np.flatnonzero(np.diff(contents_N[order_N])) + 1):
        if len(members) == 1:
            continue
        # Two of each side and label are partners enough for everyone.
        strata: dict[tuple[str, int], list[int]] = {}
        for row in members.tolist():
            strata.setdefault((str(table.split_N[row]), int(table.labels_N[row])), []).append(row)
        partners = np.array([row for rows in strata.values() for row in rows[:2]])
        for row in members.tolist():
            others = partners[partners != row]
            for of_kind in kinds(table, np.array(row), others):
                pairs |= {(min(row, other), max(row, other)) for other in others[of_kind][:1].tolist()}
    return [Copy(first=a, second=b, orientation="as it is", likeness=1.0) for a, b in sorted(pairs)]

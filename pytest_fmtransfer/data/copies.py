"""Two images that are one picture, and which such pairs matter.

Three kinds do: a copy on the same side of the split, on another side, and under another label. Whoever looks for
copies finds at least one of each kind for every image that has one, and need not list all pairs: a thousand blank
images are half a million.

Where an image may bear several labels, two images are under different labels where one is known to bear one that the
other is known not to. What nobody knows of one of them contradicts nothing: neither is learnt nor tested as the
opposite of the other.

Legend: N images, R kinds of pair, C labels.
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
    return np.stack([np.logical_not(elsewhere), elsewhere, contradict(table, rows, others)])


def contradict(table: Table, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether images are under different labels, of the common shape of `rows` and `others`."""
    if table.labels_N.ndim == 1:
        return np.asarray(table.labels_N[rows] != table.labels_N[others])
    at_odds = np.zeros(np.broadcast_shapes(rows.shape, others.shape), dtype=bool)
    for label_N in table.labels_N.T:  # one at a time: of all pairs of some rows there are many
        bears_N, lacks_N = label_N == 1, label_N == 0
        at_odds |= bears_N[rows] & lacks_N[others]
        at_odds |= lacks_N[rows] & bears_N[others]
    return at_odds


def exact_copies(contents_N: np.ndarray, table: Table) -> list[Copy]:
    """Copies pixel by pixel; `contents_N` are equal where pictures are."""
    pairs: set[tuple[int, int]] = set()
    order_N = np.argsort(contents_N, kind="stable")
    for members in np.split(order_N, np.flatnonzero(np.diff(contents_N[order_N])) + 1):
        if len(members) == 1:
            continue
        # Two of each side and label, or row of labels, are partners enough for everyone.
        strata: dict[tuple[str, bytes], list[int]] = {}
        for row in members.tolist():
            strata.setdefault((str(table.split_N[row]), table.labels_N[row].tobytes()), []).append(row)
        partners = np.array([row for rows in strata.values() for row in rows[:2]])
        for row in members.tolist():
            others = partners[partners != row]
            for of_kind in kinds(table, np.array(row), others):
                pairs |= {(min(row, other), max(row, other)) for other in others[of_kind][:1].tolist()}
    return [Copy(first=a, second=b, orientation="as it is", likeness=1.0) for a, b in sorted(pairs)]

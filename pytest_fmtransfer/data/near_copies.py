"""Which images are one picture: mirrored, turned, recompressed, resized, brightened or a little cropped.

First every image meets every other in all eight orientations, on small maps, as matrix products of some rows at a
time; the most alike of each kind of pair are candidates. Then each candidate is laid over the image. Work grows
with N² in the first step and with N in the second; memory grows with N.

Legend: N images, B images of a block, R kinds of pair, C candidates of an image, K pairs, J sizes, V views, D numbers
of a coarse map.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.data.copies import KINDS, Copy, kinds
from pytest_fmtransfer.data.descriptors import Descriptors
from pytest_fmtransfer.data.likeness import BATCH, CANDIDATE, ORIENTATIONS, all_orientations, likeness
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.progress import progress

CANDIDATES = 8  # of each image and kind of pair
_BLOCK = 1 << 24  # correlations held at once: 64 MiB


def near_copies(described: Descriptors, table: Table, same_JV: np.ndarray, candidates: int = CANDIDATES) -> list[Copy]:
    """Pairs that are one picture, though not pixel by pixel; `same_JV` are the `limits` of the dataset."""
    images, candidates_NRC = len(table.ids_N), _candidates(described, table, candidates)
    open_NR = np.ones((images, KINDS), dtype=bool)
    seen_K = np.zeros(0, dtype=np.int64)
    found: list[Copy] = []
    for rank in range(candidates):
        # Once an image has a copy of a kind, its other candidates of that kind need not be looked at.
        rows_K, kinds_K = np.nonzero(open_NR & (candidates_NRC[:, :, rank] >= 0))
        others_K = candidates_NRC[rows_K, kinds_K, rank]
        pairs_K = np.setdiff1d(np.minimum(rows_K, others_K) * images + np.maximum(rows_K, others_K), seen_K)
        seen_K = np.union1d(seen_K, pairs_K)
        for copy in _confirmed(described, same_JV, *np.divmod(pairs_K, images), f"round {rank + 1} of {candidates}"):
            found.append(copy)
            both = np.array([copy.first, copy.second])
            open_NR[both] &= ~kinds(table, both, both[::-1]).T
    return sorted(found, key=lambda copy: (copy.first, copy.second))


def _candidates(described: Descriptors, table: Table, candidates: int) -> np.ndarray:
    """Rows of the images most alike to each, by kind of pair, the most alike first; -1 where there are fewer.

    Pairs of equal pixels are left out.
    """
    images = len(table.ids_N)
    chosen_NRC = np.full((images, KINDS, candidates), -1, dtype=np.int64)
    block = max(1, min(1024, _BLOCK // images))
    with threadpool_limits(cores()), progress("audit: compare", total=images, unit="image") as bar:
        for start in range(0, images, block):
            rows_B = np.arange(start, min(start + block, images))
            alike_BN = np.full((len(rows_B), images), -1, dtype=np.float32)
            for of_view_ND in described.coarse_VND:
                for turned_BD in all_orientations(of_view_ND[rows_B]):
                    np.maximum(alike_BN, turned_BD @ of_view_ND.T, out=alike_BN)
            alike_BN[described.contents_N[rows_B, None] == described.contents_N] = -1
            for kind, of_kind_BN in enumerate(kinds(table, rows_B[:, None], np.arange(images))):
                chosen_NRC[rows_B, kind] = _most_alike(np.where(of_kind_BN, alike_BN, -1), candidates)
            bar.update(len(rows_B))
    return chosen_NRC


def _most_alike(alike_BN: np.ndarray, candidates: int) -> np.ndarray:
    """Columns of the largest values of each row, B × C, of those above `CANDIDATE`."""
    taken = min(candidates, alike_BN.shape[1])
    columns_BC = np.argpartition(-alike_BN, taken - 1, axis=1)[:, :taken]
    values_BC = np.take_along_axis(alike_BN, columns_BC, axis=1)
    columns_BC = np.where(values_BC > CANDIDATE, columns_BC, -1)
    columns_BC = np.take_along_axis(columns_BC, np.argsort(-values_BC, axis=1, kind="stable"), axis=1)
    return np.pad(columns_BC, ((0, 0), (0, candidates - taken)), constant_values=-1)


def _confirmed(
    described: Descriptors, same_JV: np.ndarray, first_K: np.ndarray, second_K: np.ndarray, told: str
) -> Iterator[Copy]:
    """The copies among pairs of rows: those that are one picture at one of the sizes in one of the views."""

    def judge(start: int) -> list[Copy]:
        first, second = first_K[start : start + BATCH], second_K[start : start + BATCH]
        likeness_KJV, orientation_KV = likeness(described, first, second)
        copies: list[Copy] = []
        for at in np.flatnonzero((likeness_KJV >= same_JV).any(axis=(1, 2))):
            size, view = np.unravel_index((likeness_KJV[at] - same_JV).argmax(), same_JV.shape)
            copies.append(
                Copy(
                    first=int(first[at]),
                    second=int(second[at]),
                    orientation=ORIENTATIONS[orientation_KV[at, view]],
                    likeness=min(round(float(likeness_KJV[at, size, view]), 3), 0.999),
                )
            )
        return copies

    with (
        threadpool_limits(1),
        ThreadPoolExecutor(cores()) as pool,
        progress(f"audit: confirm, {told}", total=len(first_K), unit="pair") as bar,
    ):
        for start, copies in zip(starts := range(0, len(first_K), BATCH), pool.map(judge, starts), strict=True):
            yield from copies
            bar.update(min(BATCH, len(first_K) - start))

"""Which images are one picture: mirrored, turned, recompressed, resized, brightened or a little cropped.

1. Coarse: every image against every other in all eight orientations, as matrix products of some rows at a time.
   The most alike of each kind of pair are candidates.
2. Fine: a candidate is laid over the image at 32 pixels a side, then at 64, and judged at 128.

Work grows with N² in the first stage and with N in the second; memory grows with N. What the constants miss and
what they let through is measured in docs/audit.md.

Legend: N images, V views, D numbers of a coarse map, S the square side in pixels, B images of a block, R kinds of
pair, C candidates of an image, K pairs, G orientations, P the numbers of a placement.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.data.alignment import align, in_place, likeness
from pytest_fmtransfer.data.copies import KINDS, ORIENTATIONS, Copy, kinds
from pytest_fmtransfer.data.decoding import cores
from pytest_fmtransfer.data.descriptors import COARSE, FINE, FIRST, SECOND, Descriptors
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.progress import progress

CANDIDATE = 0.62  # correlation of coarse maps above which a pair is looked at
CANDIDATES = 8  # looked at, of each image and kind of pair
PLAUSIBLE = 0.80  # likeness at 32 pixels, aligned, above which a pair is looked at more closely
SAME = 0.72  # likeness at 128 pixels, aligned, from which two images are one picture

_BLOCK = 1 << 24  # correlations held at once: 64 MiB
_BATCH = 64  # pairs laid over each other at once: larger batches fall out of the cache


def near_copies(described: Descriptors, table: Table) -> list[Copy]:
    """Pairs that are one picture, though not pixel by pixel."""
    images, candidates_NRC = len(table.ids_N), _candidates(described, table)
    open_NR = np.ones((images, KINDS), dtype=bool)
    seen_K = np.zeros(0, dtype=np.int64)
    found: list[Copy] = []
    for rank in range(CANDIDATES):
        # Once an image has a copy of a kind, its other candidates of that kind need not be looked at.
        rows_K, kinds_K = np.nonzero(open_NR & (candidates_NRC[:, :, rank] >= 0))
        others_K = candidates_NRC[rows_K, kinds_K, rank]
        pairs_K = np.setdiff1d(np.minimum(rows_K, others_K) * images + np.maximum(rows_K, others_K), seen_K)
        seen_K = np.union1d(seen_K, pairs_K)
        for copy in _confirmed(described, *np.divmod(pairs_K, images), f"round {rank + 1} of {CANDIDATES}"):
            found.append(copy)
            both = np.array([copy.first, copy.second])
            open_NR[both] &= ~kinds(table, both, both[::-1]).T
    return sorted(found, key=lambda copy: (copy.first, copy.second))


def _candidates(described: Descriptors, table: Table) -> np.ndarray:
    """Rows of the images most alike to each, by kind of pair, the most alike first; -1 where there are fewer.

    Pairs of equal pixels are left out.
    """
    images = len(table.ids_N)
    chosen_NRC = np.full((images, KINDS, CANDIDATES), -1, dtype=np.int64)
    block = max(1, min(1024, _BLOCK // images))
    with threadpool_limits(cores()), progress("audit: compare", total=images, unit="image") as bar:
        for start in range(0, images, block):
            rows_B = np.arange(start, min(start + block, images))
            alike_BN = np.full((len(rows_B), images), -1, dtype=np.float32)
            for of_view_ND in described.coarse_VND:
                for turned_BD in _all_orientations(of_view_ND[rows_B]):
                    np.maximum(alike_BN, turned_BD @ of_view_ND.T, out=alike_BN)
            alike_BN[described.contents_N[rows_B, None] == described.contents_N] = -1
            for kind, of_kind_BN in enumerate(kinds(table, rows_B[:, None], np.arange(images))):
                chosen_NRC[rows_B, kind] = _most_alike(np.where(of_kind_BN, alike_BN, -1))
            bar.update(len(rows_B))
    return chosen_NRC


def _most_alike(alike_BN: np.ndarray) -> np.ndarray:
    """Columns of the largest values of each row, B × C, of those above `CANDIDATE`."""
    taken = min(CANDIDATES, alike_BN.shape[1])
    columns_BC = np.argpartition(-alike_BN, taken - 1, axis=1)[:, :taken]
    values_BC = np.take_along_axis(alike_BN, columns_BC, axis=1)
    columns_BC = np.where(values_BC > CANDIDATE, columns_BC, -1)
    columns_BC = np.take_along_axis(columns_BC, np.argsort(-values_BC, axis=1, kind="stable"), axis=1)
    return np.pad(columns_BC, ((0, 0), (0, CANDIDATES - taken)), constant_values=-1)


def _confirmed(described: Descriptors, first_K: np.ndarray, second_K: np.ndarray, told: str) -> Iterator[Copy]:
    """The copies among pairs of rows."""

    def judge(start: int) -> list[Copy]:
        first, second = first_K[start : start + _BATCH], second_K[start : start + _BATCH]
        view_K, orientation_K = _best_variant(described, first, second)
        likeness_K = _likeness(described, first, second, view_K, orientation_K)
        return [
            Copy(
                first=int(first[at]),
                second=int(second[at]),
                orientation=ORIENTATIONS[orientation_K[at]],
                likeness=min(round(float(likeness_K[at]), 3), 0.999),
            )
            for at in np.flatnonzero(likeness_K >= SAME)
        ]

    with (
        threadpool_limits(1),
        ThreadPoolExecutor(cores()) as pool,
        progress(f"audit: confirm, {told}", total=len(first_K), unit="pair") as bar,
    ):
        for start, copies in zip(starts := range(0, len(first_K), _BATCH), pool.map(judge, starts), strict=True):
            yield from copies
            bar.update(min(_BATCH, len(first_K) - start))


def _best_variant(described: Descriptors, first_K: np.ndarray, second_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The view, and the orientation of the second image, in which two coarse maps are most alike."""
    alike_VGK = np.array(
        [
            [(of_view_ND[first_K] * turned_KD).sum(axis=1) for turned_KD in _all_orientations(of_view_ND[second_K])]
            for of_view_ND in described.coarse_VND
        ]
    )
    return np.divmod(alike_VGK.reshape(-1, len(first_K)).argmax(axis=0), len(ORIENTATIONS))


def _likeness(
    described: Descriptors, first_K: np.ndarray, second_K: np.ndarray, view_K: np.ndarray, orientation_K: np.ndarray
) -> np.ndarray:
    """Likeness of each pair at the finest size, -1 for those that a smaller one ruled out."""

    def maps(side: int, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        of_side_VNSS = described.maps[side]
        still_KSS = of_side_VNSS[view_K[chosen], first_K[chosen]]
        moved_KSS = of_side_VNSS[view_K[chosen], second_K[chosen]]
        turned_KSS = np.stack([_oriented(moved_KSS[at], orientation_K[k]) for at, k in enumerate(chosen)])
        return still_KSS.astype(np.float32), turned_KSS.astype(np.float32)

    likeness_K = np.full(len(first_K), -1.0)
    smallest = maps(FIRST, np.arange(len(first_K)))
    placed_KP = align(*smallest, in_place(len(first_K)), iterations=5)
    plausible = np.flatnonzero(likeness(*smallest, placed_KP) >= PLAUSIBLE)
    if len(plausible):
        placed_KP = align(*maps(SECOND, plausible), placed_KP[plausible], iterations=4)
        likeness_K[plausible] = likeness(*maps(FINE, plausible), placed_KP)
    return likeness_K


def _all_orientations(coarse_BD: np.ndarray) -> Iterator[np.ndarray]:
    """Coarse maps, turned and mirrored in every way, in the order of `ORIENTATIONS`."""
    maps_BSS = coarse_BD.reshape(-1, COARSE, COARSE)
    for orientation in range(len(ORIENTATIONS)):
        yield _oriented(maps_BSS, orientation).reshape(coarse_BD.shape)


def _oriented(maps_SS: np.ndarray, orientation: int) -> np.ndarray:
    """Square maps, on the last two axes, laid in one of the `ORIENTATIONS`."""
    mirrored, quarters = divmod(int(orientation), 4)
    return np.rot90(maps_SS[..., ::-1] if mirrored else maps_SS, quarters, axes=(-2, -1))

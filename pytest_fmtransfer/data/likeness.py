"""How alike two images are when one is laid over the other, and from where on they are one picture.

Laid over at 32 pixels a side, then at 64, and judged at 128, where scans of two heads differ, and at 64, where small
pictures still have structure. Each size has one limit for every dataset, and a higher one where pictures resemble
one another anyway: those of one eye camera share the rim of the lens, and little else need be alike. How alike
pictures of a dataset are is seen on pairs drawn by chance.

Legend: N images, V views, J sizes at which is judged, D numbers of a coarse map, S the square side in pixels,
K pairs, T pairs in a view, G orientations, P the numbers of a placement.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.data.alignment import align, correlation, in_place
from pytest_fmtransfer.data.descriptors import COARSE, FINE, FIRST, SECOND, Descriptors
from pytest_fmtransfer.limits import cores

CANDIDATE = 0.62  # correlation of coarse maps above which a pair is laid over
PLAUSIBLE = 0.80  # correlation at 32 pixels, aligned, above which it is aligned more closely
SAME = {FINE: 0.72, SECOND: 0.95}  # correlation from which two images are one picture, by size
BATCH = 64  # pairs laid over each other at once: larger batches fall out of the cache
_DEVIATIONS = 5  # above the likeness of pairs drawn by chance: one in three million, were they normal
_CHANCE_PAIRS, _FEWEST_PAIRS = 300, 20  # drawn, of which no picture meets itself; fewer than 20 say nothing

ORIENTATIONS = (
    "as it is",
    "turned by 90°",
    "turned by 180°",
    "turned by 270°",
    "mirrored",
    "mirrored, then turned by 90°",
    "upside down",
    "mirrored, then turned by 270°",
)


def likeness(
    described: Descriptors, first_K: np.ndarray, second_K: np.ndarray, *, every_pair: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of each pair at each size in each view, K × J × V, and how the second image is turned, K × V.

    It is turned as the coarse maps are most alike. Pairs that a smaller size rules out have -1, unless `every_pair`
    is asked for.
    """
    coarse_VND = described.coarse_VND
    alike_GKV = np.array(
        [
            np.einsum("vkd,vkd->kv", coarse_VND[:, first_K], turned_VKD)
            for turned_VKD in all_orientations(coarse_VND[:, second_K])
        ]
    )
    orientation_KV = alike_GKV.argmax(axis=0)
    likeness_KJV = np.full((len(first_K), len(SAME), len(coarse_VND)), -1.0)
    pair_T, view_T = np.nonzero((alike_GKV.max(axis=0) > CANDIDATE) | every_pair)

    def maps(side: int, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        of_side_VNSS, pairs, views = described.maps[side], pair_T[chosen], view_T[chosen]
        moved_TSS = of_side_VNSS[views, second_K[pairs]].astype(np.float32)
        for orientation in range(len(ORIENTATIONS)):
            so_turned = orientation_KV[pairs, views] == orientation
            moved_TSS[so_turned] = oriented(moved_TSS[so_turned], orientation)
        return of_side_VNSS[views, first_K[pairs]].astype(np.float32), moved_TSS

    smallest = maps(FIRST, np.arange(len(pair_T)))
    placed_TP = align(*smallest, in_place(len(pair_T)), iterations=5)
    close = np.flatnonzero((correlation(*smallest, placed_TP) >= PLAUSIBLE) | every_pair)
    placed_TP = align(*maps(SECOND, close), placed_TP[close], iterations=4)
    for at, side in enumerate(SAME):
        likeness_KJV[pair_T[close], at, view_T[close]] = correlation(*maps(side, close), placed_TP)
    return likeness_KJV, orientation_KV


def limits(described: Descriptors) -> np.ndarray:
    """The correlation from which two images of this dataset are one picture, by size and view, J × V."""
    floors_J1, images = np.array(list(SAME.values()))[:, None], len(described.contents_N)
    drawn_K2 = np.sort(np.random.default_rng(0).integers(0, images, (_CHANCE_PAIRS, 2)), axis=1)
    first_K, second_K = np.unique(drawn_K2[np.ptp(described.contents_N[drawn_K2], axis=1) > 0], axis=0).T
    if len(first_K) < _FEWEST_PAIRS:
        return np.broadcast_to(floors_J1, (len(SAME), len(described.coarse_VND)))

    def of_batch(start: int) -> np.ndarray:
        batch = slice(start, start + BATCH)
        return likeness(described, first_K[batch], second_K[batch], every_pair=True)[0]

    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        likeness_KJV = np.concatenate(list(pool.map(of_batch, range(0, len(first_K), BATCH))))
    # Fisher's z, and median and quartiles, which the copies that chance has paired do not move.
    z_KJV = np.arctanh(np.clip(likeness_KJV, -0.999, 0.999))
    lower_JV, middle_JV, upper_JV = np.quantile(z_KJV, [0.25, 0.5, 0.75], axis=0)
    return np.maximum(floors_J1, np.tanh(middle_JV + _DEVIATIONS * (upper_JV - lower_JV) / 1.349))


def all_orientations(coarse_D: np.ndarray) -> Iterator[np.ndarray]:
    """Coarse maps, on the last axis, turned and mirrored in every way, in the order of `ORIENTATIONS`."""
    maps_SS = coarse_D.reshape(*coarse_D.shape[:-1], COARSE, COARSE)
    for orientation in range(len(ORIENTATIONS)):
        yield oriented(maps_SS, orientation).reshape(coarse_D.shape)


def oriented(maps_SS: np.ndarray, orientation: int) -> np.ndarray:
    """Square maps, on the last two axes, in one of the `ORIENTATIONS`."""
    mirrored, quarters = divmod(orientation, 4)
    return np.rot90(maps_SS[..., ::-1] if mirrored else maps_SS, quarters, axes=(-2, -1))

"""Lay one picture over another, and say how alike their fine structure is.

Pictures are compared as maps of local contrast: a band of spatial frequencies, divided by its own local strength.
Brightness, contrast and shading drop out; edges and texture stay, and these are what two pictures of one scan
share and two scans do not. A crop of one picture is laid over the other by a shift and a stretch of its rows and
of its columns, found by the inverse compositional method (Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV
2004), with what hangs over the edge left out.

Legend: K pairs, S the square side in pixels, P the numbers of a placement: shift and stretch of the rows, then of
the columns. Coordinates run from -1 to 1 over a side, so that a placement holds for maps of every size.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

WEAKEST = 4.0  # grey levels of local contrast that count half: below it is noise of compression
_STEP = 0.05  # most that one iteration may move, so that a bad start cannot throw a picture off
_SHIFT, _STRETCH = 0.15, (0.85, 1.18)  # a mild crop; further out nothing is mild any more
_DAMPING = 1e-3


def local_contrast(pixels_SS: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Structure between the scales `fine` and `coarse` (standard deviations of Gaussians in pixels), float32.

    About ±1 wherever there is structure, however faint, and near 0 where there is none. Of one picture, or of
    several along leading axes.
    """

    def blurred(sigma: float) -> np.ndarray:
        return gaussian_filter(pixels_SS, sigma, output=np.float32, mode="nearest", truncate=3, axes=(-2, -1))

    band_SS = blurred(fine) - blurred(coarse)
    power_SS = uniform_filter(band_SS**2, round(8 * coarse), mode="nearest", axes=(-2, -1))
    return band_SS / (np.sqrt(np.maximum(power_SS, 0)) + WEAKEST)


def in_place(pairs: int) -> np.ndarray:
    """The placements that move nothing, K × P."""
    return np.tile(np.array([0, 1, 0, 1], dtype=np.float32), (pairs, 1))


def align(still_KSS: np.ndarray, moved_KSS: np.ndarray, placed_KP: np.ndarray, iterations: int) -> np.ndarray:
    """Placements of `moved` over `still`, better than those given, K × P."""
    side = still_KSS.shape[1]
    c_S = _coordinates(side)
    rows_KSS, columns_KSS = (np.gradient(still_KSS, axis=axis) * (side / 2) for axis in (1, 2))
    slopes_KPSS = np.stack([rows_KSS, rows_KSS * c_S[:, None], columns_KSS, columns_KSS * c_S], axis=1)
    slopes_KPX = slopes_KPSS.reshape(len(still_KSS), 4, side * side)
    for _ in range(iterations):
        within_KSS = _within(placed_KP, side)
        here_KSS = _centred(still_KSS, within_KSS)
        there_KSS = _centred(_laid_over(moved_KSS, placed_KP), within_KSS)
        there_KSS *= (_norm(here_KSS) / np.maximum(_norm(there_KSS), 1e-6))[:, None, None]
        seen_KPX = slopes_KPX * within_KSS.reshape(len(still_KSS), 1, side * side)
        hessian_KPP = seen_KPX @ slopes_KPX.transpose(0, 2, 1)
        strength_K = np.trace(hessian_KPP, axis1=1, axis2=2) / 4
        hessian_KPP += np.eye(4, dtype=np.float32) * (_DAMPING * strength_K + 1e-9)[:, None, None]
        wrong_KX1 = (there_KSS - here_KSS).reshape(len(still_KSS), side * side, 1)
        step_KP = np.clip(np.linalg.solve(hessian_KPP, seen_KPX @ wrong_KX1)[:, :, 0], -_STEP, _STEP)
        # The step is of the still picture: its inverse goes before the placement so far.
        shift_K2, stretch_K2 = placed_KP[:, 0::2], placed_KP[:, 1::2] / (1 + step_KP[:, 1::2])
        placed_KP = np.empty_like(placed_KP)
        placed_KP[:, 0::2] = np.clip(shift_K2 - stretch_K2 * step_KP[:, 0::2], -_SHIFT, _SHIFT)
        placed_KP[:, 1::2] = np.clip(stretch_K2, *_STRETCH)
    return placed_KP


def correlation(still_KSS: np.ndarray, moved_KSS: np.ndarray, placed_KP: np.ndarray) -> np.ndarray:
    """Correlation of the maps where both have pixels, -1 to 1, one per pair; 0 where one of them is blank."""
    within_KSS = _within(placed_KP, still_KSS.shape[1])
    here_KSS = _centred(still_KSS, within_KSS)
    there_KSS = _centred(_laid_over(moved_KSS, placed_KP), within_KSS)
    return (here_KSS * there_KSS).sum(axis=(1, 2)) / np.maximum(_norm(here_KSS) * _norm(there_KSS), 1e-6)


def _coordinates(side: int) -> np.ndarray:
    return ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)


def _places(placed_KP: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each row and each column of the still picture falls on the moved one, K × S each."""
    c_S = _coordinates(side)
    return c_S * placed_KP[:, 1:2] + placed_KP[:, 0:1], c_S * placed_KP[:, 3:4] + placed_KP[:, 2:3]


def _within(placed_KP: np.ndarray, side: int) -> np.ndarray:
    """1 where the moved picture has a pixel for the still one's, else 0."""
    rows_KS, columns_KS = _places(placed_KP, side)
    return ((np.abs(rows_KS) <= 1)[:, :, None] & (np.abs(columns_KS) <= 1)[:, None, :]).astype(np.float32)


def _laid_over(moved_KSS: np.ndarray, placed_KP: np.ndarray) -> np.ndarray:
    """`moved` as it looks on the grid of the still picture, by linear interpolation."""
    side = moved_KSS.shape[1]
    rows_KSS, columns_KSS = (_interpolation(places_KS, side) for places_KS in _places(placed_KP, side))
    return rows_KSS @ moved_KSS @ columns_KSS.transpose(0, 2, 1)


def _interpolation(places_KS: np.ndarray, side: int) -> np.ndarray:
    """Matrices that take a line of pixels at fractional places; beyond the ends the last pixel goes on."""
    pixels_KS = np.clip((places_KS + 1) * (side / 2) - 0.5, 0, side - 1)
    return np.clip(1 - np.abs(pixels_KS[:, :, None] - np.arange(side, dtype=np.float32)), 0, None)


def _centred(values_KSS: np.ndarray, within_KSS: np.ndarray) -> np.ndarray:
    means_K = (values_KSS * within_KSS).sum(axis=(1, 2)) / within_KSS.sum(axis=(1, 2))
    return (values_KSS - means_K[:, None, None]) * within_KSS


def _norm(values_KSS: np.ndarray) -> np.ndarray:
    return np.sqrt((values_KSS**2).sum(axis=(1, 2)))

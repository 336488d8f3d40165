"""Small made pictures that behave like slices of heads, and like scans with fine structure.

Legend: H and W pixels.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 64


def head(seed: int, *, grain: int = 6) -> np.ndarray:
    """A bright disc with a coarse pattern of its own, on black: two seeds are as unlike as two brains.

    `grain` is how many patches the pattern has along a side.
    """
    pattern_HW = np.random.default_rng(seed).integers(40, 256, (grain, grain), dtype=np.uint8)
    y_H1, x_1W = np.ogrid[:SIDE, :SIDE]
    disc_HW = (y_H1 - SIDE / 2) ** 2 + (x_1W - SIDE / 2) ** 2 < (SIDE / 2 - 2) ** 2
    return np.where(disc_HW, np.asarray(Image.fromarray(pattern_HW).resize((SIDE, SIDE))), 0).astype(np.uint8)


def noisy(pixels_HW: np.ndarray) -> np.ndarray:
    """The same picture with the noise of another recording."""
    noise_HW = np.random.default_rng(0).normal(0, 8, pixels_HW.shape)
    return np.clip(pixels_HW + noise_HW, 0, 255).astype(np.uint8)


def save(pixels_HW: np.ndarray, path: Path) -> Path:
    """Write a picture, in a folder made for it; the suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_HW).save(path)
    return path


def scan(seed: int, side: int = 128) -> np.ndarray:
    """A picture with fine structure all over, as scans have; two seeds have none in common."""
    noise_SS = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), side / 64)
    return np.clip(128 + 50 * noise_SS / noise_SS.std(), 0, 255).astype(np.uint8)


def eye(seed: int) -> np.ndarray:
    """A disc with a bright rim that all of its kind share, and faint structure of its own inside."""
    y_H1, x_1W = np.ogrid[:128, :128]
    radius_HW = np.hypot(y_H1 - 63.5, x_1W - 63.5)
    inside_HW = 120 + (scan(seed).astype(float) - 128) * 0.05
    return np.where(radius_HW < 56, inside_HW, np.where(radius_HW < 60, 255, 0)).astype(np.uint8)

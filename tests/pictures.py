"""Small made pictures that behave like slices of heads.

Legend: H and W pixels.
"""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64


def head(seed: int) -> np.ndarray:
    """A bright disc with a coarse pattern of its own, on black: two seeds are as unlike as two brains."""
    pattern_HW = np.random.default_rng(seed).integers(40, 256, (6, 6), dtype=np.uint8)
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

"""The shortcut probe: what a file tells before anyone looks at the picture.

File size, width, height, shape, bytes per pixel, mode and grey histogram. Each number is spread by hat
functions over two fixed grids, an eighth and a sixty-fourth of an octave wide, so that a linear probe and
cosine neighbours can both read it, coarsely and to the pixel; the histogram enters as square roots, whose
inner product is the Bhattacharyya coefficient. Every piece weighs about the same, and nothing is fitted.
A dataset on which this does as well as a backbone cannot tell backbones apart.

Legend: N images, D features, G grid points.
"""

from functools import partial

import numpy as np

from pytest_fmtransfer.data.decoding import in_parallel
from pytest_fmtransfer.data.modes import shown
from pytest_fmtransfer.data.pictures import Pictures

# Lowest and highest value in powers of two; values beyond count as the end.
_BYTES = (10, 24)
_SIDE = (5, 13)
_SHAPE = (-2, 2)
_BYTES_PER_PIXEL = (-6, 4)
_STEPS_PER_OCTAVE = (8, 64)
_MODES = ("L", "RGB", "RGBA", "P", "CMYK")
_GREY_BINS = 64


def embed(pictures: Pictures, images: int) -> np.ndarray:
    """Features of images as they are kept, N × D float32. Raises UnreadableImage for a broken one."""
    return np.stack(list(in_parallel(partial(_describe, pictures), range(images))))


def _describe(pictures: Pictures, row: int) -> np.ndarray:
    image = pictures.image(row)
    size, (width, height) = pictures.size(row), image.size
    grey = np.array(shown(image).convert("L").histogram(), dtype=np.float64).reshape(_GREY_BINS, -1).sum(axis=1)
    return np.concatenate(
        [
            _spread(np.log2(size), *_BYTES),
            _spread(np.log2(width), *_SIDE),
            _spread(np.log2(height), *_SIDE),
            _spread(np.log2(width / height), *_SHAPE),
            _spread(np.log2(size / (width * height)), *_BYTES_PER_PIXEL),
            np.array([image.mode == mode for mode in _MODES], dtype=np.float64),
            np.sqrt(grey / grey.sum()),
        ]
    ).astype(np.float32)


def _spread(value: float, lowest: int, highest: int) -> np.ndarray:
    """Hat functions on even grids: in each, at most two neighbouring points are above zero and sum to one."""
    hats: list[np.ndarray] = []
    for steps in _STEPS_PER_OCTAVE:
        grid_G = np.linspace(lowest, highest, (highest - lowest) * steps + 1)
        hats.append(np.clip(1 - np.abs(np.clip(value, lowest, highest) - grid_G) * steps, 0, None))
    return np.concatenate(hats)

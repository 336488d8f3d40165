"""Open image files, many at once, naming the file that cannot be read.

Legend: H, W pixels.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from pytest_fmtransfer.errors import UnreadableImage

T = TypeVar("T")
U = TypeVar("U")


def open_image(path: Path) -> Image.Image:
    """A fully decoded image. Raises UnreadableImage, naming the file, when it is truncated or no image."""
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # as Pillow does on broken files
        raise UnreadableImage(
            f"cannot read image {path} ({error}); restore the file, or reinstall the package that carries it"
        ) from error


def read_grey(path: Path) -> np.ndarray:
    """One uint8 channel, H × W."""
    return np.asarray(open_image(path).convert("L"))


def read_pixels(path: Path, *, channels: int) -> np.ndarray:
    """uint8, H × W for one channel and H × W × 3 for three."""
    return np.asarray(open_image(path).convert("L" if channels == 1 else "RGB"))


def resize(pixels_HW: np.ndarray, size: int, resampling: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """Stretched to `size` × `size`, uint8; Pillow's filters antialias when they shrink."""
    return np.asarray(Image.fromarray(pixels_HW).resize((size, size), resampling))


def picture_digest(pixels_HW: np.ndarray) -> str:
    """32 hex digits over a picture's shape and pixels."""
    return hashlib.blake2b(repr(pixels_HW.shape).encode() + pixels_HW.tobytes(), digest_size=16).hexdigest()


def cores() -> int:
    """Cores this process may use, shared out among pytest-xdist's workers."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def in_parallel(work: Callable[[U], T], items: Iterable[U]) -> Iterator[T]:
    """`work` of every item, in order. Pillow lets go of the interpreter while it decodes, so threads serve."""
    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(work, items)

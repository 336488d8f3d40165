"""Open image files, many at once, naming the file that cannot be read.

Legend: H, W pixels.
"""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from pytest_fmtransfer.data.modes import in_mode, upright
from pytest_fmtransfer.errors import UnreadableImage
from pytest_fmtransfer.limits import cores

T = TypeVar("T")
U = TypeVar("U")

# What Pillow may take a file for; of its other formats, some run programs on what they read.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")
DICOM_SUFFIXES = (".dcm", ".dicom")

AHEAD = 32  # items that each worker may have begun before the first of them is asked for


class NoDecoder(Exception):
    """A file may be sound, but nothing that is installed decodes its compression."""


def open_image(path: Path) -> Image.Image:
    """A fully decoded image as its file has it: its own mode, not turned; of several pages, the first.

    A DICOM file, known by its suffix or its magic, is read by `pytest_fmtransfer.data.dicom`. Raises UnreadableImage,
    naming the file, for whatever is wrong with it.
    """
    with _naming(path):
        return _opened(path)


def read_grey(path: Path) -> np.ndarray:
    """One uint8 channel, H × W, upright. Raises UnreadableImage, naming the file."""
    return read_pixels(path, channels=1)


def read_pixels(path: Path, *, channels: int) -> np.ndarray:
    """uint8, H × W for one channel and H × W × 3 for three, upright, by the rules of `pytest_fmtransfer.data.modes`.

    Raises UnreadableImage, naming the file.
    """
    with _naming(path):
        return in_mode(upright(_opened(path)), "L" if channels == 1 else "RGB")


def _opened(path: Path) -> Image.Image:
    with path.open("rb") as file:
        magic = file.read(132)[128:]
        file.seek(0)
        if path.suffix.lower() in DICOM_SUFFIXES or magic == b"DICM":
            from pytest_fmtransfer.data.dicom import read_dicom  # imports pydicom, which few datasets need

            return read_dicom(file)
        with Image.open(file, formats=FORMATS) as image:
            image.load()
            return image


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Whatever goes wrong with a file becomes UnreadableImage; what libraries warn of is kept from the user."""
    try:
        with _silence:
            yield
    except Exception as error:  # of any kind: what broken bytes make a parser raise, its authors did not foresee either
        damaged = True
        if isinstance(error, UnidentifiedImageError):
            reason = "no image of a known kind" if path.stat().st_size else "the file is empty"
        elif isinstance(error, OSError) and error.errno not in (None, EINVAL):  # EINVAL: a seek to a place before 0
            reason, damaged = error.strerror or str(error), False
        else:
            reason = str(error) or type(error).__name__
            damaged = not isinstance(error, MemoryError | NoDecoder)
        remedy = "; restore the file, or reinstall the package that carries it" if damaged else ""
        raise UnreadableImage(f"cannot read image {path} ({reason}){remedy}", reason=reason, damaged=damaged) from error


class _Silence:
    """No warning while any thread is inside: filters are the process's own, so the first sets and the last restores."""

    def __init__(self) -> None:
        self._lock, self._inside, self._caught = Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


_silence = _Silence()


def resize(pixels_HW: np.ndarray, size: int, resampling: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """Stretched to `size` × `size`, uint8; Pillow's filters antialias when they shrink."""
    return np.asarray(Image.fromarray(pixels_HW).resize((size, size), resampling))


def picture_digest(pixels_HW: np.ndarray) -> str:
    """32 hex digits over a picture's shape and pixels."""
    return hashlib.blake2b(repr(pixels_HW.shape).encode() + pixels_HW.tobytes(), digest_size=16).hexdigest()


def in_parallel(work: Callable[[U], T], items: Iterable[U]) -> Iterator[T]:
    """`work` of every item, in order. Pillow lets go of the interpreter while it decodes, so threads serve.

    Only so many items are begun ahead of the one that is asked for: a dataset of any size takes no more memory.
    """
    workers = cores()
    pool, ahead = ThreadPoolExecutor(workers), deque[Future[T]]()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

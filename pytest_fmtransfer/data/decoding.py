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
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.image_limits import NoDecoder as NoDecoder
from pytest_fmtransfer.data.image_limits import UnsupportedImage, check_size
from pytest_fmtransfer.data.modes import DeepPixels, brought_to_eight_bits, in_mode, span_of, upright
from pytest_fmtransfer.errors import UnreadableImage
from pytest_fmtransfer.limits import cores

T = TypeVar("T")
U = TypeVar("U")

# What Pillow may take a file for; of its other formats, some run programs on what they read.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")
DICOM_SUFFIXES = (".dcm", ".dicom")

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Sound files of these formats are known by their first bytes, or by those behind the fourth.
_FOREIGN = {
    b"%!PS": "PostScript",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"ftypavif": "AVIF",
    b"ftypheic": "HEIC",
    b"ftypheix": "HEIC",
    b"ftypmif1": "HEIF",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"\x5c\x01\0\0": "NIfTI",
    b"NRRD": "NRRD",
    b"ObjectType": "MetaImage",
    b"SIMPLE  =": "FITS",
    b"\x89HDF": "HDF5",
    b"II\xbc": "JPEG XR",
    b"\xff\xd8\xff\xf7": "JPEG-LS",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
}

AHEAD = 32  # items that each worker may have begun before the first of them is asked for


def open_image(path: Path, *, intensity: Intensity = "image") -> Image.Image:
    """A fully decoded image as its file has it: its own mode, not turned; of more than eight bits, in mode L or RGB.

    A DICOM file, known by its suffix, its magic or its first element, is read by `pytest_fmtransfer.data.dicom`. Raises
    UnreadableImage, naming the file, for whatever is wrong with it, and for a file of several pages or frames.
    """
    with _naming(path):
        return _opened(path, intensity)


def read_grey(path: Path, *, intensity: Intensity = "image") -> np.ndarray:
    """One uint8 channel, H × W, upright. Raises UnreadableImage, naming the file."""
    return read_pixels(path, channels=1, intensity=intensity)


def read_pixels(path: Path, *, channels: int, intensity: Intensity = "image") -> np.ndarray:
    """uint8, H × W for one channel and H × W × 3 for three, upright, by the rules of `pytest_fmtransfer.data.modes`.

    Raises UnreadableImage, naming the file.
    """
    with _naming(path):
        return in_mode(upright(_opened(path, intensity)), "L" if channels == 1 else "RGB")


def _opened(path: Path, intensity: Intensity) -> Image.Image:
    with path.open("rb") as file:
        head = file.read(132)
        file.seek(0)
        bare = head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0"  # DICOM's first group, without a preamble
        if path.suffix.lower() in DICOM_SUFFIXES or head[128:] == b"DICM" or bare:
            from pytest_fmtransfer.data.dicom import read_dicom  # imports pydicom, which few datasets need

            return read_dicom(file, intensity)
        if head[:4] in TIFF_MAGICS:
            from pytest_fmtransfer.data.tiff import read_tiff  # imports tifffile, which few datasets need

            found = read_tiff(file)
        else:
            from pytest_fmtransfer.data.deep import read_deep

            found = read_deep(file)
        if isinstance(found, Image.Image):
            return found
        if found is not None:
            return brought_to_eight_bits(found, intensity)
        file.seek(0)
        return _by_pillow(file, head, intensity)


def _by_pillow(file: BinaryIO, head: bytes, intensity: Intensity) -> Image.Image:
    try:
        with Image.open(file, formats=FORMATS) as image:
            check_size(image.width, image.height, len(image.getbands()) * (4 if image.mode in "IF" else 1))
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format not in ("MPO", "TIFF"):  # of MPO the first is the image that viewers show
                raise UnsupportedImage(
                    f"{frames} frames in one {image.format}; save the frame that is the image in a file of its own"
                )
            image.load()
    except UnidentifiedImageError:
        if head[:4] in TIFF_MAGICS:  # tifffile has read its header
            raise UnsupportedImage("a TIFF whose colours this version does not read; save it as RGB or grey") from None
        if (kind := _foreign(head)) is not None:
            raise UnsupportedImage(f"a file of the format {kind}; save it as PNG, JPEG, TIFF or DICOM") from None
        raise
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnsupportedImage(f"its size exceeds limit of Pillow, {most:,} pixels; save it smaller") from None
    if image.mode in "IF" or image.mode.startswith("I;"):
        values_HW = np.asarray(image)
        return brought_to_eight_bits(DeepPixels(values=values_HW, span=span_of(values_HW.dtype)), intensity)
    return image


def _foreign(head: bytes) -> str | None:
    """The name of a format that is not read, by the first bytes of its files."""
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic) or head[4:12] == magic), None)


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
            damaged = not isinstance(error, MemoryError | UnsupportedImage | NotImplementedError)
            damaged = damaged and not reason.startswith("Unsupported")  # as Pillow says of kinds of BMP
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

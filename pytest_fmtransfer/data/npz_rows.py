"""An array in an .npz file, read row by row: mapped where it is stored as it is, unpacked as a stream where compressed.

Legend: R rows of the array, H, W pixels.
"""

import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np

from pytest_fmtransfer.data.image_limits import LARGEST_IMAGE

WINDOW = 64 << 20  # bytes of the rows last read that stay at hand
ROWS_KEPT = 64  # at least, of rows up to the next
LARGE = WINDOW  # bytes of a row, of which one is kept where it is larger
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError)  # what unpacking raises, on the same bytes always
LOCAL_HEADER = 30  # bytes of a zip member's local header before its name


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an array's own header says, and where its first byte stands behind the start of its member."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int


def read_header(stream: IO[bytes]) -> Header:
    """Raises ValueError, and what NumPy raises, for what is no header or announces objects or columns."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of NumPy's format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if columns_first and len(shape) > 1:
        raise ValueError("stored column by column")
    if dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError(f"an array of {dtype} of shape {shape}")
    return Header(shape=shape, dtype=dtype, offset=stream.tell())


def read_array(file: Path, name: str) -> np.ndarray:
    """A small array whole; its member's checksum is checked. Raises KeyError and what zipfile and NumPy raise."""
    with zipfile.ZipFile(file) as archive, archive.open(member(archive, name)) as stream:
        header = read_header(stream)
        size = int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
        if archive.getinfo(f"{name}.npy").file_size != header.offset + size:
            raise ValueError(f"{name} has not the bytes that its shape {header.shape} takes")
        if size > LARGEST_IMAGE:
            raise ValueError(f"{name} takes {size / 2**30:.1f} GiB unpacked, more than {LARGEST_IMAGE / 2**30:g} GiB")
        return np.frombuffer(stream.read(), dtype=header.dtype).reshape(header.shape)


def member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The member that holds an array. Raises KeyError with the arrays that there are."""
    names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
    if name not in names:
        raise KeyError(f"no array {name}, only {', '.join(sorted(names)[:12])}")
    return archive.getinfo(f"{name}.npy")


@dataclass(kw_only=True)
class NpzRows:
    """Rows of a compressed array. Reading goes forward, and keeps a window of rows for threads that come late; a row
    further back is right too, but everything before it is unpacked anew. The checksum is checked with the last row.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    _lock: Lock = field(default_factory=Lock, repr=False)
    _window: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict[int, np.ndarray], repr=False)
    _stream: IO[bytes] | None = None
    _next: int = 0
    _broken: tuple[int, str] | None = None

    def row(self, number: int) -> np.ndarray:
        if not 0 <= number < self.shape[0]:
            raise IndexError(f"row {number} of {self.shape[0]}")
        with self._lock:
            if number in self._window:
                return self._window[number]
            if self._broken is not None and number >= self._broken[0]:
                raise ValueError(self._broken[1])  # at once: nothing behind a damaged place can be unpacked
            try:
                return self._forward_to(number)
            except DAMAGED as error:
                self._broken = (self._next, f"{error}, found in row {self._next}")
                self._close()
                raise
            except BaseException:
                self._close()  # what was read of a row is lost: begin anew
                raise

    def _forward_to(self, number: int) -> np.ndarray:
        bytes_each = int(np.prod(self.shape[1:]))
        keep = max(ROWS_KEPT if bytes_each <= LARGE else 1, WINDOW // max(bytes_each, 1))
        stream = self._stream if number >= self._next else None
        if stream is None:
            stream = self._begin()
        for here in range(self._next, number + 1):
            data = stream.read(bytes_each)
            if len(data) < bytes_each:
                raise EOFError("the array ends early")
            if here == self.shape[0] - 1 and stream.read(1):  # which checks the member's checksum too
                raise zipfile.BadZipFile("more bytes than its shape takes")
            self._next = here + 1
            if here > number - keep:
                self._window[here] = np.frombuffer(data, dtype=np.uint8).reshape(self.shape[1:])
        while len(self._window) > keep:
            self._window.popitem(last=False)
        if self._next == self.shape[0]:
            stream.close()
            self._stream = None
        return self._window[number]

    def _begin(self) -> IO[bytes]:
        self._close()
        with zipfile.ZipFile(self.file) as archive:  # the stream keeps the file open
            self._stream = archive.open(member(archive, self.name))
        read_header(self._stream)
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next = None, 0

    def __reduce__(self) -> tuple[Callable[[Path, str], "NpzRows | MappedRows"], tuple[Path, str]]:
        return open_npz, (self.file, self.name)  # another process opens the file for itself

    def __del__(self) -> None:
        self._close()


@dataclass(frozen=True, kw_only=True)
class MappedRows:
    """Rows of an array that is stored as it is, mapped from the file; its checksum is not checked."""

    file: Path
    name: str
    array_RHW: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array_RHW.shape

    def row(self, number: int) -> np.ndarray:
        if not 0 <= number < self.shape[0]:
            raise IndexError(f"row {number} of {self.shape[0]}")
        return np.array(self.array_RHW[number])

    def __reduce__(self) -> tuple[Callable[[Path, str], "NpzRows | MappedRows"], tuple[Path, str]]:
        return open_npz, (self.file, self.name)


def check_rows(name: str, shape: tuple[int, ...]) -> None:
    """Raises ValueError for an array of images each of which takes more than `LARGEST_IMAGE` bytes."""
    size = int(np.prod(shape[1:], dtype=object))
    if size > LARGEST_IMAGE:
        raise ValueError(f"each image of {name} takes {size / 2**30:.1f} GiB, more than {LARGEST_IMAGE / 2**30:g} GiB")


def open_npz(file: Path, name: str) -> NpzRows | MappedRows:
    """The images of an array, of which none is read. Raises KeyError, ValueError, and what zipfile and NumPy raise."""
    with zipfile.ZipFile(file) as archive:
        info = member(archive, name)
        with archive.open(info) as stream:
            header = read_header(stream)
        bytes_all = int(np.prod(header.shape, dtype=object))
        if header.dtype != np.uint8 or len(header.shape) not in (3, 4):
            raise ValueError(f"{name} is an array of {header.dtype} of shape {header.shape}, not one of images")
        check_rows(name, header.shape)
        if info.file_size != header.offset + bytes_all:
            raise ValueError(f"{name} has not the bytes that its shape {header.shape} takes")
        if info.compress_type != zipfile.ZIP_STORED or not bytes_all or info.flag_bits & 1:
            return NpzRows(file=file, name=name, shape=header.shape)
    with file.open("rb") as raw:
        raw.seek(info.header_offset)
        local = raw.read(LOCAL_HEADER)
    names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    start = info.header_offset + LOCAL_HEADER + names + header.offset
    return MappedRows(file=file, name=name, array_RHW=np.memmap(file, np.uint8, "r", offset=start, shape=header.shape))

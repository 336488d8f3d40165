"""An array in an HDF5 file, read row by row; h5py is imported when the first file is opened.

Legend: R rows of the array, H, W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from pytest_fmtransfer.data.npz_rows import check_rows


@dataclass(kw_only=True)
class Hdf5Rows:
    """Rows of an array of images. The library reads for one thread at a time, and keeps the chunk that it unpacked."""

    file: Path
    name: str
    shape: tuple[int, ...]
    _lock: Lock = field(default_factory=Lock, repr=False)
    _open: Any = field(default=None, repr=False)

    def row(self, number: int) -> np.ndarray:
        if not 0 <= number < self.shape[0]:
            raise IndexError(f"row {number} of {self.shape[0]}")
        with self._lock:
            if self._open is None:
                self._open = _file(self.file)
            return np.asarray(self._open[self.name][number], dtype=np.uint8)

    def __reduce__(self) -> tuple[Callable[[Path, str], "Hdf5Rows"], tuple[Path, str]]:
        return open_hdf5, (self.file, self.name)  # another process opens the file for itself


def open_hdf5(file: Path, name: str) -> Hdf5Rows:
    """The images of an array, of which none is read. Raises KeyError, ValueError, and what h5py raises."""
    with _file(file) as archive:
        array = _array(archive, name)
        if array.dtype != np.uint8 or len(array.shape) not in (3, 4):
            raise ValueError(f"{name} is an array of {array.dtype} of shape {array.shape}, not one of images")
        check_rows(name, array.shape)
        check_rows(f"{name}, unpacked in chunks,", (1, *(array.chunks or ())))
        return Hdf5Rows(file=file, name=name, shape=tuple(map(int, array.shape)))


def read_hdf5(file: Path, name: str, *, largest: int) -> np.ndarray:
    """An array of up to `largest` bytes whole. Raises KeyError, ValueError, and what h5py raises."""
    with _file(file) as archive:
        array = _array(archive, name)
        size = int(np.prod(array.shape, dtype=object)) * array.dtype.itemsize
        if size > largest or array.dtype.hasobject:
            raise ValueError(f"{name} is an array of {array.dtype} of shape {array.shape}")
        return np.asarray(array[()])


def _file(path: Path) -> Any:
    import h5py

    return h5py.File(path, "r")


def _array(archive: Any, name: str) -> Any:
    import h5py

    if name not in archive:
        raise KeyError(f"no array {name}, only {', '.join(sorted(archive)[:12])}")
    found = archive[name] if isinstance(archive.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise ValueError(f"{name} is no array of this file's own")  # a link could lead to any other on this machine
    return found

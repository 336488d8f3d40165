"""Writing to a disk that may be full, or where nothing may be written: one sentence, and nothing half-written.

A process that writes through a mapping into a file without blocks is ended by the system (SIGBUS) when the disk runs
full. So a file that is mapped has all of its blocks first.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_fmtransfer.errors import StorageError

if TYPE_CHECKING:  # collecting a suite reads this module, and imports no numpy
    import numpy as np
    from numpy.typing import DTypeLike

MOVE_STORE = "name another folder: --fm-store=DIR or FMTRANSFER_STORE"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOENT)
# A file system that cannot reserve blocks says so, or that it knows no such call.
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV)
_PIECE = 1 << 20


@contextmanager
def writing(place: Path, remedy: str, *, need: int | None = None) -> Generator[None]:
    """What the system says of a place that cannot be written becomes a StorageError that names it and the remedy.

    An error about any other path stays what it is.

    Args:
        place: the folder or file that is written.
        remedy: what to type, as the end of a sentence.
        need: bytes that are to be written, where that is known.
    """
    try:
        yield
    except OSError as error:
        of = error.filename if isinstance(error.filename, str) else str(place)
        if error.errno in _NO_SPACE:
            needed = "" if need is None else f"{_amount(need)} are needed, "
            free = _amount(shutil.disk_usage(_existing(place)).free)
            raise StorageError(
                f"the disk of {place} is full: {needed}{free} are free; make room, or {remedy}"
            ) from error
        if error.errno in _UNWRITABLE and (Path(of).is_relative_to(place) or place.is_relative_to(of)):
            raise StorageError(f"cannot write to {place}: {of}: {error.strerror}; {remedy}") from error
        raise


def unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which is made where it is not; None where something can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"\0")
            stream.flush()
    except OSError as error:
        return blocked_by_a_file(folder) or error.strerror or str(error)
    return None


def blocked_by_a_file(folder: Path) -> str | None:
    """What is a file where a folder, or one above it, would have to be, in a sentence; None where nothing is."""
    try:
        there = _existing(folder)
        return None if there.is_dir() else f"{there} is a file, not a folder"
    except OSError:  # a folder that may not be looked into
        return None


def new_array(file: Path, dtype: "DTypeLike", shape: tuple[int, ...]) -> "np.memmap":
    """An array of zeros in a new .npy file, mapped, every block of it on the disk.

    Raises StorageError where the disk cannot hold it, and leaves no file then.
    """
    from numpy.lib.format import open_memmap

    mapped = open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    try:
        take_room(file)
    except BaseException:
        del mapped
        file.unlink(missing_ok=True)
        raise
    return mapped


def take_room(file: Path) -> None:
    """Give a file all the blocks that its size asks for; what it holds stays. Raises StorageError as `new_array`."""
    need = file.stat().st_size
    with writing(file, MOVE_STORE, need=need), file.open("r+b") as stream:
        try:
            if need and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, need)
                return
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
        _rewrite(stream.fileno(), need)


def _rewrite(handle: int, size: int) -> None:
    """Write every byte once more as it is: what a system without reservations takes blocks for."""
    for start in range(0, size, _PIECE):
        os.lseek(handle, start, os.SEEK_SET)
        piece = os.read(handle, min(_PIECE, size - start))
        os.lseek(handle, start, os.SEEK_SET)
        os.write(handle, piece)


def _amount(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _existing(place: Path) -> Path:
    return next(folder for folder in (place, *place.parents) if folder.exists())

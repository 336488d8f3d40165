"""A large array of bytes in a file that grows chunk by chunk, and goes on after a kill where it stopped.

`<folder>/pixels.npy` has its full size from the first; `<folder>/done.jsonl` gets a line for every chunk of rows that
is whole, with its checksum. A finished array has the checksums of all its chunks in `chunks.json`, so that it can be
checked by all cores, and repaired where it is damaged without doing the rest again.

Legend: N rows, of any shape.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.decoding import in_parallel
from pytest_fmtransfer.disk import new_array, take_room
from pytest_fmtransfer.errors import StorageError
from pytest_fmtransfer.store import FileState, file_state

PIXELS, DONE, RECORD = "pixels.npy", "done.jsonl", "chunks.json"
CHUNK = 64  # rows whose work is lost when a process is killed, at most, on each core


class GrowingArray:
    """uint8, N × …, in a folder that is made or, after a kill, found. `todo` are the rows of chunks that are not whole.

    Raises StorageError when the disk cannot hold it: its room is taken at once. What a kill left keeps its room too.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self._folder = folder
        found = _mapped(folder, "r+")
        if found is None or found.shape != shape:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                found = new_array(folder / PIXELS, np.uint8, shape)
            except StorageError:
                shutil.rmtree(folder)
                raise
        else:
            take_room(folder / PIXELS)  # a process that was killed while it took it may have left a file without
        self.rows_N: np.ndarray = found
        said = _recorded(folder)
        damaged = set(_damaged(found, said))
        self._digests = {chunk: digest for chunk, digest in said.items() if chunk not in damaged}
        whole = {row for chunk in self._digests for row in _rows(chunk, shape[0])}
        self.todo = [row for row in range(shape[0]) if row not in whole]

    def finished(self, row: int) -> None:
        """A row is written, and every earlier row of `todo` is; after its chunk's last, the chunk is recorded."""
        chunk = row // CHUNK
        if row != _rows(chunk, len(self.rows_N))[-1]:
            return
        self._digests[chunk] = _digest(self.rows_N, chunk)
        with (self._folder / DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps([chunk, self._digests[chunk]]) + "\n")

    def close_into(self, entry: Path) -> None:
        """Move the array, which is whole, into another folder of the same disk, with the checksums of its chunks."""
        assert isinstance(self.rows_N, np.memmap)
        self.rows_N.flush()
        del self.rows_N
        digests = [self._digests[chunk] for chunk in range(len(self._digests))]
        (entry / RECORD).write_text(json.dumps(digests), encoding="utf-8")
        os.replace(self._folder / PIXELS, entry / PIXELS)
        shutil.rmtree(self._folder)


def taken(folder: Path) -> int:
    """Bytes of the disk that a growing array has already; 0 where it is not there, or the system does not tell."""
    return sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in folder.glob("*"))


def take_apart(entry: Path, folder: Path) -> None:
    """A finished array, of which something is damaged, becomes one that is still growing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        digests = json.loads((entry / RECORD).read_text(encoding="utf-8"))
        lines = "".join(json.dumps([chunk, digest]) + "\n" for chunk, digest in enumerate(digests))
        (folder / DONE).write_text(lines, encoding="utf-8")
        os.replace(entry / PIXELS, folder / PIXELS)
    except (OSError, ValueError):  # nothing to keep
        pass
    shutil.rmtree(entry)


_sound: set[FileState] = set()


def forget() -> None:
    """Look again at every array, as a new process would."""
    _sound.clear()


def is_sound(entry: Path, *, known: bool = False) -> bool:
    """Whether a finished array is what was written: looked at once in this process while the file stays the same.

    `known`: this process wrote it, and need not look.
    """
    try:
        state = file_state(entry / PIXELS)
        if state in _sound:
            return True
        if not known:
            digests = json.loads((entry / RECORD).read_text(encoding="utf-8"))
            rows_N = _mapped(entry, "r")
            if rows_N is None or _damaged(rows_N, dict(enumerate(digests))):
                return False
    except (OSError, ValueError):
        return False
    _sound.add(state)
    return True


def _mapped(folder: Path, mode: str) -> np.ndarray | None:
    """The array of a folder; None where there is none that can be read."""
    try:
        rows_N = np.lib.format.open_memmap(folder / PIXELS, mode=mode)
    except (OSError, ValueError):
        return None
    return rows_N if rows_N.dtype == np.uint8 else None


def _rows(chunk: int, rows: int) -> range:
    return range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK))


def _digest(rows_N: np.ndarray, chunk: int) -> str:
    part = np.ascontiguousarray(rows_N[chunk * CHUNK : (chunk + 1) * CHUNK])
    return hashlib.blake2b(part.data.cast("B"), digest_size=16).hexdigest()


def _damaged(rows_N: np.ndarray, digests: dict[int, str]) -> list[int]:
    """The chunks whose bytes are not those that were recorded."""

    def bad(chunk: int) -> bool:
        return chunk * CHUNK >= len(rows_N) or _digest(rows_N, chunk) != digests[chunk]

    return [chunk for chunk, is_bad in zip(digests, in_parallel(bad, list(digests)), strict=True) if is_bad]


def _recorded(folder: Path) -> dict[int, str]:
    """The checksums of the chunks that are whole; a line that a kill cut short is no record."""
    digests: dict[int, str] = {}
    try:
        lines = (folder / DONE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return digests
    for line in lines:
        try:
            chunk, digest = json.loads(line)
            digests[int(chunk)] = str(digest)
        except (ValueError, TypeError):
            continue
    return digests

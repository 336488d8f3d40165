"""Content-addressed folders on disk: written whole or not at all, checked when read, computed once.

An entry is `<root>/<kind>/<first two of key>/<key>/` with its files and `entry.json`, which lists each
file's checksum. It is written beside its place and renamed into it, under a lock that the operating
system releases when a process dies; a killed writer leaves only a temporary folder.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from pytest_fmtransfer.disk import MOVE_STORE, writing
from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.work import check_not_idle, working

MANIFEST = "entry.json"
_DIGEST_SIZE = 16  # bytes of a digest
_TICK = 20_000_000  # ns, longer than a tick of any clock that file systems stamp by: 10 ms on Linux, 16 on Windows


class CorruptEntry(FmTransferError):
    """A store entry whose bytes are not the ones that were written."""


def fingerprint(*parts: object) -> str:
    """32 hex digits over JSON-like values (mappings, sequences, strings, numbers, booleans, None)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def file_digest(path: Path) -> str:
    """32 hex digits over a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


FileState = tuple[str, int, int, int, int]
"""Absolute path, inode, size in bytes, modification time and change time in ns."""


def file_state(path: Path) -> FileState:
    """What stays the same only while nobody writes to a file, moves it or puts another in its place.

    The modification time alone does not tell: `rsync -a`, `tar` and `cp -a` set it, and leave the change time and the
    inode to the system. Raises OSError where there is no file.
    """
    status = path.stat()
    # The system stamps by a clock of ticks: what is written later in the same tick would have the same times.
    while 0 <= time.time_ns() - status.st_ctime_ns < _TICK:
        time.sleep(_TICK / 1e9)
        status = path.stat()
    return os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def remembered_digest(path: Path) -> str:
    """`file_digest`, computed once in this process while the file's state stays the same."""
    return _remembered(path, file_state(path))


@lru_cache(maxsize=1024)
def _remembered(path: Path, state: FileState) -> str:
    del state  # part of the key only
    return file_digest(path)


def code_digest(*modules: str) -> str:
    """32 hex digits over the source text of our own modules, named by path below the package.

    Results hold it in their key, so that a change to the code that computes a number recomputes it.
    """
    package = Path(__file__).parent
    return fingerprint(*[(name, remembered_digest(package / name)) for name in modules])


@dataclass(frozen=True, kw_only=True)
class Store:
    """A folder of entries by kind and key; shared by processes."""

    root: Path

    def place(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2] / key

    def load(self, kind: str, key: str, *, since: float | None = None) -> Path | None:
        """The folder of a sound entry; None when there is none, or when its bytes are not those that were written.

        `since`: an entry that was written before that time, in seconds since 1970, is none.
        """
        folder = self.place(kind, key)
        if not (folder / MANIFEST).is_file():
            return None
        try:
            written = _verify(folder)
        except CorruptEntry:
            return None
        return None if since is not None and written < since else folder

    def fetch(
        self,
        kind: str,
        key: str,
        compute: Callable[[Path], None],
        *,
        about: Mapping[str, object],
        lock: str | None = None,
        unlisted: Collection[str] = (),
        since: float | None = None,
    ) -> tuple[Path, bool]:
        """The folder of an entry and whether this call computed it.

        `compute` writes the entry's files into the folder it is given. Two processes that ask for one
        key compute it once: the second waits for the first. A corrupt entry is computed again, with one
        warning. `about` is kept in `entry.json` for people, beside the seconds that computing took.
        `lock` names a wider lock than the entry's own, for entries that are built from one another. `unlisted` are
        files too large to be hashed at every look; whoever reads them checks them by other means. An entry from before
        `since` is computed again. Raises Unavailable for an entry that is not there inside `work.idle`.
        """
        found = self.load(kind, key, since=since)
        if found is not None:
            return found, False
        check_not_idle(f"an entry of {kind}")
        with self.locked(kind, key, lock or key):
            found = self.load(kind, key, since=since)
            if found is not None:
                return found, False
            if (old := self.place(kind, key)).exists():  # removed under the lock: nobody else is writing it
                if (old / MANIFEST).exists() and self.load(kind, key) is None:  # without one it never was an entry
                    warnings.warn(inline(f"store entry {old} is corrupt; it is computed again"), stacklevel=2)
                shutil.rmtree(old)
            with writing(self.root, MOVE_STORE):
                return self._write(kind, key, compute, about, unlisted), True

    def entries(self, kind: str) -> Iterator[Path]:
        """The folders of every entry of a kind, in the order of their keys, unverified."""
        yield from sorted(path.parent for path in (self.root / kind).glob(f"*/*/{MANIFEST}"))

    def _write(
        self,
        kind: str,
        key: str,
        compute: Callable[[Path], None],
        about: Mapping[str, object],
        unlisted: Collection[str],
    ) -> Path:
        folder = self.place(kind, key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=folder.parent))
        try:
            started = time.perf_counter()
            with working():
                compute(scratch)
            seconds = time.perf_counter() - started
            listed = (path for path in sorted(scratch.iterdir()) if path.name not in unlisted)
            files = {path.name: file_digest(path) for path in listed}
            manifest = {"kind": kind, "key": key, "about": dict(about), "files": files, "seconds": seconds}
            manifest["written"] = time.time()
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.chmod(scratch, 0o755)  # mkdtemp's 0700 would survive the rename
            os.replace(scratch, folder)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return folder

    @contextmanager
    def locked(self, kind: str, key: str, lock: str) -> Generator[None]:
        """The lock under which an entry is written or taken away."""
        locks = self.root / "locks"
        own = FileLock(locks / f"{kind}-{lock}.lock")
        with writing(self.root, MOVE_STORE):
            locks.mkdir(parents=True, exist_ok=True)
            own.acquire()
        with own:
            # Whoever holds the lock is the only writer: older scratch folders are of killed processes.
            for leftover in self.place(kind, key).parent.glob(f".{key}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield


def write_checked(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all, behind a digest of its bytes, for `read_checked`."""
    write_atomically(path, _digest_of(data), data)


def read_checked(path: Path) -> memoryview | None:
    """What `write_checked` wrote; None where there is no file.

    A file that is damaged is deleted, with a warning, and is none.
    """
    try:
        whole = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    digest, data = whole[:_DIGEST_SIZE], whole[_DIGEST_SIZE:]
    if digest == _digest_of(data):
        return data
    discard_damaged(path)
    return None


def discard_damaged(path: Path) -> None:
    """Delete a file whose bytes are not those that were written, and say so."""
    warnings.warn(inline(f"{path} is damaged; what it held is computed again"), stacklevel=3)
    path.unlink(missing_ok=True)


def _digest_of(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_SIZE).digest()


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            for part in parts:
                stream.write(part)
        os.chmod(scratch, 0o644)  # mkstemp's 0600 would survive the rename
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _verify(folder: Path) -> float:
    """When the entry was written, in seconds since 1970; 0 where it does not say."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, digest in manifest["files"].items():
            if file_digest(folder / name) != digest:
                raise CorruptEntry(f"store entry {folder / name} is corrupt")
        return float(manifest.get("written", 0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptEntry(f"store entry {folder} is unreadable ({error})") from error

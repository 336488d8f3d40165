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

from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.work import check_not_idle, working

MANIFEST = "entry.json"


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


def remembered_digest(path: Path) -> str:
    """`file_digest`, computed once in this process while the file's size and modification time stay the same."""
    status = path.stat()
    return _remembered(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _remembered(path: Path, size: int, modified: int) -> str:
    del size, modified  # part of the key only
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

    def load(self, kind: str, key: str) -> Path | None:
        """The folder of a sound entry; None when there is none, or when its bytes are not those that were written."""
        folder = self.place(kind, key)
        if not (folder / MANIFEST).is_file():
            return None
        try:
            _verify(folder)
        except CorruptEntry:
            return None
        return folder

    def fetch(
        self,
        kind: str,
        key: str,
        compute: Callable[[Path], None],
        *,
        about: Mapping[str, object],
        lock: str | None = None,
        unlisted: Collection[str] = (),
    ) -> tuple[Path, bool]:
        """The folder of an entry and whether this call computed it.

        `compute` writes the entry's files into the folder it is given. Two processes that ask for one
        key compute it once: the second waits for the first. A corrupt entry is computed again, with one
        warning. `about` is kept in `entry.json` for people, beside the seconds that computing took.
        `lock` names a wider lock than the entry's own, for entries that are built from one another. `unlisted` are
        files too large to be hashed at every look; whoever reads them checks them by other means. Raises Unavailable
        for an entry that is not there inside `work.idle`.
        """
        found = self.load(kind, key)
        if found is not None:
            return found, False
        check_not_idle(f"an entry of {kind}")
        with self.locked(kind, key, lock or key):
            found = self.load(kind, key)
            if found is not None:
                return found, False
            if (damaged := self.place(kind, key)).exists():  # removed under the lock: nobody else is writing it
                if (damaged / MANIFEST).exists():  # without one it never was an entry
                    warnings.warn(f"store entry {damaged} is corrupt; it is computed again", stacklevel=2)
                shutil.rmtree(damaged)
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
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{kind}-{lock}.lock"):
            # Whoever holds the lock is the only writer: older scratch folders are of killed processes.
            for leftover in self.place(kind, key).parent.glob(f".{key}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(scratch, 0o644)  # mkstemp's 0600 would survive the rename
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _verify(folder: Path) -> None:
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, digest in files.items():
            if file_digest(folder / name) != digest:
                raise CorruptEntry(f"store entry {folder / name} is corrupt")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptEntry(f"store entry {folder} is unreadable ({error})") from error

"""What a function of the user's is made of: its module, the modules that this imports, and the files it opens.

Modules are told from their source, which is not run. Files are told by running: who builds the network has those that
were opened recorded in the store (`remember`), and from then on their content counts (`code_of_function`). Imports no
torch.
"""

import json
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import cache
from importlib.util import source_from_cache
from pathlib import Path

from pytest_fmtransfer.functions import is_installed, modules_of
from pytest_fmtransfer.store import Store, fingerprint, remembered_digest

KIND = "opened files"
_OURS = Path(__file__).parents[1]

_hearing: list[set[Path]] = []


def code_of_function(function: str, channels: int, store: Store) -> str:
    """32 hex digits over the source of the function's modules, and over the files that it was seen to open.

    Until one of those files changes, it is the digest of the source alone. Raises InvalidInput as `source_of` does.
    """
    code = fingerprint({name: remembered_digest(path) for name, path in modules_of(function).items()})
    # A file that changed may lead to others: what was opened is recorded anew for each content.
    while (entry := store.load(KIND, fingerprint(function, channels, code))) is not None:
        recorded: dict[str, str] = json.loads((entry / "files.json").read_text(encoding="utf-8"))
        found = _digests(map(Path, recorded))
        if found == recorded:
            break
        code = fingerprint(code, list(found.values()))
    return code


def remember(function: str, channels: int, opened: Iterable[Path], store: Store) -> None:
    """Keep which files a function opened, and what is in them, unless it is known of this content."""
    code = code_of_function(function, channels, store)

    def compute(entry: Path) -> None:
        text = json.dumps(_digests(sorted(opened)), indent=1)
        (entry / "files.json").write_text(text, encoding="utf-8")

    store.fetch(KIND, fingerprint(function, channels, code), compute, about={"function": function})


@contextmanager
def hearing() -> Generator[set[Path]]:
    """The files below a folder of the user's that Python opens for reading inside the block.

    Such folders are those that Python imports from, as far as nothing is installed there, and the current one.
    """
    _listen()
    heard: set[Path] = set()
    _hearing.append(heard)
    try:
        yield heard
    finally:
        _hearing.remove(heard)
        folders = [*(Path(each).resolve() for each in sys.path if each), Path.cwd()]
        roots = [each for each in folders if not is_installed(each) and each != each.parent]
        own = {path for path in map(_source, heard) if _is_own(path, roots)}
        heard.clear()
        heard.update(own)


@cache
def _listen() -> None:
    sys.addaudithook(_hear)  # for good: Python has no way to take it away


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _hearing or event != "open":
        return
    path, _, flags = arguments
    if isinstance(path, str | bytes) and isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR):
        for heard in _hearing:
            heard.add(Path(os.path.abspath(os.fsdecode(path))))


def _source(path: Path) -> Path:
    """Of a compiled module its source, else the file itself."""
    try:
        return Path(source_from_cache(path)) if path.suffix == ".pyc" else path
    except ValueError:
        return path


def _is_own(path: Path, roots: Iterable[Path]) -> bool:
    if not path.is_file() or is_installed(path) or _OURS in path.parents:
        return False
    parents = set(path.resolve().parents) | set(path.parents)
    return any(root in parents for root in roots)


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): remembered_digest(path) if path.is_file() else "" for path in paths}

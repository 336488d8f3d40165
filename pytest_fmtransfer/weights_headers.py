"""Can what lies where weights belong be weights? Told by size and header; nothing is loaded, no torch imported."""

import json
import zipfile
from functools import lru_cache
from pathlib import Path

_MAX_HEADER = 100 << 20  # bytes, as safetensors has it
_SHORTEST = 32  # bytes; what torch.save writes of an empty mapping takes more
_PICKLE, _LAST_PROTOCOL = 0x80, 5
_LFS = b"version https://git-lfs"


def damage(path: Path) -> str | None:
    """What is wrong with a file, or a folder that transformers saved, where weights belong; None where it looks sound.

    A file that is empty, cut off, a web page or a pointer of Git LFS is told; whether its tensors fit a network is not.
    """
    if not path.is_dir():
        return _of_file(path)
    files = sorted(each for each in path.iterdir() if each.suffix in (".safetensors", ".bin"))
    if not files:
        return "is a folder without a file of weights"
    told = ((file, _of_file(file)) for file in files)
    return next((f"holds {file.name}, which {wrong}" for file, wrong in told if wrong), None)


def _of_file(path: Path) -> str | None:
    status = path.stat()
    return _looked_at(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=1024)
def _looked_at(path: Path, size: int, modified: int, changed: int) -> str | None:
    del modified, changed  # part of the key only
    with path.open("rb") as stream:
        head = stream.read(_SHORTEST)
    if not head:
        return "is empty"
    if head.startswith(_LFS):
        return "is a pointer of Git LFS, not the file itself; git lfs pull brings that"
    if head.lstrip()[:1] == b"<":
        return "is a web page, not a file of weights"
    if path.suffix == ".safetensors":
        return _safetensors(path, size)
    if head.startswith(b"PK"):
        return _zip(path)
    if size < _SHORTEST or head[0] != _PICKLE or head[1] > _LAST_PROTOCOL:
        return f"is no file of torch.save: it has {size} bytes and begins with {head[:8]!r}"
    return None


def _zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "is cut off: the end of its archive is not there"
    if not any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "is an archive of something else than torch.save's"
    return None


def _safetensors(path: Path, size: int) -> str | None:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            return f"is no sound file of safetensors: its {size} bytes do not hold its header"
        header = stream.read(length)
    try:
        tensors = {name: each for name, each in json.loads(header).items() if name != "__metadata__"}
        end = max((int(each["data_offsets"][1]) for each in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return "is no sound file of safetensors: its header cannot be read"
    if size != 8 + length + end:
        return f"is cut off or damaged: it has {size} bytes, and its header tells of {8 + length + end}"
    return None

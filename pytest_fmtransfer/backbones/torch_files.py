"""The tensors of a file that torch.save wrote, read without torch and without running anything in it.

Both formats: the zip archive of torch 1.6 and later, and the row of pickles before it.
"""

import io
import os
import pickle
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from pytest_fmtransfer.backbones.inert_pickle import InertUnpickler, Storage, TensorPlace
from pytest_fmtransfer.errors import CheckpointMismatch

ITEM_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
_EXPANSION = 50  # times its size that an archive may unpack to
_ALWAYS_UNPACKED = 2**26  # bytes that any archive may unpack to
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch/serialization.py, before the zip archive


@dataclass(frozen=True, kw_only=True)
class TorchFile:
    """What a file holds, tensors as their places; `foreign` are the names in it that are neither plain nor tensors."""

    path: Path
    content: object
    foreign: frozenset[str]
    storage: Callable[[Storage], np.ndarray]

    def array(self, place: TensorPlace) -> np.ndarray:
        """A tensor's elements as unsigned integers of their width, in a contiguous array of the tensor's shape.

        Raises CheckpointMismatch for one that does not lie inside its storage, or overlaps itself.
        """
        elements = self.storage(place.storage)
        count = int(np.prod(place.shape, dtype=object))
        last = place.offset + sum((side - 1) * step for side, step in zip(place.shape, place.stride, strict=True))
        if count > len(elements) or (count and last >= len(elements)):
            raise CheckpointMismatch(f"{self.path} describes a tensor that is larger than what it stores of it")
        steps = tuple(step * elements.itemsize for step in place.stride)
        try:
            if not count:
                return np.empty(place.shape, elements.dtype)
            return np.ascontiguousarray(
                np.lib.stride_tricks.as_strided(elements[place.offset :], place.shape, steps, writeable=False)
            ).reshape(place.shape)
        except (ValueError, OverflowError) as error:  # more sides, or longer ones, than an array can have
            raise _damaged(self.path, error) from error

    def mappings(self) -> dict[tuple[str, ...], Mapping[Any, Any]]:
        """Every mapping with tensors directly under names in it, by the names that lead to it; outer ones first."""
        found: dict[tuple[str, ...], Mapping[Any, Any]] = {}
        waiting, seen = deque[tuple[tuple[str, ...], object]]([((), self.content)]), set[int]()
        while waiting:
            names, value = waiting.popleft()
            if not isinstance(value, Mapping) or id(value) in seen:
                continue
            seen.add(id(value))
            mapping = cast(Mapping[Any, Any], value)
            if tensors_in(mapping):
                found[names] = mapping
            waiting.extend(((*names, str(name)), inner) for name, inner in mapping.items())
        return found


def tensors_in(mapping: Mapping[Any, Any]) -> dict[str, TensorPlace]:
    """The tensors directly in a mapping, by name, in its order."""
    return {name: value for name, value in mapping.items() if isinstance(name, str) and isinstance(value, TensorPlace)}


@contextmanager
def open_torch_file(path: Path) -> Generator[TorchFile]:
    """A file of torch.save, its tensors read when they are asked for.

    Raises CheckpointMismatch for a file that is none, or is damaged.
    """
    check_size(path)
    with path.open("rb") as stream:
        try:
            archive = zipfile.ZipFile(stream) if zipfile.is_zipfile(stream) else None
            stream.seek(0)
            content, foreign, read = _zip(archive) if archive is not None else _row_of_pickles(stream)
        except Exception as error:  # a file that is no pickle fails in as many ways as there are opcodes
            raise _damaged(path, error) from error

        @lru_cache(maxsize=2)  # neighbours often lie in one storage
        def storage(kept: Storage) -> np.ndarray:
            width = ITEM_BYTES[kept.dtype]
            try:
                data = np.frombuffer(read(kept), dtype=f"<u{width}")
            except Exception as error:
                raise _damaged(path, error) from error
            return data[kept.start :][: kept.elements]

        yield TorchFile(path=path, content=content, foreign=frozenset(foreign), storage=storage)


def check_size(file: Path) -> None:
    """Raises CheckpointMismatch for a zip archive that says it unpacks to far more than its own size.

    torch.save packs nothing, and weights hardly could be packed.
    """
    try:
        if not zipfile.is_zipfile(file):
            return
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception as error:  # a file that only ends like an archive
        raise _damaged(file, error) from error
    packed = file.stat().st_size
    if unpacked > max(_ALWAYS_UNPACKED, _EXPANSION * packed):
        raise CheckpointMismatch(
            f"{file} has {packed / 2**20:,.1f} MiB and says that it unpacks to {unpacked / 2**20:,.0f} MiB, which no "
            "weights do; get it again from its source"
        )


def _damaged(path: Path, error: Exception) -> CheckpointMismatch:
    return CheckpointMismatch(f"{path} is not a file that torch.save wrote, or is damaged ({type(error).__name__})")


_Read = Callable[[Storage], bytes]


def _zip(archive: zipfile.ZipFile) -> tuple[object, set[str], _Read]:
    """`<folder>/data.pkl`, and each storage in `<folder>/data/<key>`."""
    (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise pickle.UnpicklingError("written on a big-endian machine")
    unpickler = InertUnpickler(io.BytesIO(archive.read(pickled)))
    content = unpickler.load()
    return content, unpickler.foreign, lambda kept: archive.read(f"{folder}data/{kept.key}")


def _row_of_pickles(stream: IO[bytes]) -> tuple[object, set[str], _Read]:
    """Magic number, version, the writer's machine, the content, the keys of the storages; then their elements."""
    magic, protocol, machine = (InertUnpickler(stream).load() for _ in range(3))
    if magic != _MAGIC or protocol != _PROTOCOL or not machine.get("little_endian", True):
        raise pickle.UnpicklingError("not written by torch.save, or on a big-endian machine")
    unpickler = InertUnpickler(stream)
    content = unpickler.load()
    start_of: dict[str, int] = {}
    keys: list[object] = InertUnpickler(stream).load()
    end = stream.tell()
    for key in map(str, keys):
        start_of[key] = end + 8  # after the number of elements
        stream.seek(end)
        end += 8 + int.from_bytes(stream.read(8), "little") * ITEM_BYTES[unpickler.dtypes[key]]
    if end > os.fstat(stream.fileno()).st_size:
        raise pickle.UnpicklingError("storages that are larger than the file")
    end_of = dict(zip(start_of, [start - 8 for start in [*start_of.values()][1:]] + [end], strict=True))

    def read(kept: Storage) -> bytes:
        stream.seek(start_of[kept.key])
        return stream.read(end_of[kept.key] - start_of[kept.key])

    return content, unpickler.foreign, read

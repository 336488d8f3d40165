"""The tensors of a file that torch.save wrote, read without torch and without running anything in it.

Both formats: the zip archive of torch 1.6 and later, and the row of pickles before it.
"""

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

import numpy as np

from pytest_fmtransfer.backbones.inert_pickle import Inert, InertUnpickler, Storage, TensorPlace
from pytest_fmtransfer.backbones.trees import Entries, entries_of, items_of
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

    def mappings(self) -> Entries[TensorPlace]:
        """Every mapping with tensors directly under names in it, by the names that lead to it; outer ones first.

        A network that was saved whole counts as the mapping that its state dict is.
        """
        return entries_of(self.content, parts_of)


def parts_of(value: object) -> tuple[Mapping[str, TensorPlace], Mapping[str, object]]:
    """The tensors directly in a mapping, or all of a network, by name; and the mapping's other values."""
    if not isinstance(value, Inert):
        return items_of(value, TensorPlace)
    if value.foreign.startswith(_SCRIPT) or value.state.keys() >= set(_MODULE):
        return _state_dict(value), {}
    return items_of({**value.state, **value}, TensorPlace)


_SCRIPT = "__torch__."  # before the names of TorchScript's classes
_MODULE = ("_parameters", "_buffers", "_modules")  # where an nn.Module keeps what its state dict is made of
_MOST_MODULES, _MOST_DEEP = 100_000, 100


def _state_dict(network: Inert) -> dict[str, TensorPlace]:
    """What the state dict of a pickled nn.Module, or of one that TorchScript wrote, would hold, in its order.

    TorchScript knows attributes alone, so that a buffer which a state dict leaves out is among them. Empty for a
    network of more layers than any has.
    """
    found: dict[str, TensorPlace] = {}
    waiting, visited = [(network, "", 0)], 0
    while waiting:
        module, prefix, depth = waiting.pop()
        visited += 1
        if visited > _MOST_MODULES or depth > _MOST_DEEP:  # a module that holds itself, or stands in 2^n places
            return {}
        state = module.state
        parts = [state[name] for name in _MODULE] if state.keys() >= set(_MODULE) else [state]
        unsaved = _strings_in(state.get("_non_persistent_buffers_set"))
        layers: list[tuple[Inert, str, int]] = []
        for part in parts:
            for name, value in cast(Mapping[object, object], part).items() if isinstance(part, Mapping) else ():
                if isinstance(value, TensorPlace) and name not in unsaved:
                    found[f"{prefix}{name}"] = value
                elif isinstance(value, Inert):
                    layers.append((value, f"{prefix}{name}.", depth + 1))
        waiting.extend(reversed(layers))
    return found


def _strings_in(value: object) -> set[str]:
    """Of a set, which older protocols of pickle write as a call with a list."""
    items = value.arguments[0] if isinstance(value, Inert) and value.arguments else value
    if not isinstance(items, Iterable):
        return set()
    return {each for each in cast(Iterable[object], items) if isinstance(each, str)}


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

"""Unpickle what torch.save wrote without torch and without running anything that the file names.

A pickle is a program that may name any function to be called. Here every name becomes a placeholder that holds
what it is given and does nothing; the few that torch describes tensors with become records of where a tensor lies.
"""

import pickle
import pickletools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

# The storage classes of torch, by the dtype of their elements.
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_REBUILDS = frozenset(
    {
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
        ("torch._tensor", "_rebuild_from_type_v2"),
        ("torch", "Size"),
    }
)

_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})  # each takes two bytes or more


class _Still:
    """Deaf to the pickle opcode BUILD, which would otherwise set attributes of whatever it is given."""

    def __setstate__(self, state: object) -> None:
        del state


class Inert(dict[Any, Any], _Still):
    """Stands for an object of a class that the file names; keeps the items it is given as a mapping.

    `foreign` is the class's full name, `arguments` are what it is called with, `state` is what the object's attributes
    would be: a network that was saved whole has its tensors there.
    """

    foreign = ""
    arguments: tuple[object, ...] = ()
    state: Mapping[Any, Any] = {}
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    def __new__(cls, *arguments: object, **named: object) -> "Inert":
        del named
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: object, **named: object) -> None:
        del arguments, named

    def __setstate__(self, state: object) -> None:
        attributes = state[0] if isinstance(state, tuple) and len(state) == 2 else state  # the second is of slots
        if isinstance(attributes, Mapping):
            self.state = attributes

    def append(self, value: object) -> None:
        """What a list's items are given to."""

    def extend(self, values: object) -> None:
        """What a list's items are given to at once."""

    def add(self, value: object) -> None:
        """What a set's items are given to."""


class _Ordered(dict[Any, Any], _Still):
    """A collections.OrderedDict; its attributes, such as the versions that modules leave there, are dropped."""


@dataclass(frozen=True)
class Storage(_Still):
    """Elements of one dtype, kept under a key of the file."""

    dtype: str
    key: str
    elements: int
    start: int = 0  # first element, where the storage is a part of the one under the key


@dataclass(frozen=True)
class TensorPlace(_Still):
    """Where a tensor lies; `offset` and `stride` count elements of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _StorageClass(_Still):
    dtype: str


@dataclass(frozen=True)
class _Rebuild(_Still):
    """What torch calls to make a tensor of its description."""

    name: str

    def __call__(self, *arguments: Any) -> Any:
        if self.name == "Size":
            return tuple(arguments[0])
        if self.name.startswith("_rebuild_parameter"):
            return arguments[0]
        if self.name == "_rebuild_from_type_v2":
            function, _, inner, _ = arguments
            return function(*inner) if isinstance(function, _Rebuild) else Inert()
        storage, offset, shape, stride = arguments[:4]
        numbers = (offset, *shape, *stride)
        if len(shape) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
            raise pickle.UnpicklingError("a tensor of an impossible shape")
        return TensorPlace(storage, offset, tuple(shape), tuple(stride)) if isinstance(storage, Storage) else Inert()


class InertUnpickler(pickle.Unpickler):
    """Runs nothing. `foreign` gathers the full name of everything that is neither plain nor a tensor.

    `dtypes` are those of the storages, by key.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # torch for Python 2 wrote byte strings
        self._file = file
        self.foreign: set[str] = set()
        self.dtypes: dict[str, str] = {}

    def load(self) -> Any:
        """Raises UnpicklingError for a place in the memo that a pickle of its length has no use for: Python would make
        room for as many as the place says, however short the pickle is.
        """
        start = self._file.tell()
        for opcode, argument, position in pickletools.genops(self._file):
            if opcode.name in _PUTS and int(argument or 0) > (position or 0):
                raise pickle.UnpicklingError("a memo that is larger than the pickle")
        self._file.seek(start)
        return super().load()

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name == "collections" and global_name == "OrderedDict":
            return _Ordered
        if module_name == "torch" and global_name in _STORAGES:
            return _StorageClass(_STORAGES[global_name])
        if (module_name, global_name) in _REBUILDS:
            return _Rebuild(global_name)
        name = f"{module_name}.{global_name}"
        self.foreign.add(name)
        return type("Inert", (Inert,), {"foreign": name})

    def persistent_load(self, pid: Any, /) -> Any:
        """A storage as ("storage", class, key, device, elements), before torch 1.6 with a view; or a module's class."""
        if not isinstance(pid, tuple) or not pid:
            raise pickle.UnpicklingError("not written by torch.save")
        kind, *rest = pid
        if kind == "module":
            return rest[0]
        if kind != "storage":
            raise pickle.UnpicklingError("not written by torch.save")
        kept, key, _, elements, *view = rest
        if not isinstance(kept, _StorageClass):
            return Inert()
        start = 0
        if view and view[0] is not None:
            _, start, elements = view[0]
        if not _are_counts((start, elements)):
            raise pickle.UnpicklingError("a storage of an impossible size")
        self.dtypes[str(key)] = kept.dtype
        return Storage(kept.dtype, str(key), elements, start)


def _are_counts(numbers: Iterable[object]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)

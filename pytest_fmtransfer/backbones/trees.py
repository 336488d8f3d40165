"""Which trees of tensors a checkpoint holds: its mappings, and what stands under a prefix in one. Imports no torch.

Training scripts put a state dict into others (`{"state_dict": …}`, `{"model": …}`), and a network into others, whose
names then stand before those of its tensors (`module.`, `_orig_mod.`, `model.`). A tree is named by the way to it, as
in `state_dict/model`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

T = TypeVar("T")
Entries = Mapping[tuple[str, ...], Mapping[str, T]]

OUTERMOST = "."  # the name of the tensors that are in no entry and behind no prefix
_DEEPEST = 8  # parts of a prefix; wrappers put few around a network, and a hostile file may hold a name of any length


@dataclass(frozen=True, kw_only=True)
class Tree(Generic[T]):
    """Tensors by their names, without the prefix that stands before each of them in the file.

    `entry` are the names that lead to their mapping; `prefix` ends in a dot where there is one.
    """

    entry: tuple[str, ...]
    prefix: str
    tensors: Mapping[str, T]

    @property
    def name(self) -> str:
        return "/".join([*self.entry, *([self.prefix.removesuffix(".")] if self.prefix else [])]) or OUTERMOST


def entries_of(
    content: object, tensors_of: Callable[[object], tuple[Mapping[str, T], Mapping[str, object]]]
) -> Entries[T]:
    """Every mapping with tensors directly in it, by the names that lead to it; outer ones first, each once.

    Args:
        content: What a file holds.
        tensors_of: The tensors directly in a value, by name, and the other values in it; both empty for a plain one.
    """
    found: dict[tuple[str, ...], Mapping[str, T]] = {}
    waiting, seen = deque[tuple[tuple[str, ...], object]]([((), content)]), set[int]()
    while waiting:
        names, value = waiting.popleft()
        if id(value) in seen:
            continue
        tensors, others = tensors_of(value)
        if tensors or others:
            seen.add(id(value))
        if tensors:
            found[names] = tensors
        waiting.extend(((*names, name), other) for name, other in others.items())
    return found


def items_of(mapping: object, kind: type[T]) -> tuple[Mapping[str, T], Mapping[str, object]]:
    """The tensors of a mapping, of the class `kind`, and its other values, in its order."""
    if not isinstance(mapping, Mapping):
        return {}, {}
    items = cast(Mapping[object, object], mapping).items()
    tensors = {name: each for name, each in items if isinstance(name, str) and isinstance(each, kind)}
    return tensors, {str(name): each for name, each in items if not isinstance(each, kind)}


def trees_of(entries: Entries[T], least: int = 1) -> Iterator[Tree[T]]:
    """Each mapping whole, then what stands under each prefix in it; outer ones first.

    Those of fewer tensors than `least` are left out.
    """
    for entry, tensors in entries.items():
        counts: dict[str, int] = {"": len(tensors)}
        for name in tensors:
            parts = name.split(".", _DEEPEST + 1)[:-1]
            prefix = ""
            for part in parts[:_DEEPEST]:
                prefix += f"{part}."
                counts[prefix] = counts.get(prefix, 0) + 1
        for prefix in sorted((each for each in counts if counts[each] >= least), key=lambda each: each.count(".")):
            yield Tree(
                entry=entry,
                prefix=prefix,
                tensors={name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)},
            )

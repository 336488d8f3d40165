"""Keep the tensors of a file that holds more than tensors, as .safetensors, without running anything in it.

Old checkpoints hold the writer's own classes, settings and optimiser, or are a network that was saved whole. Reading
them as their library does would run whatever the file says; here every name in it becomes a placeholder. Of a file that
holds several networks, `--entry` takes one. Exit code 0 when the tensors are written.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from pytest_fmtransfer.backbones.inert_pickle import Inert, TensorPlace
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.backbones.torch_files import TorchFile, open_torch_file, parts_of
from pytest_fmtransfer.backbones.trees import OUTERMOST, Entries, Tree, trees_of
from pytest_fmtransfer.checksums import SOURCE
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="what torch.save wrote, such as weights.pth")
    parser.add_argument("-o", dest="out", metavar="OUT.safetensors", type=Path, help="default: FILE's name beside it")
    parser.add_argument(
        "--entry",
        "--inside",
        dest="entry",
        metavar="NAME",
        help="which tensors to keep, as teacher or state_dict/model; needed where several networks are in the file "
        "(default: the largest mapping)",
    )


def run(arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    out: Path = arguments.out or file.with_suffix(SUFFIX)
    entry: str | None = arguments.entry
    if not file.is_file():
        raise InvalidInput(f"{file} is no file; name one that torch.save wrote")
    if file.suffix == SUFFIX and not (entry and arguments.out):
        raise InvalidInput(
            f"{file} is safetensors already, and can be loaded as it is; to take one network of several out of it, "
            f"add --entry=NAME -o OUT{SUFFIX}"
        )
    if out.suffix != SUFFIX:
        raise InvalidInput(f"-o {out}: name a file that ends in {SUFFIX}")
    if out.exists():
        raise InvalidInput(f"{out} exists; remove it, or name another with -o OUT{SUFFIX}")
    import_torch()
    if file.suffix == SUFFIX:
        from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

        tree, dropped = _choose(file, {(): load_file(file)}, entry), list[str]()
        tensors = {name: each.clone() for name, each in tree.tensors.items()}
        name = tree.name
    else:
        with open_torch_file(file) as stored:
            places = _choose(file, stored.mappings(), entry)
            tensors = {name: _tensor(stored, place) for name, place in places.tensors.items()}
            dropped, name = _dropped(stored.content, places), places.name
    _write(tensors, file, out)
    size = sum(each.nbytes for each in tensors.values())
    print(f"{out}: {len(tensors)} tensors, {size / 1e6:.1f} MB{f' from entry {name}' if name != OUTERMOST else ''}")
    for line in dropped:
        print(f"dropped: {line}")
    return 0


class _Shaped(Protocol):
    """A tensor, or the place of one."""

    @property
    def shape(self) -> Iterable[int]: ...


S = TypeVar("S", bound=_Shaped)


def _choose(file: Path, entries: Entries[S], entry: str | None) -> Tree[S]:
    """The tree that is named; else the largest mapping, where no other is of the same network."""
    if entry is not None:
        if (named := next((tree for tree in trees_of(entries) if tree.name == entry), None)) is not None:
            return named
        known = ", ".join("/".join(names) for names in entries if names) or "none"
        raise InvalidInput(f"{file} has no tensors directly in an entry {entry!r}; entries that do: {known}")
    if not entries:
        raise CheckpointMismatch(
            f"{file} has no mapping from names to tensors: nothing to keep; write one where the network can be built: "
            "torch.save(network.state_dict(), FILE)"
        )
    # The whole of each mapping; trees under prefixes are told apart when a network is there that they fit.
    wholes = [tree for tree in trees_of(entries) if not tree.prefix]
    largest = max(wholes, key=lambda tree: sum(map(_elements, tree.tensors.values())))
    own = _described_by(largest)
    alike = [tree for tree in wholes if tree is largest or len(own & _described_by(tree)) * 2 >= len(own)]
    if len(alike) > 1:
        raise InvalidInput(
            f"{file} holds several sets of tensors of one network: {', '.join(tree.name for tree in alike)}; "
            f"take one: fmtransfer convert {file} --entry={largest.name}"
        )
    return largest


def _elements(tensor: _Shaped) -> int:
    return prod(tensor.shape)


def _described_by(tree: Tree[S]) -> set[tuple[str, tuple[int, ...]]]:
    """Names and shapes, without what stands before every name: `module.` stands before those of one network alone."""
    *_, inner = trees_of({tree.entry: tree.tensors}, least=len(tree.tensors))
    return {(name, tuple(each.shape)) for name, each in inner.tensors.items()}


def _tensor(stored: TorchFile, place: TensorPlace) -> "Tensor":
    """Contiguous, with a storage of its own."""
    import torch

    dtype = getattr(torch, place.storage.dtype)
    if not _elements(place):
        return torch.empty(place.shape, dtype=dtype)
    data = bytearray(stored.array(place).tobytes())
    return torch.frombuffer(data, dtype=torch.uint8).view(dtype).reshape(place.shape)


def _write(tensors: Mapping[str, "Tensor"], source: Path, out: Path) -> None:
    """Whole or not at all."""
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

    if not out.parent.is_dir():
        raise InvalidInput(f"-o {out}: name a file in a folder that exists")
    handle, scratch = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
    os.close(handle)
    try:
        with source.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        save_file(dict(tensors), scratch, metadata={"format": "pt", SOURCE: digest})
        os.chmod(scratch, 0o644)  # mkstemp's 0600 would survive the rename
        os.replace(scratch, out)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _dropped(content: object, kept: Tree[TensorPlace]) -> list[str]:
    """A line for each value beside the way to what is kept, and for what is no tensor of it."""
    lines: list[str] = []
    for depth, entry in enumerate((*kept.entry, None)):
        tensors, others = parts_of(content)
        for name, value in {**tensors, **others}.items():
            if entry is None and name in tensors and name.startswith(kept.prefix):
                continue
            if entry is not None and name == entry and name in others:
                content = value
                continue
            lines.append(f"{' > '.join([*kept.entry[:depth], name])} ({_described(value)})")
    return lines


def _described(value: object) -> str:
    if isinstance(value, TensorPlace):
        return "a tensor"
    if isinstance(value, Inert):
        return value.foreign or "unreadable"
    if isinstance(value, Mapping):
        return f"a mapping of {len(cast(Mapping[object, object], value))}"
    return type(value).__name__

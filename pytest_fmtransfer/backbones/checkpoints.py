"""Read a file of weights and meet it with an architecture, strictly."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.tensor_files import load_file
from pytest_fmtransfer.backbones.trees import Tree, entries_of, items_of, trees_of
from pytest_fmtransfer.errors import CheckpointMismatch


def load_strictly(module: nn.Module, path: Path, layout: Literal["same_order", "same_keys"] = "same_order") -> None:
    """Load every tensor of a checkpoint into `module`, each into its place and none left over.

    `same_order`: the file's tensors stand in the order of the module's state dict under other names.
    `same_keys`: under its names, in whatever entry and behind whatever prefix (`load_only_tree`).
    Raises CheckpointMismatch, naming the first tensor that differs.
    """
    if layout == "same_order":
        load_in_order(module, read_tensors(path), path)
        return

    def load(tensors: Mapping[str, Tensor]) -> nn.Module:
        load_tensors(module, tensors, {}, path)
        return module

    load_only_tree(path, load, lambda: module.state_dict().keys())


def load_in_order(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors that stand in the order of the module's state dict under other names.

    Raises CheckpointMismatch, naming the first tensor that differs.
    """
    expected = module.state_dict()
    if len(tensors) != len(expected):
        raise CheckpointMismatch(
            f"{path}: {len(tensors)} tensors in the file, {len(expected)} in the architecture; "
            f"first in the file {next(iter(tensors), None)!r}, in the architecture {next(iter(expected), None)!r}"
        )
    theirs = dict(zip(expected, tensors, strict=True))
    load_tensors(module, dict(zip(expected, tensors.values(), strict=True)), theirs, path)


def load_only_tree(
    path: Path, load: Callable[[Mapping[str, Tensor]], nn.Module], names: Callable[[], Collection[str]]
) -> nn.Module:
    """Load the one tree of a checkpoint that fits a network; trees whose tensors are equal count as one.

    Args:
        path: The checkpoint.
        load: Puts tensors into a network, strictly, and returns it; raises CheckpointMismatch where they do not fit.
        names: Those of the network's tensors; called when `load` was called once.

    Raises:
        CheckpointMismatch: No tree fits, and what is wrong with the likeliest; or several do, and what they are called.
    """
    stored, _ = load_file(path)
    entries = entries_of(stored, lambda value: items_of(value, Tensor))
    if not entries:
        raise _not_flat(path)
    network, fitting, errors = None, list[Tree[Tensor]](), list[tuple[Tree[Tensor], CheckpointMismatch]]()

    def attempt(tree: Tree[Tensor]) -> None:
        nonlocal network
        try:
            network = load(tree.tensors)
            fitting.append(tree)
        except CheckpointMismatch as error:
            errors.append((tree, error))

    whole = next(trees_of(entries))
    attempt(whole)
    # Half of the names and more: what a publisher's file has otherwise than the network are but a few.
    for tree in trees_of(entries, least=max(1, len(names()) // 2)):
        if (tree.entry, tree.prefix) != (whole.entry, whole.prefix):
            attempt(tree)
    if network is None:
        own = set(names())
        tree, error = max(errors, key=lambda each: len(own & each[0].tensors.keys()))
        raise (
            CheckpointMismatch(f"{error} (of {tree.name!r}, the part of the file that fits best)")
            if tree.name
            else error
        )
    if len(fitting) > 1:
        network = _load_same(path, load, fitting)
    return network


def _load_same(
    path: Path, load: Callable[[Mapping[str, Tensor]], nn.Module], trees: Sequence[Tree[Tensor]]
) -> nn.Module:
    """Load the first of several trees that make the same network. Raises CheckpointMismatch where they do not."""
    first, *others = trees
    held = {name: tensor.clone() for name, tensor in load(first.tensors).state_dict().items()}
    for other in others:
        found = load(other.tensors).state_dict()
        if found.keys() != held.keys() or not all(torch.equal(found[name], tensor) for name, tensor in held.items()):
            out = f" -o NEW{_FLAT}" if path.suffix == _FLAT else ""
            names = ", ".join(each.name for each in trees)
            raise CheckpointMismatch(
                f"{path} holds several networks that fit, and they differ: {names}; "
                f"take one: fmtransfer convert {path} --entry={other.name}{out}"
            )
    return load(first.tensors)


_FLAT = ".safetensors"


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], theirs: Mapping[str, str], path: Path) -> None:
    """Load tensors that have the module's names, each into its place and none left over.

    `theirs` are the file's names, where they are others. Raises CheckpointMismatch for the first tensor that is
    missing, left over or of another shape, by the file's name where it has one.
    """
    expected = module.state_dict()
    for name in expected:
        if name not in tensors:
            wanted = theirs.get(name, name)
            raise CheckpointMismatch(
                f"{path}: tensor {wanted!r} of the architecture is not in the file{_remedy(wanted, tensors)}"
            )
    for name, tensor in tensors.items():
        if name not in expected:
            raise CheckpointMismatch(
                f"{path}: tensor {theirs.get(name, name)!r} of the file is not in the architecture{_OTHER}"
            )
        if tensor.shape != expected[name].shape:
            raise CheckpointMismatch(
                f"{path}: tensor {theirs.get(name, name)!r} has shape {tuple(tensor.shape)}, "
                f"the architecture's {name!r} has {tuple(expected[name].shape)}{_OTHER}"
            )
    module.load_state_dict(dict(tensors), strict=True)


def check_tensors(stored: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], path: Path) -> None:
    """Hold a file against the names and shapes that its publisher's have, before they are turned into others.

    Raises CheckpointMismatch for the first tensor that is missing, left over or of another shape.
    """
    for name in expected:
        if name not in stored:
            raise CheckpointMismatch(
                f"{path}: tensor {name!r} of the architecture is not in the file{_remedy(name, stored)}"
            )
    for name, tensor in stored.items():
        if name not in expected:
            raise CheckpointMismatch(f"{path}: tensor {name!r} of the file is not in the architecture{_OTHER}")
        if tuple(tensor.shape) != tuple(expected[name]):
            raise CheckpointMismatch(
                f"{path}: tensor {name!r} has shape {tuple(tensor.shape)}, its publisher's has "
                f"{tuple(expected[name])}{_OTHER}"
            )


_OTHER = "; give the architecture's own file, or name the architecture that this file is of"


def _remedy(name: str, stored: Iterable[str]) -> str:
    """Training scripts put a network into another, whose name then stands before those of all tensors."""
    for other in stored:
        if other.endswith(f".{name}"):
            prefix = other.removesuffix(name)
            return f", but {other!r} is; save its tensors without {prefix!r}, and without those that are not under it"
    return _OTHER


def read_tensors(path: Path, inside: str = "") -> Mapping[str, Tensor]:
    """A flat state dict in the file's order, of any format in `backbones/tensor_files.py`.

    `inside` names the entry of the file that holds it; formats that are flat hold nothing but that entry. No code in
    the file is run. Raises CheckpointMismatch when the file is truncated or has no such entry, and LegacyPickle, one
    of its kind, when it holds more than tensors and plain values.
    """
    stored, flat = load_file(path)
    if inside and not flat:
        if not isinstance(stored, Mapping) or inside not in stored:
            raise CheckpointMismatch(f"{path} has no entry {inside!r}; restore the file that its authors publish")
        stored = cast(object, stored[inside])
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise _not_flat(path)
    return cast(Mapping[str, Tensor], stored)


def _not_flat(path: Path) -> CheckpointMismatch:
    return CheckpointMismatch(
        f"{path} does not hold a flat mapping from names to tensors; write the one that is in it to a file of its "
        f"own: fmtransfer convert {path}"
    )

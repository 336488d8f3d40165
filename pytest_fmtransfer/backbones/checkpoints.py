"""Read a file of weights and meet it with an architecture, strictly."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from torch import Tensor, nn

from pytest_fmtransfer.backbones.tensor_files import load_file
from pytest_fmtransfer.errors import CheckpointMismatch


def load_strictly(module: nn.Module, path: Path, layout: Literal["same_order", "same_keys"] = "same_order") -> None:
    """Load every tensor of a checkpoint into `module`, each into its place and none left over.

    `same_order`: the file's tensors stand in the order of the module's state dict under other names.
    Raises CheckpointMismatch, naming the first tensor that differs.
    """
    stored = read_tensors(path)
    if layout == "same_order":
        expected = module.state_dict()
        if len(stored) != len(expected):
            raise CheckpointMismatch(
                f"{path}: {len(stored)} tensors in the file, {len(expected)} in the architecture; "
                f"first in the file {next(iter(stored), None)!r}, in the architecture {next(iter(expected), None)!r}"
            )
        load_tensors(
            module, dict(zip(expected, stored.values(), strict=True)), dict(zip(expected, stored, strict=True)), path
        )
    else:
        load_tensors(module, stored, {}, path)


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
        raise CheckpointMismatch(
            f"{path} does not hold a flat mapping from names to tensors; write the one that is in it to a file of its "
            f"own: fmtransfer convert {path}"
        )
    return cast(Mapping[str, Tensor], stored)

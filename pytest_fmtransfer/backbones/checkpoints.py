"""Read a file of weights and meet it with an architecture, strictly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pytest_fmtransfer.errors import CheckpointMismatch


def load_strictly(module: nn.Module, path: Path, layout: Literal["same_order", "same_keys"] = "same_order") -> None:
    """Load every tensor of a checkpoint into `module`, each into its place and none left over.

    `same_order`: the file's tensors stand in the order of the module's state dict under other names.
    Raises CheckpointMismatch, naming the first tensor that differs.
    """
    stored = read_tensors(path)
    expected = module.state_dict()
    if layout == "same_keys":
        for name in expected:
            if name not in stored:
                raise CheckpointMismatch(f"{path}: tensor {name!r} of the architecture is not in the file")
        for name in stored:
            if name not in expected:
                raise CheckpointMismatch(f"{path}: tensor {name!r} of the file is not in the architecture")
        pairs = [(name, stored[name], name) for name in expected]
    else:
        if len(stored) != len(expected):
            raise CheckpointMismatch(
                f"{path}: {len(stored)} tensors in the file, {len(expected)} in the architecture; "
                f"first in the file {next(iter(stored), None)!r}, in the architecture {next(iter(expected), None)!r}"
            )
        pairs = [(theirs, stored[theirs], ours) for theirs, ours in zip(stored, expected, strict=True)]
    for theirs, tensor, ours in pairs:
        if tensor.shape != expected[ours].shape:
            raise CheckpointMismatch(
                f"{path}: tensor {theirs!r} has shape {tuple(tensor.shape)}, "
                f"the architecture's {ours!r} has {tuple(expected[ours].shape)}"
            )
    module.load_state_dict({ours: tensor for _, tensor, ours in pairs}, strict=True)


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """A flat state dict in the file's order. No code in the file is run (`weights_only`).

    Raises CheckpointMismatch when the file is truncated or holds more than tensors.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen unrelated types on broken files
        raise CheckpointMismatch(
            f"{path} is not a file of tensors ({type(error).__name__}); restore it, or reinstall the package "
            "that carries it"
        ) from error
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise CheckpointMismatch(f"{path} does not hold a flat mapping from names to tensors")
    return stored

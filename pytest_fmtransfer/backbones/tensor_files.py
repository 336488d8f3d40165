"""Load a file of weights in any format that they are published in; no code in it is run."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import safetensors.torch
import torch

from pytest_fmtransfer.backbones.shards import shards_of
from pytest_fmtransfer.backbones.torch_files import check_size, open_torch_file
from pytest_fmtransfer.errors import CheckpointMismatch, LegacyPickle


def load_file(path: Path) -> tuple[object, bool]:
    """What a checkpoint holds, and whether its format is flat: one that knows nothing but names and tensors.

    Flat are `.safetensors` and sharded checkpoints; anything else is a file of torch.save. Raises LegacyPickle for
    one that holds more than tensors and plain values, CheckpointMismatch for a broken one.
    """
    shards = shards_of(path)
    if list(shards.values()) == [None]:
        (file,) = shards
        return _load(file), file.suffix == ".safetensors"
    whole: dict[str, object] = {}
    for file, names in shards.items():
        stored = _load(file)
        if not isinstance(stored, Mapping) or stored.keys() != names:
            raise CheckpointMismatch(f"{file} does not hold the tensors that the index beside it says")
        whole |= cast(Mapping[str, object], stored)
    return whole, True


def _load(file: Path) -> object:
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        check_size(file)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'torch.load' received a zip file")  # of TorchScript: told below
            return torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointMismatch:
        raise
    except Exception as error:  # torch raises half a dozen unrelated types on broken files
        if foreign := _foreign(file):
            raise LegacyPickle(
                f"{file} is not a file of tensors alone: it names {foreign}, which only running the file could "
                f"restore; keep its tensors, and run nothing, with: fmtransfer convert {file}"
            ) from error
        raise CheckpointMismatch(
            f"{file} is not a file of tensors ({type(error).__name__}); restore it, reinstall the package "
            "that carries it, or write yours with torch.save(module.state_dict(), FILE)"
        ) from error


def _foreign(file: Path) -> str:
    """Up to three names that a file of torch.save holds besides tensors; none for a file that cannot be read."""
    try:
        with open_torch_file(file) as stored:
            names = sorted(stored.foreign)
    except (CheckpointMismatch, OSError):
        return ""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

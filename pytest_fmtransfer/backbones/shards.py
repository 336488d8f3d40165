"""Which files hold the tensors of a checkpoint, one or the shards of a folder, and which folder says what they are put
into.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pytest_fmtransfer.errors import CheckpointMismatch

# What transformers saves a model as, in the order in which it looks for it.
_IN_A_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


FOLDER = "hf:"  # how the architecture of a model begins that transformers has saved


def saved_folder(architecture: str, weights: Path | None) -> Path | None:
    """The folder whose files say what a model's tensors are put into; None for other architectures.

    That is the folder that the architecture names. A repository's, `hf:owner/name`, is where its weights are.
    """
    if not architecture.startswith(FOLDER):
        return None
    named = Path(architecture.removeprefix(FOLDER))
    if named.is_absolute() or weights is None:
        return named
    return weights if weights.is_dir() else weights.parent


def checkpoint_file(path: Path) -> Path:
    """The file that stands for a checkpoint: itself, or that in a folder which transformers saved.

    Raises CheckpointMismatch for a folder without one.
    """
    if not path.is_dir():
        return path
    for name in _IN_A_FOLDER:
        if (path / name).is_file():
            return path / name
    raise CheckpointMismatch(
        f"{path} is a folder without {', '.join(_IN_A_FOLDER)}; name a file, or a folder of save_pretrained"
    )


def shards_of(path: Path) -> Mapping[Path, frozenset[str] | None]:
    """The files that hold tensors, each with the names that an index says are in it, None without an index.

    Raises CheckpointMismatch for a broken index, one that points out of its folder, or a shard that is not there.
    """
    file = checkpoint_file(path)
    if not file.name.endswith(".index.json"):
        return {file: None}
    try:
        places = cast(dict[str, str], json.loads(file.read_text(encoding="utf-8"))["weight_map"])
        shards = {name: frozenset(each for each in places if places[each] == name) for name in places.values()}
        outside = [name for name in shards if Path(name).name != name]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointMismatch(f"{file} is not an index of shards ({type(error).__name__})") from error
    if outside:
        raise CheckpointMismatch(f"{file} names a shard outside its folder: {outside[0]}")
    for name in shards:
        if not (file.parent / name).is_file():
            raise CheckpointMismatch(f"{file} names the shard {name}, which is not beside it; download it too")
    return {file.parent / name: tensors for name, tensors in shards.items()}

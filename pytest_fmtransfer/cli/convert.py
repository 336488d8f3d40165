"""Keep the tensors of a file that holds more than tensors, as .safetensors, without running anything in it.

Old checkpoints hold the writer's own classes, settings and optimiser. Reading them as their library does would run
whatever the file says; here every name in it becomes a placeholder. Exit code 0 when the tensors are written.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pytest_fmtransfer.backbones.inert_pickle import Inert, TensorPlace
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.backbones.torch_files import ITEM_BYTES, TorchFile, open_torch_file, tensors_in
from pytest_fmtransfer.checksums import SOURCE
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

SUFFIX = ".safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="what torch.save wrote, such as weights.pth")
    parser.add_argument("-o", dest="out", metavar="OUT.safetensors", type=Path, help="default: FILE's name beside it")
    parser.add_argument("--inside", metavar="KEY", help="entry that holds the tensors (default: the largest mapping)")


def run(arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    out: Path = arguments.out or file.with_suffix(SUFFIX)
    if not file.is_file():
        raise InvalidInput(f"{file} is no file; name one that torch.save wrote")
    if file.suffix == SUFFIX:
        raise InvalidInput(f"{file} is safetensors already, and can be loaded as it is")
    if out.suffix != SUFFIX:
        raise InvalidInput(f"-o {out}: name a file that ends in {SUFFIX}")
    if out.exists():
        raise InvalidInput(f"{out} exists; remove it, or name another with -o OUT{SUFFIX}")
    with open_torch_file(file) as stored:
        names = _choose(stored, arguments.inside)
        places = tensors_in(stored.mappings()[names])
        _write(stored, places, out)
        size = sum(_bytes(place) for place in places.values())
        where = f" from entry {' > '.join(names)}" if names else ""
        print(f"{out}: {len(places)} tensors, {size / 1e6:.1f} MB{where}")
        for line in _dropped(stored.content, names):
            print(f"dropped: {line}")
    return 0


def _choose(stored: TorchFile, inside: str | None) -> tuple[str, ...]:
    """The names that lead to the mapping whose tensors are kept."""
    mappings = stored.mappings()
    if inside is not None:
        if (inside,) in mappings:
            return (inside,)
        entries = ", ".join(names[0] for names in mappings if len(names) == 1) or "none"
        raise InvalidInput(f"{stored.path} has no tensors directly in an entry {inside!r}; entries that do: {entries}")
    if not mappings:
        raise CheckpointMismatch(f"{stored.path} has no mapping from names to tensors: nothing to keep")
    return max(mappings, key=lambda names: sum(map(_bytes, tensors_in(mappings[names]).values())))


def _bytes(place: TensorPlace) -> int:
    count = ITEM_BYTES[place.storage.dtype]
    for side in place.shape:
        count *= side
    return count


def _write(stored: TorchFile, places: Mapping[str, TensorPlace], out: Path) -> None:
    """Whole or not at all; each tensor contiguous and with a storage of its own."""
    import_torch()
    import torch
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

    tensors = {
        name: torch.frombuffer(bytearray(stored.array(place).tobytes()), dtype=torch.uint8)
        .view(getattr(torch, place.storage.dtype))
        .reshape(place.shape)
        if _bytes(place)
        else torch.empty(place.shape, dtype=getattr(torch, place.storage.dtype))
        for name, place in places.items()
    }
    if not out.parent.is_dir():
        raise InvalidInput(f"-o {out}: name a file in a folder that exists")
    handle, scratch = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
    os.close(handle)
    try:
        with stored.path.open("rb") as stream:
            source = hashlib.file_digest(stream, "sha256").hexdigest()
        save_file(tensors, scratch, metadata={"format": "pt", SOURCE: source})
        os.chmod(scratch, 0o644)  # mkstemp's 0600 would survive the rename
        os.replace(scratch, out)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _dropped(content: object, names: tuple[str, ...]) -> list[str]:
    """A line for each value beside the way to what is kept, and for what is no tensor in it."""
    lines: list[str] = []
    for depth in range(len(names) + 1):
        mapping = cast(Mapping[Any, Any], content)
        for name, value in mapping.items():
            if depth < len(names) and str(name) == names[depth]:
                content = value
            elif depth < len(names) or not (isinstance(name, str) and isinstance(value, TensorPlace)):
                lines.append(f"{' > '.join([*names[:depth], str(name)])} ({_described(value)})")
    return lines


def _described(value: object) -> str:
    if isinstance(value, TensorPlace):
        return "a tensor"
    if isinstance(value, Inert):
        return value.foreign or "unreadable"
    if isinstance(value, Mapping):
        return f"a mapping of {len(cast(Mapping[object, object], value))}"
    return type(value).__name__

"""The fingerprint of weights: of their tensors, whatever kind of file they stand in. Imports no torch."""

import hashlib
from pathlib import Path
from typing import Any

from safetensors import deserialize

from pytest_fmtransfer.backbones.shards import checkpoint_file, shards_of
from pytest_fmtransfer.backbones.torch_files import open_torch_file
from pytest_fmtransfer.errors import CheckpointMismatch
from pytest_fmtransfer.store import Store, code_digest, file_digest, file_state, fingerprint

# The dtypes of `torch_files.ITEM_BYTES` by their names in safetensors.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}

# Name, dtype, shape and a digest of the bytes of a tensor.
_Tensors = dict[str, tuple[str, list[int], str]]


def weights_fingerprint(path: Path, store: Store, *, since: float | None = None) -> str:
    """32 hex digits over the names, dtypes, shapes and values of a checkpoint's tensors.

    The order and kind of file do not matter, nor a single mapping around the tensors, nor plain values beside them;
    where tensors stand in several mappings, their entries' names count too. A file that holds anything else, or
    cannot be read, is fingerprinted by its bytes: loading it is what complains. Computed once for a state of the files
    (`store.file_state`), and remembered in the store; what was remembered before `since` is computed again.
    """
    code = code_digest(
        *(f"backbones/{name}.py" for name in ("fingerprints", "inert_pickle", "shards", "torch_files", "trees")),
    )
    files = _files(path)
    states = [file_state(file) for file in files]

    def compute(entry: Path) -> None:
        (entry / "fingerprint.txt").write_text(_compute(path, files), encoding="ascii")

    entry, _ = store.fetch("weights", fingerprint(states, code), compute, about={"file": str(path)}, since=since)
    return (entry / "fingerprint.txt").read_text(encoding="ascii")


def _files(path: Path) -> list[Path]:
    """Every file that what is loaded from `path` depends on."""
    file = checkpoint_file(path)
    try:
        shards = shards_of(path)
    except CheckpointMismatch:
        shards = {}
    return list(dict.fromkeys([file, *shards]))


def _compute(path: Path, files: list[Path]) -> str:
    tensors: _Tensors = {}
    try:
        for file in shards_of(path):
            tensors |= _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    except _OtherContent:
        return fingerprint([file_digest(file) for file in files])
    return fingerprint(tensors)


class _OtherContent(Exception):
    """A file that holds anything but tensors of common dtypes and plain values, or cannot be read."""


def _safetensors(file: Path) -> _Tensors:
    try:
        stored: list[tuple[str, dict[str, Any]]] = deserialize(file.read_bytes())
    except Exception as error:  # safetensors' own type says no more than that
        raise _OtherContent from error
    # A dtype that torch_files does not know keeps the name it has in the file.
    return {
        name: (_DTYPES.get(str(each["dtype"]), str(each["dtype"])), list(each["shape"]), _digest(each["data"]))
        for name, each in stored
    }


def _torch(file: Path) -> _Tensors:
    try:
        with open_torch_file(file) as stored:
            mappings = stored.mappings()
            if stored.foreign or not mappings:
                raise _OtherContent
            return {
                "/".join([*(names if len(mappings) > 1 else ()), name]): (
                    place.storage.dtype,
                    list(place.shape),
                    _digest(stored.array(place).data),
                )
                for names, mapping in mappings.items()
                for name, place in mapping.items()
            }
    except CheckpointMismatch as error:
        raise _OtherContent from error


def _digest(data: bytes | bytearray | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()

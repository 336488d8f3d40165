"""Is a file of weights the one that its publisher published? By its SHA-256, computed once for a state of the file."""

import hashlib
import json
import re
from pathlib import Path

from pytest_fmtransfer.catalog.specs import PublishedWeights
from pytest_fmtransfer.errors import CheckpointMismatch
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, file_state, fingerprint

SOURCE = "source_sha256"  # what `fmtransfer convert` writes into the metadata of its file: that of the file it read
_MAX_HEADER = 100 << 20  # bytes, as safetensors has it


def check_sha256(path: Path, weights: PublishedWeights, what: str, places: Places) -> None:
    """Hold a file that was found for published weights against what its publisher tells of it.

    That is the row's SHA-256, or its first digits; else what the Hugging Face hub told, whose cache names large files
    by theirs. A file that `fmtransfer convert` wrote stands for the one that it was made of. Nothing is told of a
    folder, nor where the publisher tells nothing: a result then has the fingerprint of the weights alone.

    Args:
        path: The file.
        weights: The row's record of what was published.
        what: What the file is of, for the message: "weights of imagenet_resnet18".
        places: Its store remembers digests.

    Raises:
        CheckpointMismatch: The file is another than was published; names both digests.
    """
    expected = weights.sha256 or _told_by_the_hub(path)
    if not expected or not path.is_file():
        return
    converted = path.suffix != Path(weights.file).suffix
    original = path.with_name(Path(weights.file).name)
    found = _source_of(path) if converted else sha256_of(path, places)
    if not found.startswith(expected) and converted and original.is_file():
        path, found = original, sha256_of(original, places)
    if found.startswith(expected):
        return
    again = f"convert {Path(weights.file).name} again" if converted and path != original else ""
    remedy = again or f"get {Path(weights.file).name} again from {weights.url}"
    raise CheckpointMismatch(
        f"{what}: {path} is not the file that was published: its SHA-256 is {found or 'not told'}, "
        f"that of the published file {'is' if len(expected) == _DIGITS else 'begins with'} {expected}; "
        f"move it away and {remedy}, or give a file of your own as NAME=SOURCE:REF,weights=FILE"
    )


def sha256_of(path: Path, places: Places) -> str:
    """64 hex digits over a file's bytes; remembered in the store while the file's state stays the same."""
    file, store = path.resolve(), Store(root=places.store)

    def compute(entry: Path) -> None:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        (entry / "sha256.txt").write_text(digest, encoding="ascii")

    key, about = fingerprint(file_state(file)), {"file": str(file)}
    entry, _ = store.fetch("sha256", key, compute, about=about, since=places.verify_since)
    return (entry / "sha256.txt").read_text(encoding="ascii")


_DIGITS = 64


def _told_by_the_hub(path: Path) -> str:
    """The SHA-256 by which the hub's cache names a large file; empty for any other place.

    A snapshot holds links to `blobs`; a small file there is named by git's SHA-1.
    """
    file = path.resolve()
    is_digest = file.parent.name == "blobs" and re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}", file.name)
    return file.name if is_digest else ""


def _source_of(converted: Path) -> str:
    """What `fmtransfer convert` says of the file that it read; empty where it said nothing."""
    with converted.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _MAX_HEADER:
            return ""
        header = stream.read(length)
    try:
        return str(json.loads(header)["__metadata__"][SOURCE])
    except (ValueError, KeyError, TypeError):
        return ""

"""Images that cannot be decoded: all of them told at once, or known and left out.

Legend: N images.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from pytest_fmtransfer.data.decoding import in_parallel
from pytest_fmtransfer.data.pictures import Pictures
from pytest_fmtransfer.errors import UnreadableImage, first_few
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store, code_digest, fingerprint

T = TypeVar("T")

# Our modules that turn an image's bytes into pixels: whatever is made of pixels has their digest in its key.
DECODING = tuple(
    f"data/{name}.py"
    for name in (
        "array_pictures",
        "decoding",
        "deep",
        "dicom",
        "hdf5_rows",
        "image_limits",
        "modes",
        "npz_rows",
        "pictures",
        "tiff",
    )
)


def decoders() -> tuple[str, ...]:
    """The versions of the libraries that decode images."""
    return tuple(version(name) for name in ("pillow", "pydicom", "tifffile", "imagecodecs"))


def each_image(
    work: Callable[[int], T], ids: Sequence[str], *, about: str, rows: Sequence[int] | None = None
) -> Iterator[T]:
    """`work` of every row, or of those named, in order and by all cores, as far as the first image that is bad.

    The others are tried all the same, and then UnreadableImage tells how many of them are bad, and the first five.
    `about` names the dataset.
    """
    rows = range(len(ids)) if rows is None else rows

    def tried(row: int) -> T | UnreadableImage:
        try:
            return work(row)
        except UnreadableImage as error:
            return error

    bad: dict[str, UnreadableImage] = {}
    for row, got in zip(rows, in_parallel(tried, rows), strict=True):
        if isinstance(got, UnreadableImage):
            bad[ids[row]] = got
        elif not bad:
            yield got
    if bad:
        raise refusal(bad, len(rows), about)


def refusal(bad: Mapping[str, UnreadableImage], of: int, about: str) -> UnreadableImage:
    """One error for many images. Where some may be sound, it is about those: no file needs to be restored for them."""
    sound = {name: error for name, error in bad.items() if not error.damaged}
    chosen = list((sound or bad).items())
    reasons = first_few([f"{name} ({error.reason})" for name, error in chosen])
    remedy = "" if sound else "; restore the files, or leave them out: --fm-on-bad-image=skip"
    return UnreadableImage(
        f"{len(chosen)} of {of} images of {about} cannot be read: {reasons}{remedy}",
        reason=chosen[0][1].reason,
        damaged=not sound,
    )


def bad_rows(
    pictures: Pictures, ids: Sequence[str], places: Places, *, about: str, seen: Sequence[object], code: tuple[str, ...]
) -> list[int]:
    """The rows whose images cannot be decoded, from the store while no file changes; else every image is tried.

    `about` names the dataset; `seen` is what its row says of how they are decoded; `code` are the modules that do it.
    Raises UnreadableImage for images that may be sound, such as those that want a decoder, and DatasetError for missing
    files.
    """

    def reason(row: int) -> str | None:
        try:
            pictures.pixels(row)
        except UnreadableImage as error:
            if not error.damaged:
                raise
            return error.reason
        return None

    def compute(entry: Path) -> None:
        bad: dict[str, str] = {}
        with progress(f"try {about}", total=len(ids), unit="image") as bar:
            for name, why in zip(ids, each_image(reason, ids, about=about), strict=True):
                if why is not None:
                    bad[name] = why
                bar.update(1)
        (entry / "bad.json").write_text(json.dumps(bad, indent=1, ensure_ascii=False), encoding="utf-8")

    code = (*code, *DECODING, "data/bad_images.py")
    key = fingerprint(code_digest(*code), decoders(), list(seen), list(ids), pictures.manifest())
    store, since = Store(root=places.store), places.verify_since
    entry, _ = store.fetch("bad images", key, compute, about={"dataset": about}, since=since)
    bad = json.loads((entry / "bad.json").read_text(encoding="utf-8"))
    return [row for row, name in enumerate(ids) if name in bad]

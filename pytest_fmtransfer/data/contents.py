"""What is in each image of a dataset, hashed once while the state of its files stays the same.

Legend: N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.bad_images import DECODING, decoders, each_image
from pytest_fmtransfer.data.pictures import Pictures
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store, code_digest, fingerprint


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`digests_N` are over the images' bytes; `pictures_N` are equal for images that are one and the same picture."""

    digests_N: np.ndarray
    pictures_N: np.ndarray


def contents_of(
    pictures: Pictures, ids: Sequence[str], places: Places, *, about: str, code: tuple[str, ...]
) -> Contents:
    """From the store while the state of every file stays the same (`store.file_state`), or hashed by all cores.

    `about` names the dataset; `code` are the modules that decode its images. Raises DatasetError for missing files and
    UnreadableImage for broken ones, with their number and the first of them.
    """

    def compute(entry: Path) -> None:
        def both(row: int) -> tuple[str, str]:
            return pictures.digest(row), pictures.picture(row)

        found: list[tuple[str, str]] = []
        with progress(f"hash {about}", total=len(ids), unit="image") as bar:
            for pair in each_image(both, ids, about=about):
                found.append(pair)
                bar.update(1)
        digests, names = zip(*found, strict=True) if found else ((), ())
        np.savez(entry / "contents.npz", digests_N=np.array(digests), pictures_N=np.array(names))

    key = fingerprint(
        code_digest(*code, *DECODING, "data/contents.py"),
        decoders(),
        len(ids),
        pictures.manifest(),
    )
    store, since = Store(root=places.store), places.verify_since
    entry, _ = store.fetch("contents", key, compute, about={"dataset": about}, since=since)
    with np.load(entry / "contents.npz", allow_pickle=False) as archive:
        return Contents(digests_N=archive["digests_N"], pictures_N=archive["pictures_N"])

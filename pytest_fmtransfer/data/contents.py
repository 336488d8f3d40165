"""What is in each image of a dataset, hashed once while nothing about its files changes.

Legend: N images.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.decoding import in_parallel
from pytest_fmtransfer.data.pictures import Pictures
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store, code_digest, fingerprint


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`digests_N` are over the images' bytes; `pictures_N` are equal for images that are one and the same picture."""

    digests_N: np.ndarray
    pictures_N: np.ndarray


def contents_of(pictures: Pictures, images: int, places: Places, *, about: str, code: tuple[str, ...]) -> Contents:
    """From the store, or hashed by all cores.

    `about` names the dataset; `code` are the modules that decode its images. Raises DatasetError for missing files and
    UnreadableImage for broken ones.
    """

    def compute(entry: Path) -> None:
        def both(row: int) -> tuple[str, str]:
            return pictures.digest(row), pictures.picture(row)

        found: list[tuple[str, str]] = []
        with progress(f"hash {about}", total=images, unit="image") as bar:
            for pair in in_parallel(both, range(images)):
                found.append(pair)
                bar.update(1)
        digests, names = zip(*found, strict=True) if found else ((), ())
        np.savez(entry / "contents.npz", digests_N=np.array(digests), pictures_N=np.array(names))

    key = fingerprint(
        code_digest(*code, "data/contents.py", "data/pictures.py", "data/decoding.py"),
        version("pillow"),
        images,
        pictures.manifest(),
    )
    entry, _ = Store(root=places.store).fetch("contents", key, compute, about={"dataset": about})
    with np.load(entry / "contents.npz", allow_pickle=False) as archive:
        return Contents(digests_N=archive["digests_N"], pictures_N=archive["pictures_N"])

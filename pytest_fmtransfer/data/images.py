"""Decode each image of a dataset once per size, as uint8, into the image store.

Legend: N images, S the square side in pixels.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import in_parallel, resize
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store, code_digest, fingerprint


@dataclass(frozen=True, kw_only=True)
class Images:
    """One grey channel per image, mapped from disk; `digests_N` tell equal pictures from different ones."""

    pixels_NSS: np.ndarray
    digests_N: np.ndarray


def load_images(dataset: Dataset, size: int, places: Places) -> Images:
    """The dataset's images stretched to size × size. Raises UnreadableImage for the first broken file."""

    def one(path: Path) -> np.ndarray:
        return resize(dataset.reader.decode(path), size)

    def compute(entry: Path) -> None:
        paths = dataset.paths
        pixels_NSS = np.lib.format.open_memmap(
            entry / "pixels.npy", mode="w+", dtype=np.uint8, shape=(len(paths), size, size)
        )
        with progress(f"decode {dataset.spec.name} at {size} px", total=len(paths), unit="image") as bar:
            for row, pixels_SS in enumerate(in_parallel(one, paths)):
                pixels_NSS[row] = pixels_SS
                bar.update(1)
        pixels_NSS.flush()
        np.save(
            entry / "digests.npy",
            np.array([hashlib.blake2b(pixels_SS.tobytes(), digest_size=16).hexdigest() for pixels_SS in pixels_NSS]),
        )

    key = fingerprint(
        dataset.fingerprint,
        size,
        version("pillow"),
        code_digest(f"data/readers/{dataset.spec.reader}.py", "data/decoding.py", "data/images.py"),
    )
    about = {"dataset": dataset.spec.name, "size": size}
    entry, _ = Store(root=places.store).fetch("images", key, compute, about=about)
    return Images(
        pixels_NSS=np.load(entry / "pixels.npy", mmap_mode="r", allow_pickle=False),
        digests_N=np.load(entry / "digests.npy", allow_pickle=False),
    )

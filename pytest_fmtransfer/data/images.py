"""Decode each image of a dataset once per size, as uint8, into the image store.

Legend: N images, S the square side in pixels.
"""

import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import in_parallel, resize
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store, code_digest, fingerprint


def load_images(dataset: Dataset, size: int, places: Places) -> np.ndarray:
    """The dataset's images stretched to size × size, uint8, mapped from disk: N × S × S where they have one channel,
    N × S × S × 3 where they have three.

    Raises UnreadableImage for the first broken file.
    """

    def compute(entry: Path) -> None:
        images = len(dataset.table.ids_N)
        shape = (images, size, size) if dataset.spec.stored_channels == 1 else (images, size, size, 3)
        pixels_NSS = np.lib.format.open_memmap(entry / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
        with progress(f"decode {dataset.spec.name} at {size} px", total=images, unit="image") as bar:
            for row, pixels_SS in enumerate(in_parallel(partial(_square, dataset, size), range(images))):
                pixels_NSS[row] = pixels_SS
                bar.update(1)
        pixels_NSS.flush()

    about = {"dataset": dataset.spec.name, "size": size}
    entry, _ = Store(root=places.store).fetch("images", image_key(dataset, size), compute, about=about)
    return np.load(entry / "pixels.npy", mmap_mode="r", allow_pickle=False)


def image_key(dataset: Dataset, size: int) -> str:
    """What an entry of the image store is found under."""
    return fingerprint(
        dataset.fingerprint,
        size,
        dataset.spec.stored_channels,
        version("pillow"),
        code_digest(f"data/readers/{dataset.spec.reader}.py", "data/decoding.py", "data/pictures.py", "data/images.py"),
    )


def seconds_per_image(dataset: Dataset, size: int, *, sample: int) -> float:
    """What decoding an image takes here, told by decoding up to `sample` of them, spread over the dataset.

    Raises UnreadableImage for a broken file among them.
    """
    images = len(dataset.table.ids_N)
    rows = range(0, images, max(1, images // sample))[:sample]
    started = time.perf_counter()
    for _ in in_parallel(partial(_square, dataset, size), rows):
        pass
    return (time.perf_counter() - started) / len(rows)


def _square(dataset: Dataset, size: int, row: int) -> np.ndarray:
    return resize(dataset.pictures.pixels(row), size)

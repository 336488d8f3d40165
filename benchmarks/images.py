"""How fast the image store is built and read, against decoding the images.

    python benchmarks/images.py [--images N] [--side PIXELS] [--repeats R]

N JPEG files of made pictures, of fine structure all over (nobody's scans), are written to a temporary folder. Then, R
times in turn: one thread decodes and stretches all of them to 224 px; the store is built by all cores; a process that
has checked nothing yet opens the store, checks it and reads every image; the same without the check; and all cores
decode them again. Printed are the best of each, because whatever else runs on the machine only takes time away, and
two ratios: built / (cores × one thread), to be at least 0.9, and decoded again / read, to be at least 20. Seconds of
the processor, which others on the machine move less, stand beside those of the clock: what building takes of them
beyond one thread's decoding is the store's own work.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data import chunks
from pytest_fmtransfer.data.contents import Contents
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import in_parallel, read_pixels, resize
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.table import TRAIN, Table
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import fingerprint

SIZE = 224


def make(folder: Path, images: int, side: int) -> Dataset:
    """Colour images of a few patterns, each cut out at another place so that no two are alike."""
    chance = np.random.default_rng(0)
    noise_HW3 = gaussian_filter(chance.normal(size=(side + 64, side + 64, 3)), (2, 2, 0))
    pattern_HW3 = np.clip(128 + 40 * noise_HW3 / noise_HW3.std(), 0, 255).astype(np.uint8)
    names = [f"{number:05}.jpg" for number in range(images)]
    for name in names:
        top, left = chance.integers(0, 64, 2)
        Image.fromarray(pattern_HW3[top : top + side, left : left + side]).save(folder / name, quality=90)
    ids_N = np.array(names)
    zeros_N = np.zeros(images, dtype=np.int64)
    table = Table(ids_N=ids_N, labels_N=zeros_N, patients_N=ids_N, split_N=np.full(images, TRAIN), found=images)
    return Dataset(
        spec=replace(Registry().dataset("br35h"), name="made", channels=3),
        folder=folder,
        table=table,
        pictures=FilePictures(folder=folder, ids=tuple(names), decode=partial(read_pixels, channels=3)),
        contents=Contents(digests_N=ids_N, pictures_N=ids_N),
        fingerprint=fingerprint("made", images, side),
    )


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processor over all threads."""
    started, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    images: int = arguments.images
    best: dict[str, float] = {}
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        (folder := Path(scratch) / "images").mkdir()
        dataset = make(folder, images, arguments.side)

        def one(row: int) -> np.ndarray:
            return resize(dataset.pictures.pixels(row), SIZE)

        def alone() -> None:
            for row in range(images):
                one(row)

        def again() -> None:
            for _ in in_parallel(one, range(images)):
                pass

        def read(places: Places) -> None:
            pixels_NSS3 = load_images(dataset, SIZE, places)
            for row in range(images):
                np.array(pixels_NSS3[row])

        def read_checking(places: Places) -> None:
            chunks.forget()
            read(places)

        for repeat in range(arguments.repeats):
            places = Places(store=Path(scratch) / f"store{repeat}")
            for what, work in {
                "one thread decodes": alone,
                "store built": lambda places=places: load_images(dataset, SIZE, places),
                "store checked and read": lambda places=places: read_checking(places),
                "store read": lambda places=places: read(places),
                "all cores decode": again,
            }.items():
                took, spent = seconds(work)
                best[what] = min(best.get(what, took), took)
                least[what] = min(least.get(what, spent), spent)
    print(
        f"{images} made JPEG images of {arguments.side} px, at {SIZE} px; {cores()} cores; best of {arguments.repeats}"
    )
    for what, took in best.items():
        print(f"{what:24}{took:8.3f} s{images / took:10.0f} images/s{least[what]:10.3f} s of the processor")
    built = best["one thread decodes"] / best["store built"] / cores()
    own = least["store built"] / least["one thread decodes"]
    print(f"built / (cores × one thread): {built:.2f}; processor seconds, store built / one thread: {own:.2f}")
    for what in ("store checked and read", "store read"):
        print(f"decoded again / {what}: {best['all cores decode'] / best[what]:.0f}")


if __name__ == "__main__":
    main()

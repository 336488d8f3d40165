"""Decode each image of a dataset once per size, as uint8, into the image store.

The store's entry is one file that every process maps. While it is built it lies beside the entry's place, where a
killed run leaves it for the next to go on with.

Legend: N images, S the square side in pixels.
"""

import shutil
import time
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import STRETCHED, Framing
from pytest_fmtransfer.data.bad_images import DECODING, decoders, each_image
from pytest_fmtransfer.data.chunks import PIXELS, GrowingArray, is_sound, take_apart, taken
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import in_parallel
from pytest_fmtransfer.data.framing import framed
from pytest_fmtransfer.disk import MOVE_STORE
from pytest_fmtransfer.errors import StorageError, UnreadableImage
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.progress import progress, tell
from pytest_fmtransfer.store import CorruptEntry, Store, code_digest, fingerprint

KIND = "images"
LARGE = 10**9  # bytes from which on it is said beforehand what the images take


def load_images(dataset: Dataset, size: int, places: Places, framing: Framing = STRETCHED) -> np.ndarray:
    """The dataset's images as squares of size × size, uint8, mapped from disk: N × S × S where they have one channel,
    N × S × S × 3 where they have three.

    Checked against their checksums once in a process; damaged ones are decoded again, with a warning. Raises
    UnreadableImage for broken files, with their number and the first of them, and StorageError, with the figure, when
    the disk cannot hold the images.
    """
    store, key = Store(root=places.store), image_key(dataset, size, framing)
    growing = _growing(store, key)

    def fetch() -> tuple[Path, bool]:
        return store.fetch(
            KIND,
            key,
            partial(_build, dataset, size, framing, places.store, growing),
            about={"dataset": dataset.spec.name, "size": size},
            unlisted=(PIXELS,),
        )

    entry, computed = fetch()
    if not is_sound(entry, known=computed):
        warnings.warn(inline(f"store entry {entry} is corrupt; what is damaged is decoded again"), stacklevel=2)
        with store.locked(KIND, key, key):
            if entry.exists() and not is_sound(entry):  # nobody else has mended it
                take_apart(entry, growing)
        entry, computed = fetch()
        if not is_sound(entry, known=computed):
            raise CorruptEntry(f"store entry {entry} is corrupt again; look at the disk, or name another store")
    return np.load(entry / PIXELS, mmap_mode="r", allow_pickle=False)


def image_key(dataset: Dataset, size: int, framing: Framing = STRETCHED) -> str:
    """What an entry of the image store is found under."""
    return fingerprint(
        dataset.fingerprint,
        size if framing == STRETCHED else (size, asdict(framing)),
        dataset.spec.stored_channels,
        decoders(),
        code_digest(
            f"data/readers/{dataset.spec.reader}.py", *DECODING, "data/chunks.py", "data/framing.py", "data/images.py"
        ),
    )


def seconds_per_image(dataset: Dataset, size: int, *, sample: int, framing: Framing = STRETCHED) -> float:
    """What decoding an image takes here, told by decoding up to `sample` of them, spread over the dataset.

    Raises UnreadableImage for a broken file among them.
    """
    images = len(dataset.table.ids_N)
    rows = range(0, images, max(1, images // sample))[:sample]
    started = time.perf_counter()
    for _ in in_parallel(partial(_square, dataset, size, framing), rows):
        pass
    return (time.perf_counter() - started) / len(rows)


def _growing(store: Store, key: str) -> Path:
    """Where an entry is while it is built."""
    place = store.place(KIND, key)
    return place.with_name(f"{key}.partial")


def _build(dataset: Dataset, size: int, framing: Framing, store: Path, growing: Path, entry: Path) -> None:
    name, ids = dataset.spec.name, dataset.table.ids_N.tolist()
    shape = (len(ids), size, size) if dataset.spec.stored_channels == 1 else (len(ids), size, size, 3)
    check_room(f"the images of {name} at {size} px", int(np.prod(shape)), store, growing)
    array = GrowingArray(growing, shape)

    def write(row: int) -> None:
        array.rows_N[row] = _square(dataset, size, framing, row)

    with progress(f"decode {name} at {size} px", total=len(array.todo), unit="image") as bar:
        try:
            done = each_image(write, ids, rows=array.todo, about=name)
            for row, _ in zip(array.todo, done, strict=True):
                array.finished(row)
                bar.update(1)
        except UnreadableImage as error:
            if error.damaged:  # with other files, or without these, the images are another entry
                shutil.rmtree(growing, ignore_errors=True)
            raise
    array.close_into(entry)


def check_room(what: str, required: int, store: Path, growing: Path | None = None) -> None:
    """Say how large something is where that is much. Raises StorageError when the disk cannot hold it.

    `growing` is a folder that holds a part of it already.
    """
    free = shutil.disk_usage(store).free + (taken(growing) if growing else 0)
    if required > free:
        raise StorageError(
            f"{what} take {_amount(required)}, and {store} has {_amount(free)} left; make room, or {MOVE_STORE}"
        )
    if required >= LARGE:
        tell(f"{what}: {_amount(required)} in {store}")


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB ({size:,} bytes)"


def _square(dataset: Dataset, size: int, framing: Framing, row: int) -> np.ndarray:
    return framed(dataset.pictures.pixels(row), size, framing)

"""Folders in the exact format of a dataset, with generated pictures in which its class is planted.

Lists are written as their publishers write them and read by the dataset's own reader, which tells each picture's name
and label. Where a publisher's split is a rule over the rows of a list, classes are dealt out over each side that the
rule makes, so that all are alike there. What carries the class is `planted.carriers_of`.

Legend: N images.
"""

import os
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count, product
from pathlib import Path

import numpy as np
from PIL import Image

from pytest_fmtransfer.catalog.specs import SHUFFLED, DataRoot, DatasetSpec
from pytest_fmtransfer.data.dataset import reader_of
from pytest_fmtransfer.data.readers import aptos2019, chexpert, isic2019
from pytest_fmtransfer.data.splits import shuffled_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.stand_ins import layouts
from pytest_fmtransfer.stand_ins.planted import MARKS, carriers_of, is_generated, kinds_of, samples_of, side_of
from pytest_fmtransfer.stand_ins.signals import painted

SIDES = (TRAIN, VALIDATION, TEST)


def grow(spec: DatasetSpec, root: Path) -> None:
    """Write the data of a stand-in dataset below `root`, unless they are there. Of several that do so at once, one
    puts them there.

    `spec` is as `planted.generated` gives it. Raises InvalidInput for a layout that nothing is generated for.
    """
    if not is_generated(spec) or not isinstance(spec.location, DataRoot):
        raise InvalidInput(f"nothing is generated in the layout of {spec.name}")
    folder = root / spec.location.folder
    place = folder / spec.options["file"] if spec.reader == "medmnist" else folder
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".growing-") as scratch:
        grown = Path(scratch) / place.name
        _WRITERS[spec.reader or ""](grown, spec)
        try:
            os.rename(grown, place)
        except OSError:
            if not place.exists():
                raise


def _aptos(folder: Path, spec: DatasetSpec) -> None:
    codes = (f"{number * 2654435761 % 2**48:012x}" for number in count(1))
    if spec.options["release"] == "mirror":
        layouts.aptos_mirror(folder, *(dict(zip(codes, _dealt(spec, n), strict=False)) for n in samples_of(spec)))
    else:
        split_N = shuffled_split(sum(samples_of(spec)), held_out=aptos2019.HELD_OUT)
        layouts.aptos(folder, dict(zip(codes, _dealt_over(spec, split_N), strict=False)))
    _paint(folder, spec)


def _isic(folder: Path, spec: DatasetSpec) -> None:
    split_N = shuffled_split(sum(samples_of(spec)), held_out=isic2019.HELD_OUT, seed=isic2019.SEED)
    rows = (
        # Of some images the challenge knows no lesion.
        (f"ISIC_{number:07}", spec.classes[kind], "" if number % 12 == 0 else f"BCN_{number:07}")
        for number, kind in enumerate(_dealt_over(spec, split_N))
    )
    layouts.isic(folder, rows)
    _paint(folder, spec)


def _chexpert(folder: Path, spec: DatasetSpec) -> None:
    images = sum(samples_of(spec))
    paths = [f"train/patient{number:05}/study1/view1_frontal.jpg" for number in range(images)]  # sorted, as split
    split_N = chexpert.positions_split(np.array(paths))
    findings = (["1.0", *[""] * 13], ["", *["1.0"] * 13])
    layouts.chexpert(folder, ((path, findings[k]) for path, k in zip(paths, _dealt_over(spec, split_N), strict=True)))
    _paint(folder, spec)


def _ddsm(folder: Path, spec: DatasetSpec) -> None:
    numbers = count(1)

    def name(kind: int) -> str:
        number = next(numbers)
        prefix = ("normal", ("benign", "cancer")[number % 4 // 2])[kind]
        return f"{prefix}_05-C_{number:04}_1.LEFT_CC.LJPEG.1.jpg"

    sides = zip(("train", "val", "test"), samples_of(spec), strict=True)
    layouts.ddsm(folder, {side: [name(kind) for kind in _dealt(spec, images)] for side, images in sides})
    _paint(folder, spec)


def _medmnist(file: Path, spec: DatasetSpec) -> None:
    arrays: dict[str, np.ndarray] = {}
    for side, images in zip(("train", "val", "test"), samples_of(spec), strict=True):
        kinds = _dealt(spec, images)
        arrays[f"{side}_images"] = np.stack(
            [_picture(spec, kind, row // kinds_of(spec), f"{side} {row}") for row, kind in enumerate(kinds)]
        )
        columns = len(spec.classes) if spec.several_labels else 1
        arrays[f"{side}_labels"] = np.repeat(np.array(kinds, dtype=np.uint8)[:, None], columns, axis=1)
    with file.open("wb") as stream:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]


_WRITERS: dict[str, Callable[[Path, DatasetSpec], None]] = {
    "aptos2019": _aptos,
    "chexpert": _chexpert,
    "ddsm": _ddsm,
    "isic2019": _isic,
    "medmnist": _medmnist,
}


def _dealt(spec: DatasetSpec, images: int) -> list[int]:
    """The kind of each image of a side: all in turn."""
    return [row % kinds_of(spec) for row in range(images)]


def _dealt_over(spec: DatasetSpec, split_N: np.ndarray) -> list[int]:
    kinds_N = np.zeros(len(split_N), dtype=np.int64)
    for side in SIDES:
        rows_M = np.flatnonzero(split_N == side)
        kinds_N[rows_M] = np.arange(len(rows_M)) % kinds_of(spec)
    return kinds_N.tolist()


def _paint(folder: Path, spec: DatasetSpec) -> None:
    """Write every picture that the lists in a folder name."""
    table = reader_of(spec).read(folder, spec)
    labels_N = table.labels_N[:, -1] if spec.several_labels else table.labels_N
    turns_N = np.zeros(len(labels_N), dtype=np.int64)  # among those of the same class on the same side
    for side, kind in product(SIDES, range(kinds_of(spec))):
        rows_M = np.flatnonzero((table.split_N == side) & (labels_N == kind))
        turns_N[rows_M] = np.arange(len(rows_M))
    names = table.ids_N.tolist()
    for parent in {(folder / name).parent for name in names}:
        parent.mkdir(parents=True, exist_ok=True)

    def paint(name: str, kind: int, turn: int) -> None:
        file = folder / name
        # Each format takes its own and leaves the other's.
        Image.fromarray(_picture(spec, kind, turn, name)).save(file, compress_level=1, quality=95, subsampling=0)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(paint, names, labels_N.tolist(), turns_N.tolist()))


def _picture(spec: DatasetSpec, kind: int, turn: int, name: str) -> np.ndarray:
    """Marks come in turn."""
    side, channels = side_of(spec), spec.stored_channels
    level = kind / (kinds_of(spec) - 1)
    carriers = carriers_of(spec.name.removesuffix(f".{SHUFFLED}"), channels=channels, side=side)
    levels, seed = dict.fromkeys(carriers, level), zlib.crc32(name.encode())
    return painted(levels, mark=turn % MARKS, seed=seed, channels=channels, side=side)

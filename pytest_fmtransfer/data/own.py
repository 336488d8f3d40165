"""What the readers of a user's own data share: names of sides, suffixes of images, and the split where none is given.

Legend: N images, C labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.identifiers import by_name, identifier, in_order, is_missing
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.data.splits import grouped_split, stratified_split
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError

# Every suffix of a format that `decoding` reads: Pillow's of its FORMATS, and its DICOM_SUFFIXES.
SUFFIXES = (
    *(".apng", ".bmp", ".dcm", ".dicom", ".gif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf"),
    *(".jpg", ".jpx", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
SIDE_NAMES: Mapping[str, str] = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
SEED = 42
# Of each class. What a verdict can show depends on the test side, and frozen features need few images to learn from.
VALIDATION_SHARE, TEST_SHARE = 0.2, 0.4


def is_image(name: str) -> bool:
    """Whether a file's name ends as an image's does, in any case."""
    return name.lower().endswith(SUFFIXES)


def classes_in_order(
    where: Path, found: Iterable[str], named: Sequence[str], *, scale: bool, line: str
) -> tuple[str, ...]:
    """The classes that a user names, in that order; else those found, numbers by their value and words as they sort.

    `scale`: their order has a meaning, so that words must be named; `line` is what the user wrote. Raises DatasetError
    for words that are not, for a class that is named twice or left out, and one whose name says there is none.
    """
    sorted_, are_numbers = in_order(found)
    known = by_name({name: name for name in named})
    if len(twice := {identifier(name) for name in named}) < len(named):
        again = next(name for name in named if [identifier(each) for each in named].count(identifier(name)) > 1)
        raise DatasetError(f"classes= names class {again!r} twice ({len(named)} names of {len(twice)} classes)")
    if not named:
        if nameless := [name for name in sorted_ if is_missing(name)]:
            raise DatasetError(
                f"{where}: is {nameless[0]!r} a class, or the want of one? If it is one, name every class: "
                f"{_stated(line, sorted_)}"
            )
        if scale and not are_numbers:
            raise DatasetError(
                f"{where}: which order has the scale? by their names it would be {' < '.join(sorted_)}; put the "
                f"classes in order and say so: {_stated(line, sorted_)}"
            )
        return sorted_
    if unknown := [name for name in sorted_ if known(name) is None]:
        raise DatasetError(f"classes= leaves out {', '.join(unknown)}; name every class of {where}")
    return tuple(named)


def _stated(line: str, classes: Sequence[str]) -> str:
    """The line with its classes; one of Python where a name holds what parts a line."""
    if any(mark in name for name in classes for mark in "+,"):
        return f"classes={tuple(classes)!r} of own_folder or own_table"
    return f"{line},classes={'+'.join(classes)}"


def validation_share(spec: DatasetSpec) -> float:
    """Of each class, how much is on the validation side, from 0 to 1."""
    return float(spec.options.get("validation", VALIDATION_SHARE))


def test_share(spec: DatasetSpec) -> float:
    """Of each class, how much is tested, from 0 to 1."""
    return float(spec.options.get("test", TEST_SHARE))


def has_sides(spec: DatasetSpec, table: Table) -> bool:
    """Whether a user's own data say what is tested: in a column of the table, or in the folders above the classes'."""
    if spec.reader == "table":
        return "split" in spec.options
    side_of = by_name(SIDE_NAMES)
    return all(side_of(top) is not None for top in {name.partition("/")[0] for name in table.ids_N.tolist()})


def own_table(
    where: Path,
    spec: DatasetSpec,
    *,
    ids_N: np.ndarray,
    labels: np.ndarray,
    patients_N: np.ndarray | None,
    split_N: np.ndarray | None,
    notices: tuple[Notice, ...] = (),
) -> Table:
    """A user's images sorted by id, split where no split is given.

    `where` is what the user named; options `validation` and `test` of the row are shares of each class. Without
    patients each image stands alone. A given split without a validation side gives up that share of its training side.
    Raises DatasetError for a side without images.
    """
    order = np.argsort(ids_N, kind="stable")
    ids_N, labels = ids_N[order], labels[order]
    patients_N = None if patients_N is None else patients_N[order]
    validation = validation_share(spec)
    test = test_share(spec)
    if split_N is None:
        split_N = _split(labels, patients_N, validation=validation, test=test)
    else:
        split_N = split_N[order].astype("<U10")
        if not (split_N == VALIDATION).any():
            learnt = np.flatnonzero(split_N == TRAIN)
            groups = None if patients_N is None else patients_N[learnt]
            split_N[learnt] = _split(labels[learnt], groups, validation=validation, test=0)
    for side in SIDES:
        if not (split_N == side).any():
            raise DatasetError(
                f"{where}: no image is on the {side} side of {len(ids_N)}; give more images, or another split"
            )
    return Table(
        ids_N=ids_N,
        labels_N=labels,
        patients_N=ids_N if patients_N is None else patients_N,
        split_N=split_N,
        found=len(ids_N),
        notices=notices,
    )


def _split(labels: np.ndarray, patients_N: np.ndarray | None, *, validation: float, test: float) -> np.ndarray:
    if patients_N is not None:
        return grouped_split(labels, patients_N, validation=validation, test=test, seed=SEED)
    strata_N = labels if labels.ndim == 1 else rarest(labels)
    return stratified_split(strata_N, validation=validation, test=test, seed=SEED)


def rarest(labels_NC: np.ndarray) -> np.ndarray:
    """The rarest label of each image, C where it bears none: what images of several labels are split by."""
    borne_NC = labels_NC == 1
    images_C = np.where(borne_NC, borne_NC.sum(axis=0), len(labels_NC) + 1)
    return np.where(borne_NC.any(axis=1), images_C.argmin(axis=1), labels_NC.shape[1])

"""ISIC 2019: dermoscopic photographs of eight kinds of skin lesions.

`ISIC_2019_Training_GroundTruth.csv`: `image`, the eight classes and `UNK`, one of them 1.0 in each row;
`ISIC_2019_Training_Metadata.csv`: `image`, `lesion_id` and more; images in `train/<image>.jpg`. 25,331 images, CC BY-NC
4.0, https://challenge.isic-archive.com/data/#2019. `UNK` is for the challenge's test images; a training image of it has
no class and is refused. The group of an image is its `lesion_id`; one without is a group of its own.

`split=paper`, Palés Huix et al. 2024: row numbers shuffled by `random.Random(42)`, the first 20 % held out, half of
them validation, half test, rounded down: 20,265 / 2,533 / 2,533. Images of one lesion stand on two sides.
`split=by_lesion`: as many held out, stratified by class, all images of a lesion on one side, seed 42.

Legend: N images.
"""

from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.checks import arranged, check_paths, option
from pytest_fmtransfer.data.columns import check_unique, read_columns, shown
from pytest_fmtransfer.data.identifiers import by_name, patients_of
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.data.splits import grouped_split, shuffled_split
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.words import counted

SPLITS = ("paper", "by_lesion")
HELD_OUT = 0.2
SEED = 42
ONE_HOT = {"0": 0, "1": 1}


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The training images of the challenge, as the row splits them.

    Raises DatasetError, with file and row, for an image that has not exactly one of the eight classes, that is
    listed twice, or that the metadata do not have.
    """
    rule = option(spec, "split", SPLITS)
    truth = folder / "ISIC_2019_Training_GroundTruth.csv"
    columns = read_columns(truth, ("image", *spec.classes, "UNK"))
    images = columns["image"]
    check_paths(truth, images)
    check_unique(truth, "image", images)
    labels_N = _classes(truth, [columns[name] for name in spec.classes])
    lesions, notices = _lesions(folder / "ISIC_2019_Training_Metadata.csv", images)
    lesions_N = np.array(lesions)
    if rule == "paper":
        split_N = shuffled_split(len(images), held_out=HELD_OUT, seed=SEED)
    else:
        split_N = grouped_split(labels_N, lesions_N, validation=HELD_OUT / 2, test=HELD_OUT / 2, seed=SEED)
    ids_N = np.array([f"train/{image}.jpg" for image in images])
    return arranged(
        truth,
        spec.classes,
        ids_N=ids_N,
        labels_N=labels_N,
        patients_N=lesions_N,
        split_N=split_N,
        notices=notices,
    )


def _classes(file: Path, columns: list[list[str]]) -> np.ndarray:
    """The one class of each row, N int64."""
    value_of = by_name(ONE_HOT)
    values = {text: value for text in set[str]().union(*columns) if (value := value_of(text)) is not None}
    texts = set[str]().union(*columns) - set(values)
    rows = (
        [row for row, values in enumerate(zip(*columns, strict=True), start=2) if texts & set(values)] if texts else []
    )
    if rows:
        raise DatasetError(f"{file}: a class is 0.0 or 1.0, not {min(texts)!r} ({shown(rows)}); restore the file")
    hot_NC = np.array([[values[text] for text in column] for column in columns], dtype=np.int64).T
    odd = (np.flatnonzero(hot_NC.sum(axis=1) != 1) + 2).tolist()
    if odd:
        raise DatasetError(
            f"{file}: {counted(len(odd), 'image')} with none or several of the {len(columns)} classes ({shown(odd)}); "
            "leave out images of class UNK, which nobody can learn, and give every other one class"
        )
    return hot_NC.argmax(axis=1)


def _lesions(file: Path, images: list[str]) -> tuple[list[str], tuple[Notice, ...]]:
    """The lesion of each image; without one, the image's own name."""
    columns = read_columns(file, ("image", "lesion_id"))
    check_unique(file, "image", columns["image"])
    lesion = dict(zip(columns["image"], columns["lesion_id"], strict=True))
    missing = [image for image in images if image not in lesion]
    if missing:
        raise DatasetError(
            f"{file} has no row for {counted(len(missing), 'image')} of the ground truth, such as {missing[0]}; "
            "restore the file"
        )
    return patients_of([lesion[image].strip() for image in images], images, column="lesion_id", what="lesion")

"""APTOS 2019 Blindness Detection: fundus photographs in five ordered grades of diabetic retinopathy.

`release=competition`: `train.csv` (`id_code`, `diagnosis`) and `train_images/<id_code>.png`, as Kaggle's competition
gives them; its test images have no labels and are not read. 3,662 images. Split of Palés Huix et al. 2024: the row
numbers shuffled by `random.Random(42)`, the first 30 % held out, half of them validation, half test; every number is
rounded down: 2,564 training, 549 validation and 549 test images.

`release=mirror`: the common copy on Kaggle (mariaherrerot/aptos2019) of the same images: `train_1.csv`, `valid.csv`,
`test.csv` of the same columns, with `train_images/train_images`, `val_images/val_images` and `test_images/test_images`,
and its own split, 2,930 / 366 / 366. Its `test.csv` ends in rows without content.

Licence: the competition's rules, non-commercial. Nobody states which images are of one patient: each stands for itself.

Legend: N images.
"""

from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.checks import arranged, check_paths, option
from pytest_fmtransfer.data.columns import check_unique, class_indices, read_columns
from pytest_fmtransfer.data.splits import shuffled_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError

RELEASES = ("competition", "mirror")
GRADES = ("0", "1", "2", "3", "4")
HELD_OUT = 0.3
MIRROR = (
    (TRAIN, "train_1.csv", "train_images/train_images"),
    (VALIDATION, "valid.csv", "val_images/val_images"),
    (TEST, "test.csv", "test_images/test_images"),
)


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images of a release. Raises DatasetError for a file that is not as it should be, with its row."""
    if option(spec, "release", RELEASES) == "competition":
        codes, grades_N = _listed(folder / "train.csv")
        ids, split_N = _paths(codes, "train_images"), shuffled_split(len(codes), held_out=HELD_OUT)
        return _table(folder / "train.csv", spec, ids, grades_N, split_N)
    first: dict[str, str] = {}
    ids: list[str] = []
    sides: list[str] = []
    grades: list[np.ndarray] = []
    for side, file, images in MIRROR:
        codes, grades_N = _listed(folder / file)
        for row, code in enumerate(codes, start=2):
            if code in first:
                raise DatasetError(
                    f"{folder / file}: row {row} lists {code!r}, which is in {first[code]}; leave it once"
                )
        first |= dict.fromkeys(codes, file)
        ids += _paths(codes, images)
        sides += [side] * len(codes)
        grades.append(grades_N)
    return _table(folder, spec, ids, np.concatenate(grades), np.array(sides))


def _listed(file: Path) -> tuple[list[str], np.ndarray]:
    columns = read_columns(file, ("id_code", "diagnosis"))
    codes = columns["id_code"]
    check_paths(file, codes)
    check_unique(file, "id_code", codes)
    return codes, class_indices(file, "diagnosis", columns["diagnosis"], GRADES)


def _paths(codes: list[str], images: str) -> list[str]:
    return [f"{images}/{code}.png" for code in codes]


def _table(where: Path, spec: DatasetSpec, ids: list[str], grades_N: np.ndarray, split_N: np.ndarray) -> Table:
    ids_N = np.array(ids)
    return arranged(where, spec.classes, ids_N=ids_N, labels_N=grades_N, patients_N=ids_N, split_N=split_N)

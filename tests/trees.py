"""Small folders in the exact format of published datasets: their names, headers and quirks.

Each function writes a folder below `root` as its publisher does, and returns it. Pictures are written only where
`pictures` asks for them: no reader opens one.

Legend: N images.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pytest_fmtransfer.stand_ins import layouts
from pytest_fmtransfer.stand_ins.layouts import CHEXPERT_HEADER, ISIC_CLASSES, write_csv
from tests.pictures import save, scan

__all__ = (
    "CHEXPERT_HEADER",
    "ISIC_CLASSES",
    "aptos",
    "aptos_mirror",
    "chexpert",
    "chexpert_as",
    "chexpert_rows",
    "ddsm",
    "isic",
    "write_csv",
)


def aptos(root: Path, grades: Mapping[str, int], *, pictures: bool = False) -> Path:
    """The competition's folder."""
    folder = root / "APTOS2019"
    layouts.aptos(folder, grades)
    if pictures:
        for seed, (code, grade) in enumerate(grades.items()):
            grey_HW = scan(seed, 48).astype(float)
            colour_HW3 = np.stack([grey_HW, grey_HW * (0.2 + 0.15 * grade), 255 - grey_HW], axis=-1)
            save(colour_HW3.astype(np.uint8), folder / "train_images" / f"{code}.png")
    return folder


def aptos_mirror(root: Path, train: Mapping[str, int], validation: Mapping[str, int], test: Mapping[str, int]) -> Path:
    folder = root / "APTOS2019_mirror"
    layouts.aptos_mirror(folder, train, validation, test)
    return folder


def ddsm(root: Path, lists: Mapping[str, Sequence[str]], *, pictures: bool = False) -> Path:
    """`lists` has the names of the files in train.txt, val.txt and test.txt; abnormal pictures are brighter."""
    folder = root / "DDSM"
    layouts.ddsm(folder, lists)
    if pictures:
        for seed, name in enumerate(name for names in lists.values() for name in names):
            shade_HW = scan(seed, 48) // (2 if name.startswith("normal") else 1)
            save(shade_HW, folder / "ddsm_raw" / name)
    return folder


def isic(root: Path, rows: Iterable[tuple[str, str, str]]) -> Path:
    """Image, class and lesion (or '') of each row."""
    folder = root / "ISIC2019"
    layouts.isic(folder, rows)
    return folder


def chexpert(root: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> Path:
    """Path, without its release, and fourteen findings of each row, in the order of the file."""
    return chexpert_as(root, "CheXpert-v1.0", rows)


def chexpert_as(root: Path, release: str, rows: Iterable[tuple[str, Sequence[str]]]) -> Path:
    folder = root / "CheXpert"
    layouts.chexpert(folder, rows, release)
    return folder


def chexpert_rows(images: int) -> list[tuple[str, list[str]]]:
    """So many rows as the published file has them: patients of one to five images, findings mostly blank.

    A thousand findings in turn, which is fast to make.
    """
    chance = np.random.default_rng(0)
    values = np.array(["", "1.0", "0.0", "-1.0"])[chance.choice(4, (1009, 14), p=(0.6, 0.2, 0.15, 0.05))].tolist()
    rows: list[tuple[str, list[str]]] = []
    patient = 0
    while len(rows) < images:
        patient += 1
        for view in range(min(1 + patient % 5, images - len(rows))):
            kind = "lateral" if view % 2 else "frontal"
            path = f"train/patient{patient:05}/study{1 + view // 2}/view{1 + view % 2}_{kind}.jpg"
            rows.append((path, values[len(rows) % len(values)]))
    return rows

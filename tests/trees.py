"""Small folders in the exact format of published datasets: their names, headers and quirks.

Each function writes a folder below `root` as its publisher does, and returns it. Pictures are written only where
`pictures` asks for them: no reader opens one.

Legend: N images.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.registry import Registry
from tests.pictures import save, scan

CHEXPERT_HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *Registry().dataset("chexpert").classes)
ISIC_CLASSES = (*Registry().dataset("isic2019").classes, "UNK")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def aptos(root: Path, grades: Mapping[str, int], *, pictures: bool = False) -> Path:
    """The competition's folder; its test images, which have no labels, lie beside the others."""
    folder = root / "APTOS2019"
    write_csv(folder / "train.csv", ("id_code", "diagnosis"), grades.items())
    write_csv(folder / "test.csv", ("id_code",), [("0005cfc8afb6",)])
    if pictures:
        for seed, (code, grade) in enumerate(grades.items()):
            grey_HW = scan(seed, 48).astype(float)
            colour_HW3 = np.stack([grey_HW, grey_HW * (0.2 + 0.15 * grade), 255 - grey_HW], axis=-1)
            save(colour_HW3.astype(np.uint8), folder / "train_images" / f"{code}.png")
    return folder


def aptos_mirror(root: Path, train: Mapping[str, int], validation: Mapping[str, int], test: Mapping[str, int]) -> Path:
    """The mirror's folder; its test.csv goes on in rows without content."""
    folder, header = root / "APTOS2019_mirror", ("id_code", "diagnosis")
    write_csv(folder / "train_1.csv", header, train.items())
    write_csv(folder / "valid.csv", header, validation.items())
    write_csv(folder / "test.csv", header, [*test.items(), *[("", "")] * 9])
    return folder


def ddsm(root: Path, lists: Mapping[str, Sequence[str]], *, pictures: bool = False) -> Path:
    """`lists` has the names of the files in train.txt, val.txt and test.txt; abnormal pictures are brighter."""
    folder = root / "DDSM"
    (folder / "ddsm_raw_image_lists").mkdir(parents=True)
    for side, names in lists.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / "ddsm_raw_image_lists" / f"{side}.txt").write_text(text, encoding="utf-8")
    if pictures:
        for seed, name in enumerate(name for names in lists.values() for name in names):
            shade_HW = scan(seed, 48) // (2 if name.startswith("normal") else 1)
            save(shade_HW, folder / "ddsm_raw" / name)
    return folder


def isic(root: Path, rows: Iterable[tuple[str, str, str]]) -> Path:
    """Image, class and lesion (or '') of each row."""
    folder, rows = root / "ISIC2019", list(rows)
    truth = [(image, *(float(name == label) for name in ISIC_CLASSES)) for image, label, _ in rows]
    write_csv(folder / "ISIC_2019_Training_GroundTruth.csv", ("image", *ISIC_CLASSES), truth)
    header = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    metadata = [(image, "55.0", "anterior torso", lesion, "female") for image, _, lesion in rows]
    write_csv(folder / "ISIC_2019_Training_Metadata.csv", header, metadata)
    return folder


def chexpert(root: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> Path:
    """Path, without its release, and fourteen findings of each row, in the order of the file."""
    return chexpert_as(root, "CheXpert-v1.0", rows)


def chexpert_as(root: Path, release: str, rows: Iterable[tuple[str, Sequence[str]]]) -> Path:
    folder = root / "CheXpert"
    lines = ((f"{release}/{path}", "Female", "68", "Frontal", "AP", *findings) for path, findings in rows)
    write_csv(folder / "train.csv", CHEXPERT_HEADER, lines)
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

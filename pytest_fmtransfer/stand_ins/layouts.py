"""The lists of published datasets, in their publishers' names, headers and quirks: everything but the pictures.

What is written here the readers of `pytest_fmtransfer.data.readers` read, and their tests hold the two together.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pytest_fmtransfer.catalog.datasets import CHEXPERT, ISIC2019

CHEXPERT_HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT.classes)
ISIC_CLASSES = (*ISIC2019.classes, "UNK")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """In a folder made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def aptos(folder: Path, grades: Mapping[str, int]) -> None:
    """The competition's lists, of codes and their grades; its test images, which have no labels, lie beside them."""
    write_csv(folder / "train.csv", ("id_code", "diagnosis"), grades.items())
    write_csv(folder / "test.csv", ("id_code",), [("0005cfc8afb6",)])


def aptos_mirror(
    folder: Path, train: Mapping[str, int], validation: Mapping[str, int], test: Mapping[str, int]
) -> None:
    """The mirror's lists; its test.csv goes on in rows without content."""
    header = ("id_code", "diagnosis")
    write_csv(folder / "train_1.csv", header, train.items())
    write_csv(folder / "valid.csv", header, validation.items())
    write_csv(folder / "test.csv", header, [*test.items(), *[("", "")] * 9])


def ddsm(folder: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """`lists` has the names of the files in train.txt, val.txt and test.txt."""
    (folder / "ddsm_raw_image_lists").mkdir(parents=True)
    for side, names in lists.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / "ddsm_raw_image_lists" / f"{side}.txt").write_text(text, encoding="utf-8")


def isic(folder: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Image, class and lesion (or '') of each row."""
    rows = list(rows)
    truth = [(image, *(float(name == label) for name in ISIC_CLASSES)) for image, label, _ in rows]
    write_csv(folder / "ISIC_2019_Training_GroundTruth.csv", ("image", *ISIC_CLASSES), truth)
    header = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    metadata = [(image, "55.0", "anterior torso", lesion, "female") for image, _, lesion in rows]
    write_csv(folder / "ISIC_2019_Training_Metadata.csv", header, metadata)


def chexpert(folder: Path, rows: Iterable[tuple[str, Sequence[str]]], release: str = "CheXpert-v1.0") -> None:
    """Path, without its release, and fourteen findings of each row, in the order of the file."""
    lines = ((f"{release}/{path}", "Female", "68", "Frontal", "AP", *findings) for path, findings in rows)
    write_csv(folder / "train.csv", CHEXPERT_HEADER, lines)

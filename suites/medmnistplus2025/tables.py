"""The tables of results at 224 px, read from `suites/published/medmnistplus2025.csv`: AUC by scheme, model, data set.

A mean over three seeds each; its deviations are not in that file. The benchmark's AUC is MedMNIST's own, which is the
headline metric of our rows; its accuracies, which the file has too, are of no metric that they report. Of k-NN there is
no number to hold against: "owing to its direct utilization of embeddings and labels for classification, k-NN does not
furnish a reliable AUC score" (BENCHMARK.md of the released code).
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest_fmtransfer as fm
from pytest_fmtransfer.catalog.medmnist_sets import COLLECTIONS

from .paper import DATASETS, END_TO_END, PROBED

FILE = Path(__file__).parents[1] / "published" / "medmnistplus2025.csv"
SEEDS = 3  # suites/published/README.md
SIZE = "224"

_SCHEMES = {"E2E": END_TO_END, "LP": PROBED}
_BACKBONES = {
    "CLIP ViT-B/16": "openclip_vitb16_in1k",  # timm's default of that name: catalog/medmnistplus_backbones.py
    "DINO ViT-B/16": "dino_vitb16",
    "DenseNet-121": "imagenet_densenet121",
    "EVA-02 ViT-B/16": "eva02_vitb16",
    "ResNet-18": "imagenet_resnet18",
    "SAM ViT-B/16": "sam_vitb16",
    "ViT-B/16": "imagenet_vitb16",
}
_TEST_IMAGES = {f"medmnist.{each.name}_{SIZE}": each.samples[-1] for each in COLLECTIONS}


def read(file: Path = FILE) -> Mapping[fm.Cell, float]:
    """The AUC of each cell, as a share: the tables give percent."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["size"] == SIZE]
    return {
        fm.Cell(_BACKBONES[row["model"]], f"medmnist.{row['dataset']}mnist_{SIZE}", _SCHEMES[row["scheme"]]): round(
            float(row["auc"]) / 100, 6
        )
        for row in rows
    }


AUC = read()


def models(regime: str) -> tuple[str, ...]:
    """The backbones that the tables have numbers of under a scheme, by name."""
    return tuple(sorted({cell.backbone for cell in AUC if cell.regime == regime}))


def average(backbone: str, regime: str) -> float:
    """Over the data sets, as the benchmark averages."""
    return sum(AUC[fm.Cell(backbone, dataset, regime)] for dataset in DATASETS) / len(DATASETS)


def published(cell: fm.Cell) -> "fm.Published":
    """The tables' AUC for a cell, of the data set's whole test side."""
    source = f"Doerrich et al. 2025, benchmark results at {SIZE} px: {cell}"
    return fm.Published(value=AUC[cell], source=source, runs=SEEDS, patients=_TEST_IMAGES[cell.dataset])

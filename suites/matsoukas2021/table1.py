"""Table 1, read from `suites/published/matsoukas2021_table1.csv`: median and standard deviation over five runs.

Rows of weights that nobody can have, ImageNet's trained on by DINO, are left out.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest_fmtransfer as fm

from .paper import CNN, PRETRAINED, RANDOM, TRANSFORMER

FILE = Path(__file__).parents[1] / "published" / "matsoukas2021_table1.csv"
RUNS = 5  # suites/published/README.md

_BACKBONES = {"resnet50": CNN, "deit_s": TRANSFORMER}
_REGIMES = {"random": RANDOM, "imagenet_supervised": PRETRAINED}
_METRICS = {"aptos2019": "quadratic_kappa", "ddsm": "roc_auc", "isic2019": "recall"}


def read(file: Path = FILE) -> Mapping[fm.Cell, tuple[float, float]]:
    """Median and standard deviation of each cell."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["initialisation"] in _REGIMES]
    return {
        fm.Cell(_BACKBONES[row["model"]], dataset, _REGIMES[row["initialisation"]]): (
            float(row[f"{dataset}_{metric}"]),
            float(row[f"{dataset}_std"]),
        )
        for row in rows
        for dataset, metric in _METRICS.items()
    }


TABLE = read()


def published(cell: fm.Cell) -> "fm.Published":
    """The table's entry for a cell."""
    median, deviation = TABLE[cell]
    source = f"Matsoukas et al. 2021, Table 1: {cell}"
    return fm.Published(value=median, source=source, spread=deviation, spread_is="sd", runs=RUNS)

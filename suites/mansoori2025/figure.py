"""The main figure, read from `suites/published/mansoori2025_figure.csv`: one value for each model and data set.

The numbers were measured off the figure with an error of about ±0.001 each, and it prints no spread.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest_fmtransfer as fm

from .paper import FIGURE, REGIME

FILE = Path(__file__).parents[1] / "published" / "mansoori2025_figure.csv"
READING_ERROR = 0.001  # of the metric; suites/published/README.md

_BACKBONES = {
    "vmamba_s": "vmamba_s",
    "vmamba_b": "vmamba_b",
    "sam2_b": "sam2_hierabplus",
    "sam2_l": "sam2_hieral",
    "mae_b": "mae_vitb16",
    "mae_l": "mae_vitl16",
    "mae_h": "mae_vith14",
    "coca_b": "coca_vitb32",
    "coca_l": "coca_vitl14",
    "dinov2_b": "dinov2_vitb14",
    "dinov2_l": "dinov2_vitl14",
    "aimv2_l": "aimv2_vitl14",
    "aimv2_h": "aimv2_vith14",
}
_COLUMNS = {
    "aptos2019": "aptos2019_quadratic_kappa",
    "chexpert": "chexpert_roc_auc",
    "ddsm": "ddsm_roc_auc",
    "isic2019": "isic2019_recall",
}


def read(file: Path = FILE) -> Mapping[tuple[str, str], float]:
    """The figure's value for each backbone and data set."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        (_BACKBONES[row["model"]], dataset): float(row[column]) for row in rows for dataset, column in _COLUMNS.items()
    }


VALUES = read()
BACKBONES = tuple(dict.fromkeys(backbone for backbone, _ in VALUES))


def published(cell: fm.Cell) -> "fm.Published":
    """The figure's value for a cell. How far it may have been misread is the only spread there is."""
    assert cell.regime == REGIME
    return fm.Published(
        value=VALUES[cell.backbone, cell.dataset],
        source=f"Mansoori et al. 2025, {FIGURE}: {cell.backbone}, {cell.dataset}",
        spread=READING_ERROR,
        spread_is="interval",
    )

"""The datasets of Palés Huix et al. 2024 from their files to scores: small trees in the published formats.

Legend: H, W pixels.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.work import Tally, counting
from tests.pictures import save, scan
from tests.small import BACKBONE, write_weights
from tests.trees import aptos, ddsm

CELL = Cell("tiny", "made", "knn")
GRADES = {f"{number:03}": number % 5 for number in range(60)}


def registry_of(name: str, **changes: Any) -> Registry:
    """The row of that name for a small tree, as `made`, and the tiny backbone."""
    registry = Registry()
    acknowledged = {"class_too_small": "made", "class_small": "made", "class_absent": "made"}
    row = replace(registry.dataset(name), name="made", expected_images=None, acknowledged=acknowledged, **changes)
    registry.register(row)
    registry.register(BACKBONE)
    return registry


def result_of(registry: Registry, places: Places) -> Result:
    """What the cell yields; a second call must be a look-up that yields the same."""
    first = transfer(CELL, registry=registry, places=places)
    tally = Tally()
    with counting(tally):
        again = transfer(CELL, registry=registry, places=places)
    assert tally.forward_passes == 0
    np.testing.assert_array_equal(again.scores_SNC, first.scores_SNC)
    return first


@pytest.fixture
def own(tmp_path: Path) -> Places:
    write_weights(tmp_path / "weights")
    return Places(store=tmp_path / "store", weights=tmp_path / "weights", data_root=tmp_path / "data")


def tinted(seed: int, shade: float) -> np.ndarray:
    """A grey scan in a tint that its luminance, 0.299 R + 0.587 G + 0.114 B, does not show."""
    grey_HW = 100 + 0.2 * scan(seed, 48).astype(float)
    colour_HW3 = grey_HW[..., None] + 120 * shade * np.array([0.587, -0.299, 0.0])
    return np.clip(colour_HW3.round(), 0, 255).astype(np.uint8)


def test_aptos_is_seen_in_colour(own: Places, tmp_path: Path) -> None:
    folder = aptos(tmp_path / "data", GRADES)
    greys: list[float] = []
    for seed, (code, grade) in enumerate(GRADES.items()):
        path = save(tinted(seed, grade / 2 - 1), folder / "train_images" / f"{code}.png")
        greys.append(float(np.asarray(Image.open(path).convert("L")).mean()))
    assert np.ptp(greys) < 3  # in grey the grades are alike
    assert result_of(registry_of("aptos2019"), own).mean > 0.95
    grey = registry_of("aptos2019", channels=1, mean=(0.5,), std=(0.25,))
    assert result_of(grey, own).mean < 0.6


def names(start: int, each: int) -> list[str]:
    kinds = ("normal", "benign", "normal", "cancer")
    return [f"{kinds[row % 4]}_01-A_{row:04}_1.LEFT_CC.LJPEG.1.png" for row in range(start, start + 4 * each)]


def test_ddsm_is_seen_in_grey_through_a_stem_of_one_channel(own: Places, tmp_path: Path) -> None:
    lists = {"train": names(0, 8), "val": names(100, 4), "test": names(200, 4)}
    ddsm(tmp_path / "data", lists, pictures=True)
    result = result_of(registry_of("ddsm"), own)
    assert result.mean == 1
    side = named_test_side(open_dataset(registry_of("ddsm").dataset(CELL.dataset), own))
    assert result.ids_N.tolist() == side.images_T.tolist()
    assert sorted(side.ids_T.tolist()) == sorted(f"ddsm_raw/{name}" for name in lists["test"])
    assert result.patients == 16
    repeated = result_of(registry_of("ddsm", channels="repeat"), own)
    assert repeated.mean == 1
    assert not np.array_equal(result.scores_SNC, repeated.scores_SNC)

"""Every claim of suites/mansoori2025 can be supported and can fail: the suite judges results with planted effects.

Models are as good as the abstract and the order of sizes have it, or the other way round (`tests/planted_worlds.py`).
Values of the figure are agreed with where they are planted.
"""

import csv
from pathlib import Path

import pytest

from pytest_fmtransfer.cell import Cell
from suites.mansoori2025.figure import BACKBONES, FILE, VALUES, read
from suites.mansoori2025.paper import AIMV2, BEST, COCA, DINOV2, MAE, OTHERS, REGIME, SAM2, VMAMBA
from tests.planted_worlds import Sample, Watcher, Worlds, alike, failed, judged, judged_both_ways, names, run, scoring

SUITE = "mansoori2025"
STEP, CENTRE, MIDDLE = 0.2, 2, 1.2  # of the signal, and the step and signal about which a world is reversed
SELECTED = "ddsm and (sam2_hieral or beats)"  # one of the best models against the others, and every order of sizes
# The sizes of a model one above the other, and all of the best models above all of the others.
STEPS = {
    name: size + 3 * (name in BEST)
    for sizes in (AIMV2, DINOV2, SAM2, MAE, COCA, VMAMBA)
    for size, name in enumerate(reversed(sizes))
}
FIVE_SEEDS = Sample(seeds=5)
MANY, OFF = Sample(each=3000, seeds=5), 0.06  # OFF: another value than the figure's


@pytest.fixture(scope="module")
def every() -> Watcher:
    return run(SUITE, SELECTED, "--co")


@pytest.fixture(scope="module")
def worlds(every: Watcher, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    heights = {cell: STEP * (STEPS[cell.backbone] - CENTRE) for cell in every.cells}
    return judged_both_ways(SUITE, SELECTED, tmp_path_factory, heights, MIDDLE, FIVE_SEEDS)


def test_every_test_of_the_suite_is_among_those_that_are_judged(every: Watcher, worlds: Worlds) -> None:
    for world in worlds:
        assert names(world) == every.functions


def test_what_the_paper_says_is_supported_where_it_is_planted(worlds: Worlds) -> None:
    assert {name for name in failed(worlds[0]) if "agrees" not in name} == set()


def test_every_claim_fails_in_one_world_and_is_supported_in_the_other(worlds: Worlds) -> None:
    assert {name for name in alike(worlds) if "agrees" not in name} == set()


def test_a_value_of_the_figure_is_agreed_with_where_it_is_planted_and_not_where_another_is(tmp_path: Path) -> None:
    cells = [Cell(backbone, "ddsm", REGIME) for backbone in ("sam2_hieral", "vmamba_s")]
    selected = "agrees and ddsm and (sam2_hieral or vmamba_s)"
    for off, outcome in ((0.0, "passed"), (OFF, "failed")):
        signals = {cell: scoring(cell, VALUES[cell.backbone, "ddsm"] - off, MANY) for cell in cells}
        ended = judged(SUITE, selected, tmp_path / outcome, signals, MANY)
        assert ended == {f"test_agrees_with_the_figure[{cell}]": outcome for cell in cells}


def test_the_figure_is_read_from_its_file(tmp_path: Path) -> None:
    """Every value of it, under the names of the catalogue; another file, other values."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert set(BACKBONES) == {*BEST, *OTHERS} == set(STEPS)
    printed = [float(value) for row in rows for key, value in row.items() if key not in ("model", "million_params")]
    assert sorted(VALUES.values()) == sorted(printed)
    other = tmp_path / "other.csv"
    head = FILE.read_text(encoding="utf-8").partition("\n")[0]
    other.write_text(f"{head}\ncoca_l,307,0.1,0.2,0.3,0.4\n")
    assert read(other) == {
        ("coca_vitl14", "aptos2019"): 0.4,
        ("coca_vitl14", "chexpert"): 0.2,
        ("coca_vitl14", "ddsm"): 0.1,
        ("coca_vitl14", "isic2019"): 0.3,
    }

"""Every claim of suites/huix2024 can be supported and can fail: the suite judges results with planted effects.

Two worlds are exported. In the paper's, cells are as good as Figure 1 and the suite's own directions have it; in the
other, everything is the other way round. A claim that is supported in both, or in neither, cannot tell them apart.

Legend: S seeds, N test images, C classes or labels.
"""

import csv
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import settings_on
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.plugin.collection import cells_of
from pytest_fmtransfer.results import Result
from suites.huix2024.figure1 import BARS, FILE, READING_ERROR, Bar, levels
from suites.huix2024.paper import LINEAR
from tests.helpers import labels_of, make_result, noisy_scores

ROOT = Path(__file__).parents[1]
STEP, EACH = 0.12, 60  # of the signal, and images of a class
# Of the many cells, those of one dataset; of the claims over datasets, all.
SELECTED = "ddsm"

# Better than frozen by so many steps.
ABOVE_FROZEN = {"finetune": 6, "partial3": 5, "partial6": 4, "partial9": 3, "partial1": 5, "partial2": 4}


def steps(cell: Cell) -> float:
    """How good a cell is in the paper's world: bars of one level alike, dropped blocks no loss."""
    how, _, head = cell.regime.partition(".")[0].partition("_")
    if how == "finetune":
        height = {(bar.backbone, bar.regime): -at for at, level in enumerate(levels(BARS)) for bar in level}
        return 12 + height[cell.backbone, cell.regime]
    own = steps(Cell(cell.backbone, cell.dataset, f"finetune_{head}"))
    return own - 6 + (ABOVE_FROZEN[how] if how.startswith("partial") else 0.5 if how.startswith("drop") else 0)


def planted(cell: Cell, signal: float, registry: Registry) -> Result:
    """A result at two seeds; what is common to all cells of a dataset makes differences small to see."""
    dataset, regime = registry.dataset(cell.dataset), registry.regime(cell.regime)
    classes = len(dataset.classes)
    labels_N = labels_of(*(EACH for _ in range(classes)))
    common_NC = noisy_scores(labels_N, signal, seed=7, classes=classes)
    own_SNC = [
        0.1 * noisy_scores(labels_N, 0.0, seed=crc32(f"{cell} {seed}".encode()), classes=classes) for seed in (0, 1)
    ]
    return make_result(
        cell.id,
        np.eye(classes, dtype=np.int64)[labels_N] if dataset.metric == "mean_roc_auc" else labels_N,
        common_NC + np.stack(own_SNC),
        seeded=regime.seeded,
        metric=dataset.metric,
        classes=dataset.classes,
        patient_unit=dataset.patient_unit,
        margin=dataset.margin,
        settings=plain(settings_on(regime, dataset, registry.profile("ci"))),
    )


@dataclass(kw_only=True)
class Watcher:
    """Hears of every item, and of how those that are selected end."""

    functions: set[str] = field(default_factory=set[str])
    cells: set[Cell] = field(default_factory=set[Cell])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        self.functions = {item.originalname for item in items}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.cells = {cell for item in session.items for cell in cells_of(item)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid.partition("::")[2]] = report.outcome


def run(*options: str) -> Watcher:
    heard, told = Watcher(), io.StringIO()
    with redirect_stdout(told):
        # Nothing is asserted in there, and what is imported already cannot be rewritten without a warning.
        usual = ["-q", "--assert=plain", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-k", SELECTED]
        code = pytest.main([str(ROOT / "suites" / "huix2024"), *usual, *options], plugins=[heard])
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), told.getvalue()
    return heard


@pytest.fixture(scope="module")
def collected() -> Watcher:
    return run("--co")


@pytest.fixture(scope="module")
def worlds(collected: Watcher, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """How every selected claim ends in the paper's world and in the reverse of it."""
    registry, ended = Registry(), []
    for sign in (1, -1):
        folder = tmp_path_factory.mktemp("world")
        for cell in collected.cells:
            Baselines(folder=folder).write(planted(cell, 0.75 + sign * STEP * (steps(cell) - 6), registry))
        ended.append(run(f"--fm-collect={folder}").outcomes)
    return ended[0], ended[1]

"""Worlds of results for a publication's suite: results with planted effects are exported, and the suite judges them.

In the paper's world cells are as good as the paper and the suite's own directions have it; in the reverse of it,
everything is the other way round. A claim that is supported in both, or in neither, cannot tell them apart. Numbers
that a paper printed are agreed with in a third world, whose cells score what they say.

Legend: S seeds, N test images, C classes or labels.
"""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import settings_on
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.plugin.collection import cells_of
from pytest_fmtransfer.results import Result
from tests.helpers import labels_of, make_result, noisy_scores

ROOT = Path(__file__).parents[1]

Outcomes = Mapping[str, str]
Worlds = tuple[Outcomes, Outcomes]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How large results are: images of a class, and seeds of a regime that depends on them, which lie close.

    Families of more than five claims take three seeds, and two tell little of how runs differ.
    """

    each: int = 60
    seeds: int = 3


def planted(cell: Cell, signal: float, registry: Registry, sample: Sample) -> Result:
    """A result; what is common to all cells of a dataset lets small differences be seen."""
    dataset, regime = registry.dataset(cell.dataset), registry.regime(cell.regime)
    classes = len(dataset.classes)
    labels_N = labels_of(*(sample.each for _ in range(classes)))

    def noise(name: str) -> NDArray[np.floating]:
        return noisy_scores(labels_N, 0.0, seed=crc32(name.encode()), classes=classes)

    common_NC = noisy_scores(labels_N, signal, seed=7, classes=classes) + 0.01 * noise(cell.id)
    draws = range(sample.seeds if regime.seeded else 1)
    scores_SNC = common_NC + np.stack([0.005 * noise(f"{cell} {seed}") for seed in draws])
    return make_result(
        cell.id,
        np.eye(classes, dtype=np.int64)[labels_N] if dataset.metric == "mean_roc_auc" else labels_N,
        scores_SNC,
        seeded=regime.seeded,
        metric=dataset.metric,
        classes=dataset.classes,
        patient_unit=dataset.patient_unit,
        margin=dataset.margin,
        subject={"weights": "", "architecture": ""},  # of a backbone that is not told, as in `as_declared`
        settings=plain(settings_on(regime, dataset, registry.profile("ci"))),
    )


def exported(folder: Path, signals: Mapping[Cell, float], sample: Sample) -> str:
    """The option that collects results of these signals."""
    registry = Registry()
    for cell, signal in signals.items():
        Baselines(folder=folder).write(planted(cell, signal, registry, sample))
    return f"--fm-collect={folder}"


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


def run(suite: str, selected: str, *options: str) -> Watcher:
    """A folder of suites, and of its tests those that `-k` selects."""
    heard, told = Watcher(), io.StringIO()
    with redirect_stdout(told):
        # Nothing is asserted in there, and what is imported already cannot be rewritten without a warning.
        usual = ["-q", "--assert=plain", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-k", selected]
        code = pytest.main([str(ROOT / "suites" / suite), *usual, *options], plugins=[heard])
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), told.getvalue()
    return heard


def judged(suite: str, selected: str, folder: Path, signals: Mapping[Cell, float], sample: Sample) -> Outcomes:
    """How the selected claims end where cells have these signals."""
    return run(suite, selected, exported(folder, signals, sample)).outcomes


def judged_both_ways(
    suite: str,
    selected: str,
    folders: pytest.TempPathFactory,
    heights: Mapping[Cell, float],
    middle: float,
    sample: Sample,
) -> Worlds:
    """In the paper's world signals lie above `middle` by these heights, in the reverse of it below."""

    def world(sign: int) -> Outcomes:
        signals = {cell: middle + sign * height for cell, height in heights.items()}
        return judged(suite, selected, folders.mktemp("world"), signals, sample)

    return world(1), world(-1)


def scoring(cell: Cell, value: float, sample: Sample) -> float:
    """The signal by which a cell's metric is this value, to a thousandth or so; the metric grows with it."""
    registry, low, high = Registry(), 0.0, 6.0
    alone = replace(sample, seeds=1)  # the others lie close
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if planted(cell, middle, registry, alone).mean < value else (low, middle)
    return (low + high) / 2


def names(outcomes: Outcomes) -> set[str]:
    """The test functions that were judged."""
    return {name.partition("[")[0] for name in outcomes}


def failed(outcomes: Outcomes) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome == "failed"}


def alike(worlds: Worlds) -> set[str]:
    """What ends in one way in both worlds."""
    paper, reverse = worlds
    assert {*paper.values(), *reverse.values()} <= {"passed", "failed"}
    return {name for name in paper if paper[name] == reverse[name]}

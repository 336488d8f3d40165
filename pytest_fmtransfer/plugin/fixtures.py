"""What a test may ask for: its cell, the candidate's result, the reference's, the stored baseline."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.plugin.collection import reference_cell
from pytest_fmtransfer.plugin.measuring import measure, plain_errors
from pytest_fmtransfer.plugin.options import settings_of

if TYPE_CHECKING:
    from pytest_fmtransfer.baselines import Baselines
    from pytest_fmtransfer.cell_result import CellResult
    from pytest_fmtransfer.results import Result


@pytest.fixture
def cell() -> Cell:
    """The cell of this item: backbone × dataset × regime. Parametrised by `fm_cells`."""
    pytest.fail("the fixture `cell` needs the mark fm_cells(backbones=..., datasets=..., regimes=...)", pytrace=False)


@pytest.fixture
def candidate(request: pytest.FixtureRequest, cell: Cell) -> "CellResult":
    """The result of this item's cell: from the store, computed, or collected."""
    return measure(request.node, cell)


@pytest.fixture
def reference(request: pytest.FixtureRequest, cell: Cell) -> "CellResult":
    """The result of the cell that `fm_cells(reference=...)` names for this item's cell."""
    del cell
    with plain_errors():
        named = reference_cell(request.node)
    return measure(request.node, named)


@pytest.fixture
def baseline(request: pytest.FixtureRequest, cell: Cell, candidate: "CellResult") -> "Result":
    """The stored result of this item's cell; with --fm-update, written first where that asks for it."""
    with plain_errors():
        return _baseline(request, cell, candidate)


def _baseline(request: pytest.FixtureRequest, cell: Cell, candidate: "CellResult") -> "Result":
    stored = baselines_of(request.node)
    update = settings_of(request.config).update
    if update == "all" or (update and not stored.has(cell)) or (update == "changed" and _moved(stored, candidate)):
        stored.write(candidate)
    return stored.load(cell)


def baselines_of(item: pytest.Item) -> "Baselines":
    """Where an item's baselines are: ini `fm_baselines`, else the nearest folder `baselines` at or above it.

    Where there is none yet, a new one beside the test.
    """
    from pytest_fmtransfer.baselines import Baselines

    settings = settings_of(item.config)
    folder = settings.baselines or _nearest_baselines(item)
    return Baselines(folder=settings.of_profile(folder))


def _nearest_baselines(item: pytest.Item) -> Path:
    for folder in item.path.parents:
        if (folder / "baselines").is_dir():
            return folder / "baselines"
        if folder == item.config.rootpath or (folder / "pyproject.toml").is_file():
            break
    return item.path.parent / "baselines"


def _moved(stored: "Baselines", candidate: "CellResult") -> bool:
    return not candidate.unchanged_from(stored.load(candidate.cell))

"""What a test may ask for: its cell, the candidate's result, the reference's, the stored baseline."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.plugin.collection import reference_cell
from pytest_fmtransfer.plugin.options import DEFAULT_PROFILE, settings_of

if TYPE_CHECKING:
    from pytest_fmtransfer._transfer import CellResult
    from pytest_fmtransfer.baselines import Baselines
    from pytest_fmtransfer.results import Result

MEASURED = pytest.StashKey[list["Result"]]()


@pytest.fixture
def cell() -> Cell:
    """The cell of this item: backbone × dataset × regime. Parametrised by `fm_cells`."""
    pytest.fail("the fixture `cell` needs the mark fm_cells(backbones=..., datasets=..., regimes=...)", pytrace=False)


@pytest.fixture
def candidate(request: pytest.FixtureRequest, cell: Cell) -> "CellResult":
    """The result of this item's cell, from the store or computed."""
    return _measure(request, cell)


@pytest.fixture
def reference(request: pytest.FixtureRequest, cell: Cell) -> "CellResult":
    """The result of the cell that `fm_cells(reference=...)` names for this item's cell."""
    del cell
    with _plain_errors():
        named = reference_cell(request.node)
    return _measure(request, named)


@pytest.fixture
def baseline(request: pytest.FixtureRequest, cell: Cell, candidate: "CellResult") -> "Result":
    """The stored result of this item's cell; with --fm-update, written first where that asks for it."""
    with _plain_errors():
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
    # Profiles answer other questions: they are kept apart, the default one at the top.
    return Baselines(folder=folder if settings.profile == DEFAULT_PROFILE else folder / settings.profile)


def _nearest_baselines(item: pytest.Item) -> Path:
    for folder in item.path.parents:
        if (folder / "baselines").is_dir():
            return folder / "baselines"
        if folder == item.config.rootpath or (folder / "pyproject.toml").is_file():
            break
    return item.path.parent / "baselines"


def _measure(request: pytest.FixtureRequest, cell: Cell) -> "CellResult":
    from pytest_fmtransfer._transfer import transfer

    settings = settings_of(request.config)
    with _plain_errors():
        result = transfer(cell, profile=settings.profile, registry=settings.registry, places=settings.places)
    request.node.stash.setdefault(MEASURED, []).append(result)
    return result


@contextmanager
def _plain_errors() -> Generator[None]:
    """Our own errors say all there is to say: no traceback through our code."""
    try:
        yield
    except FmTransferError as error:
        pytest.fail(str(error), pytrace=False)


def _moved(stored: "Baselines", candidate: "CellResult") -> bool:
    return not candidate.unchanged_from(stored.load(candidate.cell))

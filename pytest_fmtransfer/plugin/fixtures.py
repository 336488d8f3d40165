"""What a test may ask for: its cells and those they are held against, as results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.plugin.cases import CASE, Case, case_of
from pytest_fmtransfer.plugin.collection import TELLING, fixtures_of
from pytest_fmtransfer.plugin.controlling import measure_controls, tell, wants_controls
from pytest_fmtransfer.plugin.measuring import measure, plain_errors
from pytest_fmtransfer.plugin.obtained import HELD
from pytest_fmtransfer.plugin.recorded import baselines_folder
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.printable import inline

if TYPE_CHECKING:
    from pytest_fmtransfer.baselines import Baselines
    from pytest_fmtransfer.cell_result import CellResult
    from pytest_fmtransfer.judge.controls import Controls
    from pytest_fmtransfer.judge.court import Verdict
    from pytest_fmtransfer.results import Result

RANKED = pytest.StashKey["CellResult"]()
WRITTEN = pytest.StashKey[Path]()  # the record of the baseline that an item wrote


@pytest.fixture(name=CASE)
def case(request: pytest.FixtureRequest) -> Case:
    """What an item is about; `fm_cells` parametrises it."""
    if not hasattr(request, "param"):
        pytest.fail("this fixture needs the mark fm_cells(backbones=..., datasets=..., regimes=...)", pytrace=False)
    return request.param


@pytest.fixture
def cell(_fm_case: Case) -> Cell:
    """The cell of this item: backbone × dataset × regime."""
    return _fm_case.cells[0]


@pytest.fixture
def candidate(request: pytest.FixtureRequest, cell: Cell, _fm_telling: object) -> "CellResult":
    """The result of this item's cell: from the store, computed, or collected.

    Results are given once the controls have spoken, where they are asked: a fixture too may compare.
    """
    return measure(request.node, cell)


@pytest.fixture
def ranked(request: pytest.FixtureRequest, candidate: "CellResult") -> "CellResult":
    """The result of this item's cell, which takes a place in the table of its dataset and regime."""
    request.node.stash[RANKED] = candidate
    return candidate


@pytest.fixture
def reference(request: pytest.FixtureRequest, _fm_case: Case, _fm_telling: object) -> "CellResult":
    """The result of the cell that `fm_cells(reference=...)` names for this item's cell."""
    return measure(request.node, _fm_case.references[0])


@pytest.fixture
def candidates(request: pytest.FixtureRequest, _fm_case: Case, _fm_telling: object) -> tuple["CellResult", ...]:
    """With `fm_cells(over=...)`: the results of all datasets, or of all backbones, in the order of the mark."""
    return _each(request.node, _fm_case.cells)


@pytest.fixture
def references(request: pytest.FixtureRequest, _fm_case: Case, _fm_telling: object) -> tuple["CellResult", ...]:
    """With `fm_cells(over=..., reference=...)`: the references of `candidates`, in the same order."""
    return _each(request.node, _fm_case.references)


def _each(item: pytest.Item, cells: Sequence[Cell]) -> tuple["CellResult", ...]:
    """The results of cells in their order; one that comes several times, a reference of many, is measured once."""
    found = {cell: measure(item, cell) for cell in dict.fromkeys(cells)}
    return tuple(found[cell] for cell in cells)


@pytest.fixture
def controls(request: pytest.FixtureRequest, _fm_case: Case) -> "Controls":
    """The reference's results, or the candidate's where that is a control, beside those of its control cells."""
    return measure_controls(request.node, _fm_case)


@pytest.fixture(name=TELLING)
def telling(request: pytest.FixtureRequest, _fm_case: Case) -> "Verdict | None":
    """Whether this item's dataset and regime can tell backbones apart; None where nobody asked."""
    if not wants_controls(request.node, _fm_case, settings_of(request.config)):
        return None
    from pytest_fmtransfer.judge.court import convene, current

    told = tell(request.node, _fm_case)
    convene(replace(current(), telling=told))  # for what fixtures compare
    return told


@pytest.fixture
def baseline(request: pytest.FixtureRequest, cell: Cell, candidate: "CellResult") -> "Result":
    """The stored result of this item's cell; with --fm-update, written first where that asks for it."""
    if settings_of(request.config).stand_ins:
        pytest.fail("a baseline is of real data; leave out --fm-stand-ins, or this test", pytrace=False)
    with plain_errors():
        return _baseline(request, cell, candidate)


def _baseline(request: pytest.FixtureRequest, cell: Cell, candidate: "CellResult") -> "Result":
    stored = baselines_of(request.node)
    update = settings_of(request.config).update
    if update == "all" or (update and not stored.has(cell)) or (update == "changed" and _moved(stored, candidate)):
        recorded = _at_enough_seeds(stored, candidate)
        stored.check_seeds(recorded)
        stored.record(recorded)
        request.node.stash[WRITTEN] = stored.pair(cell).record
    elif update:
        stored.enlist(stored.load(cell))
    request.node.stash[HELD] = (stored, candidate)
    return stored.load(cell)


def refuse_what_is_lost(item: pytest.Item) -> None:
    """Fail an item that asks for a baseline which was recorded and is gone, whether or not its cell could run here;
    with --fm-update it is recorded again.
    """
    case, settings = case_of(item), settings_of(item.config)
    if case is None or settings.update is not None or "baseline" not in fixtures_of(item):
        return
    stored = baselines_of(item)
    with plain_errors():
        gone = [cell for cell in stored.lost() if cell in case.cells]
    if gone:
        pytest.fail(inline(stored.gone(gone[0])), pytrace=False)


def _at_enough_seeds(stored: "Baselines", candidate: "CellResult") -> "Result":
    """What is recorded of a regime that depends on its seed: all seeds of its baseline, and no fewer than drift takes.

    A result that cannot be run again is recorded as it is.
    """
    from pytest_fmtransfer.errors import BaselineError
    from pytest_fmtransfer.judge.drift import FEWEST_RECORDED

    if not candidate.seeded or candidate.rerun is None:
        return candidate
    try:
        recorded = stored.load(candidate.cell).seeds
    except BaselineError:  # none yet, or one that is damaged
        recorded = ()
    seeds = recorded if len(recorded) >= FEWEST_RECORDED else tuple(range(FEWEST_RECORDED))
    return candidate if len(candidate.seeds) >= len(seeds) else candidate.rerun(seeds)


def baselines_of(item: pytest.Item) -> "Baselines":
    """An item's baselines, in `baselines_folder`."""
    from pytest_fmtransfer.baselines import Baselines

    return Baselines(folder=baselines_folder(item), locks=settings_of(item.config).places.store / "locks")


def _moved(stored: "Baselines", candidate: "CellResult") -> bool:
    from pytest_fmtransfer.judge.court import current, judging

    def forget(verdict: "Verdict") -> None:
        del verdict

    with judging(replace(current(), record=forget)):  # what is about to be written over is no verdict
        return not candidate.unchanged_from(stored.load(candidate.cell))

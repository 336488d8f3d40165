"""What an `fm_cells` mark says, and the cases that it makes: what each item of its test is about."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput

CASE = "_fm_case"  # the fixture that a test's cases are parameters of

Over = Literal["datasets", "backbones"]
OVERS: tuple[Over, ...] = ("datasets", "backbones")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one item is about: its cells and, in the same order, their references, where the mark names any.

    `id` is the cell's, or, of a test over datasets or backbones, what its cells have in common.
    """

    id: str
    cells: tuple[Cell, ...]
    references: tuple[Cell, ...]
    added: int = 0
    """How many claims a user's candidates add to the mark's, none for the reference; 0 for a case of the mark's own."""
    other_reference: bool = False
    """The mark names another reference, which --fm-reference replaced."""
    registered: bool = False
    """The cell is one of all that the catalogue has: nobody claims that its backbone can run its regime."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What an `fm_cells` mark says."""

    backbones: tuple[str, ...]
    datasets: tuple[str, ...]
    regimes: tuple[str, ...]
    reference: str | None = None
    over: Over | None = None
    together: tuple[str, ...] = ()
    """Cells, to be filled in, that make one test on all datasets; empty where backbones × regimes do."""
    closed: bool = False
    """What is claimed is said of `backbones` alone: a user's do not join them."""
    added: tuple[str, ...] = ()
    """Backbones that a user added to `backbones`."""
    other_reference: bool = False
    recorded: bool = False
    """The mark names no cells: it is about those that have a baseline, which are `found`."""
    registered: bool = False
    """The mark names regimes alone: it is about all that is in the catalogue, and these cells are `found`."""
    found: tuple[Cell, ...] = ()

    def cases(self) -> list[Case]:
        """One case a cell, sorted; or one for all datasets or all backbones, these in the order of the mark.

        Raises InvalidInput for a reference that cannot be filled in.
        """
        if self.together:
            return self._cases_together()
        backbones = (*self.backbones, *self.added)
        cells = dict.fromkeys(Cell(b, d, r) for b in backbones for d in self.datasets for r in self.regimes)
        if self.recorded or self.registered:
            cells = dict.fromkeys(self.found)
        if self.over is None:
            return [self._case(cell.id, [cell]) for cell in sorted(cells)]
        together: dict[str, list[Cell]] = {}
        for cell in cells:
            kept = cell.backbone if self.over == "datasets" else cell.dataset
            together.setdefault(f"{kept}-{cell.regime}", []).append(cell)
        return [self._case(name, together[name]) for name in sorted(together)]

    def _cases_together(self) -> list[Case]:
        """One case a backbone, or one where no cell depends on it; each cell on every dataset before the next."""
        cases: dict[str, Case] = {}
        for backbone in self.backbones or ("",):
            cells = [
                Cell.parse(_filled("cells", text, backbone=backbone, dataset=dataset))
                for text in self.together
                for dataset in self.datasets
            ]
            regimes = "+".join(dict.fromkeys(cell.regime for cell in cells))
            name = f"{backbone}-{regimes}" if backbone else regimes
            cases[name] = self._case(name, cells)
        return [cases[name] for name in sorted(cases)]

    def _case(self, name: str, cells: list[Cell]) -> Case:
        references = [self._reference_of(cell) for cell in cells] if self.reference is not None else []
        return Case(
            id=name,
            cells=tuple(cells),
            references=tuple(references),
            added=self._claims_added(cells) if cells[0].backbone in self.added else 0,
            other_reference=self.other_reference,
            registered=self.registered,
        )

    def _claims_added(self, cells: list[Cell]) -> int:
        """How many of the added backbones are held against another one, in the place of that of `cells`."""
        twins = [[replace(cell, backbone=name) for cell in cells] for name in self.added]
        return sum(all(cell != self._reference_of(cell) for cell in twin) for twin in twins)

    def _reference_of(self, cell: Cell) -> Cell:
        name = _filled(
            "reference", str(self.reference), backbone=cell.backbone, dataset=cell.dataset, regime=cell.regime
        )
        return Cell.parse(name) if "-" in name else Cell(name, cell.dataset, cell.regime)


def _filled(key: str, text: str, **parts: str) -> str:
    try:
        return text.format(**parts)
    except (KeyError, IndexError, ValueError) as error:
        *names, last = (f"{{{name}}}" for name in parts)
        raise InvalidInput(f"fm_cells({key}={text!r}): only {', '.join(names)} and {last} are filled in") from error


def identity_of(item: pytest.Item) -> str:
    """An item's node id but for parameters that nothing in its test asks for.

    Plugins that repeat tests add such parameters: all repeats of a test are one test, and make one claim.
    """
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    asked = _asked_by(item)
    repeating = [name for name in params if name not in asked]
    if not repeating:
        return item.nodeid
    kept = [f"{name}={_shown(params[name])}" for name in sorted(params) if name in asked]
    home = item.parent.nodeid if item.parent else ""
    return f"{home}::{getattr(item, 'originalname', item.name)}[{', '.join(kept)}]"


def _asked_by(item: pytest.Item) -> set[str]:
    """The names that a test and its fixtures ask for, those that are used everywhere among them."""
    info: Any = getattr(item, "_fixtureinfo", None)
    if info is None:
        return set()
    fixtures = [each for several in info.name2fixturedefs.values() for each in several]
    return {*info.argnames, *info.initialnames, *(name for each in fixtures for name in each.argnames)}


def _shown(value: object) -> str:
    return value.id if isinstance(value, Case) else repr(value)


def case_of(item: pytest.Item) -> Case | None:
    """What an item is about, None for one without `fm_cells`."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    case = params.get(CASE)
    return case if isinstance(case, Case) else None

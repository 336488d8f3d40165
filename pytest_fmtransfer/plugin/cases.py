"""What an `fm_cells` mark says, and the cases that it makes: what each item of its test is about."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
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
    pooled: int = 0
    """Of a cell that is judged together with others of its test too: how many they are, with it."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """In the place of a case, or of all cases of a test: what is wrong, of which its item fails. `cells` are those that
    can be read.
    """

    id: str
    message: str
    cells: tuple[Cell, ...] = ()
    of_a_case: bool = True


# The tests whose marks cannot be read at all, by the node id of their definition.
MISTAKEN = pytest.StashKey[dict[str, Mistake]]()


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
    pooled: bool = False
    """Those that depend on a seed are judged together too, against their baselines."""

    def cases(self, check: Callable[[Cell], object] | None = None) -> list[Case | Mistake]:
        """One case a cell, sorted; or one for all datasets or all backbones, these in the order of the mark.

        A case with a cell that cannot be, or of which `check` raises InvalidInput, is a Mistake; the others stand.
        """
        drafts = self._together() if self.together else self._crossed()
        return [self._case(name, drafts[name], check) for name in sorted(drafts)]

    def _crossed(self) -> "dict[str, list[Callable[[], Cell]]]":
        """Makers of the cells of every case, by its id: a name may be none that a cell can have."""
        backbones = (*self.backbones, *self.added)
        parts = [(b, d, r) for b in backbones for d in self.datasets for r in self.regimes]
        if self.recorded or self.registered:
            parts = [(cell.backbone, cell.dataset, cell.regime) for cell in self.found]
        drafts: dict[str, list[Callable[[], Cell]]] = {}
        for backbone, dataset, regime in dict.fromkeys(parts):
            kept = {"datasets": backbone, "backbones": dataset, None: f"{backbone}-{dataset}"}[self.over]
            drafts.setdefault(f"{kept}-{regime}", []).append(partial(Cell, backbone, dataset, regime))
        return drafts

    def _together(self) -> "dict[str, list[Callable[[], Cell]]]":
        """One case a backbone, or one where no cell depends on it; each cell on every dataset before the next."""
        regimes = "+".join(dict.fromkeys(text.rpartition("-")[2] for text in self.together))
        return {
            f"{backbone}-{regimes}" if backbone else regimes: [
                partial(_parsed, text, backbone=backbone, dataset=dataset)
                for text in self.together
                for dataset in self.datasets
            ]
            for backbone in self.backbones or ("",)
        }

    def _case(
        self, name: str, makers: "list[Callable[[], Cell]]", check: Callable[[Cell], object] | None
    ) -> Case | Mistake:
        cells: list[Cell] = []
        wrong: InvalidInput | None = None
        for make in makers:
            try:
                cells.append(make())
            except InvalidInput as error:
                wrong = wrong or error
        try:
            if wrong is not None:
                raise wrong
            case = self._of_cells(name, cells)
            if check is not None:
                for cell in (*case.cells, *case.references):
                    check(cell)
        except InvalidInput as error:
            return Mistake(id=name, message=str(error), cells=tuple(cells))
        return case

    def _of_cells(self, name: str, cells: list[Cell]) -> Case:
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


def _parsed(text: str, *, backbone: str, dataset: str) -> Cell:
    return Cell.parse(_filled("cells", text, backbone=backbone, dataset=dataset))


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
    return value.id if isinstance(value, Case | Mistake) else repr(value)


def case_of(item: pytest.Item) -> Case | None:
    """What an item is about, None for one without `fm_cells`."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    case = params.get(CASE)
    return case if isinstance(case, Case) else None


def mistake_of(item: pytest.Item) -> Mistake | None:
    """What is wrong with an item's marks, of which it fails before anything is set up; None where nothing is."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    if isinstance(own := params.get(CASE), Mistake):
        return own
    found = item.config.stash.get(MISTAKEN, None)
    return None if found is None else found.get(definition_of(item))


def definition_of(item: pytest.Item) -> str:
    """The node id of an item's test, without parameters."""
    return f"{item.parent.nodeid if item.parent else ''}::{getattr(item, 'originalname', item.name)}"

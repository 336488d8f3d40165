"""What the marks say: which cells a test is about, and what it claims of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.claims import Claim, parse_expected
from pytest_fmtransfer.errors import InvalidInput, nearest

MARKS = (
    "fm_cells(backbones, datasets, regimes, reference=None, over=None, cells=None, closed=False, recorded=False, "
    "registered=False): parametrise a test over backbone × dataset × regime; `reference` is a backbone, or a cell id,"
    " in which {backbone}, {dataset} and {regime} are filled in; over='datasets' or over='backbones' makes one test "
    "of all of them, for the fixtures `candidates` and `references`; cells=['{backbone}-{dataset}-knn', …] in the "
    "place of `regimes`, with over='datasets', makes one test of these cells on all datasets, for each of `backbones`"
    " where a cell says {backbone}; closed=True is a claim about the named backbones alone, which no --fm-backbone "
    "joins; fm_cells(recorded=True), with nothing else, is about every cell that has a baseline; "
    "fm_cells(registered=True, regimes=[…]) about every backbone of the catalogue on each of its datasets",
    "fm_claim(source='', where='', family='', family_size=1, expected={}, controls=False): who claims it and where, "
    "how many claims make one sentence about one dataset and regime (`family` names it across tests), known "
    "exceptions {cell id: (verdict, reason)}, and whether the controls are run with it",
    "fm_cell(backbone, dataset, regime): set on every item for each of its cells, to select with -m",
)

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
    """How many candidates a user added to the mark's; 0 for a case of the mark's own."""
    other_reference: bool = False
    """The mark names another reference, which --fm-reference replaced."""


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
            added=len(self.added) if cells[0].backbone in self.added else 0,
            other_reference=self.other_reference,
        )

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


def case_of(item: pytest.Item) -> Case | None:
    """What an item is about, None for one without `fm_cells`."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    case = params.get(CASE)
    return case if isinstance(case, Case) else None


def cells_of_mark(mark: pytest.Mark) -> Cells:
    """Raises InvalidInput for a mark that does not fit its signature."""
    if mark.args:
        raise InvalidInput(f"fm_cells takes keywords only; {_signature('fm_cells')}")
    given: Mapping[str, Any] = mark.kwargs
    if (recorded := given.get("recorded", False)) not in (True, False):
        raise InvalidInput(f"fm_cells(recorded={recorded!r}): give True or False")
    if recorded:
        if others := sorted(set(given) - {"recorded"}):
            raise InvalidInput(
                f"fm_cells(recorded=True) is about every cell that has a baseline, and takes no {', '.join(others)}; "
                "select among them with -k or -m"
            )
        return Cells(backbones=(), datasets=(), regimes=(), recorded=True)
    if (registered := given.get("registered", False)) not in (True, False):
        raise InvalidInput(f"fm_cells(registered={registered!r}): give True or False")
    if registered:
        if set(given) - {"recorded"} != {"registered", "regimes"}:
            raise InvalidInput(
                "fm_cells(registered=True) is about every backbone and dataset of the catalogue, and takes regimes and "
                "nothing else; select among them with -k or -m"
            )
        return Cells(backbones=(), datasets=(), regimes=_names(given, "regimes"), registered=True)
    unknown = set(given) - {
        "recorded",
        "registered",
        "backbones",
        "datasets",
        "regimes",
        "reference",
        "over",
        "cells",
        "closed",
    }
    missing = ({"datasets"} if "cells" in given else {"backbones", "datasets", "regimes"}) - set(given)
    if unknown or missing:
        wrong = [
            *(f"no keyword {name!r}" for name in sorted(unknown)),
            *(f"{name} missing" for name in sorted(missing)),
        ]
        raise InvalidInput(f"fm_cells: {', '.join(wrong)}; {_signature('fm_cells')}")
    reference, over, closed = given.get("reference"), given.get("over"), given.get("closed", False)
    if reference is not None and not isinstance(reference, str):
        raise InvalidInput(f"fm_cells(reference={reference!r}): name one backbone or cell id")
    if over is not None and over not in OVERS:
        raise InvalidInput(f"fm_cells(over={over!r}): {nearest(str(over), OVERS)}")
    if closed not in (True, False):
        raise InvalidInput(f"fm_cells(closed={closed!r}): give True or False")
    together = _names(given, "cells") if "cells" in given else ()
    if together and (over != "datasets" or "regimes" in given):
        raise InvalidInput("fm_cells(cells=...) goes with over='datasets' and without regimes: each cell names its own")
    if together and ("backbones" in given) != any("{backbone}" in text for text in together):
        raise InvalidInput("fm_cells(cells=...): name backbones where a cell says {backbone}, and nowhere else")
    if closed and (reference is None or over == "backbones" or together):
        raise InvalidInput(
            "fm_cells(closed=True) goes with candidates that are held against a reference one by one; no backbone "
            "joins this test anyway, leave it out"
        )
    return Cells(
        backbones=() if together and "backbones" not in given else _names(given, "backbones"),
        datasets=_names(given, "datasets"),
        regimes=() if together else _names(given, "regimes"),
        reference=reference,
        over=over,
        together=together,
        closed=closed,
    )


def claim_of(item: pytest.Item) -> Claim:
    """The claim an item makes: its docstring, and its `fm_claim` mark where it bears one.

    Raises InvalidInput for a mark that does not fit its signature.
    """
    function: Any = getattr(item, "function", getattr(item, "obj", None))
    statement = " ".join((getattr(function, "__doc__", "") or "").split("\n\n")[0].split())
    mark = item.get_closest_marker("fm_claim")
    if mark is None:
        return Claim(statement=statement)
    given: dict[str, Any] = dict(mark.kwargs)
    unknown = set(given) - {"source", "where", "family", "family_size", "expected", "controls"}
    if mark.args or unknown:
        raise InvalidInput(
            f"fm_claim: {', '.join(map(repr, [*mark.args, *sorted(unknown)]))} does not fit; {_signature('fm_claim')}"
        )
    size = given.get("family_size", 1)
    if not isinstance(size, int) or size < 1:
        raise InvalidInput(f"fm_claim(family_size={size!r}): give a whole number of claims, 1 or more")
    for name, kind in (("family", str), ("controls", bool)):
        if not isinstance(given.get(name, kind()), kind):
            raise InvalidInput(
                f"fm_claim({name}={given[name]!r}): give {'True or False' if kind is bool else 'a name'}"
            )
    return Claim(
        statement=statement,
        source=given.get("source", ""),
        where=given.get("where", ""),
        family=given.get("family", ""),
        family_size=size,
        expected=parse_expected(given.get("expected", {})),
        controls=given.get("controls", False),
    )


def _names(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = given[key]
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise InvalidInput(f"fm_cells({key}={value!r}): give a list of names, as in {key}=['knn']")
    return tuple(str(name) for name in cast(Sequence[object], value))


def _signature(name: str) -> str:
    return next(mark for mark in MARKS if mark.startswith(name)).partition(":")[0]

"""From marks to items: cells as parameters, the names that an item answers to, mistakes as usage errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from pytest_fmtransfer.cell import Cell, stem
from pytest_fmtransfer.claims import Claim, parse_expected
from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.plugin.options import settings_of

MISTAKES = "fmtransfer_mistakes"  # the name under which a worker sends them

FIXTURES = ("cell", "candidate", "reference", "baseline")

MARKS = (
    "fm_cells(backbones, datasets, regimes, reference=None): parametrise a test over backbone × dataset × "
    "regime; `reference` is a backbone, or a cell id, in which {backbone}, {dataset} and {regime} are filled in",
    "fm_claim(source='', where='', family_size=1, expected={}): who claims it and where, how many claims make "
    "one sentence about one dataset and regime, and known exceptions {cell id: (verdict, reason)}",
    "fm_cell(backbone, dataset, regime): set on every item for each of its cells, to select with -m",
)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What an `fm_cells` mark says."""

    backbones: tuple[str, ...]
    datasets: tuple[str, ...]
    regimes: tuple[str, ...]
    reference: str | None = None

    def product(self) -> list[Cell]:
        """Every cell, sorted, each once."""
        return sorted({Cell(b, d, r) for b in self.backbones for d in self.datasets for r in self.regimes})

    def reference_of(self, cell: Cell) -> Cell | None:
        """The cell that `cell` is held against, None when the mark names none."""
        if self.reference is None:
            return None
        try:
            name = self.reference.format(backbone=cell.backbone, dataset=cell.dataset, regime=cell.regime)
        except (KeyError, IndexError, ValueError) as error:
            raise InvalidInput(
                f"fm_cells(reference={self.reference!r}): only {{backbone}}, {{dataset}} and {{regime}} are filled in"
            ) from error
        return Cell.parse(name) if "-" in name else Cell(name, cell.dataset, cell.regime)


def register_marks(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def parametrise(metafunc: pytest.Metafunc) -> None:
    """Give a test that bears `fm_cells` one item per cell; wrong names are gathered, to be told all at once."""
    mark = metafunc.definition.get_closest_marker("fm_cells")
    if mark is None:
        return
    settings = settings_of(metafunc.config)
    where = metafunc.definition.nodeid
    try:
        if not set(FIXTURES) & set(metafunc.fixturenames):
            raise InvalidInput(f"bears fm_cells but asks for no fixture; take one of {', '.join(FIXTURES)}")
        cells = cells_of_mark(mark)
        products = cells.product()
        ids = {cell.id for cell in products}
        for unknown in sorted(set(claim_of(metafunc.definition).expected) - ids):
            raise InvalidInput(f"fm_claim(expected=...) names {unknown}, no cell of this test; {nearest(unknown, ids)}")
        if len(list(metafunc.definition.iter_markers("fm_cells"))) > 1:
            raise InvalidInput("bears fm_cells twice; write one test per mark")
        for cell in products:
            settings.registry.check(cell)
            if (reference := cells.reference_of(cell)) is not None:
                settings.registry.check(reference)
        if "reference" in metafunc.fixturenames and cells.reference is None:
            raise InvalidInput("asks for `reference`; name it in fm_cells(reference=...)")
    except InvalidInput as error:
        settings.mistakes.append(f"{where}: {error}")
        products = []
    metafunc.parametrize("cell", products, ids=[cell.id for cell in products])


def refuse_mistakes(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session with a usage error; a worker of pytest-xdist runs nothing and tells the controller instead."""
    mistakes = settings_of(config).mistakes
    if not mistakes:
        return
    if hasattr(config, "workeroutput"):
        cast(Any, config).workeroutput[MISTAKES] = list(mistakes)
        items.clear()
    else:
        told = list(dict.fromkeys(mistakes))
        mistakes.clear()
        raise pytest.UsageError("\n".join(told))


def answer_to_names(item: pytest.Item) -> None:
    """`-k` and `-m fm_cell(...)` find an item by any part of any of its cells, or by a part's stem."""
    for cell in cells_of(item):
        item.extra_keyword_matches.add(cell.id)  # -k looks for parts of words, so every part of the id is found
        for backbone in dict.fromkeys((cell.backbone, stem(cell.backbone))):
            for dataset in dict.fromkeys((cell.dataset, stem(cell.dataset))):
                item.add_marker(pytest.mark.fm_cell(backbone=backbone, dataset=dataset, regime=cell.regime))
    own = own_cell(item)
    if own is not None and item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(stem(own.backbone)))


def own_cell(item: pytest.Item) -> Cell | None:
    """The cell an item is parametrised with."""
    callspec: Any = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec is not None else None
    return cell if isinstance(cell, Cell) else None


def cells_of(item: pytest.Item) -> tuple[Cell, ...]:
    """An item's own cell and, where it has one, the reference."""
    cell, mark = own_cell(item), item.get_closest_marker("fm_cells")
    if cell is None or mark is None:
        return ()
    reference = cells_of_mark(mark).reference_of(cell)
    return (cell,) if reference is None else (cell, reference)


def reference_cell(item: pytest.Item) -> Cell:
    """The reference of an item. Raises InvalidInput when its mark names none."""
    _, *references = cells_of(item)
    if not references:
        raise InvalidInput(f"{item.name} asks for `reference`; name it in fm_cells(reference=...)")
    return references[0]


def cells_of_mark(mark: pytest.Mark) -> Cells:
    """Raises InvalidInput for a mark that does not fit its signature."""
    if mark.args:
        raise InvalidInput(f"fm_cells takes keywords only; {_signature('fm_cells')}")
    given: Mapping[str, Any] = mark.kwargs
    unknown = set(given) - {"backbones", "datasets", "regimes", "reference"}
    missing = {"backbones", "datasets", "regimes"} - set(given)
    if unknown or missing:
        wrong = [
            *(f"no keyword {name!r}" for name in sorted(unknown)),
            *(f"{name} missing" for name in sorted(missing)),
        ]
        raise InvalidInput(f"fm_cells: {', '.join(wrong)}; {_signature('fm_cells')}")
    reference = given.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise InvalidInput(f"fm_cells(reference={reference!r}): name one backbone or cell id")
    return Cells(
        backbones=_names(given, "backbones"),
        datasets=_names(given, "datasets"),
        regimes=_names(given, "regimes"),
        reference=reference,
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
    unknown = set(given) - {"source", "where", "family_size", "expected"}
    if mark.args or unknown:
        raise InvalidInput(
            f"fm_claim: {', '.join(map(repr, [*mark.args, *sorted(unknown)]))} does not fit; {_signature('fm_claim')}"
        )
    size = given.get("family_size", 1)
    if not isinstance(size, int) or size < 1:
        raise InvalidInput(f"fm_claim(family_size={size!r}): give a whole number of claims, 1 or more")
    return Claim(
        statement=statement,
        source=given.get("source", ""),
        where=given.get("where", ""),
        family_size=size,
        expected=parse_expected(given.get("expected", {})),
    )


def _names(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = given[key]
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise InvalidInput(f"fm_cells({key}={value!r}): give a list of names, as in {key}=['knn']")
    return tuple(str(name) for name in cast(Sequence[object], value))


def _signature(name: str) -> str:
    return next(mark for mark in MARKS if mark.startswith(name)).partition(":")[0]

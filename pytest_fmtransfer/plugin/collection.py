"""From marks to items: cells as parameters, the names that an item answers to, mistakes as usage errors."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import pytest

from pytest_fmtransfer.cell import Cell, stem
from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.plugin.candidates import as_the_user_asks
from pytest_fmtransfer.plugin.cases import CASE, Case, Cells, case_of
from pytest_fmtransfer.plugin.cells_mark import cells_of_mark
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.controlling import control_cells, wants_controls
from pytest_fmtransfer.plugin.families import too_large
from pytest_fmtransfer.plugin.kept_apart import proves_nothing, writes_among_baselines
from pytest_fmtransfer.plugin.recorded import NOTHING, cells_on_record
from pytest_fmtransfer.plugin.registered import cells_of_the_catalogue
from pytest_fmtransfer.plugin.settings import settings_of, unwritable_places
from pytest_fmtransfer.plugin.signatures import MARKS, signature
from pytest_fmtransfer.plugin.unknown_results import refuse_unknown

MISTAKES, NOTES = "fmtransfer_mistakes", "fmtransfer_notes"  # the names under which a worker sends them

OURS = ("fm_cells", "fm_claim")  # marks that a test may bear; fm_cell is set on its items, to select them
FIXTURES = ("cell", "candidate", "reference", "baseline", "controls", "ranked")
FIXTURES_OVER = ("candidates", "references", "controls")
TELLING = "_fm_telling"  # set up beside the fixtures of an item whose verdicts know what the controls say


def register_marks(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def parametrise(metafunc: pytest.Metafunc) -> None:
    """Give a test that bears `fm_cells` one item per case; wrong names are gathered, to be told all at once."""
    settings, where = settings_of(metafunc.config), metafunc.definition.nodeid
    for name in sorted({mark.name for mark in metafunc.definition.iter_markers()}):
        if name.startswith("fm_") and name not in OURS:  # a claim that is mistyped would silently be none
            settings.mistakes.append(f"{where}: no mark {name!r}; {nearest(name, OURS)}")
    mark = metafunc.definition.get_closest_marker("fm_cells")
    if mark is None:
        try:
            _check_claim_without_cells(metafunc.definition)
        except InvalidInput as error:
            settings.mistakes.append(f"{where}: {error}")
        return
    try:
        cells = cells_of_mark(mark)
        _check_fixtures(cells, metafunc.fixturenames)
        if cells.recorded:
            cells = replace(cells, found=cells_on_record(metafunc.definition))
        if cells.registered:
            found = cells_of_the_catalogue(settings.registry, cells.regimes, settings.regime)
            cells = replace(cells, found=found)
        cases = cells.cases()
        ids = {case.id for case in cases}
        claim = claim_of(metafunc.definition)
        if len(list(metafunc.definition.iter_markers("fm_cells"))) > 1:
            raise InvalidInput("bears fm_cells twice; write one test per mark")
        for cell in [] if cells.registered else [cell for case in cases for cell in (*case.cells, *case.references)]:
            settings.registry.check(cell)
        for unknown in sorted(set(claim.expected) - ids):
            raise InvalidInput(f"fm_claim(expected=...) names {unknown}, no case of this test; {nearest(unknown, ids)}")
        cases = as_the_user_asks(cells, metafunc.fixturenames, settings.registry, settings.reference).cases()
        for case in cases:
            if claim.controls or "controls" in metafunc.fixturenames:
                control_cells(case, settings.registry)
    except InvalidInput as error:
        settings.mistakes.append(f"{where}: {error}")
        cases = []
    params = [pytest.param(case, id=case.id) for case in cases] or [NOTHING]
    metafunc.parametrize(CASE, params, indirect=True)


def _check_claim_without_cells(test: pytest.Item) -> None:
    """Raises InvalidInput for a mark that speaks of cells, of which the test has none."""
    claim = claim_of(test)
    if claim.expected or claim.controls:
        key = "expected" if claim.expected else "controls"
        raise InvalidInput(f"fm_claim({key}=...) is about cells; name them: {signature('fm_cells')}")


def _check_fixtures(cells: Cells, asked: Iterable[str]) -> None:
    """Raises InvalidInput for fixtures that do not go with the mark."""
    usual, other = (FIXTURES_OVER, FIXTURES) if cells.over else (FIXTURES, FIXTURES_OVER)
    wrong = sorted(set(asked) & set(other) - set(usual))
    if wrong and cells.over:
        raise InvalidInput(f"asks for {', '.join(wrong)} with over={cells.over!r}; take candidates and references")
    if wrong:
        raise InvalidInput(f"asks for {', '.join(wrong)}; say over='datasets' or over='backbones' in fm_cells")
    if not set(usual) & set(asked):
        raise InvalidInput(f"bears fm_cells but asks for no fixture; take one of {', '.join(usual)}")
    if cells.reference is None:
        for name in ("reference", "references"):
            if name in asked:
                raise InvalidInput(f"asks for `{name}`; name it in fm_cells(reference=...)")


def refuse_mistakes(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session with a usage error; a worker of pytest-xdist runs nothing and tells the controller instead.

    Notes are told by the controller too.
    """
    settings_of(config).notes.extend(proves_nothing(config, items))
    if any(case_of(item) is not None for item in items):
        refuse_unknown(settings_of(config))
    if hasattr(config, "workeroutput"):
        cast(Any, config).workeroutput[NOTES] = list(settings_of(config).notes)
    mistakes = settings_of(config).mistakes
    mistakes += writes_among_baselines(config, items)
    if any(case_of(item) is not None for item in items):
        mistakes += settings_of(config).absent
        if not config.option.collectonly or config.getoption("--fm-plan"):
            mistakes += unwritable_places(config)
    if not mistakes:  # a mistake above leaves out items, and families with them
        mistakes += too_large(items)
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
    case = case_of(item)
    if case is None:
        return
    if wants_controls(item, case, settings_of(item.config)) and TELLING not in (asked := fixtures_of(item)):
        asked.append(TELLING)  # before its cells are named: the controls are among them
    for cell in cells_of(item):
        item.extra_keyword_matches.add(cell.id)  # -k looks for parts of words, so every part of the id is found
        for backbone in dict.fromkeys((cell.backbone, stem(cell.backbone))):
            for dataset in dict.fromkeys((cell.dataset, stem(cell.dataset))):
                item.add_marker(pytest.mark.fm_cell(backbone=backbone, dataset=dataset, regime=cell.regime))
    if item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(stem(case.cells[0].backbone)))


def fixtures_of(item: pytest.Item) -> list[str]:
    """Names of the fixtures that pytest sets up for an item; the items of one function share the list."""
    return cast(Any, item).fixturenames


def cells_of(item: pytest.Item) -> tuple[Cell, ...]:
    """An item's own cells, its references and, where they are run, its controls."""
    case = case_of(item)
    if case is None:
        return ()
    return tuple(dict.fromkeys([*case.cells, *case.references, *controls_of(item, case)]))


def controls_of(item: pytest.Item, case: Case) -> tuple[Cell, ...]:
    """The control cells that are run with an item, and the one they are held against."""
    settings = settings_of(item.config)
    return control_cells(case, settings.registry) if wants_controls(item, case, settings) else ()

"""From marks to items: cells as parameters, the names that an item answers to, what fails a test or the session."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell, stem
from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.plugin.candidates import as_the_user_asks
from pytest_fmtransfer.plugin.cases import CASE, MISTAKEN, Case, Cells, Mistake, case_of, mistake_of
from pytest_fmtransfer.plugin.cells_mark import cells_of_mark
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.controlling import control_cells, wants_controls
from pytest_fmtransfer.plugin.families import too_large
from pytest_fmtransfer.plugin.kept_apart import proves_nothing, writes_among_baselines
from pytest_fmtransfer.plugin.recorded import NOTHING, cells_on_record, check_on_record
from pytest_fmtransfer.plugin.registered import cells_of_the_catalogue
from pytest_fmtransfer.plugin.settings import Settings, settings_of, unwritable_places
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
    """Give a test that bears `fm_cells` one item per case; where something is wrong, its item fails and says so."""
    test = metafunc.definition
    mark = test.get_closest_marker("fm_cells")
    try:
        _check_names_of_marks(test)
        if mark is None:
            _check_claim_without_cells(test)
            return
        cells = cells_of_mark(mark)
        _check_fixtures(cells, metafunc.fixturenames)
        if len(list(test.iter_markers("fm_cells"))) > 1:
            raise InvalidInput("bears fm_cells twice; write one test per mark")
        cases = _pooled(_cases(metafunc, cells), cells, settings_of(test.config).registry)
    except InvalidInput as error:
        mistake = Mistake(id=test.name, message=str(error), of_a_case=False)
        test.config.stash.setdefault(MISTAKEN, {})[test.nodeid] = mistake
        return
    params = [pytest.param(case, id=case.id) for case in cases] or [NOTHING]
    metafunc.parametrize(CASE, params, indirect=True)


def _cases(metafunc: pytest.Metafunc, cells: Cells) -> list[Case | Mistake]:
    """The cases of a mark, with the user's own where they join, and what is wrong in the place of any."""
    test, settings = metafunc.definition, settings_of(metafunc.config)
    registry, lost = settings.registry, list[Case | Mistake]()
    check: Callable[[Cell], object] | None = registry.check
    if cells.recorded:
        cells = replace(cells, found=cells_on_record(test))
        check = partial(check_on_record, test=test)
    if cells.registered:
        found, lost = _registered(cells.regimes, settings)
        cells, check = replace(cells, found=found), None
    own = cells.cases(check)
    broken = {case.id: case for case in own if isinstance(case, Mistake)}
    try:
        claim = claim_of(test)
        for unknown in sorted(set(claim.expected) - {case.id for case in own}) if not broken else ():
            ids = [case.id for case in own]
            raise InvalidInput(f"fm_claim(expected=...) names {unknown}, no case of this test; {nearest(unknown, ids)}")
    except InvalidInput as error:  # of which every case fails, so that each is found under its name
        return [broken.get(case.id, Mistake(id=case.id, message=str(error), cells=case.cells)) for case in own]
    asked = as_the_user_asks(cells, metafunc.fixturenames, registry, settings.reference)
    held = claim.controls or "controls" in metafunc.fixturenames
    cases = [broken.get(case.id, case) for case in asked.cases(None if cells.registered else registry.check_names)]
    return [*lost, *(_with_controls(case, registry) if held else case for case in cases)]


def _registered(regimes: Sequence[str], settings: Settings) -> tuple[tuple[Cell, ...], list[Case | Mistake]]:
    """The cells of the catalogue, and the regimes of a mark that name none; --fm-regime is no mark's mistake."""
    found, lost = list[Cell](), list[Case | Mistake]()
    for regime in regimes if settings.regime is None else regimes[:1]:
        try:
            found += cells_of_the_catalogue(settings.registry, [regime], settings.regime)
        except InvalidInput as error:
            if settings.regime is not None:
                settings.mistakes.append(str(error))
            else:
                lost.append(Mistake(id=regime, message=str(error)))
    return tuple(found), lost


def _pooled(cases: list[Case | Mistake], cells: Cells, registry: Registry) -> list[Case | Mistake]:
    """Cases that are judged together know how many they are, so that it does not depend on what is selected."""

    def counts(case: Case | Mistake) -> bool:
        return isinstance(case, Case) and not case.added and _is_seeded(case.cells[0], registry)

    size = sum(map(counts, cases)) if cells.pooled else 0
    return [replace(case, pooled=size) if isinstance(case, Case) and counts(case) else case for case in cases]


def _is_seeded(cell: Cell, registry: Registry) -> bool:
    return registry.regime(cell.regime).seeded or registry.dataset(cell.dataset).shuffled


def _with_controls(case: Case | Mistake, registry: Registry) -> Case | Mistake:
    try:
        if isinstance(case, Case):
            control_cells(case, registry)
    except InvalidInput as error:
        return Mistake(id=case.id, message=str(error), cells=case.cells)
    return case


def _check_names_of_marks(test: pytest.Item) -> None:
    """Raises InvalidInput for a mark like ours that is none: a claim that is mistyped would silently be none."""
    for name in sorted({mark.name for mark in test.iter_markers()}):
        if name.startswith("fm_") and name not in OURS:
            raise InvalidInput(f"no mark {name!r}; {nearest(name, OURS)}")


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
    if cells.pooled and "baseline" not in asked:
        raise InvalidInput("fm_cells(pooled=True) is about baselines; ask for `baseline`, or leave it out")
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


def failing_of_their_marks(items: Iterable[pytest.Item]) -> list[tuple[str, str]]:
    """The ids of items whose marks are wrong, and what is: for a session that only lists."""
    found = [(item.nodeid, mistake_of(item)) for item in items]
    return [(name, mistake.message) for name, mistake in found if mistake is not None]


def answer_to_names(item: pytest.Item) -> None:
    """`-k` and `-m fm_cell(...)` find an item by any part of any of its cells, or by a part's stem.

    One whose marks are wrong sets nothing up; it answers to the names that can be read.
    """
    case, mistake = case_of(item), mistake_of(item)
    if mistake is not None:
        cast(Any, item).fixturenames = []  # a list of its own: the items of one function share theirs
        for mark in item.iter_markers("fm_cells") if not mistake.of_a_case else ():
            item.extra_keyword_matches.update(_texts([*mark.args, *mark.kwargs.values()]))
        _answer_to(item, mistake.cells)
        return
    if case is None:
        return
    if wants_controls(item, case, settings_of(item.config)) and TELLING not in (asked := fixtures_of(item)):
        asked.append(TELLING)  # before its cells are named: the controls are among them
    _answer_to(item, cells_of(item))
    if item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(stem(case.cells[0].backbone)))


def _answer_to(item: pytest.Item, cells: Iterable[Cell]) -> None:
    for cell in cells:
        item.extra_keyword_matches.add(cell.id)  # -k looks for parts of words, so every part of the id is found
        for backbone in dict.fromkeys((cell.backbone, stem(cell.backbone))):
            for dataset in dict.fromkeys((cell.dataset, stem(cell.dataset))):
                item.add_marker(pytest.mark.fm_cell(backbone=backbone, dataset=dataset, regime=cell.regime))


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple | set):
            yield from _texts(cast(Iterable[object], value))


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

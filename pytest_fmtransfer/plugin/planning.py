"""`--fm-plan`; the line before a long run; and what a run was estimated to take, for its report.

Under pytest-xdist the controller collects nothing: its first worker makes the estimate, before it reports what it
collected, and leaves it in a file that the controller names.
"""

import json
import shutil
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.plugin.cases import Case, case_of
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.collection import cells_of, controls_of, fixtures_of
from pytest_fmtransfer.plugin.families import claims_added
from pytest_fmtransfer.plugin.fixtures import baselines_of
from pytest_fmtransfer.plugin.listing import Lister
from pytest_fmtransfer.plugin.measuring import available
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.work import Tally, counting

if TYPE_CHECKING:
    from pytest_fmtransfer.planning import Planner
    from pytest_fmtransfer.reports.effort import Estimate
    from pytest_fmtransfer.reports.plans import PlannedClaim
    from pytest_fmtransfer.results import Result

LONG = 600  # seconds above which a run says how long it will take before it starts

AVERAGED = "an average over data sets: what it can show is known once it is measured"
PUBLISHED = "held against a published number: what it can show is known once it is measured"

WATCH = "fmtransfer-watch"  # the name of the plugin that knows the estimate
ESTIMATE = "fmtransfer_estimate"  # the name under which a worker is told where to leave the estimate
WORK = "fmtransfer_work"  # and under which every worker sends what it has computed


def configure(config: pytest.Config) -> None:
    """Take the part that this process has: to list, to run and report, or to work for a controller."""
    if config.getoption("--fm-plan"):
        if settings_of(config).collect:
            raise pytest.UsageError("--fm-plan says what measuring costs, and --fm-collect measures nothing; give one")
        if find_spec("tabulate") is None:
            raise pytest.UsageError("--fm-plan draws tables with tabulate: pip install 'pytest-fmtransfer[report]'")
        config.pluginmanager.register(Lister("plan", _plan), "fmtransfer-plan")
    elif not config.option.collectonly:
        watch = WorkerWatch() if hasattr(config, "workerinput") else Watch()
        config.pluginmanager.register(watch, WATCH)


def _plan(session: pytest.Session) -> str:
    """The plan of a selection, in place of pytest's list of tests."""
    from pytest_fmtransfer.reports.plans import plan_text

    planner = _planner(session)
    plan = planner.plan(_to_measure(session.items))
    return plan_text(plan, [claim for item in session.items if (claim := _foreseen(item, planner)) is not None])


class Watch:
    """Where reports are written: has the estimate, tells a long one, and adds up what was computed."""

    def __init__(self) -> None:
        self._estimate: Estimate | None = None
        self._tally = Tally()
        self._workers = 1
        self._folder: Path | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        self._hear(_estimate(session), session.config)
        with counting(self._tally):
            return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fmtransfer-"))
            node.workerinput[ESTIMATE] = str(self._folder / "estimate.json")
        self._workers = int(node.workerinput["workercount"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        file = node.workerinput.get(ESTIMATE)
        if file and Path(file).is_file():  # a worker on another machine leaves it there
            from pytest_fmtransfer.reports.effort import Estimate

            self._hear(Estimate(**json.loads(Path(file).read_text(encoding="utf-8"))), node.config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        seconds, passes = getattr(node, "workeroutput", {}).get(WORK, (0.0, 0))
        self._tally.seconds += seconds
        self._tally.forward_passes += passes

    def pytest_unconfigure(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def effort(self) -> dict[str, Any] | None:
        """Estimated against actual, as a report's row; None for a selection without cells.

        Workers share the cores: what all of them took together, over their number, is what it took.
        """
        if self._estimate is None:
            return None
        actual = {"seconds": self._tally.seconds / self._workers, "forward_passes": self._tally.forward_passes}
        return {"estimated": asdict(self._estimate), "actual": actual}

    def _hear(self, estimate: "Estimate | None", config: pytest.Config) -> None:
        if estimate is None:
            return
        self._estimate = estimate
        terminal: Any = config.pluginmanager.getplugin("terminalreporter")
        if estimate.seconds > LONG and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"fmtransfer: {estimate} (--fm-plan tells more)")


class WorkerWatch:
    """On a worker: the first one makes the estimate, every one tells what it computed."""

    def __init__(self) -> None:
        self._tally = Tally()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        file = cast(Any, session.config).workerinput.get(ESTIMATE)
        if file and (estimate := _estimate(session)) is not None:
            Path(file).write_text(json.dumps(asdict(estimate)), encoding="utf-8")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with counting(self._tally):
            return (yield)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        cast(Any, session.config).workeroutput[WORK] = (self._tally.seconds, self._tally.forward_passes)


def effort_of(config: pytest.Config) -> dict[str, Any] | None:
    """What a report says of the run itself."""
    watch = config.pluginmanager.getplugin(WATCH)
    return watch.effort if isinstance(watch, Watch) else None


def _estimate(session: pytest.Session) -> "Estimate | None":
    """Of the selection; None where nothing will be computed, or collecting failed and nothing will be run."""
    cells = [] if settings_of(session.config).collect else _to_measure(session.items)
    if not cells or session.testsfailed:
        return None
    from pytest_fmtransfer.reports.effort import Estimate

    return Estimate.of(_planner(session).plan(cells))


def _planner(session: pytest.Session) -> "Planner":
    from pytest_fmtransfer.planning import Planner

    settings = settings_of(session.config)
    item_of = {cell: item for item in session.items for cell in cells_of(item)}

    def baseline(cell: Cell) -> "Result | None":
        stored = baselines_of(item_of[cell])
        try:
            return stored.load(cell) if stored.has(cell) else None
        except BaselineError:  # whoever asks for it is told
            return None

    return Planner(profile=settings.profile, registry=settings.registry, places=settings.places, baseline=baseline)


def _to_measure(items: Sequence[pytest.Item]) -> list[Cell]:
    """The cells that tests ask for, in their order; of a test that is skipped for want of some, those."""
    cells: dict[Cell, None] = {}
    for item in items:
        absent = [cell for cell in cells_of(item) if isinstance(available(item, cell), Missing)]
        cells.update(dict.fromkeys(absent or asked_for(item)))
    return list(cells)


def asked_for(item: pytest.Item) -> list[Cell]:
    """The cells that the fixtures of an item measure."""
    case = case_of(item)
    if case is None:
        return []
    fixtures = set(fixtures_of(item))
    cells = [*case.cells] if {"candidate", "candidates"} & fixtures else []
    cells += case.references if {"reference", "references"} & fixtures else ()
    return [*cells, *controls_of(item, case)]


def _foreseen(item: pytest.Item, planner: "Planner") -> "PlannedClaim | None":
    """What an item that compares cells, or one with a published number, can come to; None for any other item."""
    from pytest_fmtransfer.judge.court import Court
    from pytest_fmtransfer.judge.foresight import Foresight
    from pytest_fmtransfer.reports.plans import PlannedClaim

    case = case_of(item)
    if case is None or not ((pairs := _pairs(case, fixtures_of(item))) or _against_a_number(item)):
        return None
    size = claim_of(item).family_size + claims_added(item)
    registry = settings_of(item.config).registry
    court = Court(family_size=size, seed_variances=seed_variances((*case.cells, *case.references), registry))
    # Of which neither a margin of one dataset nor an error that is assumed of a pair says anything.
    if _averages(item) or not pairs:
        answer = AVERAGED if pairs else PUBLISHED
        foresight = Foresight(detectable=None, settled=False, answer=answer, source="")
    else:
        foresight = planner.foresee(_kind(item), pairs, court)
    return PlannedClaim(
        test=f"{getattr(item, 'originalname', item.name)}[{case.id}]",
        family_size=size,
        margin=registry.dataset(case.cells[0].dataset).margin,
        foresight=foresight,
    )


def _pairs(case: Case, fixtures: Sequence[str]) -> list[tuple[Cell, Cell]]:
    """What a test compares: candidates with their references, or, without any, each candidate with the next."""
    if {"reference", "references"} & set(fixtures):
        return list(zip(case.cells, case.references, strict=True))
    return list(pairwise(case.cells)) if "candidates" in fixtures else []


def _averages(item: pytest.Item) -> bool:
    """Whether a test's own code asks for gains averaged over datasets."""
    return "relative_gains" in _names_in(item)


def _against_a_number(item: pytest.Item) -> bool:
    """Whether a test's own code holds a candidate against a published number."""
    return not {"consistent_with", "above"}.isdisjoint(_names_in(item))


def _kind(item: pytest.Item) -> str:
    """The verb that a test's own code names; of claims about several pairs, and of helpers, the plain one."""
    from pytest_fmtransfer.judge.reading import FEWEST_PATIENTS

    named = [kind for kind in FEWEST_PATIENTS if kind in _names_in(item)]
    return named[0] if len(named) == 1 else "beats"


def _names_in(item: pytest.Item) -> Sequence[str]:
    code: Any = getattr(getattr(item, "function", None), "__code__", None)
    return getattr(code, "co_names", ())

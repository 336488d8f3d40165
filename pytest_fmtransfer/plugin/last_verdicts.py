"""The last verdict of an item: its test's own code, judging results that exist already, with nothing computed.

No verdict is kept between runs, and none could be trusted if it were: margins, families and known exceptions are
declared, not measured. So the test is given the newest results that the store has of its cells, or those that are
recorded as baselines, and reaches its verdict again at the level of its family. All are from one source: the one with
the newest of them, and the store where both have it.
"""

import inspect
import io
import warnings
from collections.abc import Callable, Collection
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.exports import as_declared, differences
from pytest_fmtransfer.judge.controls import Controls, tells_backbones_apart
from pytest_fmtransfer.judge.court import Verdict, judging
from pytest_fmtransfer.kept import Kept, KeptResults
from pytest_fmtransfer.plugin.cases import Case
from pytest_fmtransfer.plugin.collection import FIXTURES, FIXTURES_OVER
from pytest_fmtransfer.plugin.controlling import control_cells, wants_controls
from pytest_fmtransfer.plugin.fixtures import baselines_of
from pytest_fmtransfer.plugin.judging import court_of, expectation_of
from pytest_fmtransfer.plugin.measuring import collected
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.planning import asked_for
from pytest_fmtransfer.plugin.settings import Settings
from pytest_fmtransfer.plugin.verdict_rule import unexpected
from pytest_fmtransfer.reports.claims import NOT_RUN
from pytest_fmtransfer.store import Store
from pytest_fmtransfer.work import idle

if TYPE_CHECKING:
    from pytest_fmtransfer.cell_result import CellResult

Results = dict[Cell, "CellResult"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where results that exist are looked for; `told` and `done` make "from the store, measured 2026-11-26"."""

    told: str
    done: str
    find: Callable[[pytest.Item, Cell], Kept | None]
    holds_baselines: bool = False


class LastVerdicts:
    """Of the items of one session, each told in a phrase."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = KeptResults(
            Store(root=settings.places.store), profile=settings.profile, registry=settings.registry
        )
        if settings.collect:
            folders = " and ".join(map(str, settings.collect))
            self._sources = [Source(told=f"from {folders}", done="recorded", find=self._collected)]
        else:
            self._sources = [
                Source(told="from the store", done="measured", find=self._in_store),
                Source(told="from baselines", done="recorded", find=self._on_record, holds_baselines=True),
            ]

    def tell(self, item: pytest.Function, case: Case) -> str:
        """The verdict's line and where its results are from; else that it was not run, and why."""
        asked = inspect.signature(item.obj).parameters
        if more := sorted(set(asked) - {*FIXTURES, *FIXTURES_OVER}):
            return f"{NOT_RUN} here, because its test asks for {', '.join(more)} too"
        complete = {source: kept for source in self._sources if (kept := _all_of(source, item, asked)) is not None}
        if not complete:
            return NOT_RUN
        source = max(complete, key=lambda each: max(kept.day for kept in complete[each].values()))  # else the store
        results = {cell: kept.result for cell, kept in complete[source].items()}
        return f"{self._judged(item, case, asked, results)} ({source.told}, {source.done} {_days(complete[source])})"

    def _judged(self, item: pytest.Function, case: Case, asked: Collection[str], results: Results) -> str:
        reached: list[Verdict] = []
        fault: BaseException | None = None
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings(), idle():
                warnings.simplefilter("ignore")
                arguments = {name: self._argument(name, item, case, results) for name in asked}
                with judging(court_of(item, case, reached.append, self._telling(item, case, results))):
                    item.obj(**arguments)
        except AssertionError:
            pass  # a verdict that does not pass, or something else: the last verdict says
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
            fault = error
        if fault is not None:
            return f"{NOT_RUN} to its end: {fault}"
        if not reached:
            return f"{NOT_RUN} to a verdict: its test reaches none"
        known = expectation_of(item, case)
        wrong = unexpected(reached, known)  # of several verdicts, one that would fail the test is told
        surprise = ", which is not the known exception" if known is not None and wrong else ""
        return f"{(wrong or reached)[-1].summary}{surprise}"

    def _argument(self, name: str, item: pytest.Item, case: Case, results: Results) -> Any:
        """What the fixture of that name would give the test."""
        own, others = [results.get(cell) for cell in case.cells], [results.get(cell) for cell in case.references]
        if name == "baseline":
            return _baseline(item, case.cells[0])
        if name == "controls":
            return self._controls(case, results)
        one = {"cell": case.cells[:1], "candidate": own, "ranked": own, "reference": others}
        return one[name][0] if name in one else tuple({"candidates": own, "references": others}[name])

    def _telling(self, item: pytest.Item, case: Case, results: Results) -> Verdict | None:
        return (
            tells_backbones_apart(self._controls(case, results)) if wants_controls(item, case, self._settings) else None
        )

    def _controls(self, case: Case, results: Results) -> Controls:
        cells = control_cells(case, self._settings.registry)
        reference, twin, shortcut, shuffled = (results[cell] for cell in cells)
        recorded = seed_variances(cells[:1], self._settings.registry).get((cells[0].dataset, cells[0].regime))
        return Controls(reference=reference, twin=twin, shortcut=shortcut, shuffled=shuffled, recorded=recorded)

    def _in_store(self, item: pytest.Item, cell: Cell) -> Kept | None:
        del item
        return self._kept.newest(cell)

    def _on_record(self, item: pytest.Item, cell: Cell) -> Kept | None:
        stored = baselines_of(item).peek(cell)
        if stored is None or differences(stored, self._settings.profile, self._settings.registry):
            return None  # stale, damaged or of another profile
        return _dated(as_declared(stored, self._settings.registry, origin="baseline"))

    def _collected(self, item: pytest.Item, cell: Cell) -> Kept | None:
        del item
        try:
            return _dated(collected(cell, self._settings))
        except BaselineError:  # absent, or what it is its test says
            return None


def _all_of(source: Source, item: pytest.Item, asked: Collection[str]) -> dict[Cell, Kept] | None:
    """The results that a source has for an item; None where it has not all, or where there are none to be had."""
    if source.holds_baselines and "baseline" in asked:  # held against itself, every baseline is unchanged
        return None
    found = {cell: source.find(item, cell) for cell in asked_for(item)}
    kept = {cell: each for cell, each in found.items() if each is not None}
    return kept if kept and len(kept) == len(found) else None


def _baseline(item: pytest.Item, cell: Cell) -> Any:
    stored = baselines_of(item).peek(cell)
    if stored is None:
        raise BaselineError(f"no baseline of {cell} that can be used")
    return stored


def _dated(result: "CellResult") -> Kept | None:
    """A result that was written as a pair of files says when."""
    return Kept(result=result, day=date.fromisoformat(result.recorded.date)) if result.recorded else None


def _days(kept: dict[Cell, Kept]) -> str:
    days = sorted({each.day for each in kept.values()})
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"

"""Around one item: skip what is absent, hold court while the test runs, compare known exceptions."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.claims import Expectation
from pytest_fmtransfer.missing import Missing, all_told, in_short
from pytest_fmtransfer.plugin import stand_ins
from pytest_fmtransfer.plugin.candidates import against_itself
from pytest_fmtransfer.plugin.cases import Case, case_of
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.collection import TELLING, cells_of, fixtures_of
from pytest_fmtransfer.plugin.families import claims_added, family_of
from pytest_fmtransfer.plugin.fixtures import RANKED, WRITTEN, baselines_of, refuse_what_is_lost
from pytest_fmtransfer.plugin.measuring import MEASURED, lacking
from pytest_fmtransfer.plugin.obtained import keep_obtained
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.stand_ins.planted import LABEL

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.court import Court, Verdict

PROPERTY = "fmtransfer"  # the name under which an item's row travels in user_properties


def skip_what_is_absent(item: pytest.Item) -> None:
    """Skip an item, before anything is computed, when one of its cells cannot be measured here.

    Where CI is set, a cell that has a baseline must be: its absence is an error, unless
    `--fm-allow-missing` says otherwise.
    """
    case, settings = case_of(item), settings_of(item.config)
    if case is not None and (reason := against_itself(case)) is not None:
        item.add_marker(pytest.mark.skip(reason=reason))
        return
    if settings.stand_ins and "ranked" in fixtures_of(item):
        item.add_marker(pytest.mark.skip(reason="a table claims nothing that could be planted"))
        return
    if settings.stand_ins and (lack := stand_ins.prepare(cells_of(item), settings.registry, settings.places)):
        item.add_marker(pytest.mark.skip(reason=lack))
        return
    refuse_what_is_lost(item)
    absent = {cell: lacks for cell in cells_of(item) if (lacks := lacking(item, cell))}
    if settings.on_ci and not settings.allow_missing:
        for cell, lacks in absent.items():
            if baselines_of(item).on_record(cell):
                pytest.fail(
                    f"{cell} has a baseline but cannot run on this CI: {all_told(lacks)}; "
                    "or let it be skipped: --fm-allow-missing",
                    pytrace=False,
                )
    if absent:
        item.add_marker(pytest.mark.skip(reason=_lacking(item, absent)))  # a mark, so that the test's own line is told


def _lacking(item: pytest.Item, absent: Mapping[Cell, Sequence[Missing]]) -> str:
    """Why an item is skipped. Cells are not named where weights and data are, so that pytest tells equal reasons of one
    test's cells once.
    """
    if settings_of(item.config).collect is None:
        return in_short([lack for lacks in absent.values() for lack in lacks])
    cell, lacks = next(iter(absent.items()))
    return f"{cell}: {all_told(lacks)}"


def court_of(item: pytest.Item, case: Case, record: "Callable[[Verdict], None]", telling: "Verdict | None") -> "Court":
    """The court that an item's verdicts are reached in: the level of its family, and what is on record of its cells."""
    from pytest_fmtransfer.judge.court import Court

    registry = settings_of(item.config).registry
    return Court(
        family_size=claim_of(item).family_size + claims_added(item),
        added=claims_added(item),
        record=record,
        telling=telling,
        seed_variances=seed_variances((*case.cells, *case.references), registry),
        acknowledged={cell.dataset: {**registry.dataset(cell.dataset).acknowledged} for cell in case.cells},
    )


def expectation_of(item: pytest.Item, case: Case) -> Expectation | None:
    """The known exception of an item: what is known of a claim is known of it against the suite's reference."""
    return None if case.other_reference else claim_of(item).expected.get(case.id)


def _place(item: pytest.Item) -> dict[str, str] | None:
    """Of an item that takes a place in a table: its cell, and the entry of the store that has its result."""
    ranked = item.stash.get(RANKED, None)
    return None if ranked is None else {"cell": ranked.cell.id, "key": ranked.key}


def judge(item: pytest.Function) -> Generator[None, object, object]:
    """Run the test under the level of its family, record its verdicts, and hold it to known exceptions."""
    case = case_of(item)
    if case is None:
        return (yield)

    from pytest_fmtransfer.judge.court import Verdict, judging
    from pytest_fmtransfer.reports.rows import cell_row, verdict_row
    from pytest_fmtransfer.results import Result

    claim = claim_of(item)
    expectation = expectation_of(item, case)
    telling = cast("Verdict | None", item.funcargs.get(TELLING))
    reached: list[Verdict] = []
    measured: list[Result] = item.stash.setdefault(MEASURED, [])
    outcome: object = None
    failure: AssertionError | None = None
    try:
        court = court_of(item, case, reached.append, telling)
        with judging(court):
            outcome = yield
    except AssertionError as error:
        failure = error
    finally:  # whatever the test came to, what it measured is reported
        row = {
            "file": item.nodeid.partition("::")[0],
            "test": f"{item.originalname}[{case.id}]",
            "claim": {"statement": claim.statement, "source": claim.source, "where": claim.where},
            "family": family_of(item),
            "expected": _expected(item, case, expectation, reached),
            "cells": [cell_row(result) for result in measured],
            "verdicts": [verdict_row(verdict) for verdict in reached],
            "telling": verdict_row(telling) if telling is not None else None,
            "ranked": _place(item),
            "written": str(written) if (written := item.stash.get(WRITTEN, None)) else None,
            **({"note": LABEL} if settings_of(item.config).stand_ins else {}),
        }
        item.user_properties.append((PROPERTY, json.dumps(row, sort_keys=True, ensure_ascii=False)))
        for verdict in reached:
            item.add_report_section("call", "verdict", verdict.text)
        keep_obtained(item, reached)
    if settings_of(item.config).stand_ins:
        return _as_planted(item, case, reached, outcome, failure)
    if expectation is None:
        if failure is not None:
            raise failure
        return outcome
    last = reached[-1] if reached else None
    if last is not None and last.outcome == expectation.outcome:
        if failure is not None and last.summary not in str(failure):
            raise failure  # about something else than the known exception
        return True
    found = "without a verdict" if last is None else last.outcome
    pytest.fail(
        f"{case.id} was expected to be {expectation.outcome} ({expectation.reason}), but is {found}; "
        "look into it, then correct fm_claim(expected=...)",
        pytrace=False,
    )


def _expected(
    item: pytest.Item, case: Case, expectation: Expectation | None, reached: "Sequence[Verdict]"
) -> dict[str, str] | None:
    """What a report says was known beforehand; None where the claim was to be supported."""
    if settings_of(item.config).stand_ins:
        return stand_ins.expected(case, reached, settings_of(item.config).registry)
    return {"outcome": expectation.outcome, "reason": expectation.reason} if expectation else None


def _as_planted(
    item: pytest.Item, case: Case, reached: "Sequence[Verdict]", outcome: object, failure: AssertionError | None
) -> object:
    """A claim of stand-ins holds when its verdicts are those that are planted, also where that is "refuted"."""
    stand_ins.compare(case, reached, settings_of(item.config).registry)
    if failure is not None and not any(verdict.summary in str(failure) for verdict in reached):
        raise failure  # about something else than a verdict
    return True if failure is not None else outcome

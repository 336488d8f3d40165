"""Around one item: skip what is absent, hold court over its fixtures and its test, and decide by the verdicts."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.claims import Expectation
from pytest_fmtransfer.missing import Missing, all_told, in_short
from pytest_fmtransfer.plugin import stand_ins
from pytest_fmtransfer.plugin.candidates import against_itself
from pytest_fmtransfer.plugin.cases import Case, case_of, identity_of, mistake_of
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.collection import TELLING, cells_of, fixtures_of
from pytest_fmtransfer.plugin.families import claims_added, family_of
from pytest_fmtransfer.plugin.fixtures import RANKED, WRITTEN, baselines_of, refuse_what_is_lost
from pytest_fmtransfer.plugin.measuring import MEASURED, lacking
from pytest_fmtransfer.plugin.obtained import keep_obtained
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.pooling import pooled_row
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.plugin.verdict_rule import (
    GATES,
    is_claim,
    not_asserted,
    uncounted,
    unexpected,
    unmarked,
    without_a_verdict,
)
from pytest_fmtransfer.printable import inline, printable
from pytest_fmtransfer.stand_ins.planted import LABEL

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.court import Court, Verdict

PROPERTY = "fmtransfer"  # the name under which an item's row travels in user_properties

REACHED = pytest.StashKey[list["Verdict"]]()  # the verdicts of an item's last attempt, those of its fixtures first


class AroundSetUp:
    """A plugin of its own, because a module has one function for each hook: `set_up` is the other."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Whoever sits in court while an item is set up leaves it afterwards."""
        from pytest_fmtransfer.judge.court import current, judging

        item.stash[REACHED] = []  # anew where a test is run again
        with judging(current()):
            return (yield)


def set_up(item: pytest.Item) -> None:
    """Skip an item that cannot run here; else hold court over its fixtures, whose verdicts count as its own."""
    case = case_of(item)
    if mistake_of(item) is not None or (case is None and not is_claim(item)) or skip_what_is_absent(item):
        return

    from pytest_fmtransfer.judge.court import convene

    convene(court_of(item, case, item.stash[REACHED].append, None))  # the fixture `telling` adds what controls say


def skip_what_is_absent(item: pytest.Item) -> bool:
    """Skip an item, before anything is computed, when one of its cells cannot be measured here; whether it is skipped.

    Where CI is set, a cell that has a baseline must be: its absence is an error, unless
    `--fm-allow-missing` says otherwise.
    """
    case, settings = case_of(item), settings_of(item.config)
    if case is not None and (reason := against_itself(case)) is not None:
        item.add_marker(pytest.mark.skip(reason=inline(reason)))
        return True
    if settings.stand_ins and "ranked" in fixtures_of(item):
        item.add_marker(pytest.mark.skip(reason="a table claims nothing that could be planted"))
        return True
    if settings.stand_ins and (lack := stand_ins.prepare(cells_of(item), settings.registry, settings.places)):
        item.add_marker(pytest.mark.skip(reason=inline(lack)))
        return True
    refuse_what_is_lost(item)
    absent = {cell: lacks for cell in cells_of(item) if (lacks := lacking(item, cell))}
    if settings.on_ci and not settings.allow_missing:
        for cell, lacks in absent.items():
            if baselines_of(item).on_record(cell):
                told = f"{cell} has a baseline but cannot run on this CI: {all_told(lacks)}"
                pytest.fail(inline(f"{told}; or let it be skipped: --fm-allow-missing"), pytrace=False)
    if damaged := [lack for lacks in absent.values() for lack in lacks if lack.damaged]:
        pytest.fail(inline(str(damaged[0])), pytrace=False)
    if absent:
        reason = inline(_lacking(item, absent))
        item.add_marker(pytest.mark.skip(reason=reason))  # a mark, so that the test's own line is told
    return bool(absent)


def _lacking(item: pytest.Item, absent: Mapping[Cell, Sequence[Missing]]) -> str:
    """Why an item is skipped. Cells are not named where weights and data are, so that pytest tells equal reasons of one
    test's cells once.
    """
    if not settings_of(item.config).collect:
        return in_short([lack for lacks in absent.values() for lack in lacks])
    cell, lacks = next(iter(absent.items()))
    return f"{cell}: {all_told(lacks)}"


def court_of(
    item: pytest.Item, case: Case | None, record: "Callable[[Verdict], None]", telling: "Verdict | None"
) -> "Court":
    """The court that an item's verdicts are reached in: the level of its family, and what is on record of its cells."""
    from pytest_fmtransfer.judge.court import Court

    registry = settings_of(item.config).registry
    cells, references = (case.cells, case.references) if case else ((), ())
    return Court(
        family_size=claim_of(item).family_size + claims_added(item),
        added=claims_added(item),
        record=record,
        telling=telling,
        seed_variances=seed_variances((*cells, *references), registry),
        acknowledged={cell.dataset: {**registry.dataset(cell.dataset).acknowledged} for cell in cells},
    )


def expectation_of(item: pytest.Item, case: Case | None) -> Expectation | None:
    """The known exception of an item: what is known of a claim is known of it against the suite's reference."""
    return None if case is None or case.other_reference else claim_of(item).expected.get(case.id)


def _place(item: pytest.Item) -> dict[str, str] | None:
    """Of an item that takes a place in a table: its cell, and the entry of the store that has its result."""
    ranked = item.stash.get(RANKED, None)
    return None if ranked is None else {"cell": ranked.cell.id, "key": ranked.key}


def judge(item: pytest.Function) -> Generator[None, object, object]:
    """Run the test under the level of its family, record its verdicts, and decide by them; fail one of wrong marks."""
    case = case_of(item)
    if (mistake := mistake_of(item)) is not None:
        pytest.fail(printable(mistake.message), pytrace=False)
    if case is None and not is_claim(item):
        return (yield)

    from pytest_fmtransfer.judge.court import judging

    telling = cast("Verdict | None", item.funcargs.get(TELLING))
    reached = item.stash.setdefault(REACHED, [])
    outcome: object = None
    stopped: BaseException | None = None
    try:
        with judging(court_of(item, case, reached.append, telling)):
            outcome = yield
    except (AssertionError, pytest.skip.Exception) as error:
        stopped = error
    finally:  # whatever the test came to, what it measured is reported
        row = json.dumps(_row(item, case, reached, telling), sort_keys=True, ensure_ascii=False)
        item.user_properties.append((PROPERTY, row))
        for verdict in reached:
            item.add_report_section("call", "verdict", verdict.text)
        keep_obtained(item, reached)
    planted = case if settings_of(item.config).stand_ins else None
    expectation = expectation_of(item, case)
    if stopped is not None and not _about_a_verdict(stopped, reached):
        raise stopped
    if isinstance(stopped, AssertionError) and planted is None and expectation is None:
        raise stopped  # the test's own words
    if (told := unmarked(item, case, reached)) is None:
        if planted is not None:
            stand_ins.compare(planted, reached, settings_of(item.config).registry)
        else:
            told = _against_the_claim(item, case, reached, expectation)
        told = told or uncounted(item, case, reached)
    if told is not None:
        pytest.fail(printable(told), pytrace=False)
    if isinstance(stopped, pytest.skip.Exception):
        raise stopped
    return outcome if stopped is None else True


def _about_a_verdict(stopped: BaseException, reached: "Sequence[Verdict]") -> bool:
    """Whether a test stopped at a verdict: an assertion that tells it, or a skip once one was reached."""
    if isinstance(stopped, AssertionError):
        return any(verdict.summary in str(stopped) for verdict in reached)
    return bool(reached)


def _against_the_claim(
    item: pytest.Item, case: Case | None, reached: "Sequence[Verdict]", expectation: Expectation | None
) -> str | None:
    """What is wrong with the verdicts that a test reached; None where all are as its claim says."""
    wrong = unexpected(reached, expectation)
    if expectation is not None and case is not None and (wrong or not reached):
        found = wrong[0].outcome if wrong else "without a verdict"
        return (
            f"{case.id} was expected to be {expectation.outcome} ({expectation.reason}), but is {found}; "
            "look into it, then correct fm_claim(expected=...)"
        )
    if not reached:
        return without_a_verdict(item, case, asks_baseline="baseline" in fixtures_of(item))
    return not_asserted(item, case, wrong) if wrong else None


def _row(
    item: pytest.Function, case: Case | None, reached: "Sequence[Verdict]", telling: "Verdict | None"
) -> dict[str, object]:
    """What an item tells the report, as plain JSON values."""
    from pytest_fmtransfer.reports.rows import cell_row, verdict_row

    claim, looks = claim_of(item), uncounted(item, case, reached)
    return {
        "id": identity_of(item),
        "file": item.nodeid.partition("::")[0],
        "test": f"{item.originalname}[{case.id}]" if case else item.name,
        "claim": {"statement": claim.statement, "source": claim.source, "where": claim.where},
        "family": family_of(item),
        "expected": _expected(item, case, reached),
        "cells": [cell_row(result) for result in item.stash.setdefault(MEASURED, [])],
        "verdicts": [_verdict_row(verdict, looks) for verdict in reached],
        "telling": verdict_row(telling) if telling is not None else None,
        "ranked": _place(item),
        "pooled": pooled_row(item, case, reached),
        "written": str(written) if (written := item.stash.get(WRITTEN, None)) else None,
        **({"note": LABEL} if settings_of(item.config).stand_ins else {}),
    }


def _verdict_row(verdict: "Verdict", looks: str | None) -> dict[str, object]:
    """Its row in a report; without p where the family does not count it, and with what says so."""
    from pytest_fmtransfer.reports.rows import verdict_row

    if looks is None or verdict.kind in GATES:
        return verdict_row(verdict)
    return verdict_row(replace(verdict, p=None, mark="; ".join(filter(None, (verdict.mark, looks)))))


def _expected(item: pytest.Item, case: Case | None, reached: "Sequence[Verdict]") -> dict[str, str] | None:
    """What a report says was known beforehand; None where the claim was to be supported."""
    if case is not None and settings_of(item.config).stand_ins:
        return stand_ins.expected(case, reached, settings_of(item.config).registry)
    expectation = expectation_of(item, case)
    return {"outcome": expectation.outcome, "reason": expectation.reason} if expectation else None

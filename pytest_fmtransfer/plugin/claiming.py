"""`--fm-claims`: what the selection claims, what is missing to run it, and what was last found of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.plugin.candidates import against_itself
from pytest_fmtransfer.plugin.cases import Case, case_of
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.collection import cells_of, controls_of, fixtures_of
from pytest_fmtransfer.plugin.families import claims_added, family_of
from pytest_fmtransfer.plugin.judging import expectation_of
from pytest_fmtransfer.plugin.listing import Lister
from pytest_fmtransfer.plugin.measuring import lacking
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.words import counted

if TYPE_CHECKING:
    from pytest_fmtransfer.plugin.last_verdicts import LastVerdicts
    from pytest_fmtransfer.reports.claims import ListedCase, ListedSentence


def configure(config: pytest.Config) -> None:
    if config.getoption("--fm-claims"):
        config.pluginmanager.register(Lister("claims", _claims), "fmtransfer-claims")


def _claims(session: pytest.Session) -> str:
    from pytest_fmtransfer.plugin.last_verdicts import LastVerdicts
    from pytest_fmtransfer.reports.claims import claims_text

    verdicts = LastVerdicts(settings_of(session.config))
    tests: dict[str, list[tuple[pytest.Function, Case]]] = {}
    for item in session.items:
        if isinstance(item, pytest.Function) and (case := case_of(item)) is not None and not _only_ranks(item):
            tests.setdefault(_test_of(item), []).append((item, case))
    return claims_text([_sentence(name, members, verdicts) for name, members in tests.items()])


def _only_ranks(item: pytest.Function) -> bool:
    """Whether an item takes a place in a table, and claims nothing."""
    return "ranked" in fixtures_of(item) and item.get_closest_marker("fm_claim") is None


def _sentence(test: str, members: Sequence[tuple[pytest.Function, Case]], verdicts: "LastVerdicts") -> "ListedSentence":
    from pytest_fmtransfer.reports.claims import ListedSentence

    claim, family = claim_of(members[0][0]), _family(members[0][0])
    return ListedSentence(
        statement=claim.statement or test.rpartition("::")[2],
        source=", ".join(part for part in (claim.source, claim.where) if part) or "none given",
        test=test,
        family=family,
        cases=tuple(_case(item, case, family, verdicts) for item, case in members),
    )


def _case(item: pytest.Function, case: Case, family: str, verdicts: "LastVerdicts") -> "ListedCase":
    from pytest_fmtransfer.reports.claims import ListedCase

    exception, own = expectation_of(item, case), _family(item)
    needless = against_itself(case)
    missing = [] if needless else [str(lack) for cell in cells_of(item) for lack in lacking(item, cell)]
    return ListedCase(
        cells=_ids(case.cells),
        references=_ids(case.references),
        controls=_ids(controls_of(item, case)),
        lacks=tuple(dict.fromkeys(missing)),
        family="" if own == family else own,
        exception=f"{exception.outcome}, {exception.reason}" if exception else "",
        last=f"not run: {needless}" if needless else verdicts.tell(item, case),
    )


def _family(item: pytest.Function) -> str:
    """Name and size of a family, and the level at which each of its claims is judged."""
    from pytest_fmtransfer.judge.court import Court

    size, name = claim_of(item).family_size + claims_added(item), family_of(item)
    level = f"judged at {Court(family_size=size).level:.3g}, one-sided"
    if name is None:
        return f"none, {level}"
    called = name.rpartition(" [")[0].replace(_test_of(item), "the test's own")
    return f"{called}, {counted(size, 'claim')} per dataset and regime, each {level}"


def _test_of(item: pytest.Function) -> str:
    home = item.parent.nodeid if item.parent else ""
    return f"{home}::{item.originalname}"


def _ids(cells: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell.id for cell in cells)

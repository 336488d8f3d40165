"""Tests whose cells are also judged together, `fm_cells(pooled=True)`: what each item tells, and what the controller
makes of it when the session ends.

No worker has all cells. An item's row says how many cells its test declares, so a selection is never taken for a suite.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fmtransfer.plugin.cases import Case, definition_of

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.court import Verdict

Row = dict[str, Any]

SETTLE = (
    "find out what moved them; accept the new values of all: the same command with --fm-update=all; then commit the "
    "files"
)


def pooled_row(item: pytest.Item, case: Case | None, reached: "Sequence[Verdict]") -> Row | None:
    """What an item tells of its cell, None where it is not judged together with others."""
    if case is None or not case.pooled:
        return None
    gates = [verdict for verdict in reached if verdict.kind == "unchanged_from"]
    screened = gates[-1].screened if gates else None
    return {
        "test": definition_of(item),
        "cells": case.pooled,
        "judged": bool(gates) and gates[-1].outcome != "inconclusive",
        "screened": screened.row() if screened is not None else None,
    }


def pools_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """One verdict a test, over all cells that it declares, in the order of their names.

    `rows` are those of the whole session.
    """
    by_test: dict[str, list[Row]] = {}
    for row in rows:
        if row["pooled"] is not None:
            by_test.setdefault(row["pooled"]["test"], []).append(row["pooled"])
    return tuple(_judged(name, by_test[name]) for name in sorted(by_test))


def _judged(name: str, told: Sequence[Row]) -> Row:
    from pytest_fmtransfer.judge.pooled_drift import Screened, together

    judged = [row for row in told if row["judged"]]
    screened = [Screened(**row["screened"]) for row in judged if row["screened"] is not None]
    found = together(screened, judged=len(judged), declared=told[0]["cells"])
    return {
        "test": name,
        "cells": told[0]["cells"],
        "judged": len(judged),
        "outcome": found.outcome,
        "summary": found.summary,
        "effect": found.effect,
        "p": found.p,
        "settle": SETTLE if found.outcome == "refuted" else "",
    }

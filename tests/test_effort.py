"""Estimated against actual, in the one line of a report."""

from typing import Any

import pytest

from pytest_fmtransfer.reports.effort import compared


def effort(cells: int, passes: int, seconds: float, done: int, took: float) -> dict[str, Any]:
    return {
        "estimated": {"cells": cells, "forward_passes": passes, "seconds": seconds, "seconds_at_least": False},
        "actual": {"forward_passes": done, "seconds": took},
    }


def test_a_run_that_only_looked_up_says_so_in_one_sentence() -> None:
    assert compared(effort(0, 0, 0.0, 0, 0.0)) == "Nothing had to be computed: every result was in the store."


@pytest.mark.parametrize("told", [effort(3, 0, 2.0, 0, 0.0), effort(0, 0, 0.0, 48, 0.0), effort(0, 0, 0.0, 0, 1.5)])
def test_whatever_was_estimated_or_computed_is_told(told: dict[str, Any]) -> None:
    estimated, actual = told["estimated"], told["actual"]
    line = compared(told)
    assert line.startswith(
        f"Estimated about {estimated['seconds']:.1f} s and {estimated['forward_passes']} forward passes; "
        f"took {actual['seconds']:.1f} s and {actual['forward_passes']}. "
    )

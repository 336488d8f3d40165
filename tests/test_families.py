"""Holm's correction against the closed test that it is short for, and what counts as a member of a family."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.families import holm
from pytest_fmtransfer.judge.power import shared_power
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.reports.rows import gather, verdict_row
from tests.helpers import CANDIDATE, LAWS, REFERENCE, result, retrained

p_values = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=6)


def closed_test(values: list[float], size: int) -> list[float]:
    """A claim's p-value is the largest over all groups of claims it is in; a group's is its smallest by its number.

    Claims without a p-value are claims whose p-value is 1 (Marcus, Peritz and Gabriel, Biometrika 1976).
    """
    padded = values + [1.0] * (size - len(values))
    groups = [group for count in range(1, size + 1) for group in combinations(range(size), count)]
    return [
        max(min(1.0, len(group) * min(padded[member] for member in group)) for group in groups if claim in group)
        for claim in range(len(values))
    ]


@LAWS
@given(p_values, st.integers(0, 3))
def test_it_is_the_closed_test_of_bonferroni_with_the_missing_counted_as_1(values: list[float], missing: int) -> None:
    size = len(values) + missing
    assert holm(values, size) == pytest.approx(closed_test(values, size))
    assert holm(values, size) == holm([*values, *[1.0] * missing], size)[: len(values)]


@LAWS
@given(p_values, st.integers(0, 10), st.integers(0, 10), st.permutations(range(6)))
def test_it_never_shrinks_keeps_the_order_and_grows_with_the_family(
    values: list[float], one: int, other: int, order: list[int]
) -> None:
    small, large = (holm(values, len(values) + missing) for missing in sorted((one, other)))
    assert all(p <= adjusted <= wider <= 1 for p, adjusted, wider in zip(values, small, large, strict=True))
    assert all(a <= b for p, a in zip(values, small, strict=True) for q, b in zip(values, small, strict=True) if p < q)
    places = [place for place in order if place < len(values)]
    assert holm([values[place] for place in places], len(values) + min(one, other)) == [small[i] for i in places]


@LAWS
@given(p_values, st.integers(0, 3), st.floats(0.001, 0.4))
def test_rejecting_adjusted_values_is_stepping_down(values: list[float], missing: int, alpha: float) -> None:
    """From the smallest on, each against alpha over the claims that are left, until one is not below."""
    size = len(values) + missing
    found = set()
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (size - rank) > alpha:
            break
        found.add(place)
    assert {place for place, adjusted in enumerate(holm(values, size)) if adjusted <= alpha} == found


def test_a_family_on_figures_worked_by_hand() -> None:
    """.01 × 4, .02 × 3, .04 × 2; the fourth claim was skipped. Then .011 × 2 is below .01 × 3, which holds for both."""
    assert holm([0.04, 0.01, 0.02], 4) == pytest.approx([0.08, 0.04, 0.06])
    assert holm([0.011, 0.01], 3) == pytest.approx([0.03, 0.03])


@pytest.mark.parametrize(
    ("values", "size", "adjusted"),
    [
        # .005 × 5, .01 × 4, .0103 × 3, which is below that, .03 × 2, and .04 × 1, which is below that.
        ([0.01, 0.04, 0.03, 0.005, 0.0103], 5, [0.04, 0.06, 0.06, 0.025, 0.04]),
        ([0.005, 0.01, 0.0103, 0.03, 0.04], 5, [0.025, 0.04, 0.04, 0.06, 0.06]),
        ([0.5, 0.9], 2, [1.0, 1.0]),
        ([0.02, 0.02, 0.02], 3, [0.06, 0.06, 0.06]),
        ([0.03], 1, [0.03]),
        # Of six declared, two gave a p-value: times 6 and 5.
        ([0.03, 0.001], 6, [0.15, 0.006]),
        ([], 4, []),
    ],
)
def test_holms_table(values: list[float], size: int, adjusted: list[float]) -> None:
    assert holm(values, size) == pytest.approx(adjusted)


@pytest.mark.parametrize(("claims", "each"), [(1, 0.8), (2, 0.894427191), (3, 0.928317767), (7, 0.968625151)])
def test_claims_that_must_all_hold_share_the_power(claims: int, each: float) -> None:
    assert shared_power(claims) == pytest.approx(each)
    assert shared_power(claims) ** claims == pytest.approx(0.8)


def test_more_claims_than_were_declared_are_refused() -> None:
    with pytest.raises(ValueError, match="3 p-values in a family of 2"):
        holm([0.1, 0.2, 0.3], 2)


def row(verdict: Any, test: str, family: str | None = "sentence") -> dict[str, Any]:
    return {
        "file": "suite.py",
        "test": test,
        "claim": {},
        "family": family,
        "expected": None,
        "cells": [],
        "verdicts": [verdict_row(verdict)],
        "telling": None,
    }


def test_a_verdict_that_the_data_cannot_carry_counts_as_1() -> None:
    """One seed of a seeded regime: its difference is large, but nobody knows how far chance would carry it."""
    with judging(Court(family_size=3)):
        one_seed = beats(retrained(CANDIDATE, 3.0), retrained(REFERENCE, 0.3, 0.3))
        sound = beats(result(CANDIDATE, 1.0), result(REFERENCE, 0.5))
    assert sound.p is not None
    told = gather([row(one_seed, "test_a"), row(sound, "test_b"), row(sound, "test_c", family=None)]).claims
    assert [claim["p_holm"] for claim in told] == [None, pytest.approx(3 * sound.p), None]

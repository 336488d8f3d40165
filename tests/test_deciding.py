"""What limits and parts decide, whatever kind of claim they are of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.judge.court import Outcome
from pytest_fmtransfer.judge.deciding import between, of_all, weakest
from tests.helpers import LAWS

outcomes = st.sampled_from(["supported", "refuted", "inconclusive"])
numbers = st.integers(-9, 9)


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        ((-0.9, 0.9), "supported"),
        ((-1.0, 0.9), "inconclusive"),
        ((-0.9, 1.0), "inconclusive"),
        ((-2.0, 2.0), "inconclusive"),
        ((-2.0, -1.0), "refuted"),
        ((1.0, 2.0), "refuted"),
        ((-2.0, -0.99), "inconclusive"),
    ],
)
def test_limits_inside_support_and_limits_wholly_outside_refute(limits: tuple[float, float], outcome: str) -> None:
    assert between(*limits, -1.0, 1.0) == outcome


@LAWS
@given(numbers, st.integers(0, 9), numbers, st.integers(1, 9))
def test_a_claim_and_its_mirror_image_are_decided_alike(lower: int, width: int, low: int, room: int) -> None:
    upper, high = lower + width, low + room
    assert between(lower, upper, low, high) == between(-upper, -lower, -high, -low)


@LAWS
@given(st.lists(outcomes, min_size=1))
def test_one_refuted_part_refutes_and_all_must_hold_to_support(parts: list[Outcome]) -> None:
    whole = of_all(parts)
    assert (whole == "refuted") == ("refuted" in parts)
    assert (whole == "supported") == (set(parts) == {"supported"})


@pytest.mark.parametrize(
    ("parts", "p_values", "effects", "place"),
    [
        (("supported", "refuted"), (0.9, 0.01), (-1.0, 1.0), 1),
        (("refuted", "inconclusive"), (0.99, None), (-1.0, -2.0), 0),
        (("inconclusive", "inconclusive"), (0.99, None), (-1.0, 2.0), 1),
        (("inconclusive", "inconclusive"), (1.0, None), (-1.0, 2.0), 1),
        (("supported", "inconclusive"), (0.01, 0.3), (-1.0, 2.0), 1),
        (("supported", "supported"), (0.01, 0.01), (2.0, 1.0), 1),
        (("supported", "supported"), (0.01, 0.01), (1.0, 1.0), 0),
    ],
)
def test_refuted_before_unknown_before_the_highest_p_before_the_lowest_effect(
    parts: tuple[Outcome, ...], p_values: tuple[float | None, ...], effects: tuple[float, ...], place: int
) -> None:
    assert weakest(parts, p_values, effects) == place

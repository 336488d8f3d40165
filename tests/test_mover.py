"""Limits of AUCs on the logit scale, and of their difference."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.judge.mover import Auc, Mover
from tests.helpers import LAWS

values = st.floats(0.02, 0.98)
variances = st.floats(1e-6, 4e-3)
alphas = st.floats(1e-4, 0.4)


def movers() -> st.SearchStrategy[Mover]:
    def build(one: float, other: float, v: float, w: float, r: float) -> Mover:
        first, second = (Auc(value=a, variance=b, degrees=60.0, fewest=61) for a, b in ((one, v), (other, w)))
        return Mover(candidate=first, reference=second, covariance=r * math.sqrt(v * w))

    return st.builds(build, values, values, variances, variances, st.floats(-0.95, 0.95))


@LAWS
@given(movers(), alphas)
def test_lower_effect_and_upper_stand_in_order(mover: Mover, alpha: float) -> None:
    effect = mover.candidate.value - mover.reference.value
    assert mover.lower(alpha) <= effect <= mover.upper(alpha)


@LAWS
@given(movers(), alphas)
def test_exchanging_the_two_mirrors_the_limits(mover: Mover, alpha: float) -> None:
    other = Mover(candidate=mover.reference, reference=mover.candidate, covariance=mover.covariance)
    assert other.lower(alpha) == pytest.approx(-mover.upper(alpha))


@LAWS
@given(movers(), alphas, st.floats(-0.2, 0.2))
def test_the_p_value_inverts_the_lower_limit(mover: Mover, alpha: float, threshold: float) -> None:
    p = mover.p_above(threshold)
    if abs(p - alpha) > 1e-6:
        assert (mover.lower(alpha) > threshold) == (p < alpha)


@LAWS
@given(values, variances)
def test_away_from_the_ends_the_limits_are_the_plain_ones(value: float, variance: float) -> None:
    tiny = Auc(value=value, variance=variance * 1e-4, degrees=1e6, fewest=100)
    lower, upper = tiny.limits(0.05)
    half = 1.6449 * math.sqrt(variance * 1e-4)
    assert (value - lower, upper - value) == pytest.approx((half, half), rel=0.1)


def test_a_perfect_pair_is_limited_by_its_patients() -> None:
    perfect = Auc(value=1.0, variance=0.0, degrees=math.inf, fewest=50)
    mover = Mover(candidate=perfect, reference=perfect, covariance=0.0)
    assert mover.lower(0.05) == pytest.approx(0.05 ** (1 / 50) - 1)
    assert mover.p_above(-0.2) < 1e-4

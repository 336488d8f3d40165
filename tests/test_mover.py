"""Limits of AUCs on the logit scale, and of their difference."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from pytest_fmtransfer.judge.bounds import t_quantile
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
@given(values, variances, alphas)
def test_two_that_are_one_have_no_limits_but_their_difference(value: float, variance: float, alpha: float) -> None:
    one = Auc(value=value, variance=variance, degrees=60.0, fewest=61)
    assert Mover(candidate=one, reference=one, covariance=variance).lower(alpha) == pytest.approx(0, abs=1e-7)


@LAWS
@given(values, variances, alphas, st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_the_more_they_move_together_the_closer_limits_are(
    value: float, variance: float, alpha: float, correlations: tuple[float, float]
) -> None:
    one = Auc(value=value, variance=variance, degrees=60.0, fewest=61)
    less, more = (Mover(candidate=one, reference=one, covariance=r * variance) for r in sorted(correlations))
    assert more.upper(alpha) <= less.upper(alpha) + 1e-7


@LAWS
@given(movers(), alphas)
def test_limits_are_the_extremes_of_all_that_the_ellipse_holds(mover: Mover, alpha: float) -> None:
    """By brute force, at points that the search does not visit."""
    one, other, r = mover.candidate, mover.reference, mover.correlation
    angle_A = np.linspace(0, 2 * math.pi, 20_011)
    q = t_quantile(1 - alpha, 60)
    one_A = expit(logit(one.value) + q * one.logit_error * np.cos(angle_A))
    along_A = r * np.cos(angle_A) + math.sqrt(1 - r**2) * np.sin(angle_A)
    differences_A = one_A - expit(logit(other.value) + q * other.logit_error * along_A)
    expected = differences_A.min(), differences_A.max()
    assert (mover.lower(alpha), mover.upper(alpha)) == pytest.approx(expected, abs=1e-6)


@LAWS
@given(movers(), alphas)
def test_alone_they_are_about_as_far_as_apart(mover: Mover, alpha: float) -> None:
    """Without correlation: Zou and Donner's, of the two AUCs' own limits."""
    alone = replace(mover, covariance=0.0)
    down = alone.candidate.value - alone.candidate.limits(alpha)[0]
    up = alone.reference.limits(alpha)[1] - alone.reference.value
    reach = alone.candidate.value - alone.reference.value - alone.lower(alpha)
    assert max(down, up) <= reach + 1e-9
    assert reach <= down + up + 1e-9
    assert reach == pytest.approx(math.hypot(down, up), rel=0.25)


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

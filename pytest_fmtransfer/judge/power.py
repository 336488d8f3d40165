"""What a sample can show."""

import math
from dataclasses import replace

from scipy.special import gammaln, nctdtrinc

from pytest_fmtransfer.judge.bounds import Bound, Piece

POWER = 0.8
_MOST_DEGREES = 1e6  # beyond, t is normal to seven digits

# Of two backbones on the same patients, where no stored pair tells it: an assumption, and printed as one.
ASSUMED_CORRELATION = 0.8


def smallest_detectable(bound: Bound, alpha: float, power: float = POWER) -> float:
    """The true effect beyond the threshold that is supported with this power at one-sided `alpha`.

    By the noncentral t distribution: the standard error is estimated, and on average too small by the factor c4, the
    mean of a chi variable over the root of its degrees of freedom. The sum of two t quantiles falls short with few.
    """
    degrees = min(bound.degrees, _MOST_DEGREES)
    distance = float(nctdtrinc(degrees, 1 - power, bound.quantile(1 - alpha)))
    c4 = math.sqrt(2 / degrees) * math.exp(float(gammaln((degrees + 1) / 2) - gammaln(degrees / 2)))
    return distance * bound.error_at(alpha) / c4


def shared_power(claims: int, power: float = POWER) -> float:
    """The power that each of several independent claims needs, so that all are supported with `power`."""
    return power ** (1 / claims)


def both_ways(power: float = POWER) -> float:
    """The power that each of two one-sided tests needs, so that both support it with `power` where nothing differs."""
    return 1 - (1 - power) / 2


def against_an_equal(own: Piece) -> Piece:
    """The variance of a difference to another backbone as good, from one metric's own variance; an assumption."""
    return replace(own, variance=2 * (1 - ASSUMED_CORRELATION) * own.variance)

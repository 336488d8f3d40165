"""What a sample can show, and how many patients would settle it."""

import math

from scipy.stats import norm

from pytest_fmtransfer.judge.bounds import Bound, Piece

POWER = 0.8

# Of two backbones on the same patients, where no stored pair tells it: an assumption, and printed as one.
ASSUMED_CORRELATION = 0.8


def smallest_detectable(bound: Bound, alpha: float, power: float = POWER) -> float:
    """The true effect beyond the threshold that is supported with this power at one-sided `alpha`."""
    return (bound.quantile(1 - alpha) + bound.quantile(power)) * bound.standard_error


def shared_power(claims: int) -> float:
    """The power that each of several independent claims needs, so that all are supported with power .8."""
    return POWER ** (1 / claims)


def both_ways(power: float = POWER) -> float:
    """The power that each of two one-sided tests needs, so that both support it with `power` where nothing differs."""
    return 1 - (1 - power) / 2


def against_an_equal(own: Piece) -> Piece:
    """The variance of a difference to another backbone as good, from one metric's own variance; an assumption."""
    return Piece(variance=2 * (1 - ASSUMED_CORRELATION) * own.variance, degrees=own.degrees)


def patients_to_settle(
    *, patients: int, patient_variance: float, seed_variance: float, delta: float, alpha: float, power: float = POWER
) -> int | None:
    """Patients with which a true effect of `delta`, the dataset's margin, beyond the threshold would be supported.

    `seed_variance` is what more patients leave as it is. None when no number of them would do, because that alone
    is too much: more seeds are needed.
    """
    room = (delta / float(norm.ppf(1 - alpha) + norm.ppf(power))) ** 2 - seed_variance
    return math.ceil(patients * patient_variance / room) if room > 0 else None

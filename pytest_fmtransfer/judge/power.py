"""What a sample can show, and how many patients would settle it."""

import math
from dataclasses import replace

from scipy.special import gammaln, nctdtrinc
from scipy.stats import norm

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


def shared_power(claims: int) -> float:
    """The power that each of several independent claims needs, so that all are supported with power .8."""
    return POWER ** (1 / claims)


def both_ways(power: float = POWER) -> float:
    """The power that each of two one-sided tests needs, so that both support it with `power` where nothing differs."""
    return 1 - (1 - power) / 2


def against_an_equal(own: Piece) -> Piece:
    """The variance of a difference to another backbone as good, from one metric's own variance; an assumption."""
    return replace(own, variance=2 * (1 - ASSUMED_CORRELATION) * own.variance)


def patient_variance(bound: Bound, seed_variance: float, alpha: float) -> float:
    """What a bound's standard error at `alpha` owes to the patients; `seed_variance` is the rest of its square."""
    return max(0.0, bound.error_at(alpha) ** 2 - seed_variance)


def patients_to_settle(
    *,
    patients: int,
    patient_variance: float,
    seed_variance: float,
    delta: float,
    alpha: float,
    power: float = POWER,
    alike: bool = False,
) -> int | None:
    """Patients with which a true effect of `delta`, the dataset's margin, beyond the threshold would be supported.

    `seed_variance` is what more patients leave as it is. `alike`: no patient shows any variance, and the one given is
    what may have been missed; it falls with the square of the patients. None when no number of them would do, because
    the seeds' alone is too much: more seeds are needed.
    """
    room = (delta / float(norm.ppf(1 - alpha) + norm.ppf(power))) ** 2 - seed_variance
    if room <= 0:
        return None
    times = patient_variance / room
    return math.ceil(patients * (math.sqrt(times) if alike else times))

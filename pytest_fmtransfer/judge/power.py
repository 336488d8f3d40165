"""What a sample can show, and how many patients would settle it."""

import math

from scipy.stats import norm

from pytest_fmtransfer.judge.bounds import Bound

POWER = 0.8


def smallest_detectable(bound: Bound, alpha: float) -> float:
    """The true effect beyond the threshold that is supported with power .8 at one-sided `alpha`."""
    return (bound.quantile(1 - alpha) + bound.quantile(POWER)) * bound.standard_error


def patients_to_settle(
    *, patients: int, patient_variance: float, seed_variance: float, delta: float, alpha: float
) -> int | None:
    """Patients with which a true effect of `delta`, the dataset's margin, would be supported with power .8.

    None when no number of patients would do, because the seeds alone are too noisy: more seeds are needed.
    """
    room = (delta / float(norm.ppf(1 - alpha) + norm.ppf(POWER))) ** 2 - seed_variance
    return math.ceil(patients * patient_variance / room) if room > 0 else None

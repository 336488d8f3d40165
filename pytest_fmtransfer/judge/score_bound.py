"""Limits at a margin where few patients differ: there the variance moves with the effect, and a t bound is too narrow.

A candidate that loses one patient in fifty and gains none has lost, in many a sample, fewer than one in fifty; and
where fewer are lost the variance looks smaller too, so that the two errors add up. A score bound takes the variance at
the limit instead of at the estimate. For a single proportion that is Wilson's ("Probable inference, the law of
succession, and statistical inference", Journal of the American Statistical Association 1927). Of any metric with
influence values, the variance that the patients of a stratum show moves with the effect at the rate of their third
moment by their second, so that with Student's t as q the distance from the estimate to the limit solves

    of a stratum    reach² = q² · (its variance + its rate · its reach)
    of the whole    reach² = q² · (the variance + Σ rate · reach of the strata)

A stratum of which nobody was lost shows nothing of it: to each, one patient is added who is lost by as much as those
who differ typically are.

Legend: N images, P patients, K strata.
"""

import math
from dataclasses import dataclass

import numpy as np

from pytest_fmtransfer.judge.bounds import Bound, Floats, Strata, alpha_at


@dataclass(frozen=True, kw_only=True)
class ScoreBound:
    """Limits about the effect of a t bound, never inside it.

    `variance_K` is what the patients of each stratum show; `losing_K` is how fast it rises as the effect falls, and
    `gaining_K` how fast it rises with the effect, both in the effect's unit and above 0.
    """

    bound: Bound
    variance_K: Floats
    losing_K: Floats
    gaining_K: Floats

    def lower(self, alpha: float) -> float:
        """The one-sided lower limit at `alpha`."""
        return self.bound.effect - self._reach(alpha, self.losing_K)

    def upper(self, alpha: float) -> float:
        """The one-sided upper limit at `alpha`."""
        return self.bound.effect + self._reach(alpha, self.gaining_K)

    def p_above(self, threshold: float) -> float:
        """The alpha in (0, 1/2] at which the lower limit is the threshold; 1 where it is not above it even at 1/2."""
        return alpha_at(self.lower, threshold)

    def p_below(self, threshold: float) -> float:
        """The alpha at which the upper limit is the threshold, as `p_above` has it for the lower one."""
        return alpha_at(lambda alpha: -self.upper(alpha), -threshold)

    def _reach(self, alpha: float, rate_K: Floats) -> float:
        q = self.bound.quantile(1 - alpha)
        reach_K = q**2 * rate_K / 2 + q * np.sqrt(self.variance_K + (q * rate_K / 2) ** 2)
        return q * math.sqrt(self.bound.standard_error**2 + float(rate_K @ reach_K))


def score_bound_of(bound: Bound, influence_N: Floats, strata: Strata) -> ScoreBound | None:
    """The limits beside a t bound; None where no patient shows any variance, and the bound is exact or has no width.

    `influence_N` are the images' influences on the bound's effect, an improvement being positive. The caller has made
    sure of two patients a stratum.
    """
    sum_KP = _by_stratum(influence_N, strata)
    share_KP = sum_KP * strata.patients_K[:, None]  # of its stratum, that a patient counts for
    if bound.alike or not share_KP.any():
        return None
    typical = float((np.abs(share_KP) ** 3).sum() / (share_KP**2).sum())
    one_K = typical / strata.patients_K
    second_K, third_K = (sum_KP**2).sum(axis=1), (sum_KP**3).sum(axis=1)

    def rate(third_K: Floats) -> Floats:
        return (np.maximum(third_K, 0) + one_K**3) / (second_K + one_K**2)

    return ScoreBound(bound=bound, variance_K=second_K, losing_K=rate(-third_K), gaining_K=rate(third_K))


def _by_stratum(influence_N: Floats, strata: Strata) -> Floats:
    """Each patient's sum of influences in each stratum, scaled so that the squares of a stratum add to its variance."""
    patients = int(strata.patient_of_N.max()) + 1
    place_N, places = strata.stratum_of_N * patients + strata.patient_of_N, len(strata.patients_K) * patients
    sums = np.bincount(place_N, weights=influence_N * strata.scales, minlength=places)
    return np.asarray(sums, dtype=np.float64).reshape(-1, patients)

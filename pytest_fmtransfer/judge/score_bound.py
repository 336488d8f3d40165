"""Limits that hold where few patients differ: there the variance moves with the effect, and a t bound is too narrow.

A candidate that loses one patient in fifty has lost, in many a sample, fewer than one in fifty. Where fewer are lost
the variance looks smaller too, so that the two errors add up. That is so at a margin. It is so at 0 where what is lost
in few patients is gained in many. A score bound takes the variance at the limit instead of at the estimate. For a
single proportion that is Wilson's ("Probable inference, the law of succession, and statistical inference", Journal of
the American Statistical Association 1927). Of any metric with influence values, the variance that the patients of a
stratum show moves with the effect at the rate of their third moment by their second. With Student's t as q, the
distance from the estimate to the limit solves

    of a stratum alone    reach² = q² · (its variance + its rate · its reach)
    of the whole          reach² = q² · (the variance + the most that Σ rate · part can be)

where the parts add to the whole's reach, and none is above its stratum's own.

Patients who were not drawn may be lost too. Each stratum's rate is therefore that of its patients and of one more, who
is lost (`added_by_typical`, `added_by_worst`). Where patients are counted, he loses as much as the others who differ.
Elsewhere the next one may lose more than was seen: one who loses as much as the worst seen is added to the variance as
well (`graded`).

The added patients were chosen by simulation (`benchmarks/calibration/hidden.py`): without them false claims are too
many, with larger ones more than a tenth of the power is lost.

Legend: N images, P patients, K strata.
"""

from dataclasses import dataclass

import numpy as np

from pytest_fmtransfer.judge.bounds import Bound, Floats, Strata, alpha_at

# Of a stratum's typical difference: by no more is the patient lost who is added by the worst-placed one. Without a
# limit, two cells that differ by rounding could not be shown to be equal.
MOST_TYPICAL = 2.5


@dataclass(frozen=True, kw_only=True)
class Side:
    """The variance on one side of the effect.

    `variance_K` is what the patients of each stratum show. `rate_K` is how fast it rises with the distance from the
    effect, in the effect's unit. `added` is the part of `variance_K` that no drawn patient shows.
    """

    variance_K: Floats
    rate_K: Floats
    added: float = 0.0

    def reach(self, quantile: float, standard_error: float) -> float:
        """The distance from the effect to its limit.

        Σ rate · part is largest when strata are filled from the highest rate on. As a function of the reach it is
        concave and piecewise linear: the lowest of one line a stratum, and of a constant. The reach is the least of
        the solutions for the lines.
        """
        q, variance = quantile, standard_error**2 + self.added
        rate_K = np.sort(self.rate_K)[::-1]
        variance_K = self.variance_K[np.argsort(-self.rate_K, kind="stable")]
        alone_K = q**2 * rate_K / 2 + q * np.sqrt(variance_K + (q * rate_K / 2) ** 2)
        # Strata before the k-th are full, and the rest is the k-th's; on the last line all are full.
        slope_K = np.append(rate_K, 0.0)
        constant_K = _sums_before(rate_K * alone_K) - slope_K * _sums_before(alone_K)
        half_K = q * slope_K / 2
        return float(np.min(q * (half_K + np.sqrt(variance + constant_K + half_K**2))))


@dataclass(frozen=True, kw_only=True)
class ScoreBound:
    """Limits about the effect of a t bound, never inside it: `losing` is the side below, `gaining` the one above."""

    bound: Bound
    losing: Side
    gaining: Side

    def lower(self, alpha: float) -> float:
        """The one-sided lower limit at `alpha`, at most 1/2."""
        return self.bound.effect - self._reach(alpha, self.losing)

    def upper(self, alpha: float) -> float:
        """The one-sided upper limit at `alpha`, at most 1/2."""
        return self.bound.effect + self._reach(alpha, self.gaining)

    def p_above(self, threshold: float) -> float:
        """The alpha at which the lower limit is the threshold; above 1/2, 1 less that at which the upper one is."""
        if self.bound.effect > threshold:
            return alpha_at(self.lower, threshold)
        return 0.5 if self.bound.effect == threshold else 1 - alpha_at(lambda alpha: -self.upper(alpha), -threshold)

    def p_below(self, threshold: float) -> float:
        """The alpha at which the upper limit is the threshold, as `p_above` has it for the lower one."""
        return 1 - self.p_above(threshold)

    def p_refuting(self, threshold: float) -> float:
        """The alpha at which upper = threshold: below it, "above `threshold`" is refuted."""
        return self.p_below(threshold)

    def _reach(self, alpha: float, side: Side) -> float:
        return side.reach(self.bound.quantile(1 - alpha), self.bound.standard_error)


def score_bound_of(
    bound: Bound,
    influence_N: Floats,
    strata: Strata,
    *,
    graded: bool = False,
    own: tuple[Floats, Floats] | None = None,
) -> ScoreBound | None:
    """The limits beside a t bound; None where no patient shows any variance, and the bound is exact or has no width.

    Args:
        bound: The t bound of the effect.
        influence_N: The images' influences on the bound's effect, an improvement being positive.
        strata: Their strata, each of two patients or more.
        graded: Whether patients who differ do so by unlike amounts.
        own: The images' influences on the candidate's metric and on the reference's, where patients are placed among
            others. The patient who is added then falls to the worst place of the cell that loses, or rises to the
            best of the other, whichever is further.
    """
    sum_KP = by_stratum(influence_N, strata)
    if bound.alike or not sum_KP.any():
        return None
    fall_K, rise_K = None, None
    if own is not None:
        ours_KP, theirs_KP = (by_stratum(each_N, strata) for each_N in own)
        fall_K = np.maximum(-ours_KP.min(axis=1), theirs_KP.max(axis=1))
        rise_K = np.maximum(ours_KP.max(axis=1), -theirs_KP.min(axis=1))
    return ScoreBound(
        bound=bound,
        losing=_side(sum_KP, strata, graded, fall_K),
        gaining=_side(-sum_KP, strata, graded, rise_K),
    )


def _side(sum_KP: Floats, strata: Strata, graded: bool, furthest_K: Floats | None) -> Side:
    """The side on which patients lose; `furthest_K` is how far the metrics' own influences reach there."""
    lost_K = added_by_typical(sum_KP, strata)
    if furthest_K is not None:
        lost_K = added_by_worst(sum_KP, furthest_K, lost_K)
    worst_K = np.maximum(-sum_KP.min(axis=1), 0.0) * graded
    square_KP = sum_KP**2
    variance_K = square_KP.sum(axis=1) + worst_K**2
    third_K = np.maximum(worst_K**3 - (square_KP * sum_KP).sum(axis=1), 0.0) + lost_K**3  # a product: powers are slow
    second_K = variance_K + lost_K**2
    rate_K = np.divide(third_K, second_K, out=np.zeros_like(third_K), where=second_K > 0)
    return Side(variance_K=variance_K, rate_K=rate_K, added=float((worst_K**2).sum()))


def added_by_typical(sum_KP: Floats, strata: Strata) -> Floats:
    """By how much one patient of each stratum moves the effect who counts for as much of it as those who differ.

    The mean of what they count for, weighted by its square: the larger differences decide.
    """
    share_KP = np.abs(sum_KP * strata.patients_K[:, None])
    square_KP = share_KP**2
    return float((square_KP * share_KP).sum() / square_KP.sum()) / strata.patients_K


def added_by_worst(sum_KP: Floats, furthest_K: Floats, typical_K: Floats) -> Floats:
    """By how much one patient of each stratum moves the effect who goes from the mean place to the furthest one seen.

    By no more than `MOST_TYPICAL` times what is typical of those who differ in the stratum. Where nobody does, by
    `typical_K`, which is typical of all.
    """
    square_KP = sum_KP**2
    second_K, third_K = square_KP.sum(axis=1), (square_KP * np.abs(sum_KP)).sum(axis=1)
    of_stratum_K = np.divide(third_K, second_K, out=np.zeros_like(third_K), where=second_K > 0)
    return np.where(second_K > 0, np.minimum(furthest_K, MOST_TYPICAL * of_stratum_K), typical_K)


def _sums_before(value_K: Floats) -> Floats:
    """K + 1: the sum of all values before each place, and of all."""
    return np.concatenate(([0.0], np.cumsum(value_K)))


def by_stratum(influence_N: Floats, strata: Strata) -> Floats:
    """Each patient's sum of influences in each stratum, scaled so that the squares of a stratum add to its variance."""
    patients = int(strata.patient_of_N.max()) + 1
    place_N, places = strata.stratum_of_N * patients + strata.patient_of_N, len(strata.patients_K) * patients
    sums = np.bincount(place_N, weights=influence_N * strata.scales, minlength=places)
    return np.asarray(sums, dtype=np.float64).reshape(-1, patients)

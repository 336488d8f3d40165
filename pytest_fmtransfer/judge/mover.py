"""Limits of AUCs near the ceiling, where plain bounds fail at a margin.

A single AUC's limits are drawn on the logit scale; the limits of a difference are recovered from them
(MOVER: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 2008).

Legend: N test images.
"""

import math
from dataclasses import dataclass, replace

from scipy.special import expit, logit

from pytest_fmtransfer.judge.bounds import alpha_at, t_quantile


@dataclass(frozen=True, kw_only=True)
class Auc:
    """An AUC with the variance and degrees of freedom of its estimate, and the smaller class's patients."""

    value: float
    variance: float
    degrees: float
    fewest: int

    def limits(self, alpha: float) -> tuple[float, float]:
        """One-sided lower and upper limit, each at `alpha`.

        At exactly 0 or 1 the estimate has no variance to show. The limit is then Clopper and Pearson's for as
        many disjoint pairs of a positive and a negative patient as there are, all in the same order.
        """
        if self.value >= 1:
            return alpha ** (1 / self.fewest), 1.0
        if self.value <= 0:
            return 0.0, 1 - alpha ** (1 / self.fewest)
        slope = self.value * (1 - self.value)
        half = t_quantile(1 - alpha, self.degrees) * math.sqrt(self.variance) / slope
        centre = float(logit(self.value))
        return float(expit(centre - half)), float(expit(centre + half))


@dataclass(frozen=True, kw_only=True)
class Mover:
    """The difference of two AUCs on the same patients; `covariance` is that of their estimates."""

    candidate: Auc
    reference: Auc
    covariance: float

    @property
    def correlation(self) -> float:
        """Of the two estimates, in [-1, 1]; 0 where one of them has no variance to show."""
        scale = math.sqrt(self.candidate.variance * self.reference.variance)
        return max(-1.0, min(1.0, self.covariance / scale)) if scale > 0 else 0.0

    def lower(self, alpha: float) -> float:
        """The one-sided lower limit of candidate minus reference at `alpha`."""
        down = self.candidate.value - self.candidate.limits(alpha)[0]
        up = self.reference.limits(alpha)[1] - self.reference.value
        return self.candidate.value - self.reference.value - self._distance(down, up)

    def upper(self, alpha: float) -> float:
        """The one-sided upper limit of candidate minus reference at `alpha`."""
        up = self.candidate.limits(alpha)[1] - self.candidate.value
        down = self.reference.value - self.reference.limits(alpha)[0]
        return self.candidate.value - self.reference.value + self._distance(up, down)

    def p_above(self, threshold: float) -> float:
        """The alpha in (0, 1/2] at which the lower limit is the threshold; 1 where it is not above it even at 1/2."""
        return alpha_at(self.lower, threshold)

    def p_below(self, threshold: float) -> float:
        """The alpha at which the upper limit is the threshold, as `p_above` has it for the lower one."""
        return replace(self, candidate=self.reference, reference=self.candidate).p_above(-threshold)

    def _distance(self, one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 + other**2 - 2 * self.correlation * one * other))

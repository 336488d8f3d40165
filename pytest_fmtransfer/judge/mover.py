"""Limits of AUCs near the ceiling, where plain bounds fail at a margin.

A single AUC's limits are drawn on the logit scale, where its estimate is nearly normal. Those of a difference are
recovered from both (MOVER: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in
Medicine 2008), and from both together. Zou and Donner take the lower limit of one AUC and the upper one of the other,
each as far away as if it stood alone, and only then their correlation. Far and near side of a limit differ in length,
and so two estimates that are the same would have limits that differ. Here the two logits vary in one ellipse,

    η = logit(AUCs) + q · L · u,    |u| = 1,    L·Lᵀ their covariance, q Student's t,

and the limits are the least and the greatest expit(η₁) − expit(η₂) on it: those of a profile likelihood, were the
logits normal. At correlation 0 they are about MOVER's. Where the two estimates move together the ellipse is a line
along which they stay equal, and the limits vanish with the variance of the difference.

Legend: A angles.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from pytest_fmtransfer.judge.bounds import Floats, alpha_at, t_quantile

# A first look at the ellipse all around, and closer ones about the best angle: the last has an error of 1e-4 in it, and
# a limit's is of the order of its square.
_ANGLES, _CLOSER, _LOOKS = 64, 17, 3
_AROUND_A = np.linspace(0, 2 * math.pi, _ANGLES, endpoint=False)
_CLOSER_A = np.linspace(-1, 1, _CLOSER)


@dataclass(frozen=True, kw_only=True)
class Auc:
    """An AUC with the variance and degrees of freedom of its estimate, and the smaller class's patients."""

    value: float
    variance: float
    degrees: float
    fewest: int

    @property
    def logit_error(self) -> float:
        """The standard error of its logit, for a value inside (0, 1)."""
        return math.sqrt(self.variance) / (self.value * (1 - self.value))

    def limits(self, alpha: float) -> tuple[float, float]:
        """One-sided lower and upper limit, each at `alpha`.

        At exactly 0 or 1 the estimate has no variance to show. The limit is then Clopper and Pearson's for as
        many disjoint pairs of a positive and a negative patient as there are, all in the same order.
        """
        if self.value >= 1:
            return alpha ** (1 / self.fewest), 1.0
        if self.value <= 0:
            return 0.0, 1 - alpha ** (1 / self.fewest)
        half = t_quantile(1 - alpha, self.degrees) * self.logit_error
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
        """The one-sided lower limit of candidate minus reference at `alpha`.

        An AUC of exactly 0 or 1 shows no variance and has no logit: the two limits are then taken apart (MOVER).
        """
        ours, theirs = self.candidate, self.reference
        if not (0 < ours.value < 1 and 0 < theirs.value < 1):
            down, up = ours.value - ours.limits(alpha)[0], theirs.limits(alpha)[1] - theirs.value
            return ours.value - theirs.value - math.hypot(down, up)
        return self._least(t_quantile(1 - alpha, min(ours.degrees, theirs.degrees)))

    def upper(self, alpha: float) -> float:
        """The one-sided upper limit of candidate minus reference at `alpha`."""
        return -self._exchanged.lower(alpha)

    def p_above(self, threshold: float) -> float:
        """The alpha in (0, 1/2] at which the lower limit is the threshold; 1 where it is not above it even at 1/2."""
        return alpha_at(self.lower, threshold)

    def p_below(self, threshold: float) -> float:
        """The alpha at which the upper limit is the threshold, as `p_above` has it for the lower one."""
        return self._exchanged.p_above(-threshold)

    @property
    def _exchanged(self) -> "Mover":
        return replace(self, candidate=self.reference, reference=self.candidate)

    def _least(self, q: float) -> float:
        """The least difference on the ellipse `q` wide."""
        ours, theirs, r = self.candidate, self.reference, self.correlation

        def differences(angle_A: Floats) -> Floats:
            x_A, y_A = np.cos(angle_A), np.sin(angle_A)
            one_A = logit(ours.value) + q * ours.logit_error * x_A
            other_A = logit(theirs.value) + q * theirs.logit_error * (r * x_A + math.sqrt(1 - r**2) * y_A)
            return np.asarray(expit(one_A) - expit(other_A), dtype=np.float64)

        angle_A, step = _AROUND_A, 2 * math.pi / _ANGLES
        for _ in range(_LOOKS):
            angle_A = angle_A[differences(angle_A).argmin()] + step * _CLOSER_A
            step *= 2 / (_CLOSER - 1)
        return float(differences(angle_A).min())

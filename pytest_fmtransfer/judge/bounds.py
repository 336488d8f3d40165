"""The bound of a difference: patients and seeds as pieces of one variance, Satterthwaite's degrees of freedom.

Where no patient shows any variance, a variance of 0 is no proof that there is none: the bound is then an exact one, of
the share of patients that may not have been drawn.

Legend: N test images, P patients, K strata.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri, stdtr, stdtrit

Floats = NDArray[np.float64]

_SMALLEST_ALPHA = 1e-12  # p-values below are told as this, where they are searched for
_MOST_DEGREES = 1e6  # beyond, a variance is as it was seen, to three digits

# How likely a variance is to be estimated smaller still, at the larger value that degrees of freedom are counted with.
# The largest, to .05, that holds the level with one seeded side of three seeds (`benchmarks/calibration`).
_SEEN_TOO_SMALL = 0.15


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One source of variance of an effect, and the degrees of freedom it was estimated with.

    `alike` is 0 where a variance was seen, or there is none to see. Else it is how many patients were seen of whom none
    shows any; `variance` is then 0.
    """

    variance: float
    degrees: float
    alike: float = 0.0

    def variance_at(self, alpha: float) -> float:
        """The variance; where none was seen, that of the largest share of patients that could have been missed."""
        return unseen_share(self.alike, alpha) / self.alike if self.alike else self.variance


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An effect with its standard error; limits and p-values invert the same formula.

    `alike` is that of the patients' piece: where it is not 0, the standard error is that of the seeds alone. A patient
    unlike those that were seen moves the effect by 1 at most, so that the effect may lie off by the share of them.
    """

    effect: float
    standard_error: float
    degrees: float
    alike: float = 0.0

    def quantile(self, level: float) -> float:
        """Student's t at `level` in (0, 1)."""
        return t_quantile(level, self.degrees)

    def lower(self, alpha: float) -> float:
        """The one-sided lower limit at `alpha`."""
        return self.effect - self._reach(alpha)

    def upper(self, alpha: float) -> float:
        """The one-sided upper limit at `alpha`."""
        return self.effect + self._reach(alpha)

    def error_at(self, alpha: float) -> float:
        """The standard error to plan with: it holds what may have been missed where no patient shows any variance."""
        if not self.alike:
            return self.standard_error
        return math.sqrt(self.standard_error**2 + unseen_share(self.alike, alpha) / self.alike)

    def p_above(self, threshold: float) -> float:
        """One-sided p-value of "the effect is not above `threshold`": the alpha at which lower = threshold."""
        if self.alike:
            return alpha_at(self.lower, threshold)
        if self.standard_error == 0:
            return 0.0 if self.effect > threshold else 1.0
        return float(stdtr(self.degrees, (threshold - self.effect) / self.standard_error))

    def p_below(self, threshold: float) -> float:
        """One-sided p-value of "the effect is not below `threshold`"."""
        return replace(self, effect=-self.effect).p_above(-threshold)

    def p_refuting(self, threshold: float) -> float:
        """The alpha at which upper = threshold: below it, "above `threshold`" is refuted."""
        return self.p_below(threshold) if self.alike else 1 - self.p_above(threshold)

    def _reach(self, alpha: float) -> float:
        """From the effect to either limit; two independent reaches add as their squares (as in MOVER)."""
        reach = self.quantile(1 - alpha) * self.standard_error
        return math.hypot(reach, unseen_share(self.alike, alpha)) if self.alike else reach


def unseen_share(drawn: float, alpha: float) -> float:
    """The largest share of a population, at one-sided `alpha`, of which none is among so many that were drawn.

    Clopper and Pearson's limit, 1 − alpha^(1/drawn): at .05 about 3 / `drawn`.
    """
    return -math.expm1(math.log(alpha) / drawn)


def alpha_at(lower: Callable[[float], float], threshold: float) -> float:
    """The alpha in (0, 1/2] at which a lower limit is the threshold; 1 where it is not above it even at 1/2."""
    if lower(0.5) <= threshold:
        return 1.0
    if lower(_SMALLEST_ALPHA) > threshold:
        return _SMALLEST_ALPHA
    return float(brentq(lambda alpha: lower(alpha) - threshold, _SMALLEST_ALPHA, 0.5, xtol=1e-14))


def t_quantile(level: float, degrees: float) -> float:
    """Student's t at `level` in (0, 1), the normal's for infinitely many degrees of freedom."""
    return float(stdtrit(min(degrees, 1e10), level))  # the special function: a hundred times faster than scipy.stats


def combine(effect: float, pieces: list[Piece]) -> Bound:
    """The bound of an effect whose variance is the sum of independent pieces.

    Degrees of freedom are Satterthwaite's (1946), of variances that each may be larger than was seen (`at_most`). Where
    three seeds agree by chance, their variance is too small; it would then also have too small a share in the degrees
    of freedom, which would be those of the many patients. Pieces without variance do not count; with none left the
    standard error is zero.
    """
    kept = [piece for piece in pieces if piece.variance > 0]
    unseen = [piece for piece in pieces if piece.alike]
    alike = min((piece.alike for piece in unseen), default=0.0)
    total = sum(piece.variance for piece in kept)
    if not kept:
        degrees = min((piece.degrees for piece in unseen), default=math.inf)
        return Bound(effect=effect, standard_error=0.0, degrees=degrees, alike=alike)
    degrees = _satterthwaite([replace(piece, variance=at_most(piece)) for piece in kept])
    return Bound(effect=effect, standard_error=math.sqrt(total), degrees=degrees, alike=alike)


def at_most(piece: Piece) -> float:
    """The variance of a piece were it seen as small as in one sample of seven: a χ² quantile of its degrees."""
    degrees = min(piece.degrees, _MOST_DEGREES)
    return piece.variance * degrees / float(chdtri(degrees, 1 - _SEEN_TOO_SMALL))


def together(pieces: Sequence[Piece]) -> Piece:
    """One piece of independent ones that each show a variance or none, with Satterthwaite's degrees of freedom."""
    kept = [piece for piece in pieces if piece.variance > 0] or list(pieces)
    total = sum(piece.variance for piece in kept)
    return Piece(variance=total, degrees=_satterthwaite(kept) if total else min(piece.degrees for piece in kept))


def _satterthwaite(pieces: Sequence[Piece]) -> float:
    total = sum(piece.variance for piece in pieces)
    return total**2 / sum(piece.variance**2 / piece.degrees for piece in pieces)


@dataclass(frozen=True, kw_only=True)
class Strata:
    """Each image's patient and stratum by number, and how many patients have an image in each stratum."""

    patient_of_N: NDArray[np.int64]
    stratum_of_N: NDArray[np.int64]
    patients_K: NDArray[np.int64]

    @property
    def scales(self) -> Floats:
        """N; √(n/(n − 1)) of each image's stratum, n its patients: it makes the sum of squares an unbiased variance."""
        return np.asarray(np.sqrt(self.patients_K / (self.patients_K - 1))[self.stratum_of_N], dtype=np.float64)


def patient_piece(influence_N: Floats, stratum_N: NDArray[np.int64], patients_N: NDArray[np.str_]) -> Piece:
    """Variance from drawing patients, by summing the influences of a patient's images.

    Each stratum's sum of squares is multiplied by n/(n − 1), n the stratum's patients; where patients
    have images in several strata the same factors scale the cross terms. With one image per patient
    and the influences of an AUC this is DeLong's variance. Degrees of freedom: patients of the smallest
    stratum, less one. Raises ValueError when a stratum has fewer than two patients.
    """
    return piece_within(influence_N, strata_of(stratum_N, patients_N))


def piece_within(influence_N: Floats, strata: Strata) -> Piece:
    """`patient_piece` of patients whose strata are numbered."""
    return Piece(variance=_covariance(influence_N, influence_N, strata), degrees=float(strata.patients_K.min() - 1))


def patient_covariance(
    one_N: Floats, other_N: Floats, stratum_N: NDArray[np.int64], patients_N: NDArray[np.str_]
) -> float:
    """Covariance from drawing patients of two estimates whose influences are given, as in `patient_piece`."""
    return _covariance(one_N, other_N, strata_of(stratum_N, patients_N))


def strata_of(stratum_N: NDArray[np.int64], patients_N: NDArray[np.str_]) -> Strata:
    """Patients and strata numbered from 0, strata in the order of their own numbers."""
    patients, patient_of_N = np.unique(patients_N, return_inverse=True)
    strata, stratum_of_N = np.unique(stratum_N, return_inverse=True)
    present_KP = np.zeros((len(strata), len(patients)), dtype=bool)
    present_KP[stratum_of_N, patient_of_N] = True
    return Strata(patient_of_N=patient_of_N, stratum_of_N=stratum_of_N, patients_K=present_KP.sum(axis=1))


def by_patient(influence_N: Floats, strata: Strata) -> Floats:
    """Each patient's sum of influences, scaled so that the sum of its squares is the variance.

    Raises ValueError when a stratum has fewer than two patients.
    """
    if strata.patients_K.min() < 2:
        raise ValueError("a class with fewer than two patients has no variance")
    weights_N = influence_N * strata.scales
    return np.asarray(np.bincount(strata.patient_of_N, weights=weights_N), dtype=np.float64)


def _covariance(one_N: Floats, other_N: Floats, strata: Strata) -> float:
    return float(by_patient(one_N, strata) @ by_patient(other_N, strata))


def seed_piece(by_seed: tuple[float, ...]) -> Piece | None:
    """Variance of a mean over seeds; None for one seed, which tells nothing of it."""
    if len(by_seed) < 2:
        return None
    return Piece(variance=float(np.var(by_seed, ddof=1)) / len(by_seed), degrees=len(by_seed) - 1)

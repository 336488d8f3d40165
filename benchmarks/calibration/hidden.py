"""Two cells whose metric is the same, though they are not interchangeable: a loss hides in few patients.

The candidate gains a little on most patients, and loses much on few: a rare class, or a subtype of one. Samples that
hold few of them show a gain and hardly a variance. In cells that are drawn alike (`scenario`) that does not happen.

Legend: N images, P patients, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks.calibration.false_claims import COVERAGE, STRICT, FalseClaims, question
from benchmarks.calibration.few_differ import LOWEST, NEVER_EQUAL
from benchmarks.calibration.populations import Floats, Ints, confusion, kappa, ordered
from benchmarks.calibration.scenario import CORRELATION, Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.results import Result

LOGIT, SPREAD = 1.0, 1.5  # of the label's logit in `log_loss`: its mean under the reference, its standard deviation
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


@dataclass(frozen=True, kw_only=True)
class Hidden(Scenario):
    """The candidate's metric is the reference's, which is `value`, and a share `hidden` of patients is a subtype.

    - `roc_auc`: of the positives; the candidate scores them lower by `lower` standard deviations, or lowest of all.
      `both`: the reference does so with another subtype of that share.
    - `log_loss`: of all; the candidate puts the label's logit at −`lower`. `value` says nothing here.
    - `quadratic_kappa`: of the highest grade; the candidate names the lowest.
    - `macro_recall`: no subtype. `recalls` has the reference's and the candidate's of each class.

    `alike` is the correlation of the two cells' scores; with 1, each class differs one way only.
    """

    hidden: float = 0.0
    lower: float | None = None
    both: bool = False
    alike: float = CORRELATION
    recalls: tuple[tuple[float, float], ...] = ()

    @property
    def correlation(self) -> float:
        return self.alike

    @property
    def title(self) -> str:
        parts = [f"{self.patients:,} patients"]
        if self.metric == "roc_auc":
            parts = [
                f"roc_auc {self.value:.2f}".replace("0.", "."),
                f"{self.patients_by_class[1]} of {parts[0]} positive",
            ]
            how = "lowest of all" if self.lower is None else f"{self.lower:g} sd lower"
            parts.append(f"{100 * self.hidden:g} % of them {how}" + (" in each cell" if self.both else ""))
        elif self.metric == "macro_recall":
            rare = self.patients_by_class.min()
            parts = [f"macro_recall, {len(self.recalls)} classes, {rare} of {parts[0]} in the rarest"]
            moved = {f"{100 * (to - at):+.0f} %" for at, to in self.recalls}
            parts.append(f"recalls moved by {' and '.join(sorted(moved))}" + (", one way" if self.alike == 1 else ""))
        else:
            of = "sure and wrong" if self.metric == "log_loss" else "of the highest grade named the lowest"
            parts = [self.metric, *parts, f"{100 * self.hidden:g} % {of}"]
        if self.alike not in (1, CORRELATION):
            parts.append(f"correlation {self.alike:g}".replace("0.", "."))
        if self.images > 1:
            parts.append(f"{self.images} images each")
        return ", ".join([*parts, self.wrong] if self.wrong else parts)

    def draw(self, rng: Generator) -> tuple[Result, Result]:
        patient_N, labels_N = self._images()
        fingerprint = f"{rng.integers(2**32):08x}"
        classes = len(self.patients_by_class) if self.metric == "macro_recall" else 1
        ours_NK, theirs_NK = self._latents(rng, patient_N, classes, 2)[:, 0]
        drawn = rng.random(self.patients)[patient_N]
        ours_NC, theirs_NC = _DRAWN[self.metric](self, labels_N, ours_NK, theirs_NK, drawn)
        candidate, reference = (
            self._result(
                Cell(backbone=name, dataset="synthetic", regime="simulated"),
                fingerprint,
                patient_N,
                labels_N,
                (scores_NC + NEVER_EQUAL * rng.random(scores_NC.shape) * (self.metric != "roc_auc"))[None],
            )
            for name, scores_NC in (("candidate", ours_NC), ("reference", theirs_NC))
        )
        return candidate, reference


def _auc(cells: Hidden, labels_N: Ints, ours_NK: Floats, theirs_NK: Floats, drawn_N: Floats) -> tuple[Floats, Floats]:
    main = main_signal(cells.value, cells.hidden, cells.lower)
    down = -LOWEST if cells.lower is None else cells.lower
    positive_N = labels_N == 1

    def scores(latent_NK: Floats, signal: float, of_subtype_N: NDArray[np.bool_]) -> Floats:
        scores_NC = cells.population.scores(labels_N, latent_NK, signal)
        scores_NC[:, 1] -= np.where(of_subtype_N & positive_N, down, 0.0)
        return scores_NC

    theirs = main if cells.both else float(cells.population.signal(np.array(cells.value)))
    return (
        scores(ours_NK, main, drawn_N < cells.hidden),
        scores(theirs_NK, theirs, (drawn_N > 1 - cells.hidden) & cells.both),
    )


@cache
def main_signal(value: float, hidden: float, lower: float | None) -> float:
    """How much higher positives score that are not of the subtype, so that the AUC is `value`."""

    def missing(signal: float) -> float:
        of_subtype = 0.0 if lower is None else float(norm.cdf((signal - lower) / np.sqrt(2)))
        return (1 - hidden) * float(norm.cdf(signal / np.sqrt(2))) + hidden * of_subtype - value

    return float(brentq(missing, 0.0, 12.0))


def _recall(
    cells: Hidden, labels_N: Ints, ours_NK: Floats, theirs_NK: Floats, drawn_N: Floats
) -> tuple[Floats, Floats]:
    classes = len(cells.recalls)
    at_C, to_C = norm.ppf(np.array(cells.recalls).T)

    def naming(latent_NK: Floats, below_C: Floats) -> Floats:
        """Scores of 1 for the class named: the image's own, or the one after it."""
        right_N = latent_NK[np.arange(len(labels_N)), labels_N] < below_C[labels_N]
        return np.eye(classes)[(labels_N + ~right_N) % classes]

    return naming(ours_NK, to_C), naming(theirs_NK, at_C)


def _log_loss(
    cells: Hidden, labels_N: Ints, ours_NK: Floats, theirs_NK: Floats, drawn_N: Floats
) -> tuple[Floats, Floats]:
    assert cells.lower is not None
    signs_NC = np.where(np.eye(2)[labels_N] == 1, 0.5, -0.5)
    ours_N = np.where(
        drawn_N < cells.hidden, -cells.lower, main_logit(cells.hidden, cells.lower) + SPREAD * ours_NK[:, 0]
    )
    theirs_N = LOGIT + SPREAD * theirs_NK[:, 0]
    return signs_NC * ours_N[:, None], signs_NC * theirs_N[:, None]


@cache
def main_logit(hidden: float, lower: float) -> float:
    """The mean logit of patients who are not of the subtype, so that the log loss is the reference's."""

    def loss(mean: float) -> float:
        return float(_WEIGHTS @ np.logaddexp(0, -(mean + SPREAD * _POINTS)) / _WEIGHTS.sum())

    return float(
        brentq(lambda mean: (1 - hidden) * loss(mean) + hidden * np.logaddexp(0, lower) - loss(LOGIT), LOGIT, 60.0)
    )


def _kappa(cells: Hidden, labels_N: Ints, ours_NK: Floats, theirs_NK: Floats, drawn_N: Floats) -> tuple[Floats, Floats]:
    counts = tuple(cells.patients_by_class.tolist())
    grades, highest = len(counts), len(counts) - 1
    theirs = float(cells.population.signal(np.array(cells.value)))

    def named(latent_NK: Floats, signal: float) -> Ints:
        return cells.population.scores(labels_N, latent_NK, signal).argmax(axis=1)

    ours_N = named(ours_NK, main_grade_signal(counts, cells.value, cells.hidden))
    ours_N = np.where((labels_N == highest) & (drawn_N < cells.hidden), 0, ours_N)
    return np.eye(grades)[ours_N], np.eye(grades)[named(theirs_NK, theirs)]


@cache
def main_grade_signal(counts: tuple[int, ...], value: float, hidden: float) -> float:
    """The signal of patients who are not of the subtype, so that the quadratic kappa is `value`."""

    def missing(signal: float) -> float:
        shares_CC = confusion(np.array(counts), signal)
        lost_C = hidden * shares_CC[-1]
        shares_CC[-1] -= lost_C
        shares_CC[-1, 0] += lost_C.sum()
        return kappa(shares_CC) - value

    lowest = float(ordered("quadratic_kappa", counts).signal(np.array(value)))
    return float(brentq(missing, lowest, 60.0))


_DRAWN: dict[str, Callable[[Hidden, Ints, Floats, Floats, Floats], tuple[Floats, Floats]]] = {
    "roc_auc": _auc,
    "macro_recall": _recall,
    "log_loss": _log_loss,
    "quadratic_kappa": _kappa,
}


@dataclass(frozen=True, kw_only=True)
class HiddenClaims(FalseClaims):
    """`former`: how often the t bound alone supports the claim at .05 and at .0025, and how often it covers.

    It is given where a sample may hold nobody of the subtype, or nobody who is visibly lost: the band is then half of
    its excess.
    """

    former: tuple[float, float, float] | None = None

    @property
    def bands(self) -> dict[str, Band]:
        most = {ALPHA: 1.2 * ALPHA, STRICT: 2 * STRICT}
        covered = 0.93
        if self.former is not None:
            most = {
                level: max(most[level], round((level + rate) / 2, 4))
                for level, rate in zip(most, self.former[:2], strict=True)
            }
            covered = min(covered, round((0.95 + self.former[2]) / 2, 4))
        return {question("beats", level): Band(high=high) for level, high in most.items()} | {
            COVERAGE: Band(low=covered)
        }

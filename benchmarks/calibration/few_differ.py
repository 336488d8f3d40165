"""Two cells that agree on all patients but a few, of whom the candidate loses more than it gains.

Cells that are drawn apart (`scenario`) differ in many patients, now one way and now the other, and the two nearly
cancel. An upgrade that spoils one kind of image, or a fine-tuning that forgets one, differs in few, and in one way.

Legend: N images, P patients, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import brentq

from benchmarks.calibration.populations import Floats, Ints, confusion, kappa, ordered
from benchmarks.calibration.scenario import Scenario
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.results import Result

LOWEST = -100.0  # below every score that is drawn
NEVER_EQUAL = 0.01  # noise of scores that changes no class named: two networks give no two images the same scores


@dataclass(frozen=True, kw_only=True)
class FewDiffer(Scenario):
    """The candidate scores as the reference does, but for patients drawn by chance, whatever their class.

    - `macro_recall`: a share `gained` − `effect` of all patients is right with the reference and lost, and `gained` is
      wrong with it and gained. All images of a patient are.
    - `roc_auc`: so many positives score lowest of all that the AUC falls by `effect`.
    - `quadratic_kappa`: so many patients are put one grade off what the reference names that the kappa falls by
      `effect`.
    """

    gained: float = 0.0

    @property
    def title(self) -> str:
        if self.metric != "macro_recall":
            return super().title
        lost, gained = (f"{100 * share:g} %" for share in (self.gained - self.effect, self.gained))
        classes = f"{len(self.shares)} classes, " if len(self.shares) > 2 else ""
        return f"{super().title}, {classes}{lost} lost" + (f" and {gained} gained" if self.gained else "")

    def draw(self, rng: Generator) -> tuple[Result, Result]:
        patient_N, labels_N = self._images()
        fingerprint = f"{rng.integers(2**32):08x}"
        theirs_NC, ours_NC = _DRAWN[self.metric](self, rng, labels_N, patient_N)
        reference, candidate = (
            self._result(
                Cell(backbone=name, dataset="synthetic", regime="simulated"),
                fingerprint,
                patient_N,
                labels_N,
                (scores_NC + NEVER_EQUAL * rng.random(scores_NC.shape))[None],
            )
            for name, scores_NC in (("reference", theirs_NC), ("candidate", ours_NC))
        )
        return candidate, reference

    def reference_scores(self, rng: Generator, labels_N: Ints, patient_N: Ints) -> Floats:
        """N × C, of a metric that has a population with one latent."""
        signal = float(self.population.signal(np.array(self.value)))
        return self.population.scores(labels_N, self._latents(rng, patient_N, 1, 1)[0, 0], signal)


def _recall(scenario: FewDiffer, rng: Generator, labels_N: Ints, patient_N: Ints) -> tuple[Floats, Floats]:
    right_P = rng.random(scenario.patients) < scenario.value
    lost = (scenario.gained - scenario.effect) / scenario.value
    moved_P = rng.random(scenario.patients) < np.where(right_P, lost, scenario.gained / (1 - scenario.value))
    classes = len(scenario.patients_by_class)

    def naming(right_P: NDArray[np.bool_]) -> Floats:
        """Scores of 1 for the class named: the image's own, or the one after it."""
        return np.eye(classes)[(labels_N + ~right_P[patient_N]) % classes]

    return naming(right_P), naming(right_P ^ moved_P)


def _auc(scenario: FewDiffer, rng: Generator, labels_N: Ints, patient_N: Ints) -> tuple[Floats, Floats]:
    theirs_NC = scenario.reference_scores(rng, labels_N, patient_N)
    lost_P = rng.random(scenario.patients) < -scenario.effect / scenario.value
    ours_NC = theirs_NC.copy()
    ours_NC[:, 1] += np.where(lost_P[patient_N] & (labels_N == 1), LOWEST, 0.0)
    return theirs_NC, ours_NC


def _kappa(scenario: FewDiffer, rng: Generator, labels_N: Ints, patient_N: Ints) -> tuple[Floats, Floats]:
    counts = tuple(scenario.patients_by_class.tolist())
    named_N = scenario.reference_scores(rng, labels_N, patient_N).argmax(axis=1)
    moved_P = rng.random(scenario.patients) < moved_share(counts, scenario.value, scenario.effect)
    ours_N = np.where(moved_P[patient_N], beside(len(counts))[named_N], named_N)
    return np.eye(len(counts))[named_N], np.eye(len(counts))[ours_N]


def beside(grades: int) -> Ints:
    """For each grade the next one up; for the highest the one below."""
    return np.append(np.arange(1, grades), grades - 2)


@cache
def moved_share(counts: tuple[int, ...], value: float, effect: float) -> float:
    """The share of patients to be put one grade off, so that a quadratic kappa of `value` moves by `effect`."""
    signal = float(ordered("quadratic_kappa", counts).signal(np.array(value)))
    shares_CC = confusion(np.array(counts), signal)
    moved_CC = np.zeros_like(shares_CC)
    np.add.at(moved_CC.T, beside(len(counts)), shares_CC.T)
    return float(brentq(lambda share: kappa((1 - share) * shares_CC + share * moved_CC) - value - effect, 0.0, 1.0))


_DRAWN: dict[str, Callable[[FewDiffer, Generator, Ints, Ints], tuple[Floats, Floats]]] = {
    "macro_recall": _recall,
    "roc_auc": _auc,
    "quadratic_kappa": _kappa,
}

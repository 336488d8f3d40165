"""Synthetic scores whose metric is known: how well a model scores is a signal, and the metric a function of it.

Every model's score of an image is a signal that depends on the label, and standard normal latents. The metric's
value in the population is computed from normal distributions, not simulated; a wanted value gives the signal.

Legend: N images, K latents of an image, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

# Images by class: APTOS 2019 (grades 0 to 4, train.csv), ISIC 2019 (MEL, NV, BCC, AK, BKL, DF, VASC, SCC), and one
# positive in ten, as in the rarer findings of chest radiographs.
APTOS = (1805, 370, 999, 193, 295)
ISIC = (4522, 12875, 3323, 867, 2624, 239, 253, 628)
HALF, ONE_IN_FIVE, ONE_IN_TEN = (1, 1), (4, 1), (9, 1)


@dataclass(frozen=True, kw_only=True)
class Population:
    """`scores` takes labels_N, latents_NK and the signal, and gives scores_NC.

    `values` are the metric at the ascending `signals`, and ascend too; between them both are linear, with an error
    below 1e-5.
    """

    metric: str
    latents: int
    scores: Callable[[Ints, Floats, float], Floats]
    signals: Floats
    values: Floats

    def signal(self, value: Floats) -> Floats:
        """The signal at which the metric is `value`, which is kept inside what the population can show."""
        return np.interp(value, self.values, self.signals)


def counts_of(shares: tuple[int, ...], patients: int, fewest: int) -> Ints:
    """So many patients of each class in proportion to `shares`, none fewer than `fewest`; the largest class gives."""
    counts = np.maximum(np.round(np.array(shares) / sum(shares) * patients).astype(np.int64), fewest)
    largest = int(np.argmax(shares))
    counts[largest] += patients - counts.sum()
    if counts.min() < fewest:
        raise ValueError(f"{patients} patients are too few for {len(shares)} classes of at least {fewest}")
    return counts


@cache
def binormal(metric: str) -> Population:
    """Two classes: the positives' scores are normal and lie `signal` higher. The value is the AUC."""

    def scores(labels_N: Ints, latents_NK: Floats, signal: float) -> Floats:
        score_N = latents_NK[:, 0] + signal * labels_N
        return np.stack([np.zeros_like(score_N), score_N], axis=1)

    signals = np.linspace(0, 6, 6001)
    return Population(metric=metric, latents=1, scores=scores, signals=signals, values=norm.cdf(signals / np.sqrt(2)))


@cache
def seldom_wrong(metric: str) -> Population:
    """Two classes in perfect order, but for a share `1 - signal` of the positives, which score lowest of all.

    The value is the AUC, and the signal itself.
    """

    def scores(labels_N: Ints, latents_NK: Floats, signal: float) -> Floats:
        right_N = latents_NK[:, 0] <= norm.ppf(signal)
        score_N = np.where(right_N, labels_N, -labels_N) + latents_NK[:, 0] / 100  # which changes no order of classes
        return np.stack([np.zeros_like(score_N), score_N], axis=1)

    signals = np.linspace(0, 1, 101)
    return Population(metric=metric, latents=1, scores=scores, signals=signals, values=signals)


@cache
def ordered(metric: str, counts: tuple[int, ...]) -> Population:
    """Ordered classes: the model sees label + normal noise / signal, and names the nearest class.

    The value is the quadratic kappa of the expected confusion matrix at these counts of the classes.
    """
    counts_C, grades_C = np.array(counts), np.arange(len(counts))

    def scores(labels_N: Ints, latents_NK: Floats, signal: float) -> Floats:
        seen_N = labels_N + latents_NK[:, 0] / signal
        return 2 * seen_N[:, None] * grades_C - grades_C**2  # the square of the distance, negative, less a constant

    signals = np.linspace(0.3, 6, 2001)
    values = np.array([kappa(confusion(counts_C, signal)) for signal in signals])
    return Population(metric=metric, latents=1, scores=scores, signals=signals, values=values)


def confusion(counts_C: Ints, signal: float) -> Floats:
    """Shares of (label, class named), C × C, when the nearest class to label + normal noise / `signal` is named."""
    grades_C = np.arange(len(counts_C))
    edges = np.concatenate([[-np.inf], grades_C[:-1] + 0.5, [np.inf]])
    named_CC = np.diff(norm.cdf((edges - grades_C[:, None]) * signal), axis=1)
    return named_CC * (counts_C / counts_C.sum())[:, None]


def kappa(shares_CC: Floats) -> float:
    """Cohen's kappa with quadratic weights."""
    grades_C = np.arange(len(shares_CC))
    distance_CC = (grades_C[:, None] - grades_C) ** 2
    chance_CC = shares_CC.sum(axis=1)[:, None] * shares_CC.sum(axis=0)
    return float(1 - (distance_CC * shares_CC).sum() / (distance_CC * chance_CC).sum())


@cache
def one_of_many(metric: str, classes: int) -> Population:
    """Normal noise per class, and `signal` added at the label. The value is the recall, the same for every class."""

    def scores(labels_N: Ints, latents_NK: Floats, signal: float) -> Floats:
        return latents_NK + np.asarray(signal * np.eye(classes), dtype=latents_NK.dtype)[labels_N]

    signals = np.linspace(0, 6, 2001)
    x = np.linspace(-9, 15, 4801)
    density = norm.pdf(x - signals[:, None]) * norm.cdf(x) ** (classes - 1)
    values = np.asarray(np.trapezoid(density, x, axis=1))
    return Population(metric=metric, latents=classes, scores=scores, signals=signals, values=values)

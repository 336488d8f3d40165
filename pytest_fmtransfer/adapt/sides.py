"""What a regime is given: features and labels to fit and to choose by, and features to score.

Legend: A, V, T images of the training, validation and test side, N, M of any; D features, C classes or labels.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The labels of the test side are not in it, so that nothing can be fitted on or chosen by them.

    Labels are class indices, or where an image may bear several labels 0, 1 or `UNKNOWN`, A × C and V × C; `classes`
    is how many classes or labels there are.
    """

    train_AD: np.ndarray
    train_labels_A: np.ndarray
    validation_VD: np.ndarray
    validation_labels_V: np.ndarray
    test_TD: np.ndarray
    classes: int

    @property
    def multilabel(self) -> bool:
        """Whether an image may bear several labels."""
        return self.train_labels_A.ndim > 1


def shuffle_labels(sides: Sides, seed: int) -> Sides:
    """Labels of the training and of the validation side in another order, as `shuffled` has it."""
    train_A, validation_V = shuffled((sides.train_labels_A, sides.validation_labels_V), seed)
    return replace(sides, train_labels_A=train_A, validation_labels_V=validation_V)


def shuffled(labels: tuple[np.ndarray, np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of two sides in another order, each side's counts as they were.

    Where an image may bear several labels, it gets all those of another image.
    """
    order = random.Random(seed)  # its sequence is the same in every Python

    def in_other_order(labels_N: np.ndarray) -> np.ndarray:
        rows = list(range(len(labels_N)))
        order.shuffle(rows)
        return labels_N[rows]

    return in_other_order(labels[0]), in_other_order(labels[1])


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """Decision values of the test side, T × C float32, and what validation chose.

    Of an image that may bear several labels they are each label's own, such as the logarithm of its odds.
    """

    scores_TC: np.ndarray
    chosen: Mapping[str, Any]


def log_loss(labels_N: np.ndarray, log_probabilities_NC: np.ndarray) -> float:
    """Mean negative log-probability of the label: what hyperparameters are chosen by.

    It moves smoothly with a hyperparameter where a ranking metric jumps, so that rounding on another
    processor moves the choice by at most a step.
    """
    return float(-log_probabilities_NC[np.arange(len(labels_N)), labels_N].mean())


# Fifty times what another way of adding up moves features by, 2e-6 of their length (benchmarks/tolerance.py).
ROUNDING = 1e-4

Scaling = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Features N × D to fit and M × D to apply the fit to: both as the first says they are to be scaled."""


def standardised(fitted_ND: np.ndarray, applied_MD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean and deviation of the first, float32; a constant feature becomes zero in the first."""
    mean_D, scale_D = mean_and_scale(fitted_ND)
    first, second = ((rows - mean_D) / scale_D for rows in (fitted_ND, applied_MD))
    return first.astype(np.float32), second.astype(np.float32)


def on_one_scale(fitted_ND: np.ndarray, applied_MD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean of each feature in the first, and all features over one deviation, float32.

    The deviation is the root of the features' mean variance in the first.
    """
    mean_D = fitted_ND.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(fitted_ND.var(axis=0, dtype=np.float64).mean())) or 1.0
    first, second = ((rows - mean_D) / scale for rows in (fitted_ND, applied_MD))
    return first.astype(np.float32), second.astype(np.float32)


def mean_and_scale(rows_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, (D,) float64; 1 in place of the deviation of a constant one.

    Constant is what deviates by no more than `ROUNDING` of the median deviation. A feature that no image fitted shows
    may be 1e-7 in one of them on this processor and 2e-7 on another: over such a deviation an image that does show it
    would lie 100,000 deviations out, or 50,000, and rounding would decide what it scores.
    """
    deviation_D = rows_ND.std(axis=0, dtype=np.float64)
    least = max(1e-12, ROUNDING * float(np.median(deviation_D)))
    return rows_ND.mean(axis=0, dtype=np.float64), np.where(deviation_D > least, deviation_D, 1.0)

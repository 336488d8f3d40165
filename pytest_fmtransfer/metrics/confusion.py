"""Metrics of which class is taken for which: accuracy, recalls, F1, kappas. The class with the highest score is
taken, the first of several.

All but accuracy are functions of the confusion matrix (first axis the label, second the class taken), and an image's
influence is that of its cell: the derivative by the cell's count (the delta method). What is 0/0 is nan.

Legend: N images, C classes, B sets of weights, X any leading axes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.metrics.estimate import Floats, Ints, MeanOverImages, Weights, sums_by_group


@dataclass(frozen=True, kw_only=True)
class OfConfusion:
    """A function of the confusion matrix over all C classes, those without images included.

    `value` takes matrices (…, C, C) to their values (…); `influence` takes one to the influences of its cells.
    """

    labels_N: Ints
    scores_NC: Floats
    value: Callable[[Floats], Floats]
    influence: Callable[[Floats], Floats]

    def measured(self) -> tuple[float, Floats]:
        classes = self.scores_NC.shape[1]
        counted_K = np.bincount(self._cells, minlength=classes**2)
        confusion_CC = counted_K.reshape(classes, classes).astype(np.float64)
        return float(self.value(confusion_CC)), self.influence(confusion_CC).ravel()[self._cells]

    def weighed(self, weights_NB: Weights) -> Floats:
        return self.value(self._confusion(weights_NB))

    def _confusion(self, weights_NB: Weights) -> Floats:
        """(B, C, C)"""
        classes = self.scores_NC.shape[1]
        sums_BK = np.ascontiguousarray(self._sums(weights_NB).T, dtype=np.float64)
        return sums_BK.reshape(-1, classes, classes)

    @cached_property
    def _cells(self) -> Ints:
        return self.labels_N * self.scores_NC.shape[1] + self.scores_NC.argmax(axis=1)

    @cached_property
    def _sums(self) -> Callable[[Weights], Weights]:
        classes = self.scores_NC.shape[1]
        return sums_by_group(self._cells, np.arange(len(self.labels_N)), classes**2, len(self.labels_N))


def accuracy(labels_N: Ints, scores_NC: Floats) -> MeanOverImages:
    """Share of images whose label is taken."""
    return MeanOverImages(value_N=(scores_NC.argmax(axis=1) == labels_N).astype(np.float64))


def balanced_accuracy(labels_N: Ints, scores_NC: Floats) -> OfConfusion:
    """Mean of the recalls of the classes that have images."""
    present_C = _present(labels_N, scores_NC)

    def value(confusion_XCC: Floats) -> Floats:
        return _recalls(confusion_XCC)[..., present_C].mean(axis=-1)

    def influence(confusion_CC: Floats) -> Floats:
        return _influence_by_recall(confusion_CC, int(present_C.sum()))

    return OfConfusion(labels_N=labels_N, scores_NC=scores_NC, value=value, influence=influence)


def macro_recall(labels_N: Ints, scores_NC: Floats) -> OfConfusion:
    """Mean of the recalls of all classes, 0 for one without images."""
    present_C = _present(labels_N, scores_NC)

    def value(confusion_XCC: Floats) -> Floats:
        return np.where(present_C, _recalls(confusion_XCC), 0).mean(axis=-1)

    def influence(confusion_CC: Floats) -> Floats:
        return _influence_by_recall(confusion_CC, len(present_C))

    return OfConfusion(labels_N=labels_N, scores_NC=scores_NC, value=value, influence=influence)


def macro_f1(labels_N: Ints, scores_NC: Floats) -> OfConfusion:
    """Mean over all classes of twice the hits by images of the class and images taken for it; 0 without either."""

    def by_class(confusion_XCC: Floats) -> tuple[Floats, Floats]:
        involved_XC = confusion_XCC.sum(axis=-1) + confusion_XCC.sum(axis=-2)
        return np.where(involved_XC > 0, 2 * _hits(confusion_XCC) / involved_XC, 0), involved_XC

    def value(confusion_XCC: Floats) -> Floats:
        return by_class(confusion_XCC)[0].mean(axis=-1)

    def influence(confusion_CC: Floats) -> Floats:
        f1_C, involved_C = by_class(confusion_CC)
        classes = len(f1_C)
        lost_C = np.where(involved_C > 0, f1_C / involved_C, 0)
        won_C = np.where(involved_C > 0, 2 / involved_C, 0)
        return (np.diag(won_C) - lost_C[:, None] - lost_C) / classes

    return OfConfusion(labels_N=labels_N, scores_NC=scores_NC, value=value, influence=influence)


def quadratic_kappa(labels_N: Ints, scores_NC: Floats) -> OfConfusion:
    """Cohen's kappa, a mistake costing the square of the distance between the classes' places."""
    return _kappa(labels_N, scores_NC, power=2)


def linear_kappa(labels_N: Ints, scores_NC: Floats) -> OfConfusion:
    """Cohen's kappa, a mistake costing the distance between the classes' places."""
    return _kappa(labels_N, scores_NC, power=1)


def _kappa(labels_N: Ints, scores_NC: Floats, power: int) -> OfConfusion:
    """1 − cost / cost expected of independent labels (Cohen, "Weighted kappa", Psychological Bulletin 1968)."""
    place_C = np.arange(scores_NC.shape[1], dtype=np.float64)
    cost_CC = np.abs(np.subtract.outer(place_C, place_C)) ** power

    def value(confusion_XCC: Floats) -> Floats:
        label_XC, taken_XC = confusion_XCC.sum(axis=-1), confusion_XCC.sum(axis=-2)
        expected_X = (label_XC @ cost_CC * taken_XC).sum(axis=-1) / label_XC.sum(axis=-1)
        return 1 - (confusion_XCC * cost_CC).sum(axis=(-2, -1)) / expected_X

    def influence(confusion_CC: Floats) -> Floats:
        images = confusion_CC.sum()
        share_CC = confusion_CC / images
        label_C, taken_C = share_CC.sum(axis=1), share_CC.sum(axis=0)
        cost, expected = (share_CC * cost_CC).sum(), label_C @ cost_CC @ taken_C
        on_cost_CC = cost_CC - cost
        on_expected_CC = (cost_CC @ taken_C)[:, None] + label_C @ cost_CC - 2 * expected
        return (on_expected_CC * cost / expected - on_cost_CC) / expected / images

    return OfConfusion(labels_N=labels_N, scores_NC=scores_NC, value=value, influence=influence)


def _hits(confusion_XCC: Floats) -> Floats:
    return np.diagonal(confusion_XCC, axis1=-2, axis2=-1)


def _recalls(confusion_XCC: Floats) -> Floats:
    return _hits(confusion_XCC) / confusion_XCC.sum(axis=-1)


def _influence_by_recall(confusion_CC: Floats, averaged: int) -> Floats:
    """On the mean of recalls over so many classes."""
    hit_CC = np.eye(len(confusion_CC))
    return (hit_CC - _recalls(confusion_CC)[:, None]) / (confusion_CC.sum(axis=-1) * averaged)[:, None]


def _present(labels_N: Ints, scores_NC: Floats) -> NDArray[np.bool_]:
    return np.bincount(labels_N, minlength=scores_NC.shape[1]) > 0

"""Average precision: the mean, over positive images, of the share of positives among the images at or above theirs.

Legend: N images, C classes, V distinct values from the highest down, K distinct values of positive images, B sets of
weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics.estimate import Floats, Ints, Weights, sums_by_group


@dataclass(frozen=True, kw_only=True)
class AveragePrecision:
    """Of positive images among all, by the place of their value; tied images stand together."""

    place_N: Ints
    positive_N: NDArray[np.bool_]

    def measured(self) -> tuple[float, Floats]:
        """Influences are the derivatives by an image's weight.

        A positive image counts with its own precision; beyond that, any image changes the precision of the
        positives at or below it.
        """
        positive_V = np.bincount(self.place_N, weights=self.positive_N)
        seen_V = np.bincount(self.place_N).cumsum()
        precision_V = positive_V.cumsum() / seen_V
        positives = positive_V.sum()
        value = float(positive_V @ precision_V / positives)
        gain_V = np.cumsum((positive_V / seen_V)[::-1])[::-1]
        loss_V = np.cumsum((positive_V * precision_V / seen_V)[::-1])[::-1]
        as_positive_V = precision_V - value + gain_V
        influence_N = np.where(self.positive_N, as_positive_V[self.place_N], 0) - loss_V[self.place_N]
        return value, influence_N / positives

    def weighed(self, weights_NB: Weights) -> Floats:
        """nan where no positive image weighs anything."""
        hits_B = np.zeros(weights_NB.shape[1])
        seen_B, sum_B = np.zeros_like(hits_B), np.zeros_like(hits_B)
        own_of, all_of = self._sums
        for own_B, all_B in zip(own_of(weights_NB), all_of(weights_NB), strict=True):
            hits_B += own_B
            seen_B += all_B
            sum_B += own_B * np.divide(hits_B, seen_B, out=np.zeros_like(hits_B), where=seen_B > 0)
        return sum_B / hits_B

    @cached_property
    def _sums(self) -> tuple[Callable[[Weights], Weights], Callable[[Weights], Weights]]:
        """Weights of the positives at each of the K values, and of all images from there up to the value before."""
        images = np.arange(len(self.place_N))
        won_V = np.bincount(self.place_N, weights=self.positive_N) > 0
        group_N = (won_V.cumsum() - won_V)[self.place_N]  # K for the images below every positive
        groups = int(won_V.sum()) + 1
        positive_N = self.positive_N
        return (
            sums_by_group(group_N[positive_N], images[positive_N], groups, len(images)),
            sums_by_group(group_N, images, groups, len(images)),
        )


def average_precision(labels_N: Ints, scores_NC: Floats) -> AveragePrecision:
    """Of class 1 against class 0, by the difference of their scores; the area under the precision-recall steps."""
    positive_N = labels_N == 1
    if scores_NC.shape[1] != 2 or not positive_N.any():
        raise InvalidInput("average_precision needs two columns of scores, and images of class 1")
    _, place_N = np.unique(scores_NC[:, 0] - scores_NC[:, 1], return_inverse=True)
    return AveragePrecision(place_N=place_N, positive_N=positive_N)

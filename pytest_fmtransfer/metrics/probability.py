"""Metrics that take scores at their word: probabilities are the softmax of an image's scores. Lower is better.

Legend: N images, C classes, B sets of weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from pytest_fmtransfer.metrics.estimate import Floats, Ints, MeanOverImages, Weights, weighed_sum

BINS = 15  # Guo et al., "On Calibration of Modern Neural Networks", ICML 2017


def log_loss(labels_N: Ints, scores_NC: Floats) -> MeanOverImages:
    """Mean negative log-probability of the label, in nats, not clipped."""
    log_NC = log_softmax(scores_NC, axis=1)
    return MeanOverImages(value_N=-log_NC[np.arange(len(labels_N)), labels_N])


def brier(labels_N: Ints, scores_NC: Floats) -> MeanOverImages:
    """Mean squared distance between the probabilities and the label's corner, in [0, 2]; of two classes half of it.

    So that for two classes it is the squared error of one probability, in [0, 1].
    """
    classes = scores_NC.shape[1]
    distance_N = ((softmax(scores_NC, axis=1) - np.eye(classes)[labels_N]) ** 2).sum(axis=1)
    return MeanOverImages(value_N=distance_N / 2 if classes == 2 else distance_N)


@dataclass(frozen=True, kw_only=True)
class CalibrationError:
    """Mean over images of the distance, in their bin, between mean confidence and accuracy.

    `excess_N` is an image's confidence less whether it is right. Without influences: the distance has no derivative
    where a bin is calibrated, and the sample's error is above the population's.
    """

    bin_N: Ints
    excess_N: Floats

    def measured(self) -> tuple[float, None]:
        return float(self.weighed(np.ones((len(self.bin_N), 1)))[0]), None

    def weighed(self, weights_NB: Weights) -> Floats:
        distance_B = np.zeros(weights_NB.shape[1])
        for place in np.unique(self.bin_N):
            inside = self.bin_N == place
            distance_B += np.abs(weighed_sum(self.excess_N[inside], weights_NB[inside]))
        return distance_B / weights_NB.sum(axis=0)


def expected_calibration_error(labels_N: Ints, scores_NC: Floats) -> CalibrationError:
    """Of the highest probability, in 15 bins of equal width; a bin holds its lower edge, the last one also 1."""
    confidence_N = softmax(scores_NC, axis=1).max(axis=1)
    bin_N = np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)
    right_N = scores_NC.argmax(axis=1) == labels_N
    return CalibrationError(bin_N=bin_N, excess_N=confidence_N - right_N)

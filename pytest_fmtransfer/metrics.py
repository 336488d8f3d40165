"""Scores to numbers, with each image's influence on the number.

The influence of an image is its share in the metric's linearisation: the metric moves by about the sum of
the influences of the images that are drawn once more. Influences sum to zero within a stratum; the strata
are the parts of the sample that the metric averages over separately (classes, or everything).

Legend: N images, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pytest_fmtransfer.errors import InvalidInput, UnknownName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric's value, each image's influence on it, and the stratum that each image belongs to."""

    value: float
    influence_N: Floats
    stratum_N: Ints


def evaluate(metric: str, labels_N: Ints, scores_NC: NDArray[np.floating]) -> Estimate:
    """The metric of one set of scores, higher is better.

    `labels_N` are class indices; `scores_NC` are finite, one column per class, and only their order and
    differences within a row or column matter. Raises UnknownName for a metric that does not exist, and
    InvalidInput for scores that are not finite or labels without one of two classes.
    """
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    scores = np.asarray(scores_NC, dtype=np.float64)
    labels = np.asarray(labels_N, dtype=np.int64)
    if labels.ndim != 1 or not np.array_equal(labels, labels_N):
        raise InvalidInput("labels are one whole number per image")
    if scores.ndim != 2 or len(scores) != len(labels) or len(labels) == 0:
        raise InvalidInput(f"scores of shape {scores.shape} for {len(labels)} labels; give one row per label")
    if not np.isfinite(scores).all():
        raise InvalidInput(f"{int((~np.isfinite(scores)).any(axis=1).sum())} rows of scores are not finite")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise InvalidInput(f"labels from {labels.min()} to {labels.max()} for {scores.shape[1]} columns of scores")
    return METRICS[metric](labels, scores)


def accuracy(labels_N: Ints, scores_NC: Floats) -> Estimate:
    """Share of images whose highest score is at their label; ties go to the first class."""
    correct_N = (scores_NC.argmax(axis=1) == labels_N).astype(np.float64)
    value = float(correct_N.mean())
    return Estimate(
        value=value,
        influence_N=(correct_N - value) / len(labels_N),
        stratum_N=np.zeros(len(labels_N), dtype=np.int64),
    )


def balanced_accuracy(labels_N: Ints, scores_NC: Floats) -> Estimate:
    """Mean of the recalls of the classes that have images."""
    correct_N = (scores_NC.argmax(axis=1) == labels_N).astype(np.float64)
    present, class_of_N, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
    recalls = np.bincount(class_of_N, weights=correct_N) / counts
    return Estimate(
        value=float(recalls.mean()),
        influence_N=(correct_N - recalls[class_of_N]) / (counts[class_of_N] * len(present)),
        stratum_N=labels_N,
    )


def roc_auc(labels_N: Ints, scores_NC: Floats) -> Estimate:
    """Area under the ROC curve of class 1 against class 0; ties count half.

    Influences are DeLong's structural components (DeLong, DeLong and Clarke-Pearson, Biometrics 1988),
    computed from mid-ranks (Sun and Xu, IEEE Signal Processing Letters 2014).
    """
    positive = labels_N == 1
    if scores_NC.shape[1] != 2 or positive.all() or not positive.any():
        raise InvalidInput("roc_auc needs two columns of scores, and images of both classes")
    margin_N = scores_NC[:, 1] - scores_NC[:, 0]
    overall_N = np.asarray(rankdata(margin_N), dtype=np.float64)
    within_N = np.empty_like(overall_N)
    for side in (positive, ~positive):
        within_N[side] = rankdata(margin_N[side])
    positives, negatives = int(positive.sum()), int((~positive).sum())
    others_N: Floats = np.where(positive, float(negatives), float(positives))
    share_N: Floats = (overall_N - within_N) / others_N  # of the other class that scores lower, ties half
    share_N[~positive] = 1 - share_N[~positive]
    value = float(share_N[positive].mean())
    own_N: Floats = np.where(positive, float(positives), float(negatives))
    return Estimate(value=value, influence_N=(share_N - value) / own_N, stratum_N=labels_N)


METRICS: dict[str, Callable[[Ints, Floats], Estimate]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "roc_auc": roc_auc,
}

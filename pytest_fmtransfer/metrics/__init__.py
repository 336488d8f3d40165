"""Scores to numbers, with each image's influence on the number, and the number in resamples of the images.

The metrics by what they are made of: areas under ROC curves (`roc`), average precision (`precision_recall`),
what follows from which class was taken for which (`confusion`), and what takes scores at their word
(`probability`). `registry` names them; `evaluation` is what everyone else calls, and `labels` says which images are of
which class.
"""

from pytest_fmtransfer.metrics.estimate import Estimate
from pytest_fmtransfer.metrics.evaluation import evaluate, replicates
from pytest_fmtransfer.metrics.labels import UNKNOWN, absent_labels, images_by_class
from pytest_fmtransfer.metrics.registry import METRICS, Metric, metric_named, metric_of, positive_class

__all__ = [
    "METRICS",
    "UNKNOWN",
    "Estimate",
    "Metric",
    "absent_labels",
    "evaluate",
    "images_by_class",
    "metric_named",
    "metric_of",
    "positive_class",
    "replicates",
]

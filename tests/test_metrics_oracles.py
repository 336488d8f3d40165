"""Each metric is that of scikit-learn, or of torchmetrics where scikit-learn has none: with every image once, with
weights and in replicates. Legend: N images, C classes or labels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from pytest_fmtransfer.metrics import METRICS, evaluate, replicates
from tests.metric_samples import EVERY_CLASS, FEWER, GRID, TIED, Sample, counted, every_metric, samples

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
    pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true"),
    pytest.mark.filterwarnings("ignore:A single label was found"),
    pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%"),
]


def taken(function: Callable[..., float], **options: Any) -> Callable[[Sample], float]:
    """Of the class with the highest score, among all classes."""

    def value(sample: Sample) -> float:
        classes = range(sample.scores_NC.shape[1])
        return function(sample.labels, sample.scores_NC.argmax(axis=1), labels=classes, **options)

    return value


def margin(sample: Sample) -> NDArray[np.float64]:
    return sample.scores_NC[:, 1] - sample.scores_NC[:, 0]


def probabilities(sample: Sample) -> NDArray[np.float64]:
    """Rounded, so that rounding within the softmax breaks no tie."""
    return np.round(softmax(sample.scores_NC, axis=1), 12)


def many_classes(sample: Sample, how: str) -> float:
    classes = sample.scores_NC.shape[1]
    if classes == 2:
        return float(sk.roc_auc_score(sample.labels, probabilities(sample)[:, 1]))
    return float(sk.roc_auc_score(sample.labels, probabilities(sample), multi_class=how, labels=range(classes)))


def label_by_label(sample: Sample) -> float:
    """Among the images of which a label is known."""
    areas: list[float] = []
    for label_N, score_N in zip(sample.labels.T, sample.scores_NC.T, strict=True):
        known_N = label_N >= 0
        both = set(label_N.tolist()) >= {0, 1}
        areas.append(float(sk.roc_auc_score(label_N[known_N], score_N[known_N])) if both else 0.5)
    return float(np.mean(areas))


def calibration_error(sample: Sample) -> float:
    probabilities_NC = softmax(sample.scores_NC, axis=1)
    # On a bin's edge rounding decides the bin, and torchmetrics gives exactly 1 a bin of its own.
    places_N = probabilities_NC.max(axis=1) * 15
    assume((np.abs(places_N - np.round(places_N)) > 1e-5).all())
    given_NC, labels = torch.from_numpy(probabilities_NC), torch.from_numpy(sample.labels)
    return float(multiclass_calibration_error(given_NC, labels, num_classes=given_NC.shape[1], n_bins=15))


def log_loss(sample: Sample) -> float:
    classes = sample.scores_NC.shape[1]
    return float(sk.log_loss(sample.labels, softmax(sample.scores_NC, axis=1), labels=range(classes)))


def brier(sample: Sample) -> float:
    probabilities_NC = softmax(sample.scores_NC, axis=1)
    classes = probabilities_NC.shape[1]
    return float(sk.brier_score_loss(sample.labels, probabilities_NC, labels=range(classes)))


ORACLES: Mapping[str, Callable[[Sample], float]] = {
    "accuracy": lambda sample: sk.accuracy_score(sample.labels, sample.scores_NC.argmax(axis=1)),
    "balanced_accuracy": lambda sample: sk.balanced_accuracy_score(sample.labels, sample.scores_NC.argmax(axis=1)),
    "macro_recall": taken(sk.recall_score, average="macro", zero_division=0),
    "macro_f1": taken(sk.f1_score, average="macro", zero_division=0),
    "quadratic_kappa": taken(sk.cohen_kappa_score, weights="quadratic"),
    "linear_kappa": taken(sk.cohen_kappa_score, weights="linear"),
    "roc_auc": lambda sample: float(sk.roc_auc_score(sample.labels, margin(sample))),
    "roc_auc_ovo": lambda sample: many_classes(sample, "ovo"),
    "roc_auc_ovr": lambda sample: many_classes(sample, "ovr"),
    "mean_roc_auc": label_by_label,
    "average_precision": lambda sample: float(sk.average_precision_score(sample.labels, margin(sample))),
    "log_loss": log_loss,
    "brier": brier,
    "expected_calibration_error": calibration_error,
}
# Scores of any size are compared where the oracle does not round them to probabilities first.
ANY_SIZE = {"accuracy", "balanced_accuracy", "macro_recall", "macro_f1", "quadratic_kappa", "linear_kappa", "roc_auc"}
ANY_SIZE |= {"mean_roc_auc", "average_precision"}
EXACT, SINGLE = 1e-12, 1e-6  # torchmetrics computes in single precision


def close_to(expected: float, metric: str) -> Any:
    return pytest.approx(expected, abs=SINGLE if metric == "expected_calibration_error" else EXACT)


@every_metric
@FEWER
@given(data=st.data())
def test_with_every_image_once(metric: str, data: st.DataObject) -> None:
    values = None if metric in ANY_SIZE else data.draw(st.sampled_from([TIED, GRID]))
    sample = data.draw(samples(metric, values=values))
    assert evaluate(metric, sample.labels, sample.scores_NC).value == close_to(ORACLES[metric](sample), metric)


@every_metric
@FEWER
@given(data=st.data())
def test_with_whole_weights_and_in_replicates_it_is_that_of_repeated_images(metric: str, data: st.DataObject) -> None:
    sample, counts_NB = data.draw(counted(metric))
    values_B = replicates(metric, sample.labels, sample.scores_NC, counts_NB)
    for counts_N, value in zip(counts_NB.T, values_B, strict=True):
        repeated = sample.at(np.repeat(np.arange(len(sample)), counts_N))
        if is_undefined(metric, repeated):
            assert np.isnan(value)
            continue
        expected = ORACLES[metric](repeated)
        weighed = evaluate(metric, sample.labels, sample.scores_NC, counts_N)
        assert weighed.value == close_to(expected, metric)
        assert weighed.influence_N is None
        if has_lost_a_class(metric, sample, repeated):
            assert np.isnan(value)
        else:
            assert value == close_to(expected, metric)


def is_undefined(metric: str, repeated: Sample) -> bool:
    """Has the metric no value on these images, whatever sample they were drawn from?"""
    if len(repeated) == 0:
        return True
    if metric == "average_precision":
        return not (repeated.labels == 1).any()
    if metric in EVERY_CLASS:
        return len(np.unique(repeated.labels)) < repeated.scores_NC.shape[1]
    if metric.endswith("kappa"):
        return len({*repeated.labels, *repeated.scores_NC.argmax(axis=1)}) == 1
    return False


def has_lost_a_class(metric: str, sample: Sample, repeated: Sample) -> bool:
    """Does the sample have a class, or a label's positives or negatives, that these images do not?"""
    if metric == "mean_roc_auc":
        return any(
            set(was_N.tolist()) >= {0, 1} and not set(is_N.tolist()) >= {0, 1}
            for was_N, is_N in zip(sample.labels.T, repeated.labels.T, strict=True)
        )
    return METRICS[metric].by_class and len(np.unique(sample.labels)) > len(np.unique(repeated.labels))

"""What stands behind an average over classes: each class by itself, candidate against reference.

A class's own metric is what the average is made of. Of an accuracy or a mean of recalls it is the class's recall: the
accuracy among its images. Of a mean of areas under ROC curves it is the class's area against all other images, or the
label's against the images known not to bear it.

Legend: S seeds, N test images, C classes or labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from pytest_fmtransfer.judge.comparison import Comparison, patients_by_class
from pytest_fmtransfer.judge.court import ClassDifference
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.metrics import UNKNOWN
from pytest_fmtransfer.results import Result

KIND = "no_class_worse_than"

# Metrics that are averages over classes, by what a class's own metric is called.
OWN_METRIC: Mapping[str, str] = {
    "accuracy": "recall",
    "balanced_accuracy": "recall",
    "macro_recall": "recall",
    "roc_auc_ovo": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "mean_roc_auc": "roc_auc",
}

MOST_NAMED = 5  # of many classes, the worst that a line names


@dataclass(frozen=True, kw_only=True)
class OfClass(Comparison):
    """A comparison on the images of one class, or on those of which a label is known. `name` is the class's.

    No recorded seed variance is in it: that is the average's, and a class's own is larger.
    """

    name: str

    @cached_property
    def patients_by_class(self) -> Mapping[str, int]:
        """Test patients of the class, and of an area under a ROC curve those of the other side."""
        return {name: count for name, count in patients_by_class(self.candidate).items() if count}


def class_comparisons(whole: Comparison) -> list[OfClass]:
    """Of each class that can be measured, in their order; none for a metric that is no average over classes.

    A class without images is left out, and so is a label that no image is known to bear, or none known not to.
    """
    if whole.metric not in OWN_METRIC:
        return []
    return [
        OfClass(candidate=mine, reference=_of_class(whole.reference, at), name=name)
        for at, name in enumerate(whole.candidate.classes)
        if _measurable(mine := _of_class(whole.candidate, at))
    ]


def class_reading(comparison: OfClass, level: float, margin: float) -> Reading:
    """The claim that a class is worse by less than a margin above 0, at a one-sided level."""
    return Reading(kind=KIND, comparison=comparison, level=level, threshold=-margin)


def class_differences(whole: Comparison, level: float) -> tuple[ClassDifference, ...]:
    """Each class's difference with its limits at a one-sided level, the worst class first."""
    readings = [class_reading(each, level, whole.candidate.margin) for each in class_comparisons(whole)]
    found = [class_difference(OWN_METRIC[whole.metric], reading) for reading in readings]
    return tuple(sorted(found, key=lambda each: each.effect))


def class_difference(metric: str, reading: Reading) -> ClassDifference:
    """Of a reading of an `OfClass`; `metric` is what the class's own metric is called."""
    comparison, (lower, upper) = reading.comparison, reading.limits or (None, None)
    assert isinstance(comparison, OfClass)
    return ClassDifference(
        name=comparison.name,
        metric=metric,
        patients=comparison.patients_by_class[comparison.name],
        effect=comparison.effect,
        lower=lower,
        upper=upper,
    )


def samples_of_classes(metric: str, by_class: Mapping[str, int]) -> dict[str, tuple[str, dict[str, int]]]:
    """By class, the metric that it is judged by and the patients behind it, from patients by class.

    Where an image may bear several labels `by_class` has 'no ' and a label's name beside each. None for a metric that
    is no average over classes.
    """
    if metric not in OWN_METRIC:
        return {}
    if OWN_METRIC[metric] == "recall":
        return {name: ("accuracy", {name: count}) for name, count in by_class.items()}
    if metric == "mean_roc_auc":
        borne = [name for name in by_class if f"no {name}" in by_class]
        return {name: ("roc_auc", {side: by_class[side] for side in (f"no {name}", name)}) for name in borne}
    everyone = sum(by_class.values())
    return {name: ("roc_auc", {f"no {name}": everyone - count, name: count}) for name, count in by_class.items()}


def class_line(differences: Sequence[ClassDifference]) -> list[str]:
    """The line that tells the worst classes, in their order; none where there are no classes."""
    if not differences:
        return []
    named = [
        f"'{each.name}' {each.effect:+.4f} "
        + ("without an interval" if each.lower is None else f"[{each.lower:+.4f}, {each.upper:+.4f}]")
        for each in differences[:MOST_NAMED]
    ]
    more = [f"and {len(differences) - MOST_NAMED} more"] if len(differences) > MOST_NAMED else []
    told = ", ".join([*named, *more])
    return [f"Δ {differences[0].metric} by class, each alone and deciding nothing, the worst first: {told}"]


def _of_class(result: Result, at: int) -> Result:
    """The result of one class as a result of its own, of an accuracy or of an area under a ROC curve."""
    labels, scores_SNC = result.labels_N, result.scores_SNC
    if OWN_METRIC[result.question.metric] == "recall":
        return _among(result, labels == at, labels, scores_SNC, "accuracy", result.classes)
    if labels.ndim > 1:
        there_N, positive_N, value_SN = labels[:, at] != UNKNOWN, labels[:, at] == 1, scores_SNC[:, :, at]
    else:
        there_N, positive_N, value_SN = np.ones(len(labels), dtype=np.bool_), labels == at, _log_odds(scores_SNC, at)
    two_SNC = np.stack([np.zeros_like(value_SN), value_SN], axis=-1)
    sides = (f"no {result.classes[at]}", result.classes[at])
    return _among(result, there_N, positive_N.astype(np.int64), two_SNC, "roc_auc", sides)


def _among(
    result: Result,
    there_N: NDArray[np.bool_],
    labels_N: NDArray[np.int64],
    scores_SNC: NDArray[np.float32],
    metric: str,
    classes: tuple[str, ...],
) -> Result:
    return replace(
        result,
        question=replace(result.question, metric=metric),
        ids_N=result.ids_N[there_N],
        patients_N=result.patients_N[there_N],
        labels_N=labels_N[there_N],
        scores_SNC=scores_SNC[:, there_N],
        classes=classes,
    )


def _measurable(result: Result) -> bool:
    sides = len(np.unique(result.labels_N))
    return sides == 2 if result.question.metric == "roc_auc" else sides == 1


def _log_odds(scores_SNC: NDArray[np.float32], at: int) -> NDArray[np.float32]:
    """(S, N): of a class's softmax probability, as the areas of many classes have it."""
    others_SNC = np.delete(scores_SNC, at, axis=2).astype(np.float64)
    return (scores_SNC[:, :, at] - logsumexp(others_SNC, axis=2)).astype(np.float32)

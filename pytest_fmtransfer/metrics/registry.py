"""The metrics by name.

Legend: N images, C classes or labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_fmtransfer.errors import UnknownName
from pytest_fmtransfer.margins import RANGES
from pytest_fmtransfer.metrics.confusion import (
    accuracy,
    balanced_accuracy,
    linear_kappa,
    macro_f1,
    macro_recall,
    quadratic_kappa,
)
from pytest_fmtransfer.metrics.estimate import Floats, Ints, Prepared
from pytest_fmtransfer.metrics.precision_recall import average_precision
from pytest_fmtransfer.metrics.probability import brier, expected_calibration_error, log_loss
from pytest_fmtransfer.metrics.roc import label_by_label, one_against_one, one_against_rest, two_classes

Task = Literal["binary", "multiclass", "multilabel"]
Prepare = Callable[[Ints, Floats], Prepared]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and what it takes.

    `task`: "binary" takes class indices and two columns of scores, "multiclass" class indices and any number of
    columns, "multilabel" a zero, a one or UNKNOWN per image and label. `best` is the value that cannot be bettered,
    `lowest` and `highest` the ends of its range.
    `of_one_class`: it is of the second of two classes, and another number for the first. `by_class`: it averages over
    classes, so that each class's images are a stratum; else all images are one.
    `prepare` is for `evaluate` and `replicates`, which check what they hand it: labels and scores (N, C).
    """

    name: str
    task: Task
    higher_is_better: bool
    best: float
    by_class: bool
    of_one_class: bool
    prepare: Prepare

    @property
    def lowest(self) -> float:
        return RANGES[self.name][0]

    @property
    def highest(self) -> float:
        """Infinite for a loss that a few images can make as large as one likes."""
        return RANGES[self.name][1]


def _gain(name: str, task: Task, prepare: Prepare, *, by_class: bool = False, of_one_class: bool = False) -> Metric:
    return Metric(
        name=name,
        task=task,
        higher_is_better=True,
        best=1.0,
        by_class=by_class,
        of_one_class=of_one_class,
        prepare=prepare,
    )


def _loss(name: str, task: Task, prepare: Prepare) -> Metric:
    return Metric(
        name=name, task=task, higher_is_better=False, best=0.0, by_class=False, of_one_class=False, prepare=prepare
    )


_ROWS = (
    _gain("accuracy", "multiclass", accuracy),
    _gain("balanced_accuracy", "multiclass", balanced_accuracy, by_class=True),
    _gain("macro_recall", "multiclass", macro_recall, by_class=True),
    _gain("macro_f1", "multiclass", macro_f1),
    _gain("quadratic_kappa", "multiclass", quadratic_kappa),
    _gain("linear_kappa", "multiclass", linear_kappa),
    _gain("roc_auc", "binary", two_classes, by_class=True),
    _gain("roc_auc_ovo", "multiclass", one_against_one, by_class=True),
    _gain("roc_auc_ovr", "multiclass", one_against_rest, by_class=True),
    _gain("mean_roc_auc", "multilabel", label_by_label),
    _gain("average_precision", "binary", average_precision, of_one_class=True),
    _loss("log_loss", "multiclass", log_loss),
    _loss("brier", "multiclass", brier),
    _loss("expected_calibration_error", "multiclass", expected_calibration_error),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ROWS}


def metric_named(name: str) -> Metric:
    """Raises UnknownName for a metric that does not exist."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]


def metric_of(name: str, classes: Sequence[str]) -> str:
    """A metric's name, with the class that it is of, where it is of one: 'average_precision of ill'."""
    return f"{name} of {classes[1]}" if metric_named(name).of_one_class and len(classes) == 2 else name


def positive_class(name: str, classes: Sequence[str]) -> str:
    """The class that scores are higher for, of two; "" where there are more, or several labels an image."""
    return classes[1] if len(classes) == 2 and metric_named(name).task != "multilabel" else ""

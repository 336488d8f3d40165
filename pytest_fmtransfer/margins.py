"""What a margin may be in each metric: inside the range of the metric's values, and rarely beyond a tenth of it.

Its names are `pytest_fmtransfer.metrics.METRICS`; here, because a catalogue checks margins and imports no numpy.
"""

import math
from collections.abc import Iterable, Mapping

from pytest_fmtransfer.errors import InvalidInput

UNUSUAL = 0.1  # the share of a metric's range beyond which a margin is worth a warning

# Lowest and highest value. A loss without a highest one takes its place from a model that knows nothing: a log loss of
# ln C nats, which is what the same probability for each of C classes costs.
RANGES: Mapping[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "macro_recall": (0.0, 1.0),
    "macro_f1": (0.0, 1.0),
    "quadratic_kappa": (-1.0, 1.0),
    "linear_kappa": (-1.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "roc_auc_ovo": (0.0, 1.0),
    "roc_auc_ovr": (0.0, 1.0),
    "mean_roc_auc": (0.0, 1.0),
    "average_precision": (0.0, 1.0),
    "log_loss": (0.0, math.inf),
    "brier": (0.0, 2.0),
    "expected_calibration_error": (0.0, 1.0),
}


def range_of(metric: str, classes: int) -> tuple[float, float]:
    """Lowest and highest value of a metric over `classes` classes that a margin is measured by.

    Brier's score of two classes is the squared error of one probability, which is 1 at most.
    """
    lowest, highest = RANGES[metric]
    if metric == "brier" and classes == 2:
        return lowest, 1.0
    return lowest, math.log(max(2, classes)) if math.isinf(highest) else highest


def within_range(value: float, metric: str, classes: int) -> float:
    """The value of a metric, or the nearest that it can have."""
    lowest, highest = _ends(metric, classes)
    return min(max(value, lowest), highest)


def within_width(difference: float, metric: str, classes: int) -> float:
    """A difference of two values of a metric, or the nearest that there can be."""
    lowest, highest = _ends(metric, classes)
    return min(max(difference, lowest - highest), highest - lowest)


def _ends(metric: str, classes: int) -> tuple[float, float]:
    """Of the metric's values, infinite where a few images can make a loss as large as one likes."""
    return RANGES[metric] if math.isinf(RANGES[metric][1]) else range_of(metric, classes)


def check_margin(margin: float, metric: str, classes: int, whose: str) -> None:
    """Raises InvalidInput for a margin outside the metric's range or not above 0; `whose` begins the message."""
    lowest, highest = range_of(metric, classes)
    if not 0 < margin < highest:
        percent = f"; for {margin:g} % write {margin / 100:g}" if highest <= margin < 100 and lowest >= -1 else ""
        raise InvalidInput(
            f"{whose} needs a margin above 0 and below {highest:.3g}, in the unit of {metric} "
            f"({lowest:g} to {highest:.3g}), not {margin:g}{percent}"
        )


def unusual(margin: float, metric: str, classes: int) -> str:
    """The warning that a margin deserves which is more than a tenth of its metric's range; else empty."""
    lowest, highest = range_of(metric, classes)
    if margin <= UNUSUAL * (highest - lowest):
        return ""
    return f"the margin {margin:g} is more than a tenth of the range of {metric} ({lowest:g} to {highest:.3g})"


def check_gain_margin(margin: float, default: float, limits: Iterable[tuple[float, float]], whose: str) -> None:
    """Raises InvalidInput for a margin in percent that is not above 0, or with which any gain would agree.

    `limits` are `gain_limits` of each dataset, `default` is what the datasets' own margins come to.
    """
    highest = _mean(high for _, high in limits)
    if not 0 < margin < highest:
        raise InvalidInput(
            f"{whose} needs a margin above 0 and below {highest:.3g}, in percent of the reference, not {margin:g}; "
            f"leave it out for what the datasets' own come to, {default:.3g}"
        )


def unusual_gain(margin: float, limits: Iterable[tuple[float, float]]) -> str:
    """`unusual` of a margin in percent."""
    lowest, highest = (_mean(side) for side in zip(*limits, strict=True))
    if margin <= UNUSUAL * (highest - lowest):
        return ""
    return f"the margin {margin:g} % is more than a tenth of the range of the gain ({lowest:.3g} % to {highest:.3g} %)"


def gain_limits(metric: str, classes: int, reference: float) -> tuple[float, float]:
    """The metric's lowest and highest value in percent of a reference that is above 0."""
    lowest, highest = range_of(metric, classes)
    return 100 * lowest / reference, 100 * highest / reference


def _mean(values: Iterable[float]) -> float:
    found = [*values]
    return sum(found) / len(found)

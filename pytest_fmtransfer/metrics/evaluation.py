"""A metric of one set of scores, and of many resamples of its images.

Labels are class indices (N,) or, for a multi-label metric, 0, 1 or UNKNOWN per image and label (N, C). Scores are
finite decision values (N, C), such as logits: higher is more likely.

Legend: N images, C classes or labels, B replicates.
"""

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics.estimate import Estimate, Floats, Ints
from pytest_fmtransfer.metrics.labels import UNKNOWN
from pytest_fmtransfer.metrics.registry import Metric, metric_named

COUNTS_BYTES = 2**26  # of the counts that are worked on at once; half of it was slower, twice no faster


def evaluate(
    metric: str,
    labels: NDArray[np.integer],
    scores_NC: NDArray[np.floating],
    weights_N: NDArray[np.integer] | NDArray[np.floating] | None = None,
) -> Estimate:
    """The metric of one set of scores.

    `weights_N` are finite and not negative; an image that weighs nothing might as well not be there, and one of
    weight 2 is there twice. A weighted estimate has no influences. Raises UnknownName for a metric that does not
    exist, and InvalidInput for scores that are not finite, labels that do not fit them, or images that the metric
    is undefined for, such as those of one class.
    """
    row = metric_named(metric)
    labels, scores_NC = _checked(row, labels, scores_NC)
    stratum_N = labels if row.by_class else np.zeros(len(labels), dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if weights_N is None:
            value, influence_N = row.prepare(labels, scores_NC).measured()
        else:
            weights_N = _checked_weights(weights_N, len(labels))
            there_N = weights_N > 0
            weighed_B = row.prepare(labels[there_N], scores_NC[there_N]).weighed(weights_N[there_N, None])
            value, influence_N = float(weighed_B[0]), None
    if np.isnan(value):
        raise InvalidInput(f"{metric} is 0/0 when all images have one label and are given it")
    return Estimate(value=value, influence_N=influence_N, stratum_N=stratum_N)


def replicates(
    metric: str, labels: NDArray[np.integer], scores_NC: NDArray[np.floating], counts_NB: NDArray[np.integer]
) -> Floats:
    """The metric in each of B resamples, (B,): replicate b holds image n `counts_NB[n, b]` times.

    The values are those of `evaluate` on so many copies of each image, with one exception. A replicate that has
    lost what the sample has and the metric cannot do without is nan: a class, for a metric that averages over
    classes, a label's positive or negative images, every image. Left out of a variance, it stands for the
    samples that would not have been judged. A label that the sample itself lacks counts 0.5 throughout. Images are
    drawn whole: one of which a label is unknown takes up its place in a replicate, and is left out of that label's
    area there too.

    Beyond its arguments and 16 bytes a replicate this holds at most four times COUNTS_BYTES, a quarter of a gibibyte,
    whatever N and B; only a replicate that is larger by itself is held whole. Raises as `evaluate` does,
    and InvalidInput for counts that are not whole numbers from 0 upwards, one row per image.
    """
    row = metric_named(metric)
    labels, scores_NC = _checked(row, labels, scores_NC)
    counts_NB = _checked_counts(counts_NB, len(labels))
    total_B = counts_NB.sum(axis=0, dtype=np.int64)
    # The narrowest type that holds twice a total: sums are exact, and there is little memory to move.
    narrow = np.min_scalar_type(2 * int(total_B.max(initial=0)))
    rows = len(labels) + 8 * scores_NC.shape[1] ** 2  # a confusion matrix is wanted in float64
    width = max(1, COUNTS_BYTES // (rows * narrow.itemsize))
    prepared = row.prepare(labels, scores_NC)
    values_B = np.empty(len(total_B))
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, len(total_B), width):
            part = slice(start, start + width)
            values_B[part] = prepared.weighed(counts_NB[:, part].astype(narrow, order="C"))
    values_B[total_B == 0] = np.nan
    return values_B


def _checked(row: Metric, labels: NDArray[np.integer], scores_NC: NDArray[np.floating]) -> tuple[Ints, Floats]:
    scores = np.asarray(scores_NC, dtype=np.float64)
    whole = np.asarray(labels, dtype=np.int64)
    multilabel = row.task == "multilabel"
    if whole.ndim != (2 if multilabel else 1) or not np.array_equal(whole, labels):
        raise InvalidInput(f"labels are one whole number per image{' and label' if multilabel else ''}")
    if scores.ndim != 2 or len(scores) != len(whole) or len(whole) == 0:
        raise InvalidInput(f"scores of shape {scores.shape} for {len(whole)} labels; give one row per label")
    if not np.isfinite(scores).all():
        raise InvalidInput(f"{int((~np.isfinite(scores)).any(axis=1).sum())} rows of scores are not finite")
    if multilabel:
        if whole.shape != scores.shape or not np.isin(whole, (0, 1, UNKNOWN)).all():
            raise InvalidInput(
                f"labels of shape {whole.shape} for {scores.shape[1]} columns of scores; give 0 or 1 each, "
                f"or {UNKNOWN} where a label is not known"
            )
    elif whole.min() < 0 or whole.max() >= scores.shape[1]:
        raise InvalidInput(f"labels from {whole.min()} to {whole.max()} for {scores.shape[1]} columns of scores")
    return whole, scores


def _checked_weights(weights_N: NDArray[np.integer] | NDArray[np.floating], images: int) -> Floats:
    weights = np.asarray(weights_N, dtype=np.float64)
    if weights.shape != (images,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InvalidInput(f"weights of shape {weights.shape} for {images} images; give one finite number ≥ 0 each")
    return weights


def _checked_counts(counts_NB: NDArray[np.integer], images: int) -> NDArray[np.integer]:
    counts = np.asarray(counts_NB)
    if counts.ndim != 2 or len(counts) != images or counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise InvalidInput(
            f"counts of shape {counts.shape} and type {counts.dtype} for {images} images; "
            "give whole numbers ≥ 0, one row per image and one column per replicate"
        )
    return counts

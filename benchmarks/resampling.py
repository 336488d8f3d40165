"""A metric in 2,000 resamples of its images, beside a loop over scikit-learn's function on the same core.

    python benchmarks/resampling.py

Ours is timed over all replicates. Of the loop a few are timed and scaled up: once with the counts as weights, once with
the images repeated, and the faster way is held against ours. Rounds alternate; times are medians, with the range of the
ratio over rounds. Both must find the same values. Labels and scores are random numbers, with as many images as the test
sides of CheXpert and APTOS2019; the shares of positives are about those of CheXpert's labels.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from pytest_fmtransfer.metrics import replicates

REPLICATES, LOOPED, ROUNDS = 2000, 20, 5
POSITIVES = (0.10, 0.05, 0.12, 0.47, 0.04, 0.23, 0.07, 0.03, 0.15, 0.09, 0.39, 0.02, 0.04, 0.52)

Score = Callable[[NDArray[Any], NDArray[Any], NDArray[Any] | None], float]


def main() -> None:
    print(f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}; one thread each")
    rng = np.random.default_rng(0)

    labels_NC = (rng.random((22349, len(POSITIVES))) < POSITIVES).astype(np.int64)
    scores_NC = (rng.normal(size=labels_NC.shape) + labels_NC).astype(np.float32)
    held("mean_roc_auc", labels_NC, scores_NC, lambda y, s, w: float(roc_auc_score(y, s, sample_weight=w)))

    grades_N = rng.integers(0, 5, 549)
    scores_NC = (rng.normal(size=(549, 5)) + 2 * np.eye(5)[grades_N]).astype(np.float32)
    held(
        "quadratic_kappa",
        grades_N,
        scores_NC,
        lambda y, s, w: cohen_kappa_score(y, s.argmax(axis=1), labels=range(5), weights="quadratic", sample_weight=w),
    )


def held(metric: str, labels: NDArray[Any], scores_NC: NDArray[Any], score: Score) -> None:
    """Time one metric both ways and print the ratio."""
    images = len(labels)
    draw = np.random.default_rng(1).multinomial(images, np.full(images, 1 / images), size=REPLICATES)
    counts_NB = np.ascontiguousarray(draw.T, dtype=np.int8)
    ours: list[float] = []
    weighted: list[float] = []
    repeated: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        values_B = replicates(metric, labels, scores_NC, counts_NB)
        ours.append(time.perf_counter() - started)

        started = time.perf_counter()
        theirs = [score(labels, scores_NC, counts_NB[:, b]) for b in range(LOOPED)]
        weighted.append((time.perf_counter() - started) * REPLICATES / LOOPED)

        started = time.perf_counter()
        rows = [np.repeat(np.arange(images), counts_NB[:, b]) for b in range(LOOPED)]
        again = [score(labels[drawn], scores_NC[drawn], None) for drawn in rows]
        repeated.append((time.perf_counter() - started) * REPLICATES / LOOPED)

        np.testing.assert_allclose(values_B[:LOOPED], theirs, rtol=0, atol=1e-12)
        np.testing.assert_allclose(values_B[:LOOPED], again, rtol=0, atol=1e-12)
    loop = min(weighted, repeated, key=statistics.median)
    ratios = [their / our for our, their in zip(ours, loop, strict=True)]
    our, their, ratio = statistics.median(ours), statistics.median(loop), statistics.median(ratios)
    print(
        f"{metric}, {images} images, {REPLICATES} replicates: ours {our:.4f} s, a loop {their:.0f} s "
        f"({LOOPED} of its replicates timed), {ratio:.0f} times faster "
        f"({min(ratios):.0f} to {max(ratios):.0f} in {ROUNDS} rounds)",
        flush=True,
    )


if __name__ == "__main__":
    main()

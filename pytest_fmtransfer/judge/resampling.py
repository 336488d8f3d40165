"""The paired, clustered bootstrap: the patient variance of a metric that has no influence values.

Patients are drawn with replacement, within the metric's strata where no patient has images in two of them.
The draws are fixed by the dataset's fingerprint, so that every comparison on a dataset sees the same ones, a
verdict can be repeated, and the number of replicates does not depend on the level. Only the variance is used:
percentiles are too narrow near the ceiling.

Legend: N test images, P patients, B replicates of a chunk, R replicates in all, K results.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.judge.bounds import Piece, strata_of
from pytest_fmtransfer.metrics import replicates
from pytest_fmtransfer.results import Result

REPLICATES = 2_000
_COUNTS_AT_ONCE = 8_000_000  # image × replicate; bounds the memory of a chunk whatever N and R are


def bootstrap_piece(terms: Sequence[tuple[float, Result]]) -> Piece | None:
    """Patient variance of a weighted sum of results' means over seeds, all on the same test images.

    `terms` are (weight, result), +1 and -1 for a difference. None where a stratum has fewer than two patients.
    """
    drawn_KR = replicated([result for _, result in terms])
    if drawn_KR is None:
        return None
    return piece_of_replicates(np.array([weight for weight, _ in terms]) @ drawn_KR, terms[0][1])


def replicated(results: Sequence[Result]) -> NDArray[np.float64] | None:
    """Each result's mean over seeds in every replicate, K × R; all are on the same test images.

    None where a stratum has fewer than two patients.
    """
    strata_N = strata_for_draws(results[0])
    if strata_of(strata_N, results[0].patients_N).patients_K.min() < 2:
        return None
    drawn: list[NDArray[np.float64]] = []
    for counts_NB in draws(results[0], strata_N):
        chunk_KB = np.zeros((len(results), counts_NB.shape[1]))
        for total_B, result in zip(chunk_KB, results, strict=True):
            for scores_NC in result.scores_SNC:
                values_B = replicates(result.question.metric, result.labels_N, scores_NC, counts_NB)
                total_B += values_B / len(result.seeds)
        drawn.append(chunk_KB)
    return np.concatenate(drawn, axis=1)


def piece_of_replicates(values_R: NDArray[np.float64], result: Result) -> Piece:
    """The variance that replicates show of something measured on a result's test side."""
    fewest = int(strata_of(strata_for_draws(result), result.patients_N).patients_K.min())
    return Piece(variance=float(np.nanvar(values_R, ddof=1)) * fewest / (fewest - 1), degrees=fewest - 1)


def strata_for_draws(result: Result) -> NDArray[np.int64]:
    """The metric's strata, or a single one where a patient has images in two."""
    stratum_N = result.estimates[0].stratum_N
    pairs = len(set(zip(result.patients_N.tolist(), stratum_N.tolist(), strict=True)))
    return stratum_N if pairs == result.patients else np.zeros_like(stratum_N)


def draws(result: Result, stratum_N: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """How often each image is drawn, N × B at a time, REPLICATES in all."""
    patients, first_P, patient_of_N = np.unique(result.patients_N, return_index=True, return_inverse=True)
    stratum_P = stratum_N[first_P]
    rng = np.random.default_rng(int(result.question.dataset_fingerprint, 16))
    at_once = max(1, min(REPLICATES, _COUNTS_AT_ONCE // len(stratum_N)))
    for start in range(0, REPLICATES, at_once):
        size = min(at_once, REPLICATES - start)
        counts_PB = np.zeros((len(patients), size), dtype=np.int64)
        for stratum in np.unique(stratum_P):
            members = np.flatnonzero(stratum_P == stratum)
            drawn = rng.integers(len(members), size=(len(members), size)) * size + np.arange(size)
            counts_PB[members] = np.bincount(drawn.ravel(), minlength=len(members) * size).reshape(-1, size)
        yield counts_PB[patient_of_N]

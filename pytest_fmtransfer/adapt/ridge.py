"""Least squares with an L2 penalty on standardised frozen features: one eigendecomposition, every penalty a rescale.

A class or label is +1 on images that bear it and -1 on the others; nothing is weighted by how frequent it is, as in the
linear probe. What each penalty predicts follows from the eigenvalues and eigenvectors of the images' Gram matrix,
N × N, or of the features' scatter matrix, D × D, whichever is smaller.

Legend: N images fitted, M applied to, D features, C classes or labels, K eigenvalues, min(N, D), P penalties.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt import label_odds
from pytest_fmtransfer.adapt.sides import Adapted, Sides, mean_and_scale
from pytest_fmtransfer.catalog.regime_settings import RidgeSettings
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.metrics import UNKNOWN

BLOCK = 4096  # images whose features are held in float64 at once


def adapt(sides: Sides, settings: RidgeSettings, seed: int) -> Adapted:
    """The penalty by squared error on validation, ties to the larger; then a fit on training and validation images.

    Where an image may bear several labels each is fitted on the images of which it is known, and one penalty is chosen
    for all, by the squared error over all labels that are known. A score is a decision value: -1 to 1, roughly, and
    above 0 where an image more likely bears the label than not. `seed` changes nothing: there is one solution.
    """
    del seed
    values = np.logspace(np.log10(settings.largest_penalty), np.log10(settings.smallest_penalty), settings.steps)
    targets_AC, targets_VC = (
        _targets(labels_N, sides.classes) for labels_N in (sides.train_labels_A, sides.validation_labels_V)
    )
    known_VC = label_odds.known(sides.validation_labels_V) if sides.multilabel else np.ones(targets_VC.shape, bool)
    labels_N = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
    with threadpool_limits(1):  # sums split over threads may round differently
        scores_PVC = decision_values(sides.train_AD, targets_AC, sides.validation_VD, values)
        errors_P = [float(np.square(scores_VC - targets_VC)[known_VC].mean()) for scores_VC in scores_PVC]
        best = float(values[int(np.argmin(errors_P))])
        both_ND = np.concatenate([sides.train_AD, sides.validation_VD])
        targets_NC = np.concatenate([targets_AC, targets_VC])
        (scores_TC,) = decision_values(both_ND, targets_NC, sides.test_TD, np.array([best]))
    if not sides.multilabel:
        absent = np.setdiff1d(np.arange(sides.classes), labels_N)
        scores_TC[:, absent] = scores_TC.min() - 1  # a class without images scores lowest everywhere
    return Adapted(scores_TC=scores_TC.astype(np.float32), chosen={"penalty": best})


def decision_values(
    fitted_ND: np.ndarray, targets_NC: np.ndarray, applied_MD: np.ndarray, penalties_P: np.ndarray
) -> np.ndarray:
    """What fits with each penalty predict, P × M × C float64. A target is a number, or not a number where unknown.

    A fit minimises the mean squared error plus the penalty times the squared norm of its weights times the mean
    eigenvalue of the features' covariance; its intercept is free. Features are divided by their deviations over all
    images; targets that are known of the same images share one eigendecomposition. A target that is known nowhere is
    predicted as 0, and features that are not finite predict what is not.
    """
    _, scale_D = mean_and_scale(fitted_ND)
    known_NC = ~np.isnan(targets_NC)
    patterns, pattern_C = np.unique(known_NC, axis=1, return_inverse=True)
    scores_PMC = np.zeros((len(penalties_P), len(applied_MD), targets_NC.shape[1]))

    def fit(pattern: int) -> None:
        known_N, columns = patterns[:, pattern], np.flatnonzero(pattern_C == pattern)
        if known_N.any():
            rows_ND = fitted_ND if known_N.all() else fitted_ND[known_N]
            targets = targets_NC[np.ix_(known_N, columns)]
            scores_PMC[:, :, columns] = _spectral(rows_ND, targets, applied_MD, scale_D, penalties_P)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(fit, range(patterns.shape[1])))
    return scores_PMC


def _targets(labels_N: np.ndarray, classes: int) -> np.ndarray:
    """+1, -1 or not a number, N × C."""
    if labels_N.ndim > 1:
        return np.where(labels_N == UNKNOWN, np.nan, np.where(labels_N == 1, 1.0, -1.0))
    return np.where(labels_N[:, None] == np.arange(classes), 1.0, -1.0)


def _spectral(
    fitted_ND: np.ndarray, targets_NC: np.ndarray, applied_MD: np.ndarray, scale_D: np.ndarray, penalties_P: np.ndarray
) -> np.ndarray:
    """Decision values of targets that are known of every image, P × M × C."""
    images, features = fitted_ND.shape
    mean_D, mean_C = fitted_ND.mean(axis=0, dtype=np.float64), targets_NC.mean(axis=0)
    centred_NC = targets_NC - mean_C
    applied = (applied_MD - mean_D) / scale_D
    if images < features:
        rows_ND = (fitted_ND - mean_D) / scale_D
        gram_KK, along_MK, towards_KC = rows_ND @ rows_ND.T, applied @ rows_ND.T, centred_NC
    else:
        gram_KK, towards_KC = np.zeros((features, features)), np.zeros((features, targets_NC.shape[1]))
        along_MK = applied
        for rows_ND, block_NC in _blocks(fitted_ND, centred_NC, mean_D, scale_D):
            gram_KK += rows_ND.T @ rows_ND
            towards_KC += rows_ND.T @ block_NC
    if not np.isfinite(gram_KK).all():
        return np.full((len(penalties_P), len(applied_MD), targets_NC.shape[1]), np.nan)
    values_K, vectors_KK = np.linalg.eigh(gram_KK)
    values_K = np.maximum(values_K, 0)  # what rounding made negative
    along_MK, towards_KC = along_MK @ vectors_KK, vectors_KK.T @ towards_KC
    mean_value = np.trace(gram_KK) / features or 1.0  # of N times the covariance; none where every feature is constant
    return np.stack(
        [along_MK @ (towards_KC / (values_K + penalty * mean_value)[:, None]) + mean_C for penalty in penalties_P]
    )


def _blocks(
    fitted_ND: np.ndarray, targets_NC: np.ndarray, mean_D: np.ndarray, scale_D: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some images at a time, their features standardised."""
    for start in range(0, len(fitted_ND), BLOCK):
        stop = start + BLOCK
        yield (fitted_ND[start:stop] - mean_D) / scale_D, targets_NC[start:stop]

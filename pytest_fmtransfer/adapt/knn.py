"""Cosine nearest neighbours on frozen features.

Legend: B images of the bank, Q of the query, D features, C classes, K neighbours.
"""

import numpy as np
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt.sides import Adapted, Sides, log_loss
from pytest_fmtransfer.catalog.specs import KnnSettings


def adapt(sides: Sides, settings: KnnSettings, seed: int) -> Adapted:
    """k by validation log loss, ties to the larger; then training and validation images vote together.

    A score is the logarithm of a class's share of the votes, smoothed by one uniform vote at the mean
    weight of a neighbour. `seed` changes nothing.
    """
    del seed
    with threadpool_limits(1):  # a matrix product split over threads may round differently
        similarity_VA = _cosine(sides.validation_VD, sides.train_AD)
        losses = {
            k: log_loss(
                sides.validation_labels_V,
                _log_shares(similarity_VA, sides.train_labels_A, k, sides.classes, settings.temperature),
            )
            for k in settings.neighbours
            if k <= len(sides.train_AD)
        }
        best = min(losses, key=lambda k: (losses[k], -k))
        bank_BD = np.concatenate([sides.train_AD, sides.validation_VD])
        labels_B = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
        scores_TC = _log_shares(_cosine(sides.test_TD, bank_BD), labels_B, best, sides.classes, settings.temperature)
    return Adapted(scores_TC=scores_TC.astype(np.float32), chosen={"k": best})


def _cosine(query_QD: np.ndarray, bank_BD: np.ndarray) -> np.ndarray:
    return _unit(query_QD) @ _unit(bank_BD).T


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    rows = rows_ND.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _log_shares(
    similarity_QB: np.ndarray, labels_B: np.ndarray, k: int, classes: int, temperature: float
) -> np.ndarray:
    """Logarithm of each class's share of the k nearest neighbours' votes, Q × C; ties in similarity by row."""
    nearest_QK = np.argsort(-similarity_QB, axis=1, kind="stable")[:, :k]
    log_votes_QK = np.take_along_axis(similarity_QB, nearest_QK, axis=1) / temperature
    log_total_Q = logsumexp(log_votes_QK, axis=1)
    shares_QC = np.zeros((len(similarity_QB), classes))
    weights_QK = np.exp(log_votes_QK - log_total_Q[:, None])
    for label in range(classes):
        shares_QC[:, label] = (weights_QK * (labels_B[nearest_QK] == label)).sum(axis=1)
    return np.log((shares_QC + 1 / (k * classes)) / (1 + 1 / k))

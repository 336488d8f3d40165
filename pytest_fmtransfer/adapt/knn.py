"""Cosine nearest neighbours on frozen features.

Legend: B images of the bank, Q of the query, D features, C classes or labels, K neighbours.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt import label_odds
from pytest_fmtransfer.adapt.sides import Adapted, Sides, log_loss
from pytest_fmtransfer.catalog.specs import KnnSettings
from pytest_fmtransfer.metrics import UNKNOWN

Vote = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Similarities Q × B, labels of the bank and k to scores, Q × C."""


def adapt(sides: Sides, settings: KnnSettings, seed: int) -> Adapted:
    """k by validation log loss, ties to the larger; then training and validation images vote together.

    A score is the logarithm of a class's share of the votes, smoothed by one uniform vote at the mean
    weight of a neighbour. Where an image may bear several labels it is the logarithm of each label's odds among the
    neighbours of which that label is known, smoothed by one such vote that is split as the label is in the bank; one
    k is chosen for all labels, by the log loss over all that are known. `seed` changes nothing.
    """
    del seed

    def log_shares(similarity_QB: np.ndarray, labels_B: np.ndarray, k: int) -> np.ndarray:
        return _log_shares(similarity_QB, labels_B, k, sides.classes, settings.temperature)

    def log_odds(similarity_QB: np.ndarray, labels_BC: np.ndarray, k: int) -> np.ndarray:
        return _log_odds(similarity_QB, labels_BC, k, settings.temperature)

    vote: Vote = log_odds if sides.multilabel else log_shares
    loss = label_odds.log_loss if sides.multilabel else log_loss
    with threadpool_limits(1):  # a matrix product split over threads may round differently
        similarity_VA = _cosine(sides.validation_VD, sides.train_AD)
        losses = {
            k: loss(sides.validation_labels_V, vote(similarity_VA, sides.train_labels_A, k))
            for k in settings.neighbours
            if k <= len(sides.train_AD)
        }
        best = min(losses, key=lambda k: (losses[k], -k))
        bank_BD = np.concatenate([sides.train_AD, sides.validation_VD])
        labels_B = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
        scores_TC = vote(_cosine(sides.test_TD, bank_BD), labels_B, best)
    return Adapted(scores_TC=scores_TC.astype(np.float32), chosen={"k": best})


def _cosine(query_QD: np.ndarray, bank_BD: np.ndarray) -> np.ndarray:
    return _unit(query_QD) @ _unit(bank_BD).T


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    rows = rows_ND.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _log_shares(
    similarity_QB: np.ndarray, labels_B: np.ndarray, k: int, classes: int, temperature: float
) -> np.ndarray:
    """Logarithm of each class's share of the k nearest neighbours' votes, Q × C."""
    nearest_QK, weights_QK = _weighed_neighbours(similarity_QB, k, temperature)
    shares_QC = np.zeros((len(similarity_QB), classes))
    for label in range(classes):
        shares_QC[:, label] = (weights_QK * (labels_B[nearest_QK] == label)).sum(axis=1)
    return np.log((shares_QC + 1 / (k * classes)) / (1 + 1 / k))


def _log_odds(similarity_QB: np.ndarray, labels_BC: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """Logarithm of the votes for each label over those against it, Q × C.

    The vote that is added leaves an image whose neighbours are all unknown at the label's odds in the bank: it is
    neither above nor below those of which something is known. So is every image where all that is known of a label
    is the same.
    """
    nearest_QK, weights_QK = _weighed_neighbours(similarity_QB, k, temperature)
    share_C = label_odds.prior_shares(labels_BC)
    odds_QC = np.tile(np.log(share_C / (1 - share_C)), (len(similarity_QB), 1))
    for label, (label_B, share) in enumerate(zip(labels_BC.T, share_C, strict=True)):
        if len(np.unique(label_B[label_B != UNKNOWN])) < 2:
            continue
        votes_QK = label_B[nearest_QK]
        for_Q, against_Q = ((weights_QK * (votes_QK == side)).sum(axis=1) for side in (1, 0))
        odds_QC[:, label] = np.log((for_Q + share / k) / (against_Q + (1 - share) / k))
    return odds_QC


def _weighed_neighbours(similarity_QB: np.ndarray, k: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of the bank, Q × K, and their weights, which sum to 1; ties in similarity by row."""
    nearest_QK = np.argsort(-similarity_QB, axis=1, kind="stable")[:, :k]
    log_votes_QK = np.take_along_axis(similarity_QB, nearest_QK, axis=1) / temperature
    log_total_Q = logsumexp(log_votes_QK, axis=1)
    return nearest_QK, np.exp(log_votes_QK - log_total_Q[:, None])

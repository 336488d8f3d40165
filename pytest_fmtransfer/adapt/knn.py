"""Cosine nearest neighbours on frozen features.

Legend: B images of the bank, Q of the query, D features, C classes or labels, K neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt import label_odds
from pytest_fmtransfer.adapt.sides import Adapted, Sides, log_loss
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.metrics import UNKNOWN

BLOCK = 2**26  # similarities held at once, half a gibibyte


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Rows of the bank, the nearest first, and how similar they are to each query."""

    row_QK: np.ndarray
    similarity_QK: np.ndarray


Vote = Callable[[Neighbours, np.ndarray, int], np.ndarray]
"""Neighbours, labels of the bank and how many of the nearest vote to scores, Q × C."""


def adapt(sides: Sides, settings: KnnSettings, seed: int) -> Adapted:
    """k by validation log loss, ties to the larger; then training and validation images vote together.

    A score is the logarithm of a class's share of the votes, smoothed by one uniform vote at the mean
    weight of a neighbour. Where an image may bear several labels it is the logarithm of each label's odds among the
    neighbours of which that label is known, smoothed by one such vote that is split as the label is in the bank; one
    k is chosen for all labels, by the log loss over all that are known. `seed` changes nothing.
    """
    del seed

    def log_shares(found: Neighbours, labels_B: np.ndarray, k: int) -> np.ndarray:
        return _log_shares(found, labels_B, k, sides.classes, settings.temperature)

    def log_odds(found: Neighbours, labels_BC: np.ndarray, k: int) -> np.ndarray:
        return _log_odds(found, labels_BC, k, settings.temperature)

    vote: Vote = log_odds if sides.multilabel else log_shares
    loss = label_odds.log_loss if sides.multilabel else log_loss
    with threadpool_limits(1):  # a matrix product split over threads may round differently
        asked = [k for k in settings.neighbours if k <= len(sides.train_AD)]
        found = neighbours(sides.validation_VD, sides.train_AD, max(asked))
        losses = {k: loss(sides.validation_labels_V, vote(found, sides.train_labels_A, k)) for k in asked}
        best = min(losses, key=lambda k: (losses[k], -k))
        bank_BD = np.concatenate([sides.train_AD, sides.validation_VD])
        labels_B = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
        scores_TC = vote(neighbours(sides.test_TD, bank_BD, best), labels_B, best)
    return Adapted(scores_TC=scores_TC.astype(np.float32), chosen={"k": best})


def neighbours(query_QD: np.ndarray, bank_BD: np.ndarray, k: int) -> Neighbours:
    """The k images of the bank whose features have the largest cosine with a query's; ties by row.

    Some queries at a time: beyond its arguments and what it returns this holds four times BLOCK numbers, whatever Q
    and B, and unit vectors.
    """
    query_QD, unit_DB = _unit(query_QD), _unit(bank_BD).T
    found = Neighbours(row_QK=np.empty((len(query_QD), k), dtype=np.int64), similarity_QK=np.empty((len(query_QD), k)))
    width = max(1, BLOCK // len(bank_BD))
    for start in range(0, len(query_QD), width):
        apart_QB = -(query_QD[start : start + width] @ unit_DB)
        furthest_Q = np.partition(apart_QB, k - 1, axis=1)[:, k - 1]
        for query, (apart_B, furthest) in enumerate(zip(apart_QB, furthest_Q, strict=True), start):
            rows = np.flatnonzero(~(apart_B > furthest))  # k of them, or more where some are tied or not finite
            nearest = rows[np.argsort(apart_B[rows], kind="stable")[:k]]
            found.row_QK[query], found.similarity_QK[query] = nearest, -apart_B[nearest]
    return found


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    rows = rows_ND.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _log_shares(found: Neighbours, labels_B: np.ndarray, k: int, classes: int, temperature: float) -> np.ndarray:
    """Logarithm of each class's share of the k nearest neighbours' votes, Q × C."""
    labels_QK, weights_QK = labels_B[found.row_QK[:, :k]], _weights(found, k, temperature)
    shares_QC = np.zeros((len(labels_QK), classes))
    for label in range(classes):
        shares_QC[:, label] = (weights_QK * (labels_QK == label)).sum(axis=1)
    return np.log((shares_QC + 1 / (k * classes)) / (1 + 1 / k))


def _log_odds(found: Neighbours, labels_BC: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """Logarithm of the votes for each label over those against it, Q × C.

    The vote that is added leaves an image whose neighbours are all unknown at the label's odds in the bank: it is
    neither above nor below those of which something is known. So is every image where all that is known of a label
    is the same.
    """
    weights_QK, share_C = _weights(found, k, temperature), label_odds.prior_shares(labels_BC)
    odds_QC = np.tile(np.log(share_C / (1 - share_C)), (len(weights_QK), 1))
    for label, (label_B, share) in enumerate(zip(labels_BC.T, share_C, strict=True)):
        if len(np.unique(label_B[label_B != UNKNOWN])) < 2:
            continue
        votes_QK = label_B[found.row_QK[:, :k]]
        for_Q, against_Q = ((weights_QK * (votes_QK == side)).sum(axis=1) for side in (1, 0))
        odds_QC[:, label] = np.log((for_Q + share / k) / (against_Q + (1 - share) / k))
    return odds_QC


def _weights(found: Neighbours, k: int, temperature: float) -> np.ndarray:
    """Of the votes of the k nearest, Q × K; those of a query sum to 1."""
    log_votes_QK = found.similarity_QK[:, :k] / temperature
    return np.exp(log_votes_QK - logsumexp(log_votes_QK, axis=1)[:, None])

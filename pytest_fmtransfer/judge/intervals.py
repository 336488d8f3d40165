"""The interval of a single metric, for tables; a difference has its own in `verdicts`."""

import math

import numpy as np

from pytest_fmtransfer.judge.bounds import combine, patient_piece, seed_piece
from pytest_fmtransfer.results import Result

LOGIT = frozenset({"roc_auc"})  # metrics whose interval is drawn on the logit scale


def interval(result: Result, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided limits of the mean over seeds, at `confidence` in (0, 1).

    On the logit scale the interval of an AUC stays inside (0, 1); at exactly 0 or 1 it has no width.
    """
    influence_N = np.mean([estimate.influence_N for estimate in result.estimates], axis=0)
    pieces = [patient_piece(influence_N, result.estimates[0].stratum_N, result.patients_N)]
    if result.seeded and (piece := seed_piece(result.by_seed)) is not None:
        pieces.append(piece)
    bound = combine(result.mean, pieces)
    alpha = (1 - confidence) / 2
    if result.question.metric not in LOGIT or not 0 < result.mean < 1:
        return bound.lower(alpha), bound.upper(alpha)
    centre = math.log(result.mean / (1 - result.mean))
    half = bound.quantile(1 - alpha) * bound.standard_error / (result.mean * (1 - result.mean))
    return _logistic(centre - half), _logistic(centre + half)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))

"""The interval of a single metric, for tables; a difference has its own in `comparison`.

Legend: N images.
"""

import numpy as np

from pytest_fmtransfer.judge.bounds import Bound, combine, strata_of
from pytest_fmtransfer.judge.comparison import auc_of, influence_of, own_piece, score_bound_in, seed_piece_of
from pytest_fmtransfer.judge.reading import no_bound
from pytest_fmtransfer.judge.score_bound import ScoreBound
from pytest_fmtransfer.margins import within_range
from pytest_fmtransfer.results import Result


def interval(result: Result, confidence: float = 0.95) -> tuple[float, float] | None:
    """Two-sided limits of the mean over seeds, at `confidence` in (0, 1).

    They are those of the bounds that decide a difference: a score bound, and for an AUC the logit scale's where that is
    wider. A t bound stands in for metrics without influence values. They stay inside the metric's range. None where a
    class has too few patients, or nothing bounds the metric.
    """
    alpha = (1 - confidence) / 2
    patients = own_piece(result)
    metric = result.question.metric
    if patients is None or no_bound(patients, result):
        return None
    seeds = seed_piece_of(result)
    bound = combine(result.mean, [patients] if seeds is None else [patients, seeds])
    wider = score_bound_about(result, bound) or bound
    lower, upper = (
        within_range(limit, metric, len(result.classes)) for limit in (wider.lower(alpha), wider.upper(alpha))
    )
    if metric == "roc_auc":
        low, high = auc_of(result).limits(alpha)
        return min(lower, low), max(upper, high)
    return lower, upper


def score_bound_about(result: Result, bound: Bound, sign: int = 1) -> ScoreBound | None:
    """The limits beside a t bound of one result's mean, or of what it differs by from a number that has no patients.

    `bound` may hold the variance of that number as well; its effect is `sign` times the mean, +1 or -1, less something.
    None where no patient shows any variance, and for a metric without influence values.
    """
    influence_N = influence_of(result)
    if influence_N is None:
        return None
    strata = strata_of(result.estimates[0].stratum_N, result.patients_N)
    own = (sign * influence_N, np.zeros_like(influence_N))
    return score_bound_in(result.question.metric, bound, sign * influence_N, own, strata)

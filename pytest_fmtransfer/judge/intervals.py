"""The interval of a single metric, for tables; a difference has its own in `comparison`."""

from pytest_fmtransfer.judge.bounds import combine
from pytest_fmtransfer.judge.comparison import auc_of, own_piece, seed_piece_of
from pytest_fmtransfer.results import Result


def interval(result: Result, confidence: float = 0.95) -> tuple[float, float] | None:
    """Two-sided limits of the mean over seeds, at `confidence` in (0, 1).

    An AUC's are drawn on the logit scale and stay inside [0, 1]. None where a class has too few patients.
    """
    alpha = (1 - confidence) / 2
    patients = own_piece(result)
    if patients is None:
        return None
    if result.question.metric == "roc_auc":
        return auc_of(result).limits(alpha)
    seeds = seed_piece_of(result)
    bound = combine(result.mean, [patients] if seeds is None else [patients, seeds])
    return bound.lower(alpha), bound.upper(alpha)

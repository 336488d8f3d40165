"""The interval of a single metric, for tables; a difference has its own in `comparison`."""

from pytest_fmtransfer.judge.bounds import combine
from pytest_fmtransfer.judge.comparison import auc_of, own_piece, seed_piece_of
from pytest_fmtransfer.judge.reading import no_bound
from pytest_fmtransfer.margins import within_range
from pytest_fmtransfer.results import Result


def interval(result: Result, confidence: float = 0.95) -> tuple[float, float] | None:
    """Two-sided limits of the mean over seeds, at `confidence` in (0, 1).

    They stay inside the metric's range; an AUC's are drawn on the logit scale. None where a class has too few patients,
    or nothing bounds the metric.
    """
    alpha = (1 - confidence) / 2
    patients = own_piece(result)
    metric = result.question.metric
    if patients is None or no_bound(patients, result):
        return None
    if metric == "roc_auc":
        return auc_of(result).limits(alpha)
    seeds = seed_piece_of(result)
    bound = combine(result.mean, [patients] if seeds is None else [patients, seeds])
    limits = bound.lower(alpha), bound.upper(alpha)
    lower, upper = (within_range(limit, metric, len(result.classes)) for limit in limits)
    return lower, upper

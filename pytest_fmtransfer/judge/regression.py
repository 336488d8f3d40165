"""Did our number move? The gate that holds a result against its own baseline.

Same images, so drawing patients says nothing about it. First tier: scores identical, byte for byte. Second
tier, for regimes that do not depend on a seed: no score moved by more than rounding can move it, nor did the metric.
Third tier, for regimes that do: a screen with one new seed, and beyond it six fresh seeds, once (see `drift`). Both
directions fail, because an unexplained gain in medical data is often leakage.

Legend: S seeds, N test images, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge import drift
from pytest_fmtransfer.judge.causes import (
    looks_like,
    machine_allowed,
    question_changes,
    subject_changes,
    what_changed,
)
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.pooled_drift import Screened
from pytest_fmtransfer.judge.rounding import MAD_SCALE
from pytest_fmtransfer.judge.verdicts import check_result
from pytest_fmtransfer.judge.wording import in_full, shortened
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.pseudonyms import SHOWN
from pytest_fmtransfer.results import Result

Rerun = Callable[[tuple[int, ...]], Result]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What another processor's rounding can do: `score` in robust standard deviations of the stored scores
    (`scale_of`), the largest over images; `metric` in the metric's unit.
    """

    score: float
    metric: float


def accept(cell_id: str) -> str:
    """How a new value is accepted."""
    return (
        f"accept the new value: fmtransfer baseline accept {cell_id}, or the same command with --fm-update=changed; "
        "then commit the files"
    )


def unchanged_from(candidate: Result, baseline: Result, tolerance: Tolerance, rerun: Rerun | None = None) -> Verdict:
    """Supported when nothing moved beyond rounding and noise, refuted when it drifted, inconclusive when stale.

    Stale: the question itself changed (data, split, labels, patients, class names, margin, settings, metric or
    profile), so that the numbers cannot be compared. `rerun` yields the candidate's result at seeds that are named;
    without it a seeded regime whose scores differ is inconclusive, as it is with fewer than ten recorded seeds. Raises
    InvalidInput for the baseline of another cell.
    """
    check_result(baseline)
    if candidate.cell != baseline.cell:
        raise InvalidInput(f"{candidate.cell} was held against the baseline of {baseline.cell}; use its own")
    if stale := question_changes(candidate, baseline):
        verdict = _verdict(candidate, "inconclusive", f"stale baseline, the question changed: {'; '.join(stale)}")
    elif _same_scores(candidate, baseline):
        verdict = _verdict(candidate, "supported", "unchanged: scores identical", effect=0.0)
    elif candidate.seeded:
        verdict = _third_tier(candidate, baseline, tolerance.metric, rerun)
    else:
        verdict = _second_tier(candidate, baseline, tolerance)
    current().record(verdict)
    return verdict


def _same_scores(candidate: Result, baseline: Result) -> bool:
    """Whether every seed that both ran at, and at least one, has the same scores, byte for byte."""
    shared = [seed for seed in candidate.seeds if seed in baseline.seeds]
    mine_SNC, stored_SNC = (
        result.scores_SNC[[result.seeds.index(seed) for seed in shared]] for result in (candidate, baseline)
    )
    return bool(shared) and np.array_equal(mine_SNC, stored_SNC)


def _second_tier(candidate: Result, baseline: Result, tolerance: Tolerance) -> Verdict:
    moved_N = relative_moves(candidate.scores_SNC, baseline.scores_SNC)
    largest, worst = float(moved_N.max()), int(moved_N.argmax())
    metric, effect = candidate.metric_of, candidate.mean - baseline.mean
    agreement = rank_correlation(candidate.scores_SNC, baseline.scores_SNC)
    move = f"{metric} {baseline.mean:.4f} → {candidate.mean:.4f}"
    detail = [
        "second tier: every score against the stored one, this regime depends on no seed",
        f"largest score change {largest:.2g} standard deviations (allowed {tolerance.score:g}) at image "
        f"{candidate.ids_N[worst][:SHOWN]}; rank correlation {agreement:.4f}; {move} ({effect:+.4f})",
        subject_changes(candidate.subject, baseline.subject),
        *machine_allowed(candidate, baseline, tolerance.metric),
    ]
    if largest <= tolerance.score and abs(effect) <= tolerance.metric:
        summary = f"unchanged within rounding: largest score change {largest:.2g} sd, {metric} {effect:+.4f}"
        return _verdict(candidate, "supported", summary, detail, effect)
    if largest <= tolerance.score:
        detail.append(f"{metric} moved by {abs(effect):.4g}, and rounding moves it by {tolerance.metric:g} at most")
    elif cause := looks_like(candidate, baseline, tolerance.score * scale_of(baseline.scores_SNC)):
        detail.append(cause)
    return _verdict(candidate, "refuted", f"drifted: {move}, largest score change {largest:.2g} sd", detail, effect)


def _third_tier(candidate: Result, baseline: Result, tolerance: float, rerun: Rerun | None) -> Verdict:
    recorded = baseline.by_seed
    changes = [
        subject_changes(candidate.subject, baseline.subject),
        *machine_allowed(candidate, baseline, tolerance),
    ]
    if len(recorded) < drift.FEWEST_RECORDED or rerun is None:
        lacks = (
            f"{len(recorded)} of the {drift.FEWEST_RECORDED} recorded seeds that it takes"
            if len(recorded) < drift.FEWEST_RECORDED
            else "no new seed can be run here"
        )
        summary = f"scores differ, and drift cannot be told from training randomness: {lacks}"
        return _verdict(candidate, "inconclusive", summary, changes, candidate.mean - baseline.mean)
    first = max(baseline.seeds + candidate.seeds) + 1
    screened = rerun((first,)).mean
    seen = Screened(
        seeds=baseline.seeds,
        recorded=recorded,
        screened=screened,
        tolerance=tolerance,
        higher_is_better=metric_named(candidate.question.metric).higher_is_better,
        changes=what_changed(candidate.subject, baseline.subject),
    )
    metric, move = candidate.metric_of, screened - baseline.mean
    limit = drift.screen_limit(recorded, tolerance)
    detail = [
        f"third tier, screen: seed {first} has {metric} {screened:.4f}, {len(recorded)} recorded seeds have mean "
        f"{baseline.mean:.4f}; moved by {move:+.4f}, training randomness and rounding allow ±{limit:.4f}",
    ]
    if drift.passes_screen(recorded, screened, tolerance):
        summary = f"unchanged within noise: a new seed moved {metric} by {move:+.4f}, allowed ±{limit:.4f}"
        return _verdict(candidate, "supported", summary, [*detail, *changes], move, seen)
    fresh = tuple(range(first + 1, first + 1 + drift.fresh_seeds(current().family_size)))
    values = rerun(fresh).by_seed
    effect = float(np.mean(values)) - baseline.mean
    detail += [
        f"third tier, second stage, run once: seeds {fresh[0]} to {fresh[-1]} have {metric} "
        f"{', '.join(f'{value:.4f}' for value in values)}; the recorded ones lie between {min(recorded):.4f} and "
        f"{max(recorded):.4f}; drifted when all lie beyond them by more than {tolerance:g}",
        f"without drift this happens with probability {drift.chance_of_false_alarm(len(recorded), len(fresh)):.1g}",
        *changes,
    ]
    if drift.has_drifted(recorded, screened, values, tolerance):
        summary = f"drifted: {metric} {baseline.mean:.4f} → {float(np.mean(values)):.4f}, all {len(values)} fresh seeds"
        return _verdict(candidate, "refuted", summary, detail, effect, seen)
    summary = (
        f"unchanged within noise: {metric} {effect:+.4f} over {len(values)} fresh seeds, after a screen of {move:+.4f}"
    )
    return _verdict(candidate, "supported", summary, detail, effect, seen)


def relative_moves(scores_SNC: np.ndarray, stored_SNC: np.ndarray) -> NDArray[np.float64]:
    """(N,): each image's largest change of a score, in robust standard deviations of the column's stored scores."""
    moved_SNC = np.abs(scores_SNC.astype(np.float64) - stored_SNC) / scale_of(stored_SNC)
    return np.asarray(moved_SNC.max(axis=(0, 2)), dtype=np.float64)


def relative_move(scores_SNC: np.ndarray, stored_SNC: np.ndarray) -> float:
    """The largest change of any score, in robust standard deviations of the stored scores within their column."""
    return float(relative_moves(scores_SNC, stored_SNC).max())


def scale_of(scores_SNC: np.ndarray) -> NDArray[np.float64]:
    """(S, 1, C): how far apart the scores of a column lie, whatever a few of them do.

    The median distance from the column's median, times 1.4826, which makes it the standard deviation of normal scores
    (Hampel, "The influence curve and its role in robust estimation", Journal of the American Statistical Association
    1974). Up to half of the scores may lie anywhere. Where more than half are equal, as votes of neighbours may be, it
    is that median over the others; where all are, the scores' own unit.
    """
    distance_SNC = np.abs(scores_SNC - np.median(scores_SNC, axis=1, keepdims=True)).astype(np.float64)
    median_S1C = np.median(distance_SNC, axis=1, keepdims=True)
    for seed, _, column in np.argwhere(median_S1C == 0):
        distance_N = distance_SNC[seed, :, column]
        others = distance_N[distance_N > 0]
        median_S1C[seed, 0, column] = np.median(others) if others.size else 1 / MAD_SCALE
    return np.asarray(MAD_SCALE * median_S1C, dtype=np.float64)


def rank_correlation(scores_SNC: np.ndarray, stored_SNC: np.ndarray) -> float:
    """Spearman's, of the last column; 0 where one of the two is constant."""
    columns = [scores_SNC[..., -1].ravel(), stored_SNC[..., -1].ravel()]
    if min(float(np.ptp(column)) for column in columns) == 0:
        return 0.0
    ranks_2N: NDArray[np.float64] = np.stack([rankdata(column) for column in columns])
    return float(np.asarray(np.corrcoef(ranks_2N))[0, 1])


def _verdict(
    candidate: Result,
    outcome: Outcome,
    summary: str,
    detail: list[str] | None = None,
    effect: float | None = None,
    screened: Screened | None = None,
) -> Verdict:
    lines = [f"{candidate.cell} unchanged from its baseline: {summary}", *(detail or [])]
    if outcome != "supported":
        lines.append(accept(candidate.cell.id))
    return Verdict(
        kind="unchanged_from",
        candidate=candidate.cell.id,
        reference="baseline",
        outcome=outcome,
        summary=shortened(summary),
        text=in_full(lines),
        effect=effect,
        metric=candidate.question.metric,
        metric_of=candidate.metric_of,
        settle="" if outcome == "supported" else accept(candidate.cell.id),
        screened=screened,
    )

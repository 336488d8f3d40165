"""Did our number move? The gate that holds a result against its own baseline.

Same images, so drawing patients says nothing about it. First tier: scores identical, byte for byte. Second
tier, for regimes that do not depend on a seed: no score moved by more than rounding can move it. Both
directions fail, because an unexplained gain in medical data is often leakage.

Legend: S seeds, N test images, C classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.wording import shortened
from pytest_fmtransfer.results import Result

ACCEPT = "accept the new value: run the same command with --fm-update=changed, and commit the file"


def unchanged_from(candidate: Result, baseline: Result, tolerance: float) -> Verdict:
    """Supported when nothing moved beyond rounding, refuted when it drifted, inconclusive when stale.

    Stale: the question itself changed (data, split, settings, metric or profile), so that the numbers
    cannot be compared. A seeded regime whose scores are not identical is inconclusive: one run cannot
    tell drift from training randomness. `tolerance` is the regime's, in standard deviations of the stored
    scores. Raises InvalidInput for the baseline of another cell.
    """
    if candidate.cell != baseline.cell:
        raise InvalidInput(f"{candidate.cell} was held against the baseline of {baseline.cell}; use its own")
    stale = candidate.question.differences(baseline.question)
    if stale or not np.array_equal(candidate.ids_N, baseline.ids_N):
        what = "; ".join(stale) or "the test images"
        verdict = _verdict(candidate, "inconclusive", f"stale baseline, the question changed: {what}", "", None)
    elif np.array_equal(candidate.scores_SNC, baseline.scores_SNC):
        verdict = _verdict(candidate, "supported", "unchanged: scores identical", "", 0.0)
    elif candidate.seeded:
        verdict = _verdict(
            candidate,
            "inconclusive",
            "scores differ, and one run cannot tell drift from training randomness",
            _changes(candidate.subject, baseline.subject),
            candidate.mean - baseline.mean,
        )
    else:
        verdict = _second_tier(candidate, baseline, tolerance)
    current().record(verdict)
    return verdict


def _second_tier(candidate: Result, baseline: Result, tolerance: float) -> Verdict:
    moved_N = np.abs(candidate.scores_SNC - baseline.scores_SNC).max(axis=(0, 2))
    largest, worst = relative_move(candidate.scores_SNC, baseline.scores_SNC), int(moved_N.argmax())
    effect = candidate.mean - baseline.mean
    metric = candidate.question.metric
    agreement = _rank_correlation(candidate.scores_SNC[..., -1].ravel(), baseline.scores_SNC[..., -1].ravel())
    evidence = (
        f"largest score change {largest:.2g} standard deviations (allowed {tolerance:g}) at {candidate.ids_N[worst]}; "
        f"rank correlation {agreement:.4f}; {metric} {baseline.mean:.4f} → {candidate.mean:.4f} ({effect:+.4f})"
    )
    changes = _changes(candidate.subject, baseline.subject)
    if largest <= tolerance:
        return _verdict(
            candidate,
            "supported",
            f"unchanged within rounding: largest score change {largest:.2g} sd, {metric} {effect:+.4f}",
            f"{evidence}\n  {changes}",
            effect,
        )
    return _verdict(
        candidate,
        "refuted",
        f"drifted: {metric} {baseline.mean:.4f} → {candidate.mean:.4f}, largest score change {largest:.2g} sd",
        f"{evidence}\n  {changes}",
        effect,
    )


def relative_move(scores_SNC: np.ndarray, stored_SNC: np.ndarray) -> float:
    """The largest change of any score, in standard deviations of the stored scores within their column."""
    spread = float(np.sqrt(np.var(stored_SNC, axis=1, dtype=np.float64).mean()))
    return float(np.abs(scores_SNC - stored_SNC).max()) / (spread if spread > 0 else 1.0)


def _rank_correlation(scores_N: NDArray[np.float32], stored_N: NDArray[np.float32]) -> float:
    """Spearman's; 0 where one of the two is constant."""
    if np.ptp(scores_N) == 0 or np.ptp(stored_N) == 0:
        return 0.0
    ranks_2N: NDArray[np.float64] = np.stack([rankdata(scores_N), rankdata(stored_N)])
    return float(np.asarray(np.corrcoef(ranks_2N))[0, 1])


def _verdict(candidate: Result, outcome: Outcome, summary: str, detail: str, effect: float | None) -> Verdict:
    text = f"{candidate.cell} unchanged from its baseline: {summary}" + (f"\n  {detail}" if detail else "")
    return Verdict(
        kind="unchanged_from",
        candidate=candidate.cell.id,
        reference="baseline",
        outcome=outcome,
        summary=shortened(summary),
        text=text if outcome == "supported" else f"{text}\n  {ACCEPT}",
        effect=effect,
    )


def _changes(subject: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """'changed since the baseline: …', flattened one level."""

    def flat(record: Mapping[str, Any]) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for name, value in record.items():
            rows |= value if isinstance(value, Mapping) else {name: value}
        return rows

    mine, theirs = flat(subject), flat(stored)
    moved = [
        f"{name} {theirs.get(name)} → {mine.get(name)}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    return f"changed since the baseline: {', '.join(moved)}" if moved else "nothing known changed since the baseline"

"""Our result beside a published number: no predictions, so nothing is paired, and nothing is ever "beaten"."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.judge.bounds import Bound, Piece, combine
from pytest_fmtransfer.judge.comparison import own_piece, seed_piece_of
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.judge.verdicts import margin_of, uninformative
from pytest_fmtransfer.judge.wording import scope, shortened
from pytest_fmtransfer.results import Result

Spread = Literal["sd", "se", "interval", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of a publication, in our metric's unit.

    `spread` is what the publication prints beside it, 0 where it prints none; `spread_is` says whether that is
    a standard deviation over runs, a standard error, half of a 95 % interval, or unknown, which counts as the
    standard deviation of one run. `runs` are those behind the mean; `patients` its test patients, None where it
    does not say: as many as ours. `source` says where it stands.
    Raises InvalidInput for a negative spread, fewer than one run, or a kind of spread that does not exist.
    """

    value: float
    source: str
    spread: float = 0.0
    spread_is: Spread = "unknown"
    runs: int = 1
    patients: int | None = None
    same_images: bool = False

    def __post_init__(self) -> None:
        if self.spread_is not in get_args(Spread):
            raise InvalidInput(f"spread_is={self.spread_is!r}; {nearest(self.spread_is, get_args(Spread))}")
        if not self.spread >= 0 or self.runs < 1 or not math.isfinite(self.value):
            raise InvalidInput(f"{self.source}: give a finite value, a spread of 0 or more and at least one run")

    @property
    def seed_variance(self) -> float:
        """Variance of the published mean from its runs."""
        if self.spread_is == "se":
            return self.spread**2
        if self.spread_is == "interval":
            return (self.spread / 1.96) ** 2
        return self.spread**2 / (self.runs if self.spread_is == "sd" else 1)


def consistent_with(result: Result, published: Published, margin: float | None = None) -> Verdict:
    """Does our value agree with the published one within `margin`, by default the dataset's?

    Supported when the interval of the difference lies within ±margin, refuted when it lies wholly outside. Raises
    InvalidInput for a margin that is not above 0.
    """
    allowed = margin_of(result, margin, "consistent_with")
    bound = _bound(result, published)
    reason, _ = uninformative("consistent_with", current())
    outcome: Outcome = "inconclusive"
    if bound is not None and not reason:
        lower, upper = bound.lower(current().level), bound.upper(current().level)
        if -allowed < lower and upper < allowed:
            outcome = "supported"
        elif upper <= -allowed or lower >= allowed:
            outcome = "refuted"
    p = None if bound is None else max(bound.p_above(-allowed), bound.p_below(allowed))
    return _verdict("consistent_with", result, published, bound, outcome, p, reason, allowed)


def above_published(result: Result, published: Published) -> Verdict:
    """Is our value above the published one? Of other runs and perhaps other images: not a claim about backbones."""
    bound = _bound(result, published)
    outcome: Outcome = "inconclusive"
    if bound is not None:
        level = current().level
        outcome = "supported" if bound.lower(level) > 0 else "refuted" if bound.upper(level) <= 0 else "inconclusive"
    p = None if bound is None else bound.p_above(0.0)
    return _verdict("above_published", result, published, bound, outcome, p, "", 0.0)


def _bound(result: Result, published: Published) -> Bound | None:
    """Both patient variances and both seed variances; None where a class has too few patients."""
    patients = own_piece(result)
    if patients is None:
        return None
    ours = len(set(result.patients_N.tolist()))
    theirs = patients.variance * ours / (published.patients or ours)
    seeds = seed_piece_of(result, current().seed_variance)
    # Of the published runs only a spread is known: as many degrees of freedom as it had runs, at least one.
    pieces = [
        patients,
        Piece(variance=theirs, degrees=patients.degrees),
        Piece(variance=published.seed_variance, degrees=max(1, published.runs - 1)),
        *([seeds] if seeds is not None else []),
    ]
    return combine(result.mean - published.value, pieces)


def _verdict(
    kind: str,
    result: Result,
    published: Published,
    bound: Bound | None,
    outcome: Outcome,
    p: float | None,
    reason: str,
    margin: float,
) -> Verdict:
    court = current()
    if bound is None:
        reason = reason or "not enough patients to tell: a class has fewer than two in the test side"
        interval = "no interval"
    else:
        interval = f"[{bound.lower(court.level):+.4f}, {bound.upper(court.level):+.4f}]"
    rule = f"within ±{margin:g}" if margin else "above 0"
    effect = result.mean - published.value
    summary = shortened(
        f"{outcome}: {reason or f'Δ {effect:+.4f} {interval} against the published {published.value:g}'}"
    )
    images = "the same test images" if published.same_images else "other test images, or not known to be the same"
    lines = [
        f"{result.cell} {kind.replace('_', ' ')} {published.source}: {summary}",
        f"{result.question.metric}: ours {result.mean:.4f}, published {published.value:g} "
        f"(spread {published.spread:g}: {published.spread_is}, {published.runs} runs), {images}",
        f"nothing is paired; supported when the interval {interval} at one-sided level {court.level:.4g} lies {rule}",
        *scope(result),
    ]
    verdict = Verdict(
        kind=kind,
        candidate=result.cell.id,
        reference=published.source,
        outcome=outcome,
        summary=summary,
        text="\n  ".join(lines),
        effect=effect,
        lower=None if bound is None else bound.lower(court.level),
        upper=None if bound is None else bound.upper(court.level),
        detectable=None if bound is None else smallest_detectable(bound, court.level),
        p=p,
        level=court.level,
        family_size=court.family_size,
        metric=result.question.metric,
        margin=margin,
        reason=reason,
    )
    court.record(verdict)
    return verdict

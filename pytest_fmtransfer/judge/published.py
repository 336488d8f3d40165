"""Our result beside a published number: no predictions, so nothing is paired, and nothing is ever "beaten"."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pytest_fmtransfer.errors import InvalidInput, nearest, number_of, require
from pytest_fmtransfer.judge.bounds import Bound, Piece, combine
from pytest_fmtransfer.judge.comparison import own_piece, patients_by_class, seed_piece_of
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.deciding import between
from pytest_fmtransfer.judge.power import POWER, both_ways, patients_to_settle, smallest_detectable
from pytest_fmtransfer.judge.reading import no_bound, settling, too_few_patients, too_few_seeds
from pytest_fmtransfer.judge.verdicts import margin_of, margin_warning, uninformative
from pytest_fmtransfer.judge.wording import exact_rule, in_full, it_takes, scope, shortened
from pytest_fmtransfer.margins import within_width
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

Spread = Literal["sd", "se", "interval", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of a publication, in our metric's unit.

    `spread` is what the publication prints beside it, 0 where it prints none; `spread_is` says whether that is
    a standard deviation over runs, a standard error, half of a 95 % interval, or unknown, which counts as the
    standard deviation of one run. `runs` are those behind the mean; `patients` its test patients, None where it
    does not say: as many as ours. `source` says where it stands.
    Raises InvalidInput for a value or spread that is not finite, a negative spread, fewer than one run or patient, or
    a kind of spread that does not exist.
    """

    value: float
    source: str
    spread: float = 0.0
    spread_is: Spread = "unknown"
    runs: int = 1
    patients: int | None = None
    same_images: bool = False

    def __post_init__(self) -> None:
        require(self.source, str, "Published(source=…)", "say where the number stands, as in source='Table 2'")
        for name in ("value", "spread"):
            number_of(getattr(self, name), f"Published({name}=…)")
        for name in ("runs", "patients"):
            if (given := getattr(self, name)) is not None:
                require(given, int, f"Published({name}=…)", "give a whole number")
        if self.spread_is not in get_args(Spread):
            raise InvalidInput(f"spread_is={self.spread_is!r}; {nearest(str(self.spread_is), get_args(Spread))}")
        finite = math.isfinite(self.value) and math.isfinite(self.spread)
        if not finite or self.spread < 0 or self.runs < 1 or (self.patients is not None and self.patients < 1):
            raise InvalidInput(
                f"{self.source}: give a finite value, a finite spread of 0 or more, at least one run and one patient"
            )

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
    return _judge("consistent_with", result, published, margin_of(result, margin, "consistent_with"))


def above_published(result: Result, published: Published) -> Verdict:
    """Is our value above the published one? Of other runs and perhaps other images: not a claim about backbones."""
    return _judge("above_published", result, published, 0.0)


def _judge(kind: str, result: Result, published: Published, margin: float) -> Verdict:
    """The difference is ours minus theirs as it stands, also for a loss. With a margin it must lie on both sides."""
    value = published if isinstance(published, float) else "…"
    require(published, Published, "a published number", f"give Published(value={value}, source='…')")
    court = current()
    reason = too_few_patients(kind, patients_by_class(result), result.patient_unit)
    if not reason and court.seed_variance(result) is None:
        reason = too_few_seeds(result, court.level)
    reason = reason or no_bound(own_piece(result), result)
    uninformed, mark = uninformative(kind, court)
    reason = reason or uninformed
    low, high = (-margin, margin) if margin else (0.0, math.inf)
    bound = _bound(result, published)
    outcome: Outcome = "inconclusive"
    limits = p = detectable = None
    if bound is not None:
        metric, classes = result.question.metric, len(result.classes)
        far = bound.lower(court.level), bound.upper(court.level)
        lower, upper = limits = within_width(far[0], metric, classes), within_width(far[1], metric, classes)
        detectable = smallest_detectable(bound, court.level, both_ways() if margin else POWER)
        if not reason:
            p = max(bound.p_above(low), bound.p_below(high))
            outcome = between(lower, upper, low, high)
    effect = result.mean - published.value
    interval = (
        f"[{limits[0]:+.4f}, {limits[1]:+.4f}]" if limits else f"too few {plural(result.patient_unit)} for an interval"
    )
    summary = shortened(
        f"{outcome}: {reason or f'Δ {effect:+.4f} {interval} against the published {published.value:g}'}"
    )
    verdict = Verdict(
        kind=kind,
        candidate=result.cell.id,
        reference=published.source,
        outcome=outcome,
        summary=summary,
        effect=effect,
        lower=limits[0] if limits else None,
        upper=limits[1] if limits else None,
        detectable=detectable,
        p=p,
        level=court.level,
        family_size=court.family_size,
        metric=result.question.metric,
        metric_of=result.metric_of,
        margin=margin,
        reason=reason,
        mark="; ".join(filter(None, (mark, margin_warning(result, margin)))),
        published=published.value,
        settle=_what_would_settle_it(kind, result, published, margin, reason) if outcome == "inconclusive" else "",
    )
    verdict = replace(verdict, text=_text(verdict, result, published, interval))
    court.record(verdict)
    return verdict


def _bound(result: Result, published: Published) -> Bound | None:
    """Both patient variances and both seed variances; None where a class has too few patients."""
    own = own_piece(result)
    if own is None:
        return None
    # Theirs is ours by another number of patients: one estimate, so one piece with its degrees of freedom.
    both_by_ours = 1 + _patients_to_theirs(result, published)
    both = replace(own, variance=own.variance * both_by_ours, alike=own.alike / both_by_ours)
    return combine(result.mean - published.value, [both, *_seed_pieces(result, published)])


def _patients_to_theirs(result: Result, published: Published) -> float:
    """Our patients by theirs; 1 where the publication does not say."""
    ours = result.patients
    return ours / (published.patients or ours)


def _seed_pieces(result: Result, published: Published) -> list[Piece]:
    """Theirs, of which only a spread is known, with a degree of freedom less than runs but at least one, and ours."""
    theirs = Piece(variance=published.seed_variance, degrees=max(1, published.runs - 1))
    ours = seed_piece_of(result, current().seed_variance(result))
    return [theirs] if ours is None else [theirs, ours]


def _what_would_settle_it(kind: str, result: Result, published: Published, margin: float, reason: str) -> str:
    own = own_piece(result)
    if reason or own is None:
        return settling(kind, [result], current().level, reason)
    variance = own.variance_at(current().level)
    fixed = variance * _patients_to_theirs(result, published)
    enough = patients_to_settle(
        patients=result.patients,
        patient_variance=variance,
        seed_variance=fixed + sum(piece.variance for piece in _seed_pieces(result, published)),
        delta=margin or result.margin,
        alpha=current().level,
        power=both_ways() if margin else POWER,
        alike=own.alike > 0,
    )
    otherwise = f"no number of {plural(result.patient_unit)}, but more seeds or a published number that is surer"
    return it_takes(result, enough, 0.0 if margin else result.margin, otherwise=otherwise)


def _text(verdict: Verdict, result: Result, published: Published, interval: str) -> str:
    rule = f"within ±{verdict.margin:g}" if verdict.margin else "above 0"
    images = "the same test images" if published.same_images else "other test images, or not known to be the same"
    bound = _bound(result, published)
    exact = f"; exact, {exact_rule(bound, result.patient_unit)}" if bound and bound.alike else ""
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"{verdict.metric_of}: ours {result.mean:.4f}, published {published.value:g} "
        f"(spread {published.spread:g}: {published.spread_is}, {counted(published.runs, 'run')}), {images}",
        f"nothing is paired; supported when the interval {interval} at one-sided level {verdict.level:.4g} lies {rule}"
        f"{exact}",
        *scope(result),
        verdict.mark,
        verdict.settle,
    ]
    return in_full(line for line in lines if line)

"""Our result beside a published number: no predictions, so nothing is paired, and nothing is ever "beaten"."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pytest_fmtransfer.errors import InvalidInput, nearest, number_of, require
from pytest_fmtransfer.judge.bounds import Bound, Piece, combine
from pytest_fmtransfer.judge.comparison import (
    auc_of,
    fewest_patients,
    influence_of,
    own_piece,
    patients_by_class,
    seed_piece_of,
)
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.deciding import between
from pytest_fmtransfer.judge.foresight import VARIANCES, Sample
from pytest_fmtransfer.judge.hidden import hidden_shares
from pytest_fmtransfer.judge.intervals import score_bound_about
from pytest_fmtransfer.judge.mover import Auc, Mover
from pytest_fmtransfer.judge.power import POWER, both_ways, smallest_detectable
from pytest_fmtransfer.judge.reading import no_bound, settling, too_few_patients, too_few_seeds
from pytest_fmtransfer.judge.score_bound import ScoreBound
from pytest_fmtransfer.judge.settling import known, needed_of, of_degrees, of_patients
from pytest_fmtransfer.judge.verdicts import margin_of, margin_warning, uninformative
from pytest_fmtransfer.judge.wording import exact_rule, in_full, it_takes, scope, shortened
from pytest_fmtransfer.margins import within_width
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

Spread = Literal["sd", "se", "interval", "unknown"]

# Where no spread is printed, one published run deviates by 0 to so many times the standard deviation of one of ours.
MOST_TIMES_OURS = 2.0
_FURTHEST = 1e3  # as many times ours at most is looked for where a verdict would change


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number of a publication, in our metric's unit.

    `spread` is what the publication prints beside it; `spread_is` says whether that is a standard deviation over runs,
    a standard error, half of a 95 % interval, or unknown, which counts as the standard deviation of one run. A spread
    of 0 is none printed: beside a regime of ours that depends on its seed, runs are then assumed to deviate by up to
    `MOST_TIMES_OURS` as much as ours. `runs` are those behind the mean; `patients` its test patients, None where it
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
    """Is our value better than the published one: higher, or lower for a loss?

    Of other runs and perhaps other images: not a claim about backbones.
    """
    return _judge("above_published", result, published, 0.0)


def _judge(kind: str, result: Result, published: Published, margin: float) -> Verdict:
    """The difference is an improvement: ours minus theirs, or the reverse for a loss. With a margin it must lie on both
    sides.
    """
    value = published if isinstance(published, float) else "…"
    require(published, Published, "a published number", f"give Published(value={value}, source='…')")
    court = current()
    by_class = patients_by_class(result)
    reason = too_few_patients(kind, by_class, result.patient_unit, court.level, result.hidden_share)
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
        limits = limits_beside(result, published)
        detectable = smallest_detectable(bound, court.level, both_ways() if margin else POWER)
        if not reason:
            bounds = _bounds(result, published)
            p = max(each.p_above(low) for each in bounds)
            if margin:
                p = max(p, *(each.p_below(high) for each in bounds))
            outcome = between(*limits, low, high)
    effect = _improvement(result, published)
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
        hidden=tuple(hidden_shares(by_class, court.level).items()),
        settle=_what_would_settle_it(kind, result, published, margin, reason) if outcome == "inconclusive" else "",
    )
    verdict = replace(verdict, text=_text(verdict, result, published, interval))
    court.record(verdict)
    return verdict


def limits_beside(result: Result, published: Published, times: float = MOST_TIMES_OURS) -> tuple[float, float]:
    """Those that decide; the caller has made sure of two patients a class. `times` is as for `_their_seeds`."""
    level, metric, classes = current().level, result.question.metric, len(result.classes)
    bounds = _bounds(result, published, times)
    far = min(each.lower(level) for each in bounds), max(each.upper(level) for each in bounds)
    return within_width(far[0], metric, classes), within_width(far[1], metric, classes)


def _bounds(result: Result, published: Published, times: float = MOST_TIMES_OURS) -> list[Bound | ScoreBound | Mover]:
    """The score bound, which holds where few of our patients differ from the others, and an AUC's on the logit scale.

    The published patients have no influences: their variance counts in full, and with it the limits' distance is at
    least that of a t bound.
    """
    bound, mover = _bound(result, published, times), _mover(result, published, times)
    score = None if bound is None else score_bound_about(result, bound, _sign(result))
    return [each for each in (score or bound, mover) if each is not None]


def _bound(result: Result, published: Published, times: float = MOST_TIMES_OURS) -> Bound | None:
    """Both patient variances and both seed variances; None where a class has too few patients."""
    own = own_piece(result)
    if own is None:
        return None
    patients = [own, _their_piece(result, published, own)]
    if own.alike:  # what was not drawn, of either side, may lie the same way
        times = 1 + _patients_to_theirs(result, published)
        patients[0] = replace(own, alike=own.alike / times)
    return combine(_improvement(result, published), [*patients, *_seed_pieces(result, published, times)])


def _mover(result: Result, published: Published, times: float) -> Mover | None:
    """Limits recovered from both AUCs' own on the logit scale, which hold near the ceiling; None for other metrics."""
    own = own_piece(result)
    if result.question.metric != "roc_auc" or own is None or not 0 <= published.value <= 1:
        return None
    theirs = _their_piece(result, published, own)
    seeds = _their_seeds(result, published, times)
    both = combine(published.value, [theirs, seeds])
    fewest = fewest_patients(result)
    return Mover(
        candidate=auc_of(result, current().seed_variance(result)),
        reference=Auc(
            value=published.value,
            variance=both.standard_error**2,
            degrees=both.degrees,
            fewest=max(1, round(fewest / _patients_to_theirs(result, published))),
        ),
        covariance=0.0,
    )


def _their_piece(result: Result, published: Published, own: Piece) -> Piece:
    """The variance from drawing their patients, of their value and their number of patients.

    Classes are taken to have the shares that they have here, and each patient one image. A value at an end of the range
    counts as half a patient of the smallest class off it. Of a metric whose variance does not follow from its value it
    is ours by the number of patients.
    """
    to_theirs = _patients_to_theirs(result, published)
    counts = {name: count / to_theirs for name, count in patients_by_class(result).items()}
    fewest = min((count for count in counts.values() if count), default=0.0)
    rule = VARIANCES.get(result.question.metric)
    if rule is None or result.question.metric == "quadratic_kappa" or min(counts.values(), default=0) < 1:
        return replace(own, variance=own.variance * to_theirs, alike=0.0)
    end = 1 / (2 * fewest)
    value = min(max(published.value, end), 1 - end)
    theirs = Sample(
        metric=result.question.metric,
        margin=result.margin,
        patients=max(1, round(result.patients / to_theirs)),
        by_class={name: max(1, round(count)) for name, count in counts.items()},
        patient_unit=result.patient_unit,
    )
    # Rules give the difference of two backbones; of two that have nothing in common, half of it is one's.
    return Piece(variance=rule(theirs, value, 0.0) / 2, degrees=max(1.0, fewest - 1))


def _improvement(result: Result, published: Published) -> float:
    return _sign(result) * (result.mean - published.value)


def _sign(result: Result) -> int:
    return 1 if metric_named(result.question.metric).higher_is_better else -1


def _patients_to_theirs(result: Result, published: Published) -> float:
    """Our patients by theirs; 1 where the publication does not say."""
    ours = result.patients
    return ours / (published.patients or ours)


def _seed_pieces(result: Result, published: Published, times: float = MOST_TIMES_OURS) -> list[Piece]:
    """Theirs and ours; one piece where both are of one estimate."""
    ours, theirs = _our_seeds(result), _their_seeds(result, published, times)
    if ours is None:
        return [theirs]
    return [theirs, ours] if published.spread else [replace(ours, variance=ours.variance + theirs.variance)]


def _our_seeds(result: Result) -> Piece | None:
    return seed_piece_of(result, current().seed_variance(result))


def _their_seeds(result: Result, published: Published, times: float) -> Piece:
    """From their spread, with a degree of freedom less than runs but at least one.

    Half of a 95 % interval is taken for 1.96 standard errors, that is for a variance that is known, unless runs are
    told. Where none is printed, one of their runs deviates by `times` the standard deviation of one of ours, which is 0
    where ours do not depend on a seed.
    """
    ours = _our_seeds(result)
    if published.spread or ours is None:
        known = published.spread_is == "interval" and published.runs == 1
        return Piece(variance=published.seed_variance, degrees=math.inf if known else max(1, published.runs - 1))
    return replace(ours, variance=times**2 * ours.variance * len(result.seeds) / published.runs)


def _assumed(verdict: Verdict, result: Result, published: Published) -> str:
    """What is assumed of the published runs where no spread is printed, and where the verdict would be another."""
    if published.spread:
        return ""
    ours = _our_seeds(result)
    if ours is None:
        known = "our runs' own spread is not known" if result.seeded else "ours depends on no seed"
        return f"assumed: published runs do not differ, because no spread is printed and {known}"
    one = math.sqrt(ours.variance * len(result.seeds))
    line = (
        f"assumed: published runs differ by a standard deviation between 0 and {MOST_TIMES_OURS * one:.4f}, up to "
        f"{MOST_TIMES_OURS:g} times that of ours, because no spread is printed; the limits hold at either end"
    )
    if verdict.reason or verdict.lower is None or not one:
        return line
    low, high = (-verdict.margin, verdict.margin) if verdict.margin else (0.0, math.inf)

    def told(times: float) -> Outcome:
        return between(*limits_beside(result, published, times), low, high)

    is_open = verdict.outcome == "inconclusive"
    sure, unsure = (0.0, MOST_TIMES_OURS) if is_open else (MOST_TIMES_OURS, _FURTHEST)
    least = told(sure)
    if (least == "inconclusive") == (told(unsure) == "inconclusive"):
        return f"{line}; it is {verdict.outcome} at either end too"
    while unsure - sure > 1e-3 * unsure:
        middle = (sure + unsure) / 2
        sure, unsure = (sure, middle) if told(middle) == "inconclusive" else (middle, unsure)
    return f"{line}; the verdict would be {least} below {sure * one:.4f}, and is inconclusive above"


def _what_would_settle_it(kind: str, result: Result, published: Published, margin: float, reason: str) -> str:
    own = own_piece(result)
    if reason or own is None:
        return settling(kind, [result], current().level, reason)
    pieces = _seed_pieces(result, published)
    fixed = [known(piece) for piece in (_their_piece(result, published, own), *pieces)]
    if _our_seeds(result) is not None:
        fixed[-1] = of_degrees(pieces[-1])
    needed = needed_of(
        patients=result.patients,
        drawn=of_patients(own, influence_of(result), result),
        seeds=fixed,
        delta=margin or result.margin,
        alpha=current().level,
        power=both_ways() if margin else POWER,
    )
    seeds = "more seeds or a published number that is surer"
    otherwise = f"no number of {plural(result.patient_unit)}, but {seeds}"
    return it_takes(result, needed, 0.0 if margin else result.margin, seeds=seeds, otherwise=otherwise)


def _text(verdict: Verdict, result: Result, published: Published, interval: str) -> str:
    rule = f"within ±{verdict.margin:g}" if verdict.margin else "above 0"
    higher = metric_named(verdict.metric).higher_is_better
    better = "a difference above 0 is better" + ("" if higher else ": of a loss it is theirs less ours")
    images = "the same test images" if published.same_images else "other test images, or not known to be the same"
    bound = _bound(result, published)
    exact = f"; exact, {exact_rule(bound, result.patient_unit)}" if bound and bound.alike else ""
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"{verdict.metric_of}: ours {result.mean:.4f}, published {published.value:g} "
        f"(spread {published.spread:g}: {published.spread_is}, {counted(published.runs, 'run')}), {images}",
        _assumed(verdict, result, published),
        f"nothing is paired; supported when the interval {interval} at one-sided level {verdict.level:.4g} lies {rule}"
        f"{exact}; {better}",
        *scope(result, current().level),
        verdict.mark,
        verdict.settle,
    ]
    return in_full(line for line in lines if line)

"""Claims about relative gains averaged over datasets: in this order, and consistent with a published average."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import cast

from pytest_fmtransfer.errors import InvalidInput, number_of, require, shown
from pytest_fmtransfer.judge import deciding
from pytest_fmtransfer.judge.bounds import Bound, Piece, combine
from pytest_fmtransfer.judge.court import Outcome, Verdict, current
from pytest_fmtransfer.judge.power import POWER, both_ways, shared_power, smallest_detectable
from pytest_fmtransfer.judge.published import Published
from pytest_fmtransfer.judge.relative_gain import METRIC, RelativeGain, merged, patient_pieces, seed_pieces
from pytest_fmtransfer.judge.wording import figures, in_full, scope, shortened
from pytest_fmtransfer.margins import check_gain_margin, gain_limits, unusual_gain
from pytest_fmtransfer.words import counted

KINDS = ("gains_in_order", "gain_consistent_with")
SETTLE = "would settle it: a larger test side or more seeds of the datasets whose gains are least sure"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One gain against one of the next level; without a bound where there is a reason."""

    better: RelativeGain
    worse: RelativeGain
    bound: Bound | None
    reason: str

    @property
    def effect(self) -> float:
        return self.better.value - self.worse.value

    def outcome(self, level: float, refuting: float) -> Outcome:
        if self.bound is None or self.reason:
            return "inconclusive"
        if self.bound.lower(level) > 0:
            return "supported"
        return "refuted" if self.bound.upper(refuting) <= 0 else "inconclusive"

    @property
    def p(self) -> float | None:
        return None if self.bound is None or self.reason else self.bound.p_above(0.0)


def gains_in_order(*levels: Sequence[RelativeGain]) -> Verdict:
    """Is each gain above those of the next level? Gains of one level are in no order among themselves.

    All parts must hold, each at the level of the claim; one that is refuted at its share of it refutes the whole.
    Raises InvalidInput for fewer than two levels, an empty one, and gains over different references.
    """
    for level in levels:
        for gain in _gains(level):
            _check_gain(gain)
    if len(levels) < 2 or not all(levels):
        raise InvalidInput("gains_in_order needs two levels or more, the largest gains first, and a gain in each")
    if len({tuple(other.cell.id for other in gain.references) for level in levels for gain in level}) > 1:
        raise InvalidInput("gains_in_order compares gains over one reference, on the same datasets in one order")
    court = current()
    unclear = levels[0][0].reference_reason(court.level)
    parts = [_part(one, other, unclear) for upper, lower in pairwise(levels) for one, other in product(upper, lower)]
    outcomes: list[Outcome] = [part.outcome(court.level, court.level / len(parts)) for part in parts]
    weakest = parts[deciding.weakest(outcomes, [part.p for part in parts], [part.effect for part in parts])]
    outcome = deciding.of_all(outcomes)
    detectable = [
        smallest_detectable(part.bound, court.level, shared_power(len(parts)))
        for part in parts
        if part.bound is not None
    ]
    verdict = Verdict(
        kind="gains_in_order",
        candidate=" = ".join(_short(gain) for gain in levels[0]),
        reference=" > ".join(" = ".join(_short(gain) for gain in level) for level in levels[1:]),
        outcome=outcome,
        effect=weakest.effect,
        lower=weakest.bound.lower(court.level) if weakest.bound else None,
        upper=weakest.bound.upper(court.level) if weakest.bound else None,
        detectable=max(detectable, default=None),
        p=weakest.p,
        level=court.level,
        family_size=court.family_size,
        metric=METRIC,
        reason=weakest.reason,
        settle=SETTLE if outcome == "inconclusive" else "",
    )
    unit = weakest.better.candidates[0].patient_unit
    said = weakest.reason or f"{_short(weakest.better)} over {_short(weakest.worse)}: {figures(verdict, unit)}"
    verdict = replace(verdict, summary=shortened(f"{outcome}: {said}"))
    lines = [
        f"average relative gain over {_reference(levels[0][0])}, in percent, in this order: {verdict.summary}",
        f"{len(parts)} parts, each at one-sided level {court.level:.4g} ({court.shared}): the "
        f"whole is supported when all are, refuted when one is at {court.level / len(parts):.4g}",
    ]
    for part, each in zip(parts, outcomes, strict=True):
        lines.append(
            f"{_told(part.better)} over {_told(part.worse)}: {_interval(part.bound, part.effect, court.level)}: {each}"
            + (f" ({part.reason})" if part.reason else "")
        )
    lines += dict.fromkeys(line for result in levels[0][0].candidates for line in scope(result, current().level))
    return _recorded(replace(verdict, text=in_full([*lines, *filter(None, [verdict.settle])])))


def _gains(level: object) -> Sequence[object]:
    if not isinstance(level, Sequence) or isinstance(level, str | bytes):
        raise InvalidInput(f"{shown(level)} is no sequence of gains; give lists of what relative_gains() returns")
    return cast(Sequence[object], level)


def _check_gain(gain: object) -> None:
    require(gain, RelativeGain, "a gain", "give one that relative_gains(candidates, references) returns")


def gain_consistent_with(gain: RelativeGain, published: Published, margin: float | None = None) -> Verdict:
    """Does the average agree with a published one within `margin` percent, by default what the datasets' come to?

    As for a single result: nothing is paired, and theirs has the variance of our patients unless it says how many it
    had. Supported when the interval of the difference lies within ±margin, refuted when wholly outside. Raises
    InvalidInput for a margin that is not above 0, or as large as the metric's highest value is in percent of the
    reference.
    """
    _check_gain(gain)
    require(published, Published, "published", "give Published(value=…, source='…'), in percent")
    allowed = gain.margin
    limits = [gain_limits(other.question.metric, len(other.classes), other.mean) for other in gain.references]
    if margin is not None:
        allowed = number_of(margin, "margin", "give a number of percent, as in 2.5")
        check_gain_margin(allowed, gain.margin, limits, "gain_consistent_with")
    court = current()
    level, effect = court.level, gain.value - published.value
    terms = merged(gain.weighed)
    patients = patient_pieces(terms)
    reason = gain.reason("consistent_with", level) or gain.reference_reason(level)
    reason = reason or (patients if isinstance(patients, str) else "")
    bound: Bound | None = None
    if not isinstance(patients, str):
        both = 1 + gain.patients / (published.patients or gain.patients)
        theirs = Piece(variance=published.seed_variance, degrees=max(1, published.runs - 1))
        bound = combine(
            effect, [*(replace(each, variance=both * each.variance) for each in patients), theirs, *seed_pieces(terms)]
        )
    outcome: Outcome = "inconclusive"
    if bound is not None and not reason:
        outcome = deciding.between(bound.lower(level), bound.upper(level), -allowed, allowed)
    interval = _interval(bound, effect, level)
    verdict = Verdict(
        kind="gain_consistent_with",
        candidate=gain.name,
        reference=published.source,
        outcome=outcome,
        summary=shortened(f"{outcome}: {reason or f'{interval} % against the published {published.value:g} %'}"),
        effect=effect,
        lower=bound.lower(level) if bound else None,
        upper=bound.upper(level) if bound else None,
        detectable=smallest_detectable(bound, level, both_ways(POWER)) if bound else None,
        p=None if reason or bound is None else max(bound.p_above(-allowed), bound.p_below(allowed)),
        level=level,
        family_size=court.family_size,
        metric=METRIC,
        margin=allowed,
        published=published.value,
        reason=reason,
        mark=unusual_gain(allowed, limits),
        settle=SETTLE if outcome == "inconclusive" else "",
    )
    by_dataset = zip(gain.datasets, gain.by_dataset, strict=True)
    lines = [
        f"{verdict.candidate} gain consistent with {verdict.reference}: {verdict.summary}",
        f"average relative gain over {_reference(gain)}: ours {gain.value:+.3f} % "
        f"({', '.join(f'{name} {value:+.3f}' for name, value in by_dataset)}), published {published.value:+g} % "
        f"(spread {published.spread:g}: {published.spread_is}, {counted(published.runs, 'run')})",
        f"nothing is paired; supported when the interval at one-sided level {level:.4g} lies within ±{allowed:.3g}",
        *dict.fromkeys(line for result in gain.candidates for line in scope(result, level)),
    ]
    return _recorded(replace(verdict, text=in_full([*lines, *filter(None, [verdict.mark, verdict.settle])])))


def _part(better: RelativeGain, worse: RelativeGain, unclear: str) -> _Part:
    """The difference of two gains: what both have in common, the reference, weighs only what is left of it."""
    level = current().level
    terms = merged([*better.weighed, *(replace(each, weight=-each.weight) for each in worse.weighed)])
    patients = patient_pieces(terms)
    reason = better.reason("beats", level) or worse.reason("beats", level) or unclear
    if isinstance(patients, str):
        return _Part(better=better, worse=worse, bound=None, reason=reason or patients)
    bound = combine(better.value - worse.value, [*patients, *seed_pieces(terms)])
    return _Part(better=better, worse=worse, bound=bound, reason=reason)


def _interval(bound: Bound | None, effect: float, level: float) -> str:
    limits = f"[{bound.lower(level):+.3f}, {bound.upper(level):+.3f}]" if bound else "no interval"
    return f"Δ {effect:+.3f} {limits}"


def _short(gain: RelativeGain) -> str:
    cell = gain.candidates[0].cell
    return f"{cell.backbone}-{cell.regime}"


def _told(gain: RelativeGain) -> str:
    return f"{_short(gain)} {gain.value:+.3f} %"


def _reference(gain: RelativeGain) -> str:
    cell = gain.references[0].cell
    return f"{cell.backbone}-{cell.regime}"


def _recorded(verdict: Verdict) -> Verdict:
    current().record(verdict)
    return verdict

"""Claims about several comparisons at once: better on every dataset, ranked in this order.

Each part is tested at the level of the whole claim: all parts must hold, so that nothing is corrected further
(intersection-union). To refute, one part that fails is enough, and that is corrected for their number.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge import deciding
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, current
from pytest_fmtransfer.judge.hidden import hidden_shares
from pytest_fmtransfer.judge.per_class import class_differences, class_line
from pytest_fmtransfer.judge.power import shared_power
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.verdicts import check_results, check_two, compare, uninformative
from pytest_fmtransfer.judge.wording import figures, in_full, scope, shortened, what_would_settle_it
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted

Compound = Literal["consistently_better", "not_consistently_better", "ranks_above"]

_SWAPPED: dict[Outcome, Outcome] = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}


def consistently_better(candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    """Is the candidate better on each dataset? One candidate and one reference a dataset, in the same order.

    Raises InvalidInput for sequences of different lengths, fewer than two datasets, one dataset twice, or several
    backbones or regimes on one side.
    """
    return _record(_consistent("consistently_better", candidates, references))


def not_consistently_better(candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    """Is there a dataset on which the candidate is no better? Supported where `consistently_better` is refuted."""
    return _record(_consistent("not_consistently_better", candidates, references))


def ranks_above(*results: Result) -> Verdict:
    """Are the results, best first, each better than the next? Raises InvalidInput for fewer than two."""
    check_results(results)
    if len(results) < 2:
        raise InvalidInput("ranks_above needs two results or more, the best first")
    return _record(_whole("ranks_above", _readings(results[:-1], results[1:])))


def _consistent(kind: Compound, candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    for side in (candidates, references):
        check_results(side)
    if len(candidates) != len(references):
        raise InvalidInput(
            f"{counted(len(candidates), 'candidate')} against {counted(len(references), 'reference')}; give one "
            "of each a dataset"
        )
    datasets = [result.cell.dataset for result in candidates]
    if len(set(datasets)) != len(datasets) or len(datasets) < 2:
        raise InvalidInput(f"{kind} is about two datasets or more, each once, not {', '.join(datasets) or 'none'}")
    for side in (candidates, references):
        if len({(result.cell.backbone, result.cell.regime) for result in side}) > 1:
            cells = ", ".join(result.cell.id for result in side)
            raise InvalidInput(f"{kind} is about one backbone and regime a side, not {cells}")
    for mine, other in zip(candidates, references, strict=True):
        check_two(mine, other)
    return _whole(kind, _readings(candidates, references))


def _readings(candidates: Sequence[Result], references: Sequence[Result]) -> list[Reading]:
    level = current().level
    return [
        Reading(kind="beats", comparison=compare(mine, other), level=level, threshold=0.0)
        for mine, other in zip(candidates, references, strict=True)
    ]


def _whole(kind: Compound, readings: list[Reading]) -> Verdict:
    """The weakest part speaks for the whole: its effect, limits and p-value. The detectable effect is the largest."""
    court, parts = current(), len(readings)
    outcomes: list[Outcome] = [_outcome(reading, parts) for reading in readings]
    values, effects = [reading.p for reading in readings], [reading.comparison.effect for reading in readings]
    weakest = readings[deciding.weakest(outcomes, values, effects)]
    comparison, limits, p = weakest.comparison, weakest.limits, weakest.p
    outcome = deciding.of_all(outcomes)
    if kind == "not_consistently_better":
        outcome = _SWAPPED[outcome]
        p = None if p is None else min(1.0, parts * _smallest_p_refuting(readings))
    power = shared_power(parts)
    detectable = [each.detectable(power) for each in readings]
    references = [reading.comparison.reference for reading in readings]
    verdict = Verdict(
        kind=kind,
        candidate=_name(kind, [reading.comparison.candidate for reading in readings]),
        reference=_joined(references) if kind == "ranks_above" else _name(kind, references),
        outcome=outcome,
        effect=comparison.effect,
        lower=limits[0] if limits else None,
        upper=limits[1] if limits else None,
        detectable=max((each for each in detectable if each is not None), default=None),
        p=p,
        level=court.level,
        family_size=court.family_size,
        metric=comparison.candidate.question.metric,
        metric_of=comparison.candidate.metric_of,
        reason=weakest.reason,
        mark=uninformative("beats", court)[1],
        hidden=tuple(hidden_shares(comparison.patients_by_class, court.level).items()),
    )
    where, unit = comparison.candidate.cell, comparison.candidate.patient_unit
    summary = shortened(f"{outcome}: {verdict.reason or f'weakest on {where}: {figures(verdict, unit)}'}")
    settle = f"{what_would_settle_it(verdict, weakest, power)}, on {where}" if outcome == "inconclusive" else ""
    verdict = replace(verdict, summary=summary, settle=settle)
    return replace(verdict, text=_text(verdict, readings, outcomes, court))


def _outcome(reading: Reading, parts: int) -> Outcome:
    return "inconclusive" if reading.reason else reading.outcome_at(reading.level / parts)


def _smallest_p_refuting(readings: list[Reading]) -> float:
    """Over the parts that can carry a verdict."""
    bounds = [each.comparison.wider for each in readings if not each.reason]
    return min((bound.p_refuting(0.0) for bound in bounds if bound is not None), default=1.0)


def _joined(results: list[Result]) -> str:
    return " > ".join(result.cell.id for result in results)


def _name(kind: Compound, results: list[Result]) -> str:
    if kind == "ranks_above":
        return results[0].cell.id
    first = results[0].cell
    return f"{first.backbone}-{'+'.join(result.cell.dataset for result in results)}-{first.regime}"


def _text(verdict: Verdict, readings: list[Reading], outcomes: list[Outcome], court: Court) -> str:
    parts = len(readings)
    if_all, if_one = ("refuted", "supported") if verdict.kind == "not_consistently_better" else ("supported", "refuted")
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"{parts} parts, each 'beats' at one-sided level {court.level:.4g} ({court.shared}): "
        f"the whole is {if_all} when all are supported, {if_one} when one is refuted at "
        f"{court.level / parts:.4g}",
    ]
    for reading, outcome in zip(readings, outcomes, strict=True):
        pair, limits = reading.comparison, reading.limits
        interval = f"[{limits[0]:+.4f}, {limits[1]:+.4f}]" if limits else "no interval"
        lines.append(
            f"{pair.candidate.cell} against {pair.reference.cell}: {pair.candidate.mean:.4f} against "
            f"{pair.reference.mean:.4f}, Δ {pair.effect:+.4f} {interval}: {outcome}"
            + (f" ({reading.reason})" if reading.reason else "")
        )
        lines += class_line(class_differences(pair, court.level))
    lines += dict.fromkeys(line for reading in readings for line in scope(reading.comparison.candidate, court.level))
    lines += [verdict.mark] if verdict.mark else []
    lines += [verdict.settle] if verdict.settle else []
    return in_full(lines)


def _record(verdict: Verdict) -> Verdict:
    current().record(verdict)
    return verdict

"""Claims about several comparisons at once: better on every dataset, ranked in this order.

Each part is tested at the level of the whole claim: all parts must hold, so that nothing is corrected further
(intersection-union). To refute, one part that fails is enough, and that is corrected for their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.court import Court, Outcome, Verdict, current
from pytest_fmtransfer.judge.power import shared_power
from pytest_fmtransfer.judge.reading import Reading
from pytest_fmtransfer.judge.verdicts import compare, uninformative
from pytest_fmtransfer.judge.wording import figures, scope, shortened, what_would_settle_it
from pytest_fmtransfer.results import Result

Compound = Literal["consistently_better", "not_consistently_better", "ranks_above"]


def consistently_better(candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    """Is the candidate better on each dataset? One candidate and one reference a dataset, in the same order.

    Raises InvalidInput for sequences of different lengths, fewer than two datasets, or one dataset twice.
    """
    return _record(_consistent("consistently_better", candidates, references))


def not_consistently_better(candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    """Is there a dataset on which the candidate is no better? Supported where `consistently_better` is refuted."""
    verdict = _consistent("not_consistently_better", candidates, references)
    swapped: dict[Outcome, Outcome] = {"supported": "refuted", "refuted": "supported"}
    outcome = swapped.get(verdict.outcome, verdict.outcome)
    summary = outcome + verdict.summary.removeprefix(verdict.outcome)
    text = verdict.text.replace(verdict.summary, summary, 1)
    return _record(replace(verdict, outcome=outcome, summary=summary, text=text))


def ranks_above(*results: Result) -> Verdict:
    """Are the results, best first, each better than the next? Raises InvalidInput for fewer than two."""
    if len(results) < 2:
        raise InvalidInput("ranks_above needs two results or more, the best first")
    return _record(_whole("ranks_above", _readings(results[:-1], results[1:])))


def _consistent(kind: Compound, candidates: Sequence[Result], references: Sequence[Result]) -> Verdict:
    if len(candidates) != len(references):
        raise InvalidInput(
            f"{len(candidates)} candidates against {len(references)} references; give one of each a dataset"
        )
    datasets = [result.cell.dataset for result in candidates]
    if len(set(datasets)) != len(datasets) or len(datasets) < 2:
        raise InvalidInput(f"{kind} is about two datasets or more, each once, not {', '.join(datasets) or 'none'}")
    return _whole(kind, _readings(candidates, references))


def _readings(candidates: Sequence[Result], references: Sequence[Result]) -> list[Reading]:
    level = current().level
    return [
        Reading(kind="beats", comparison=compare(mine, other), level=level, threshold=0.0)
        for mine, other in zip(candidates, references, strict=True)
    ]


def _whole(kind: Compound, readings: list[Reading]) -> Verdict:
    """The weakest part speaks for the whole: lowest effect and limits, highest p-value and detectable effect."""
    court = current()
    outcomes: list[Outcome] = [_outcome(reading, len(readings)) for reading in readings]
    outcome: Outcome = "inconclusive"
    if all(each == "supported" for each in outcomes):
        outcome = "supported"
    elif "refuted" in outcomes:
        outcome = "refuted"
    weakest = min(readings, key=lambda reading: reading.comparison.effect)
    power = shared_power(len(readings))
    limits = [reading.limits for reading in readings]
    lowers, uppers = zip(*(each or (None, None) for each in limits), strict=True)
    p_values, detectable = [each.p for each in readings], [each.detectable(power) for each in readings]
    reason = "" if outcome == "refuted" else next((each.reason for each in readings if each.reason), "")
    _, mark = uninformative("beats", court)
    references = [reading.comparison.reference for reading in readings]
    verdict = Verdict(
        kind=kind,
        candidate=_name(kind, [reading.comparison.candidate for reading in readings]),
        reference=_joined(references) if kind == "ranks_above" else _name(kind, references),
        outcome=outcome,
        effect=weakest.comparison.effect,
        lower=_extreme(lowers, min),
        upper=_extreme(uppers, min),
        detectable=_extreme(detectable, max),
        p=_extreme(p_values, max),
        level=court.level,
        family_size=court.family_size,
        metric=weakest.comparison.candidate.question.metric,
        reason=reason,
        mark=mark,
    )
    where = weakest.comparison.candidate.cell
    summary = shortened(f"{outcome}: {reason or f'weakest on {where}: {figures(verdict)}'}")
    settle = what_would_settle_it(verdict, weakest) if outcome == "inconclusive" else ""
    verdict = replace(verdict, summary=summary, settle=settle)
    return replace(verdict, text=_text(verdict, readings, outcomes, court))


def _outcome(reading: Reading, parts: int) -> Outcome:
    return "inconclusive" if reading.reason else reading.outcome_at(reading.level / parts)


def _extreme(values: Sequence[float | None], choose: Callable[[list[float]], float]) -> float | None:
    """The lowest or highest; None where one is unknown."""
    known = [value for value in values if value is not None]
    return choose(known) if len(known) == len(values) else None


def _joined(results: list[Result]) -> str:
    return " > ".join(result.cell.id for result in results)


def _name(kind: Compound, results: list[Result]) -> str:
    if kind == "ranks_above":
        return results[0].cell.id
    first = results[0].cell
    return f"{first.backbone}-{'+'.join(result.cell.dataset for result in results)}-{first.regime}"


def _text(verdict: Verdict, readings: list[Reading], outcomes: list[Outcome], court: Court) -> str:
    parts = len(readings)
    lines = [
        f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}: {verdict.summary}",
        f"each of {parts} parts at one-sided level {court.level:.4g} ({court.alpha:g} over {court.family_size} "
        f"declared claims), all must hold; one refuted at {court.level / parts:.4g} refutes the whole",
    ]
    for reading, outcome in zip(readings, outcomes, strict=True):
        pair, limits = reading.comparison, reading.limits
        interval = f"[{limits[0]:+.4f}, {limits[1]:+.4f}]" if limits else "no interval"
        lines.append(
            f"{pair.candidate.cell} against {pair.reference.cell}: {pair.candidate.mean:.4f} against "
            f"{pair.reference.mean:.4f}, Δ {pair.effect:+.4f} {interval}: {outcome}"
            + (f" ({reading.reason})" if reading.reason else "")
        )
    lines += dict.fromkeys(line for reading in readings for line in scope(reading.comparison.candidate))
    lines += [verdict.mark] if verdict.mark else []
    lines += [verdict.settle] if verdict.settle else []
    return "\n  ".join(lines)


def _record(verdict: Verdict) -> Verdict:
    current().record(verdict)
    return verdict

"""Can a dataset, under a regime, tell backbones apart? What cells that should fail to learn say.

All must hold: the reference is better, by more than the margin, than its random-weight twin, than the
shortcut probe and than itself trained on shuffled labels; shuffled labels come out at chance; and between the
reference and the best value that the metric can take there is room for a difference that could be shown. Each is
tested at the family's level without correction, because all must hold.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from pytest_fmtransfer.judge.bounds import Piece, combine, seed_piece
from pytest_fmtransfer.judge.comparison import Comparison, auc_of, own_piece, seed_piece_of
from pytest_fmtransfer.judge.court import ALPHA, Outcome, Verdict, current
from pytest_fmtransfer.judge.mover import Mover
from pytest_fmtransfer.judge.power import ASSUMED_CORRELATION, against_an_equal, smallest_detectable
from pytest_fmtransfer.judge.reading import Reading, too_few_seeds
from pytest_fmtransfer.judge.wording import in_full, scope, shortened
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import plural

KIND = "tells_backbones_apart"

# Of the interval over shuffles. Every dataset and regime is asked: at 95 % one sound pair in twenty would be suspected.
CHANCE_CONFIDENCE = 0.99

# Where every shuffle takes one class for all, the mean is chance but for rounding, and the interval has no width.
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Check:
    """One of the things that must hold: a short name for the line, and a sentence with its figures."""

    name: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Controls:
    """A learnt backbone and three cells on the same test side that should fail to learn.

    `twin` has random weights, `shortcut` sees what the files tell, `shuffled` is the reference trained on
    shuffled labels, one shuffle a seed. `recorded` is a variance of a single run that was recorded for the dataset
    and regime beforehand: it stands in for what the seeds of all but the shuffles tell.
    """

    reference: Result
    twin: Result
    shortcut: Result
    shuffled: Result
    recorded: Piece | None = None

    def tell_backbones_apart(self) -> Verdict:
        """Supported where all checks hold, refuted where one fails, inconclusive where one is not settled."""
        verdict = tells_backbones_apart(self)
        current().record(verdict)
        return verdict


def tells_backbones_apart(controls: Controls) -> Verdict:
    """The verdict, not recorded by the court."""
    reference, at_chance = controls.reference, _at_chance(controls.shuffled)
    checks = [
        *(
            _is_better(Comparison(candidate=reference, reference=control, recorded=controls.recorded), name)
            for name, control in (("random weights", controls.twin), ("shortcut", controls.shortcut))
        ),
        _is_better(
            _AgainstShuffles(candidate=reference, reference=controls.shuffled, recorded=controls.recorded),
            "shuffled labels",
            lack=too_few_seeds(controls.shuffled, ALPHA),
        ),
        *([] if isinstance(at_chance, str) else [at_chance]),
        _headroom(reference, controls.recorded),
    ]
    failed = [check for check in checks if check.outcome == "refuted"]
    open_ones = [check for check in checks if check.outcome == "inconclusive"]
    outcome: Outcome = "refuted" if failed else "inconclusive" if open_ones else "supported"
    said = {
        "supported": "can tell backbones apart",
        "refuted": "cannot tell backbones apart",
        "inconclusive": "was not shown to tell backbones apart",
    }[outcome]
    why = ", ".join(check.name for check in failed or open_ones)
    summary = shortened(
        f"{outcome}: {reference.cell.dataset} under {reference.cell.regime} {said}{why and f' ({why})'}"
    )
    lines = [
        f"{reference.cell} tells backbones apart: {summary}",
        *(f"{check.outcome}: {check.sentence}" for check in checks),
        *([at_chance] if isinstance(at_chance, str) else []),
        f"each at one-sided level {ALPHA:g}, margin {reference.margin:g}; all must hold",
        *scope(reference, ALPHA),
    ]
    return Verdict(
        kind=KIND,
        candidate=reference.cell.id,
        reference="controls",
        outcome=outcome,
        summary=summary,
        text=in_full(lines),
        level=ALPHA,
        metric=reference.question.metric,
        metric_of=reference.metric_of,
        margin=reference.margin,
        reason=why,
    )


class _AgainstShuffles(Comparison):
    """A variance on record is one of training again, not of shuffling again: the shuffles tell their own."""

    @cached_property
    def seed_pieces(self) -> tuple[Piece, ...]:
        pieces = (seed_piece_of(self.candidate, self.recorded), seed_piece_of(self.reference))
        return tuple(piece for piece in pieces if piece is not None)

    @cached_property
    def mover(self) -> Mover | None:
        found = super().mover
        return None if found is None else replace(found, reference=auc_of(self.reference))


def _is_better(comparison: Comparison, name: str, lack: str = "") -> Check:
    reference, control = comparison.candidate, comparison.reference
    reading = Reading(kind="beats", comparison=comparison, level=ALPHA, threshold=reference.margin)
    figures = (
        f"[{reading.limits[0]:+.4f}, {reading.limits[1]:+.4f}]"
        if reading.limits
        else f"too few {plural(reference.patient_unit)} for an interval"
    )
    sentence = (
        f"{reference.cell} {reference.mean:.4f} against {name} ({control.cell}) {control.mean:.4f}: "
        f"Δ {comparison.effect:+.4f} {figures}, to lie above {reference.margin:g}"
    )
    reason = reading.reason or lack
    outcome: Outcome = "inconclusive" if lack else reading.outcome
    return Check(
        name=f"not better than {name}" if outcome == "refuted" else f"{name} not settled",
        outcome=outcome,
        sentence=f"{sentence} ({reason})" if reason else sentence,
    )


def _at_chance(shuffled: Result) -> Check | str:
    """Whether chance lies in the t interval of the mean over shuffles; or why that was not checked."""
    chance = chance_level(shuffled)
    piece = seed_piece(shuffled.by_seed)
    if chance is None:
        return (
            f"not checked: whether shuffled labels are at chance, because what chance is in {shuffled.metric_of} "
            "depends on the scores; a leak is not ruled out"
        )
    if piece is None:
        return "not checked: whether shuffled labels are at chance, because one shuffle has no interval"
    bound = combine(shuffled.mean, [piece])
    lower, upper = (limit((1 - CHANCE_CONFIDENCE) / 2) for limit in (bound.lower, bound.upper))
    return Check(
        name="leak suspected: shuffled labels are not at chance",
        outcome="supported" if lower - ROUNDING <= chance <= upper + ROUNDING else "refuted",
        sentence=f"{len(shuffled.seeds)} shuffles have mean {shuffled.mean:.4f} [{lower:.4f}, {upper:.4f}], "
        f"to hold chance, {chance:g}, at {100 * CHANCE_CONFIDENCE:g} %",
    )


def _headroom(reference: Result, recorded: Piece | None) -> Check:
    """Room above the reference for the smallest difference to another backbone that could be shown."""
    piece = own_piece(reference)
    best = metric_named(reference.question.metric).best
    room = abs(best - reference.mean)
    if piece is None:
        return Check(
            name="headroom not known",
            outcome="inconclusive",
            sentence=f"too few {plural(reference.patient_unit)} to know the headroom",
        )
    pieces = [against_an_equal(piece)]
    if (seeds := seed_piece_of(reference, recorded)) is not None:
        pieces.append(replace(seeds, variance=2 * seeds.variance))
    detectable = smallest_detectable(combine(0.0, pieces), ALPHA)
    return Check(
        name="no headroom",
        outcome="supported" if room > detectable else "refuted",
        sentence=f"{room:.4f} between {reference.cell} and {best:g}, to be more than the {detectable:.4f} that could "
        f"be shown against a backbone as good (correlation {ASSUMED_CORRELATION:g} assumed)",
    )


def chance_level(result: Result) -> float | None:
    """What a metric comes to when scores tell nothing of the labels; None where that depends on the scores."""
    metric = result.question.metric
    if metric.startswith("roc_auc") or metric == "mean_roc_auc":
        return 0.5
    if metric in ("macro_recall", "balanced_accuracy"):
        return 1 / len(result.classes)
    return 0.0 if metric.endswith("_kappa") else None

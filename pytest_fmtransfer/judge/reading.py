"""What one comparison says of one claim at one level; verdicts are made of readings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_fmtransfer.errors import first_few
from pytest_fmtransfer.judge.bounds import Bound, Piece
from pytest_fmtransfer.judge.comparison import Comparison, patients_by_class
from pytest_fmtransfer.judge.court import Outcome
from pytest_fmtransfer.judge.hidden import patients_to_show, too_much_hidden
from pytest_fmtransfer.judge.mover import Mover
from pytest_fmtransfer.judge.power import POWER, both_ways, smallest_detectable
from pytest_fmtransfer.judge.score_bound import ScoreBound
from pytest_fmtransfer.margins import within_width
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

# Test patients below which the smallest class cannot carry a verdict of each kind.
FEWEST_PATIENTS = {
    "beats": 20,
    "not_worse_than": 50,
    "equivalent_to": 50,
    "no_class_worse_than": 50,
    "above_published": 20,
    "consistent_with": 50,
}

# Claims that allow for a margin: what data can show of them is a margin, not an effect.
ALLOWING = ("not_worse_than", "equivalent_to", "no_class_worse_than")

# Metrics that a few patients can move far: where none shows any variance, nothing bounds what was missed.
UNBOUNDED = ("average_precision", "log_loss")
NO_VARIANCE = "no {} shows any variance"  # how that reason begins; {} is what patients are on the dataset

# Where the level of a single claim is below this, a seeded regime needs this many seeds: of two, false claims are more
# than twice as many as the level says (`benchmarks/calibration/few_seeds.py`).
STRICT_LEVEL, STRICT_SEEDS = 0.01, 3


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A claim about a comparison: is the effect above `threshold`, and, where there is a `ceiling`, below that?

    `reason` says why the data cannot carry a verdict whatever the interval says; it is empty when they can.
    """

    kind: str
    comparison: Comparison
    level: float
    threshold: float
    ceiling: float | None = None

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """The one-sided limits that decide, each at `level`, no further than two values of the metric can lie apart.

        None where a class has too few patients. Thresholds lie inside that range, so that it decides nothing.
        """
        result = self.comparison.candidate
        if self._unclipped is None:
            return None
        lower, upper = (within_width(each, result.question.metric, len(result.classes)) for each in self._unclipped)
        return lower, upper

    @cached_property
    def _unclipped(self) -> tuple[float, float] | None:
        if not self._bounds:
            return None
        return (
            min(each.lower(self.level) for each in self._bounds),
            max(each.upper(self.level) for each in self._bounds),
        )

    @property
    def at_a_margin(self) -> bool:
        """Whether the threshold is not 0. For an AUC, limits are then no narrower than MOVER's: near the ceiling plain
        ones are too narrow there.
        """
        return self.threshold != 0

    @property
    def outcome(self) -> Outcome:
        """What the limits say, unless there is a reason against it."""
        return "inconclusive" if self.reason else self.outcome_at(self.level)

    def outcome_at(self, refuting: float) -> Outcome:
        """Supported at this reading's level, refuted at another."""
        if self.limits is None:
            return "inconclusive"
        lower, upper = self.limits
        if lower > self.threshold and (self.ceiling is None or upper < self.ceiling):
            return "supported"
        if max(each.upper(refuting) for each in self._bounds) <= self.threshold:
            return "refuted"
        if self.ceiling is not None and min(each.lower(refuting) for each in self._bounds) >= self.ceiling:
            return "refuted"
        return "inconclusive"

    @property
    def p(self) -> float | None:
        """The level at which the claim would just be supported; None where there is a reason against a verdict."""
        if self.reason or not self._bounds:
            return None
        values = [each.p_above(self.threshold) for each in self._bounds]
        if self.ceiling is not None:
            values += [each.p_below(self.ceiling) for each in self._bounds]
        return max(values)

    @cached_property
    def planned(self) -> Bound | None:
        """The t bound to plan with: its standard error is what makes its limits those that decide."""
        bound = self.comparison.bound
        if bound is None or bound.alike or self._unclipped is None:
            return bound
        lower, upper = self._unclipped
        reach = bound.effect - lower if self.ceiling is None else max(bound.effect - lower, upper - bound.effect)
        return replace(bound, standard_error=reach / bound.quantile(1 - self.level))

    def detectable(self, power: float = POWER) -> float | None:
        """The true effect that would be supported with this power, 0 or more.

        Where a margin is allowed, the narrowest margin that would be kept with it, were there no effect.
        """
        bound = self.planned
        if bound is None:
            return None
        if self.ceiling is not None:
            return smallest_detectable(bound, self.level, both_ways(power))
        return smallest_detectable(bound, self.level, power) + max(0.0, self.threshold)

    @property
    def underpowered(self) -> bool:
        """Whether the smallest effect that can be shown is larger than the margin."""
        return self.reach is not None and self.reach > self.margin

    @property
    def margin(self) -> float:
        """What matters in practice: the margin that the claim allows, else the dataset's."""
        allows = self.kind in ALLOWING
        return abs(self.threshold) if allows else self.comparison.candidate.margin

    @property
    def reach(self) -> float | None:
        """The smallest difference from the threshold that would be shown with the usual power."""
        return None if self.planned is None else smallest_detectable(self.planned, self.level)

    @cached_property
    def reason(self) -> str:
        candidate, by_class = self.comparison.candidate, self.comparison.patients_by_class
        tolerable = candidate.hidden_share
        if lack := too_few_patients(self.kind, by_class, candidate.patient_unit, self.level, tolerable):
            return lack
        measured = self.comparison.recorded is not None or self.comparison.identical
        for result in (self.comparison.candidate, self.comparison.reference):
            if not measured and (lack := too_few_seeds(result, self.level)):
                return lack
        return no_bound(self.comparison.patient_piece, self.comparison.candidate)

    @cached_property
    def _bounds(self) -> list[Bound | Mover | ScoreBound]:
        mover = self.comparison.mover if self.at_a_margin else None
        return [each for each in (self.comparison.wider, mover) if each is not None]


def too_few_patients(kind: str, by_class: Mapping[str, int], unit: str, level: float, tolerable: float | None) -> str:
    """Names the smallest class where it has too few test patients for a verdict of a kind, or so few that more of it
    could be lost without having shown than is `tolerable`; else empty.

    `unit` is what patients are on the dataset, a `patient_unit`, `tolerable` its `hidden_share`.
    """
    name, count = min(by_class.items(), key=lambda row: row[1], default=("", FEWEST_PATIENTS[kind]))
    if count >= FEWEST_PATIENTS[kind]:
        return too_much_hidden(by_class, level, unit, tolerable)
    has = f"class '{name}' has {count} in the test side"
    return f"not enough {plural(unit)} to tell: {has}, {kind} needs {FEWEST_PATIENTS[kind]}"


def settling(kind: str, results: Sequence[Result], level: float, reason: str) -> str:
    """'would settle it: …' so many patients or seeds, or what else a `reason` against a verdict says is lacking.

    `results` are of one dataset.
    """
    first = results[0]
    unit, by_class = first.patient_unit, patients_by_class(first)
    if (lack := too_few_patients(kind, by_class, unit, level, first.hidden_share)) and lack in reason:
        shown = 0 if first.hidden_share is None else patients_to_show(first.hidden_share, level)
        enough = max(FEWEST_PATIENTS[kind], shown)
        small = [f"'{name}' has {count}" for name, count in by_class.items() if count < enough]
        return f"would settle it: {counted(enough, unit)} or more of each class in the test side ({first_few(small)})"
    for result in results:
        if (lack := too_few_seeds(result, level)) and lack in reason:
            seeds = STRICT_SEEDS if level < STRICT_LEVEL else 2
            return f"would settle it: {result.cell} at {seeds} seeds or more, of its profile or of transfer(seeds=…)"
    if reason.startswith(NO_VARIANCE.format(unit)):
        return f"would settle it: more {plural(unit)}, until some show a difference"
    return "would settle it: a dataset and a regime that can tell backbones apart"


def no_bound(piece: Piece | None, result: Result) -> str:
    """Says where no patient shows any variance and the metric sets no limit to what was missed; else empty."""
    if piece is None or not piece.alike or result.question.metric not in UNBOUNDED:
        return ""
    shows_none = NO_VARIANCE.format(result.patient_unit)
    return f"{shows_none}, and few that were not drawn could move {result.metric_of} far"


def too_few_seeds(result: Result, level: float) -> str:
    """Says where a regime that depends on its seed ran at too few of them for a one-sided level; else empty."""
    if not result.seeded:
        return ""
    if len(result.seeds) < 2:
        return f"training randomness not measured: {result.cell} ran at one seed"
    if level < STRICT_LEVEL and len(result.seeds) < STRICT_SEEDS:
        return f"{result.cell} needs {STRICT_SEEDS} seeds at this level, not {len(result.seeds)}"
    return ""

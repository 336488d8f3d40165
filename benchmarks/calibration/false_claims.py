"""Claims that are not true, though only just: how often does the judge support them?"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from numpy.random import Generator

from benchmarks.calibration.scenario import Scenario, Wrong
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.mover import Mover
from pytest_fmtransfer.judge.reading import STRICT_LEVEL, STRICT_SEEDS, Reading
from pytest_fmtransfer.judge.score_bound import ScoreBound

STRICT = ALPHA / 20  # the level of a claim in a family of twenty
COVERAGE = "95 % interval covers the truth"

Kind = Literal["beats", "not_worse_than", "equivalent_to"]


@dataclass(frozen=True, kw_only=True)
class FalseClaims:
    """The scenario's true effect is the threshold of each claim: no difference, or one of exactly the margin.

    `wider`: the interval may cover more often than .99, as it may with several seeds. With one seed it may cover more
    than its level says, because limits reckon with a lost patient of each class who was not drawn.
    """

    scenario: Scenario
    wider: bool = False

    @property
    def title(self) -> str:
        return self.scenario.title

    @property
    def kinds(self) -> tuple[Kind, ...]:
        if self.scenario.effect == 0:
            return ("beats",)
        return ("beats" if self.scenario.effect > 0 else "not_worse_than", "equivalent_to")

    @property
    def levels(self) -> tuple[float, ...]:
        """One-sided; few seeds carry no verdict at the strict one."""
        assert STRICT < STRICT_LEVEL
        return (ALPHA,) if 1 < self.scenario.seeds < STRICT_SEEDS else (ALPHA, STRICT)

    @property
    def bands(self) -> dict[str, Band]:
        bands = {
            question(kind, level): Band(high=1.2 * level if level == ALPHA else 2 * level)
            for kind in self.kinds
            for level in self.levels
        }
        widest = 1 if self.wider or self.scenario.seeds > 1 else 0.99
        return bands | {COVERAGE: Band(low=0.93, high=widest)}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(trials):
            candidate, reference = self.scenario.draw(rng)
            comparison = judged(self.scenario.wrong)(candidate=candidate, reference=reference)
            for kind in self.kinds:
                for level in self.levels:
                    read = reading(kind, comparison, level, self.scenario.effect)
                    assert not read.reason, read.reason
                    found[question(kind, level)] += read.outcome == "supported"
            limits = reading(self.kinds[0], comparison, 0.025, self.scenario.effect).limits
            assert limits is not None
            found[COVERAGE] += limits[0] <= self.scenario.effect <= limits[1]
        return found


def judged(wrong: Wrong) -> type[Comparison]:
    """How a scenario's cells are compared."""
    return _TBoundAlone if wrong == "t bound alone" else Comparison


class _TBoundAlone(Comparison):
    """Without the bounds that are wider where few patients differ, and near the ceiling."""

    @cached_property
    def score_bound(self) -> ScoreBound | None:
        return None

    @cached_property
    def mover(self) -> Mover | None:
        return None


def question(kind: str, level: float) -> str:
    return f"{kind} at {level:g}".replace("0.", ".")


def reading(kind: Kind, comparison: Comparison, level: float, threshold: float) -> Reading:
    if kind == "equivalent_to":
        margin = abs(threshold)
        return Reading(kind=kind, comparison=comparison, level=level, threshold=-margin, ceiling=margin)
    return Reading(kind=kind, comparison=comparison, level=level, threshold=threshold)

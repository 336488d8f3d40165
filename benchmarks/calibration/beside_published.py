"""Our value beside a number that somebody else found on patients of their own: a claim that is not true."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, question
from benchmarks.calibration.populations import ONE_IN_FIVE
from benchmarks.calibration.scenario import SEED_SHARE, Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.bounds import combine
from pytest_fmtransfer.judge.comparison import own_piece, seed_piece_of
from pytest_fmtransfer.judge.court import ALPHA, Court, judging
from pytest_fmtransfer.judge.published import Published, limits_beside
from pytest_fmtransfer.judge.reading import STRICT_SEEDS
from pytest_fmtransfer.results import Result


@dataclass(frozen=True, kw_only=True)
class BesidePublished:
    """Ours is the scenario's candidate; theirs is its reference, on as many patients of their own.

    With an effect the claim is `consistent_with`, at a margin of just that; without one it is `above_published`, and so
    it is of a loss, which has an effect where ours is worse. With seeds, the published number is of one run, which
    prints no spread; runs deviate by `times` the standard deviation of ours. `former`: judged by the rule that the
    published side's variance is ours, in a t bound, that no spread means none, and that more is better.
    """

    scenario: Scenario
    times: float = 1.0
    former: bool = False

    @property
    def title(self) -> str:
        parts = [self.scenario.title]
        if self.scenario.shares == ONE_IN_FIVE:
            parts.append("one in five positive")
        if self.scenario.seeds > 1:
            parts.append(f"theirs one run that deviates by {self.times:g} times ours, not printed")
        return ", ".join([*parts, "former rule"] if self.former else parts)

    @property
    def margin(self) -> float:
        """0 where the claim is `above_published`."""
        return 0.0 if self.scenario.metric == "log_loss" else abs(self.scenario.effect)

    @property
    def kind(self) -> Literal["above_published", "consistent_with"]:
        return "consistent_with" if self.margin else "above_published"

    @property
    def levels(self) -> tuple[float, ...]:
        """One-sided; few seeds carry no verdict at the strict one."""
        return (ALPHA,) if 1 < self.scenario.seeds < STRICT_SEEDS else (ALPHA, STRICT)

    @property
    def bands(self) -> dict[str, Band]:
        return {
            question(self.kind, level): Band(high=1.2 * level if level == ALPHA else 2 * level) for level in self.levels
        }

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(trials):
            ours, theirs = self.scenario.draw(rng)[0], self._their_value(rng)
            published = Published(value=theirs, source="simulated")
            for level in self.levels:
                found[question(self.kind, level)] += self._supported(ours, published, level)
        return found

    def _their_value(self, rng: Generator) -> float:
        """Of one run, on other patients."""
        scenario = replace(self.scenario, seeds=1)
        if self.scenario.seeds == 1:
            return scenario.draw(rng)[1].mean
        run = SEED_SHARE * (1 - scenario.value) * self.times * rng.standard_normal()
        return scenario.draw_cells(rng, {"reference": scenario.value + run}, dataset="theirs")[0].mean

    def _supported(self, ours: Result, published: Published, level: float) -> bool:
        if not self.former:
            with judging(Court(alpha=level)):
                lower, upper = limits_beside(ours, published)
            return lower > -self.margin and (not self.margin or upper < self.margin)
        own, seeds = own_piece(ours), seed_piece_of(ours)
        assert own is not None
        pieces = [replace(own, variance=2 * own.variance), *([] if seeds is None else [seeds])]
        bound = combine(ours.mean - published.value, pieces)
        return bound.lower(level) > -self.margin and (not self.margin or bound.upper(level) < self.margin)

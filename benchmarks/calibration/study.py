"""A study is repeated by chance and counts; a figure is such a count with its interval and the band it must keep."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from numpy.random import Generator
from scipy.stats import binomtest


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where a rate must lie, both ends included."""

    low: float = 0.0
    high: float = 1.0

    def holds(self, rate: float) -> bool:
        return self.low <= rate <= self.high

    def __str__(self) -> str:
        low, high = (f"{end:g}".removeprefix("0") for end in (self.low, self.high))
        if self.low == 0:
            return f"≤ {high}"
        return f"≥ {low}" if self.high == 1 else f"{low} to {high}"


class Study(Protocol):
    """`bands` has one entry per question, in the order of the page's columns.

    Two studies whose repr are equal are the same study: their random numbers are seeded by it.
    """

    @property
    def title(self) -> str: ...

    @property
    def bands(self) -> dict[str, Band]: ...

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        """In how many of so many trials the answer to each question was yes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`count` times yes in `trials`."""

    count: int
    trials: int
    band: Band

    @property
    def rate(self) -> float:
        return self.count / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's two-sided 95 % limits."""
        limits = binomtest(self.count, self.trials).proportion_ci(0.95, method="exact")
        return float(limits.low), float(limits.high)

    @property
    def inside(self) -> bool:
        return self.band.holds(self.rate)

    @property
    def clearly_outside(self) -> bool:
        """Whether the whole interval lies outside the band."""
        low, high = self.interval
        return low > self.band.high or high < self.band.low


def figures(study: Study, counts: Counter[str], trials: int) -> dict[str, Figure]:
    """By question."""
    return {
        question: Figure(count=counts[question], trials=trials, band=band) for question, band in study.bands.items()
    }

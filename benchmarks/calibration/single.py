"""The interval of one cell's own metric: how often does it hold the truth?"""

from collections import Counter
from dataclasses import dataclass

from numpy.random import Generator

from benchmarks.calibration.false_claims import COVERAGE
from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.bounds import combine
from pytest_fmtransfer.judge.comparison import own_piece
from pytest_fmtransfer.judge.intervals import interval


@dataclass(frozen=True, kw_only=True)
class OneCell:
    """The scenario's reference, whose metric is its value, or the mean of a common and a rare class's `recalls`.

    `scenario.wrong` may be "t bound alone": the interval's former rule of any metric but an AUC.
    """

    scenario: Scenario
    recalls: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        if self.recalls is None:
            return self.scenario.title
        common, rare = (f"{recall:.2f}".removeprefix("0") for recall in self.recalls)
        many, few = self.scenario.patients_by_class
        title = f"macro_recall, {many:,} patients of recall {common} and {few} of {rare}"
        return ", ".join(filter(None, [title, self.scenario.wrong]))

    @property
    def bands(self) -> dict[str, Band]:
        return {COVERAGE: Band(low=0.93)}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        truth = self.scenario.value if self.recalls is None else sum(self.recalls) / 2
        found: Counter[str] = Counter()
        for _ in range(trials):
            result = self.scenario.draw(rng)[1]
            if self.scenario.wrong == "t bound alone":
                piece = own_piece(result)
                assert piece is not None
                bound = combine(result.mean, [piece])
                limits = bound.lower(0.025), bound.upper(0.025)
            else:
                limits = interval(result)
                assert limits is not None
            found[COVERAGE] += limits[0] <= truth <= limits[1]
        return found

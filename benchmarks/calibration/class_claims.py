"""Classes of which one or all are worse by exactly the margin: how often does `no_class_worse_than` say otherwise?"""

from collections import Counter
from dataclasses import dataclass

from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, question
from benchmarks.calibration.hidden import Hidden
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import ALPHA, Court, judging
from pytest_fmtransfer.judge.no_class_worse import no_class_worse_than
from pytest_fmtransfer.judge.per_class import KIND
from pytest_fmtransfer.judge.reading import Reading

REFUTED = f"{KIND} refuted"


@dataclass(frozen=True, kw_only=True)
class ClassClaims:
    """The scenario's lowest gain of a class is −`margin`, so that the claim is false, though only just.

    Where each class is at the margin it is as nearly true as it can be false, and is seldom refuted either.
    `average`: wrong on purpose, the claim is that the average is not worse.
    """

    scenario: Hidden
    margin: float
    average: bool = False

    def __post_init__(self) -> None:
        assert abs(min(self._gains) + self.margin) < 1e-9

    @property
    def _gains(self) -> list[float]:
        return [to - at for at, to in self.scenario.recalls]

    @property
    def title(self) -> str:
        told = f"{self.scenario.title}, margin {self.margin:g}"
        return f"{told}, the average taken for its classes" if self.average else told

    @property
    def bands(self) -> dict[str, Band]:
        bands = {question(KIND, ALPHA): Band(high=1.2 * ALPHA), question(KIND, STRICT): Band(high=2 * STRICT)}
        if max(self._gains) - min(self._gains) < 1e-9:
            bands[question(REFUTED, ALPHA)] = Band(high=1.2 * ALPHA)
        return bands

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(trials):
            candidate, reference = self.scenario.draw(rng)
            for level in (ALPHA, STRICT):
                if self.average:
                    pair = Comparison(candidate=candidate, reference=reference)
                    outcome = Reading(
                        kind="not_worse_than", comparison=pair, level=level, threshold=-self.margin
                    ).outcome
                else:
                    with judging(Court(alpha=level)):
                        outcome = no_class_worse_than(candidate, reference, self.margin).outcome
                found[question(KIND, level)] += outcome == "supported"
                if level == ALPHA and question(REFUTED, ALPHA) in self.bands:
                    found[question(REFUTED, ALPHA)] += outcome == "refuted"
        return found

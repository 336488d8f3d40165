"""Is an effect as large as the smallest detectable one found as often as is said?"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.power import POWER
from pytest_fmtransfer.judge.reading import Reading

ROUNDS, DRAWS = 3, 300


@dataclass(frozen=True, kw_only=True)
class Power:
    """A scenario whose true effect is the smallest detectable one that the judge states of it."""

    scenario: Scenario
    level: float = ALPHA

    @property
    def title(self) -> str:
        return self.scenario.title + ("" if self.level == ALPHA else f", at {self.level:g}".replace("0.", "."))

    @property
    def bands(self) -> dict[str, Band]:
        return {"supported": Band(low=POWER)}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        scenario = replace(self.scenario, effect=stated_effect(self.scenario, self.level))
        return Counter(supported=sum(reading(scenario, rng, self.level).outcome == "supported" for _ in range(trials)))


@cache
def stated_effect(scenario: Scenario, level: float) -> float:
    """The effect that equals the mean smallest detectable effect stated where it is true; from draws of its own."""
    rng = np.random.default_rng(0)
    effect = 0.0
    for _ in range(ROUNDS):
        true = replace(scenario, effect=effect)
        stated = [reading(true, rng, level).detectable() for _ in range(DRAWS)]
        effect = float(np.mean([each for each in stated if each is not None]))
    return effect


def reading(scenario: Scenario, rng: Generator, level: float) -> Reading:
    candidate, reference = scenario.draw(rng)
    return Reading(
        kind="beats", comparison=Comparison(candidate=candidate, reference=reference), level=level, threshold=0.0
    )

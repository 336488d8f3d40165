"""What the bounds that hold where a loss hides cost where none does: power beside that of the t bound alone."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, judged, question
from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.power import POWER, smallest_detectable
from pytest_fmtransfer.judge.reading import Reading

ROUNDS, DRAWS = 3, 200
KEPT = 0.9  # of the power, at least
HIGHEST = 0.999  # of a metric


@dataclass(frozen=True, kw_only=True)
class PowerKept:
    """Cells that are drawn alike, at the effect that a t bound alone supports with power .8; at most `HIGHEST`.

    `few`: without a band, because there are few patients in a class.
    """

    scenario: Scenario
    few: bool = False

    @property
    def title(self) -> str:
        return self.scenario.title

    @property
    def bands(self) -> dict[str, Band]:
        kept = Band() if self.few else Band(low=round(KEPT * POWER, 2))
        return {
            name: kept if (level, alone) == (ALPHA, False) else Band()
            for level in (ALPHA, STRICT)
            for alone in (False, True)
            for name in [named(level, alone)]
        }

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for level in (ALPHA, STRICT):
            scenario = replace(self.scenario, effect=effect_of(self.scenario, level))
            for _ in range(trials):
                pair = scenario.draw(rng)
                for alone in (False, True):
                    comparison = judged("t bound alone" if alone else "")(candidate=pair[0], reference=pair[1])
                    reading = Reading(kind="beats", comparison=comparison, level=level, threshold=0.0)
                    found[named(level, alone)] += reading.outcome == "supported"
        return found


def named(level: float, alone: bool) -> str:
    return question("supported", level) + (", t bound alone" if alone else "")


@cache
def effect_of(scenario: Scenario, level: float) -> float:
    """The effect that equals the mean smallest detectable effect of a t bound alone; from draws of its own."""
    rng = np.random.default_rng(0)
    effect = 0.0
    for _ in range(ROUNDS):
        true = replace(scenario, effect=effect)
        bounds = [judged("")(candidate=one, reference=other).bound for one, other in map(true.draw, [rng] * DRAWS)]
        stated = [smallest_detectable(bound, level) for bound in bounds if bound is not None]
        effect = min(float(np.mean(stated)), HIGHEST - scenario.value)
    return effect

"""What a verdict does not do: take percentiles of a bootstrap for limits. Shown because it is common, and wrong here.

Legend: B replicates.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.false_claims import FalseClaims, question
from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.resampling import draws, strata_for_draws
from pytest_fmtransfer.metrics import replicates


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """`beats` without a margin, when the lower limit is the replicates' percentile at the level. One seed."""

    scenario: Scenario

    @property
    def title(self) -> str:
        return f"{self.scenario.title}, percentiles of a bootstrap"

    @property
    def claims(self) -> FalseClaims:
        return FalseClaims(scenario=self.scenario)

    @property
    def bands(self) -> dict[str, Band]:
        return {asked: band for asked, band in self.claims.bands.items() if asked.startswith("beats")}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(trials):
            pair = self.scenario.draw(rng)
            metric, labels_N = self.scenario.metric, pair[0].labels_N
            drawn = [
                np.subtract(*(replicates(metric, labels_N, result.scores_SNC[0], counts_NB) for result in pair))
                for counts_NB in draws(pair[0], strata_for_draws(pair[0]))
            ]
            effect_B = np.concatenate(drawn)
            for level in self.claims.levels:
                found[question("beats", level)] += bool(np.quantile(effect_B, level) > 0)
        return found

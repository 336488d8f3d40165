"""The regression gate over a whole suite: its cells one by one, and all of them together.

Legend: A cells, R recorded seeds, K = R + 1 seeds with the new one, F fresh seeds, S = K + F seeds.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from scipy.stats import ttest_1samp

from benchmarks.calibration.gate import MEAN, SPREAD
from benchmarks.calibration.noise import SHAPES, Floats
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.drift import FEWEST_RECORDED, FRESH, has_drifted, passes_screen
from pytest_fmtransfer.judge.pooled_drift import LEVEL, moved_together
from pytest_fmtransfer.words import counted

Wrong = Literal["", "cells one by one alone", "cells taken to be independent", "tolerance left out"]


@dataclass(frozen=True, kw_only=True)
class PooledGate:
    """`cells` baselines of ten recorded seeds, as many on each of `datasets`, each held against new runs.

    What a seed does to the cells of one data set correlates by `alike`. In standard deviations between seeds:
    `tolerance` is what rounding may do, `shift` by how much it has made every cell worse, `drift` a true loss of every
    cell. An alarm is that any cell has drifted, or all together.
    """

    noise: str = "normal"
    cells: int = 120
    datasets: int = 10
    alike: float = 0.0
    tolerance: float = 0.0
    shift: float = 0.0
    drift: float = 0.0
    wrong: Wrong = ""
    band: Band

    @property
    def title(self) -> str:
        parts = [f"{self.noise} seeds", f"{self.cells} cells on {counted(self.datasets, 'data set')}"]
        if self.alike:
            parts.append(f"seeds alike by {self.alike:g}")
        if self.tolerance:
            parts.append(f"tolerance {self.tolerance:g} s")
        if self.shift:
            parts.append(f"another machine, all {self.shift:g} s worse")
        if self.drift:
            parts.append(f"all drifted by {self.drift:g} s")
        if self.wrong:
            parts.append(self.wrong)
        return ", ".join(parts)

    @property
    def bands(self) -> dict[str, Band]:
        return {"alarm in a suite": self.band}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        tolerance = 0.0 if self.wrong == "tolerance left out" else self.tolerance * SPREAD
        found: Counter[str] = Counter()
        for _ in range(trials):
            values_AK, fresh_AF = self._draw(rng)
            found["alarm in a suite"] += self._together(values_AK, tolerance) or _any(values_AK, fresh_AF, tolerance)
        return found

    def _draw(self, rng: Generator) -> tuple[Floats, Floats]:
        draw, seeds = SHAPES[self.noise], FEWEST_RECORDED + 1 + FRESH
        of_dataset_A = np.arange(self.cells) % self.datasets
        shared_AS = draw(rng, (self.datasets, seeds))[of_dataset_A]
        noise_AS = np.sqrt(self.alike) * shared_AS + np.sqrt(1 - self.alike) * draw(rng, (self.cells, seeds))
        noise_AS[:, FEWEST_RECORDED:] -= self.shift + self.drift
        values_AS = MEAN + SPREAD * noise_AS
        return values_AS[:, : FEWEST_RECORDED + 1], values_AS[:, FEWEST_RECORDED + 1 :]

    def _together(self, values_AK: Floats, tolerance: float) -> bool:
        if self.wrong == "cells one by one alone":
            return False
        if self.wrong == "cells taken to be independent":
            recorded_AR = values_AK[:, :-1]
            moved_A = (values_AK[:, -1] - recorded_AR.mean(axis=1)) / recorded_AR.std(axis=1, ddof=1)
            return bool(ttest_1samp(moved_A, 0).pvalue <= LEVEL)
        return moved_together(values_AK, np.full(len(values_AK), tolerance))[1] <= LEVEL


def _any(values_AK: Floats, fresh_AF: Floats, tolerance: float) -> bool:
    """Whether any cell has drifted by itself."""
    cells = zip(values_AK[:, :-1].tolist(), values_AK[:, -1].tolist(), fresh_AF.tolist(), strict=True)
    return any(
        not passes_screen(recorded, screened, tolerance) and has_drifted(recorded, screened, fresh, tolerance)
        for recorded, screened, fresh in cells
    )

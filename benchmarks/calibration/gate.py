"""The regression gate of regimes that depend on a seed: false alarms of a family of cells, power for one cell.

Legend: A cells of a family, R recorded seeds, F fresh seeds.
"""

from collections import Counter
from dataclasses import dataclass

from numpy.random import Generator

from benchmarks.calibration.noise import SHAPES
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.drift import FEWEST_RECORDED, FRESH, has_drifted, passes_screen

MEAN, SPREAD = 0.90, 0.01  # of the recorded seeds' metric


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`cells` baselines of ten recorded seeds, each held against new runs. In standard deviations between seeds:
    `tolerance` is what rounding may do, `shift` what it has done, in a direction of each cell's own; `drift` is a
    true loss.
    """

    noise: str = "normal"
    cells: int = 1
    tolerance: float = 0.0
    shift: float = 0.0
    drift: float = 0.0
    band: Band

    @property
    def title(self) -> str:
        parts = [f"{self.noise} seeds", f"family of {self.cells}" if self.cells > 1 else "one cell"]
        if self.tolerance:
            parts.append(f"tolerance {self.tolerance:g} s")
        if self.shift:
            parts.append(f"another machine, {self.shift:g} s off")
        if self.drift:
            parts.append(f"drift of {self.drift:g} s")
        return ", ".join(parts)

    @property
    def bands(self) -> dict[str, Band]:
        return {"alarm": self.band}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        draw, tolerance = SHAPES[self.noise], self.tolerance * SPREAD
        found: Counter[str] = Counter()
        for _ in range(trials):
            moved_A = self.shift * rng.choice([-1, 1], self.cells) - self.drift
            recorded_AR = MEAN + SPREAD * draw(rng, (self.cells, FEWEST_RECORDED))
            screened_A = MEAN + SPREAD * (moved_A + draw(rng, (self.cells,)))
            fresh_AF = MEAN + SPREAD * (moved_A[:, None] + draw(rng, (self.cells, FRESH)))
            cells = zip(recorded_AR.tolist(), screened_A.tolist(), fresh_AF.tolist(), strict=True)
            found["alarm"] += any(
                not passes_screen(recorded, screened, tolerance) and has_drifted(recorded, screened, fresh, tolerance)
                for recorded, screened, fresh in cells
            )
        return found

"""Two or three seeds: one side alone depends on its seed, both do by unequal amounts, or both saw the same draws.

Legend: S seeds.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, question, reading
from benchmarks.calibration.scenario import Scenario
from benchmarks.calibration.study import Band
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.judge.bounds import Bound, together
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.reading import STRICT_LEVEL, STRICT_SEEDS
from pytest_fmtransfer.results import Result

FORMER_STRICT_SEEDS = 5


@dataclass(frozen=True, kw_only=True)
class FewSeeds(Scenario):
    """`spread` is the standard deviation of the candidate's metric between seeds, `other` that of the reference's.

    With an `other` of 0 the reference does not depend on a seed. `shared` is the correlation of the two between seeds
    that are the same draws; `paired` says whether the judge knows that they are.
    """

    spread: float
    other: float = 0.0
    shared: float = 0.0
    paired: bool = False

    @property
    def title(self) -> str:
        kind = "one side seeded" if not self.other else f"deviation of the other side .{1000 * self.other:03.0f}"
        parts = [super().title, f"deviation .{1000 * self.spread:03.0f} between seeds", kind]
        if self.shared:
            parts.append("the same draws" if self.paired else "the same draws, taken for independent")
        return ", ".join(parts)

    def draw(self, rng: Generator) -> tuple[Result, Result]:
        """Candidate and reference, once."""
        patient_N, labels_N = self._images()
        latents_DSNK = self._latents(rng, patient_N, self.population.latents, 2)
        fingerprint = f"{rng.integers(2**32):08x}"
        common_S, *own_DS = rng.standard_normal((3, self.seeds))
        results: list[Result] = []
        for number, (name, value, spread) in enumerate(
            (("candidate", self.value + self.effect, self.spread), ("reference", self.value, self.other))
        ):
            moved_S = math.sqrt(self.shared) * common_S + math.sqrt(1 - self.shared) * own_DS[number]
            signal_S = self.population.signal(value + spread * moved_S)
            run = replace(self, seeds=self.seeds if spread else 1)
            scores = [
                self.population.scores(labels_N, latents_DSNK[number][seed], signal_S[seed])
                for seed in range(run.seeds)
            ]
            cell = Cell(backbone=name, dataset="synthetic", regime="simulated")
            result = run._result(cell, fingerprint, patient_N, labels_N, np.stack(scores))
            results.append(replace(result, draws=self.paired))
        return results[0], results[1]


@dataclass(frozen=True, kw_only=True)
class FewSeedsClaims:
    """How often "is better" is supported: of cells that are equal, or of an effect that is there.

    `least` are the shares that must be supported at .05 and at the strict level; without them the effect is 0.
    `former` counts as an earlier rule did: with Satterthwaite's degrees of freedom of the variances as they were seen,
    or with five seeds asked for below .01.
    """

    scenario: FewSeeds
    least: tuple[float, float] | None = None
    former: Literal["", "Satterthwaite's degrees", "five seeds below .01"] = ""

    @property
    def title(self) -> str:
        effect = f", a difference of .{1000 * self.scenario.effect:03.0f}" if self.scenario.effect else ""
        return f"{self.scenario.title}{effect}" + (f", {self.former}" if self.former else "")

    @property
    def levels(self) -> tuple[float, ...]:
        return (ALPHA, STRICT) if self.scenario.seeds >= STRICT_SEEDS else (ALPHA,)

    @property
    def bands(self) -> dict[str, Band]:
        if self.least is None:
            highs = (1.2 * ALPHA, 2 * STRICT)
            return {question("beats", level): Band(high=high) for level, high in zip(self.levels, highs, strict=False)}
        return {question("beats", at): Band(low=low) for at, low in zip(self.levels, self.least, strict=False)}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        kind = _FormerDegrees if self.former == "Satterthwaite's degrees" else Comparison
        for _ in range(trials):
            candidate, reference = self.scenario.draw(rng)
            comparison = kind(candidate=candidate, reference=reference)
            for level in self.levels:
                read = reading("beats", comparison, level, 0.0)
                assert not read.reason, read.reason
                found[question("beats", level)] += read.outcome == "supported" and not self._refused(level)
        return found

    def _refused(self, level: float) -> bool:
        few = self.scenario.seeds < FORMER_STRICT_SEEDS
        return self.former == "five seeds below .01" and few and level < STRICT_LEVEL


class _FormerDegrees(Comparison):
    """Satterthwaite's degrees of freedom of the variances as they were seen."""

    @cached_property
    def bound(self) -> Bound | None:
        bound = super().bound
        if bound is None or self.patient_piece is None:
            return bound
        return replace(bound, degrees=together([self.patient_piece, *self.seed_pieces]).degrees)

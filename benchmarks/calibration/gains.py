"""Relative gains averaged over four data sets, whose true values are known: what is claimed of them, and how often?

One backbone and another are held against a third, the reference, on the same patients of each data set. Both gain the
same on average, so that neither order is true. The published number is what somebody else found of the first backbone
on as many patients of their own, where its true gain lies off ours by exactly what the data sets' margins come to,
above or below, so that no agreement is true either.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from benchmarks.calibration.false_claims import STRICT, question
from benchmarks.calibration.populations import APTOS, HALF, ISIC
from benchmarks.calibration.scenario import Scenario, Wrong
from benchmarks.calibration.study import Band
from pytest_fmtransfer.judge.bounds import combine
from pytest_fmtransfer.judge.court import ALPHA
from pytest_fmtransfer.judge.gain_claims import gain_consistent_with, gains_in_order
from pytest_fmtransfer.judge.published import Published
from pytest_fmtransfer.judge.reading import STRICT_SEEDS
from pytest_fmtransfer.judge.relative_gain import RelativeGain, merged, patient_pieces, relative_gains, seed_pieces
from pytest_fmtransfer.results import Result

OF_A_GAIN, OF_A_DIFFERENCE = "95 % interval covers the gain", "95 % interval covers the difference of two"

World = Literal["nothing gained", "gains that differ by data set"]

# By how much each of two backbones is better than the reference, data set by data set; None: so much that both gain
# the same on average.
ONE: Sequence[float] = (0.03, -0.01, 0.02, 0.0)
OTHER: Sequence[float | None] = (-0.02, 0.02, 0.01, None)


@dataclass(frozen=True, kw_only=True)
class FalseGains:
    """What is claimed of gains that are equal, and of a published gain that is off by the margin."""

    world: World
    seeds: int = 1
    wrong: Wrong = ""

    @property
    def title(self) -> str:
        parts = [self.world, f"{self.seeds} seeds" if self.seeds > 1 else "one seed that does not matter", self.wrong]
        return ", ".join(part for part in parts if part)

    @property
    def datasets(self) -> tuple[Scenario, ...]:
        """Of unequal size, with a metric each: a graded one, two of two classes, one of eight."""
        kinds = (
            ("quadratic_kappa", 0.85, APTOS, 350, 1),
            ("roc_auc", 0.90, HALF, 200, 3),
            ("macro_recall", 0.75, ISIC, 1_200, 1),
            ("roc_auc", 0.85, HALF, 600, 1),
        )
        return tuple(
            Scenario(
                metric=metric,
                value=value,
                shares=shares,
                patients=patients,
                images=images,
                seeds=self.seeds,
                fewest=50,
                wrong=self.wrong,
            )
            for metric, value, shares, patients, images in kinds
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """One-sided; few seeds carry no verdict at the strict one."""
        return (ALPHA,) if 1 < self.seeds < STRICT_SEEDS else (ALPHA, STRICT)

    @property
    def bands(self) -> dict[str, Band]:
        bands = {
            question(kind, level): Band(high=1.2 * level if level == ALPHA else 2 * level)
            for kind in ("gains_in_order", "gain_consistent_with")
            for level in self.levels
        }
        covers = Band(low=0.93, high=0.99 if self.seeds > 1 else 0.97)
        return bands | {OF_A_GAIN: covers, OF_A_DIFFERENCE: covers}

    @property
    def effects(self) -> tuple[Sequence[float], Sequence[float]]:
        """Of the two backbones, by data set, in the metric's unit."""
        if self.world == "nothing gained":
            return (0.0,) * 4, (0.0,) * 4
        told = [each for each in OTHER if each is not None]
        short = _average(ONE, self.datasets) - _average((*told, 0.0), self.datasets)
        return ONE, (*told, short / 100 * len(self.datasets) * self.datasets[-1].value)

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        found: Counter[str] = Counter()
        true_gain = _average(self.effects[0], self.datasets)
        margin = _average([0.02] * len(self.datasets), self.datasets)  # what every scenario's margin is
        for trial in range(trials):
            one, other = self._draw(rng, rivals=True)
            (theirs,) = self._draw(rng, rivals=False)
            off = margin if trial % 2 else -margin
            published = Published(
                value=theirs.value + off,
                source="simulated",
                spread=_spread(theirs) if self.seeds > 1 else 0.0,
                spread_is="sd",
                runs=self.seeds,
            )
            in_order, agrees = gains_in_order([one], [other]), gain_consistent_with(one, published)
            assert in_order.p is not None, in_order.reason
            assert agrees.p is not None, agrees.reason
            for level in self.levels:  # a p-value is the level at which the claim would just be supported
                found[question("gains_in_order", level)] += in_order.p < level
                found[question("gain_consistent_with", level)] += agrees.p < level
            found[OF_A_DIFFERENCE] += 0.025 <= in_order.p <= 0.975
            lower, upper = _limits(one)
            found[OF_A_GAIN] += lower <= true_gain <= upper
        return found

    def _draw(self, rng: Generator, *, rivals: bool) -> list[RelativeGain]:
        """The gains of both backbones over the reference, once; without rivals, that of the first alone."""
        drawn: dict[str, list[Result]] = {}
        for number, (scenario, one, other) in enumerate(zip(self.datasets, *self.effects, strict=True)):
            values = {"one": scenario.value + one, "other": scenario.value + other, "reference": scenario.value}
            if not rivals:
                del values["other"]
            for result in scenario.draw_cells(rng, values, dataset=f"synthetic{number}"):
                drawn.setdefault(result.cell.backbone, []).append(result)
        references = drawn.pop("reference")
        return relative_gains([each for side in drawn.values() for each in side], references * len(drawn))


def _average(differences: Sequence[float], datasets: Sequence[Scenario]) -> float:
    """Of what they come to relative to the reference, in percent."""
    shares = [100 * each / scenario.value for each, scenario in zip(differences, datasets, strict=True)]
    return sum(shares) / len(shares)


def _spread(gain: RelativeGain) -> float:
    """The standard deviation over runs of an average gain, as a publication prints it beside the mean."""
    pairs = zip(gain.candidates, gain.references, strict=True)
    by_run = [100 * (np.array(mine.by_seed) / np.array(other.by_seed) - 1) for mine, other in pairs]
    return float(np.std(np.mean(by_run, axis=0), ddof=1))


def _limits(gain: RelativeGain) -> tuple[float, float]:
    """The 95 % interval of an average gain."""
    terms = merged(gain.weighed)
    patients = patient_pieces(terms)
    assert not isinstance(patients, str), patients
    bound = combine(gain.value, [*patients, *seed_pieces(terms)])
    return bound.lower(0.025), bound.upper(0.025)

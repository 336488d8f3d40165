"""Cells whose metrics are known, drawn by chance: synthetic scores in place of a candidate's and a reference's.

Legend: N images, P patients, S seeds, K latents of an image, C classes, D cells on the same patients.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.calibration.noise import SHAPES
from benchmarks.calibration.populations import (
    ONE_IN_TEN,
    Floats,
    Ints,
    Population,
    binormal,
    counts_of,
    one_of_many,
    ordered,
    seldom_wrong,
)
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.results import Cost, Question, Result

CORRELATION = 0.8  # of the two cells' scores of an image
DEPENDENCE = 0.8  # of the scores of two images of one patient
INTERACTION = 0.5  # of what a cell does not share with the other: the part that every seed draws again
SEED_SHARE = 0.1  # standard deviation of the metric between seeds, as a share of what is missing to 1

Wrong = Literal["", "images taken for patients", "seeds left out", "t bound alone"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A candidate whose metric is `value` + `effect`, a reference whose metric is `value`, on the same patients.

    `images` are those of each patient, all of one class unless `mixed`; `fewest` the patients of the smallest class.
    Average precision and calibration error have no value of their own here: `value` is then the AUC, and `effect` 0.
    One seed means a regime that does not depend on it; with more, their values vary as `noise` says. `wrong`
    tells the judge something untrue about the data, or takes its other bounds away.
    """

    metric: str
    value: float
    shares: tuple[int, ...]
    patients: int
    images: int = 1
    mixed: bool = False
    seeds: int = 1
    noise: str = "normal"
    effect: float = 0.0
    fewest: int = 20
    wrong: Wrong = ""

    @property
    def title(self) -> str:
        metrics = [f"{value:.2f}".removeprefix("0") for value in dict.fromkeys((self.value + self.effect, self.value))]
        known = self.metric in ("roc_auc", "quadratic_kappa", "macro_recall")
        parts = [
            f"{self.metric} {'' if known else 'at an AUC of '}{' against '.join(metrics)}",
            f"{self.patients:,} patients",
        ]
        if self.shares == ONE_IN_TEN:
            parts.append("one in ten positive")
        if self.images > 1:
            parts.append(f"{self.images} images each" + (" of several classes" if self.mixed else ""))
        if self.seeds > 1:
            parts.append(f"{self.seeds} seeds" if self.noise == "normal" else f"{self.seeds} {self.noise} seeds")
        if self.wrong:
            parts.append(self.wrong)
        return ", ".join(parts)

    @cached_property
    def patients_by_class(self) -> Ints:
        """Patients by class."""
        return counts_of(self.shares, self.patients, self.fewest)

    @property
    def correlation(self) -> float:
        """Of the two cells' scores of an image, within a class."""
        return CORRELATION

    @property
    def population(self) -> Population:
        if self.metric == "quadratic_kappa":
            return ordered(self.metric, tuple(self.patients_by_class.tolist()))
        if self.metric == "macro_recall":
            return one_of_many(self.metric, len(self.shares))
        return binormal(self.metric)

    def draw(self, rng: Generator) -> tuple[Result, Result]:
        """Candidate and reference, once."""
        candidate, reference = self.draw_cells(
            rng, {"candidate": self.value + self.effect, "reference": self.value}, dataset="synthetic"
        )
        return candidate, reference

    def draw_cells(self, rng: Generator, values: Mapping[str, float], *, dataset: str) -> list[Result]:
        """A cell of each backbone with its metric in the population, all on the same patients, once."""
        patient_N, labels_N = self._images()
        if self.mixed:
            labels_N = rng.permutation(labels_N)
        fingerprint = f"{rng.integers(2**32):08x}"  # a bootstrap's draws depend on it
        latents_DSNK = self._latents(rng, patient_N, self.population.latents, len(values))
        cells: list[Result] = []
        for (name, value), latents_SNK in zip(values.items(), latents_DSNK, strict=True):
            spread = SEED_SHARE * (1 - value) if self.seeds > 1 else 0.0
            signal_S = self.population.signal(value + spread * SHAPES[self.noise](rng, (self.seeds,)))
            scores_SNC = [
                self.population.scores(labels_N, latents_NK, signal)
                for latents_NK, signal in zip(latents_SNK, signal_S.tolist(), strict=True)
            ]
            cell = Cell(backbone=name, dataset=dataset, regime="simulated")
            cells.append(self._result(cell, fingerprint, patient_N, labels_N, np.stack(scores_SNC)))
        return cells

    def _images(self) -> tuple[Ints, Ints]:
        """Each image's patient, by number, and its label: the patient's."""
        patient_N = np.arange(self.patients).repeat(self.images)
        return patient_N, np.arange(len(self.patients_by_class)).repeat(self.patients_by_class)[patient_N]

    def _latents(self, rng: Generator, patient_N: Ints, latents: int, cells: int) -> Floats:
        """Standard normal for each cell, seed and image; correlated as the constants above say."""

        def normal(*lead: int) -> Floats:
            own = rng.standard_normal((*lead, len(patient_N), latents), dtype=np.float32)
            if self.images == 1:
                return own
            patients = rng.standard_normal((*lead, self.patients, latents), dtype=np.float32)
            return blend(patients[..., patient_N, :], own, DEPENDENCE)

        own_DSNK = (
            normal(cells, 1) if self.seeds == 1 else blend(normal(cells, self.seeds), normal(cells, 1), INTERACTION)
        )
        return blend(normal(1, 1), own_DSNK, self.correlation)

    def _result(self, cell: Cell, fingerprint: str, patient_N: Ints, labels_N: Ints, scores_SNC: Floats) -> Result:
        told_N = np.arange(len(patient_N)) if self.wrong == "images taken for patients" else patient_N
        return Result(
            cell=cell,
            question=Question(
                dataset=cell.dataset,
                dataset_fingerprint=fingerprint,
                regime=cell.regime,
                settings={},
                metric=self.metric,
                profile="full",
                forward_dtype="float32",
            ),
            subject={},
            ids_N=cast(NDArray[np.str_], np.arange(len(patient_N))),
            # Whole numbers in place of names: the judge only tells them apart, and does so much faster.
            patients_N=cast(NDArray[np.str_], told_N),
            labels_N=labels_N,
            scores_SNC=np.asarray(scores_SNC, dtype=np.float32),
            seeds=tuple(range(self.seeds)),
            seeded=self.seeds > 1 and self.wrong != "seeds left out",
            classes=tuple(f"class {label}" for label in range(len(self.patients_by_class))),
            patient_unit="patient",
            margin=0.02,
            chosen=({},) * self.seeds,
            cost=Cost(forward_passes=0, forward_seconds=0.0, adapt_seconds=0.0, feature_bytes=0),
        )


@dataclass(frozen=True, kw_only=True)
class SeldomWrong(Scenario):
    """Cells that tell two classes apart but for a share of positives, which is what their value lacks to 1."""

    @property
    def population(self) -> Population:
        return seldom_wrong(self.metric)


def blend(one: Floats, other: Floats, share: float) -> Floats:
    """The sum of two standard normals whose variance is `share` from `one`."""
    return np.float32(math.sqrt(share)) * one + np.float32(math.sqrt(1 - share)) * other

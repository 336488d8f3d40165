"""What a regime that does more than read pooled features is given, and what it gives back.

Legend: N images of a dataset, C classes or labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pytest_fmtransfer.adapt.sides import Adapted, shuffled
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.places import Places


@dataclass(frozen=True, kw_only=True)
class Job:
    """One cell to be run. `spec` is the backbone as it meets the dataset under the profile.

    `dtype` is that of forward passes whose features are kept, `training_dtype` that of training; tests are float32.
    `head_spec` is the backbone whose weights the head begins with, None for a head of its own. `workspace` is a folder
    that outlives a killed run: what is to be gone on with is in it. `loaders` threads read and augment images.
    """

    cell: Cell
    dataset: Dataset
    spec: BackboneSpec
    dtype: Dtype
    training_dtype: Dtype
    places: Places
    workspace: Path
    head_spec: BackboneSpec | None = None
    loaders: int = cores()

    @cached_property
    def rows(self) -> Mapping[str, np.ndarray]:
        """Row numbers of each side."""
        return {side: self.dataset.table.side(side) for side in (TRAIN, VALIDATION, TEST)}

    @property
    def classes(self) -> int:
        """How many classes or labels there are."""
        return len(self.dataset.spec.classes)

    def labels_of(self, side: str, seed: int) -> np.ndarray:
        """Of the training or the validation side, in the table's order: shuffled at every seed on a control.

        As in `Sides`. Raises ValueError for the test side, whose labels nobody who adapts may see.
        """
        if side not in (TRAIN, VALIDATION):
            raise ValueError(f"labels of the {side} side are the judge's")
        labels = self.dataset.table.labels_N
        sides = (labels[self.rows[TRAIN]], labels[self.rows[VALIDATION]])
        if self.dataset.spec.shuffled:
            sides = shuffled(sides, seed)
        return sides[0 if side == TRAIN else 1]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Scores of each seed, and what they cost. `training` is the course of training of each seed; () without any.

    Forward passes are those whose features are kept, and `forward_seconds` what they took when they were made;
    `loading_seconds` is how long features took to get this time, made or from the store: no part of the regime's own.
    `earlier_seconds` is what a run that was killed had spent on the training that this one went on with.
    """

    adapted: tuple[Adapted, ...]
    training: tuple[Mapping[str, Any], ...] = ()
    forward_passes: int = 0
    forward_seconds: float = 0.0
    feature_bytes: int = 0
    loading_seconds: float = 0.0
    earlier_seconds: float = 0.0

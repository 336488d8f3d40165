"""What cells cost before: seconds and sizes of earlier results, on this machine or when a baseline was recorded.

Every figure says where it is from, and is unknown where nothing tells.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pytest_fmtransfer.backbones.precision import processor
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidName
from pytest_fmtransfer.results import Cost, Result
from pytest_fmtransfer.store import Store

# What must be equal in two subjects for their forward passes to take the same time on one processor.
NETWORK = ("architecture", "image_size", "forward_dtype")
BYTES_OF_A_PICTURE = 32 * 4  # a digest of 32 characters, as numpy stores text


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An amount, in seconds or bytes, and where it is from; None where nothing tells."""

    amount: float | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What an earlier result says of its cost; `images` are those of its test side."""

    cell: Cell
    subject: Mapping[str, Any]
    images: int
    cost: Cost
    source: str


class Past:
    """Earlier results: those in a store that this processor computed, then the baselines given. Read when asked."""

    def __init__(self, store: Store, baselines: Iterable[Result]) -> None:
        self._store = store
        self._baselines = baselines

    def forward(self, subject: Mapping[str, Any], passes: int) -> Figure:
        """Seconds of so many forward passes of a network."""
        if passes == 0:
            return Figure(amount=0.0, source="no new picture")
        for pool in self._pools:
            if alike := [each for each in pool if each.cost.forward_passes and _same_network(each.subject, subject)]:
                made = sum(each.cost.forward_passes for each in alike)
                seconds = sum(each.cost.forward_seconds for each in alike)
                return Figure(amount=passes * seconds / made, source=_source(alike))
        return Figure(amount=None, source="speed unknown")

    def probe(self, cell: Cell, subject: Mapping[str, Any], images: int) -> Figure:
        """Seconds of a cell's features that no network computes, of a dataset with so many test images."""
        alike = [[each for each in pool if _same_network(each.subject, subject)] for pool in self._pools]
        same = [[each for each in group if each.cell.dataset == cell.dataset] for group in alike]
        return _scaled((*same, *alike), cell.dataset, images, lambda cost: cost.forward_seconds)

    def adapt(self, cell: Cell, images: int) -> Figure:
        """Seconds of a cell's regime on its dataset, which has so many test images.

        As the regime took on the same dataset, with the same backbone before any other; else on another dataset,
        in proportion to the images of the test side.
        """
        alike = [[each for each in pool if each.cell.regime == cell.regime] for pool in self._pools]
        groups: list[list[Measurement]] = []
        for group in alike:
            same = [each for each in group if each.cell.dataset == cell.dataset]
            groups += [[each for each in same if each.cell.backbone == cell.backbone], same]
        return _scaled((*groups, *alike), cell.dataset, images, lambda cost: cost.adapt_seconds)

    def feature_bytes(self, backbone: str, images: int) -> Figure:
        """Bytes of the features of so many images, from the width of a stored entry of the same backbone."""
        for folder in self._store.entries("features"):
            about = _json(folder / "entry.json").get("about", {})
            if about.get("backbone") == backbone and (width := _width(folder / "pooled.npy")):
                amount = images * (width * np.dtype(np.float32).itemsize + BYTES_OF_A_PICTURE)
                return Figure(amount=amount, source="this machine")
        # The figure of a baseline belongs here, once its cost holds the bytes of its features' entry.
        return Figure(amount=None, source="width of features unknown")

    @cached_property
    def _pools(self) -> tuple[list[Measurement], list[Measurement]]:
        """The store's and the baselines'."""
        stored = (_stored(folder) for folder in self._store.entries("results"))
        here = [each for each in stored if each is not None and each.subject.get("processor") == processor()]
        recorded = [
            Measurement(
                cell=result.cell,
                subject=result.subject,
                images=len(result.ids_N),
                cost=result.cost,
                source=f"baseline, on {result.subject.get('processor')}",
            )
            for result in self._baselines
        ]
        return here, recorded


def _stored(folder: Path) -> Measurement | None:
    """What an entry of the result store says, whichever version of ours wrote it; None where it cannot be read."""
    record = _json(folder / "result.json")
    try:
        return Measurement(
            cell=Cell.parse(record["cell"]),
            subject=record["subject"],
            images=record["images"],
            cost=Cost(**record["cost"]),
            source="this machine",
        )
    except (KeyError, TypeError, InvalidName):
        return None


def _json(path: Path) -> dict[str, Any]:
    """Empty where the file is damaged: whoever asks for that entry computes it again."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return {}


def _width(path: Path) -> int | None:
    try:
        return int(np.load(path, mmap_mode="r", allow_pickle=False).shape[1])
    except (OSError, ValueError, IndexError):
        return None


def _same_network(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in NETWORK)


def _scaled(
    groups: Iterable[Sequence[Measurement]], dataset: str, images: int, seconds_of: Callable[[Cost], float]
) -> Figure:
    """Seconds for so many test images at the rate of the first group that holds anything."""
    for group in groups:
        if group:
            rate = sum(seconds_of(each.cost) for each in group) / sum(each.images for each in group)
            others = sorted({each.cell.dataset for each in group} - {dataset})
            scaled = f", scaled from {' and '.join(others)}" if others else ""
            return Figure(amount=images * rate, source=_source(group) + scaled)
    return Figure(amount=None, source="unknown")


def _source(group: Sequence[Measurement]) -> str:
    return " and ".join(dict.fromkeys(each.source for each in group))

"""What cells cost before: seconds and sizes of earlier results, on this machine or when a baseline was recorded.

Every figure says where it is from, and is unknown where nothing tells.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_fmtransfer._transfer import Asked
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings, plain
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.results import Cost, Result
from pytest_fmtransfer.store import MANIFEST, Store

# What must be equal in two subjects for their forward passes to take the same time on one processor.
NETWORK = ("architecture", "image_size", "forward_dtype", "device")
# What must be equal in two settings for their stored views to take the same room.
VIEWED = ("trained", "recipe", "views", "cut_after")
# Of an image, where no audit is measured: on br35h and br35h.naive it took 21 to 23 ms of processor time on an AMD
# EPYC, on two cores at once.
AUDIT_SECONDS = 0.012
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
    settings: Mapping[str, Any]
    dataset_fingerprint: str
    images: int
    seeds: int
    cost: Cost
    source: str


class Past:
    """Earlier results: those in a store that the same processor or card computed, then the baselines given.

    Read when asked.
    """

    def __init__(self, store: Store, baselines: Iterable[Result]) -> None:
        self._store = store
        self._baselines = baselines

    def forward(self, asked: Asked, passes: int) -> Figure:
        """Seconds of so many forward passes of a cell's network."""
        if passes == 0:
            return Figure(amount=0.0, source="no new picture")
        for pool in self._pools(asked):
            if alike := [each for each in pool if each.cost.forward_passes and _same_network(each, asked)]:
                made = sum(each.cost.forward_passes for each in alike)
                seconds = sum(each.cost.forward_seconds for each in alike)
                return Figure(amount=passes * seconds / made, source=_source(alike))
        return Figure(amount=None, source="speed unknown")

    def audit(self, images: int) -> Figure:
        """Seconds of looking over a dataset of so many images."""
        seconds, seen = 0.0, 0
        for folder in self._store.entries("audits"):
            entry, found = _json(folder / MANIFEST), _json(folder / "audit.json")
            if "seconds" in entry and "images" in found:
                seconds, seen = seconds + entry["seconds"], seen + found["images"]
        if seen == 0:
            return Figure(amount=images * AUDIT_SECONDS, source="assumed")
        return Figure(amount=images * seconds / seen, source="this machine")

    def probe(self, asked: Asked, images: int) -> Figure:
        """Seconds of a cell's features that no network computes, of a dataset with so many test images."""
        found = _scaled(self._of_network(asked), asked, images, lambda each: each.cost.forward_seconds)
        return found or Figure(amount=None, source="speed unknown")

    def feature_bytes(self, asked: Asked, tested: int, images: int) -> Figure:
        """Bytes of the features of a dataset's images, so many of them in the test side."""
        whole = [[each for each in group if not _views(each.settings)] for group in self._of_network(asked)]
        found = _scaled(whole, asked, tested, lambda each: each.cost.feature_bytes)
        if found is None or found.amount is None:
            return Figure(amount=None, source="width of features unknown")
        return replace(found, amount=found.amount + images * BYTES_OF_A_PICTURE)

    def view_bytes(self, asked: Asked, tested: int) -> Figure:
        """Bytes of the views that a regime stores, of a dataset with so many test images."""
        viewed = _views(plain(asked.settings))
        alike = [[each for each in group if _views(each.settings) == viewed] for group in self._of_network(asked)]
        found = _scaled(alike, asked, tested, lambda each: each.cost.feature_bytes)
        return found or Figure(amount=None, source="width of features unknown")

    def adapt(self, asked: Asked, backbone: str, images: int) -> Figure:
        """Seconds of a cell's regime, all seeds, on its dataset, which has so many test images.

        As the regime took on the same images, with the same backbone before any other; else on other images, in
        proportion to those of the test side. What trains by gradient takes what the same network took, as often; where
        it was trained in the same steps for another number of epochs, in proportion to these.
        """
        if isinstance(asked.settings, TrainingSettings):
            asks = (plain(asked.settings), asked.subject.get("training_dtype"))
            groups = [
                [each for each in group if (each.settings, each.subject.get("training_dtype")) == asks]
                for group in self._of_network(asked)
            ]
            found = _scaled(groups, asked, len(asked.seeds) * images, lambda each: each.cost.adapt_seconds / each.seeds)
            return found or self._of_such_steps(asked, asked.settings, images)
        alike = [[each for each in pool if each.cell.regime == asked.question.regime] for pool in self._pools(asked)]
        groups: list[list[Measurement]] = []
        for group in alike:
            same = [each for each in group if _same_images(each, asked)]
            groups += [[each for each in same if each.cell.backbone == backbone], same]
        return self._adapt((*groups, *alike), asked, images)

    def _of_such_steps(self, asked: Asked, settings: TrainingSettings, images: int) -> Figure:
        """Of the same network, whose steps cost the same under other rates, warm-ups or numbers of epochs."""
        step = (_step(plain(settings)), asked.subject.get("training_dtype"))
        groups = [
            [each for each in group if (_step(each.settings), each.subject.get("training_dtype")) == step]
            for group in self._of_network(asked)
        ]
        found = _scaled(
            groups,
            asked,
            len(asked.seeds) * images * settings.epochs,
            lambda each: each.cost.adapt_seconds / each.seeds / each.settings["epochs"],
        )
        if found is None:
            return Figure(amount=None, source="training time not included: this network was never trained so here")
        return replace(found, source=f"{found.source}, by the epoch")

    def _adapt(self, groups: Iterable[Sequence[Measurement]], asked: Asked, images: int) -> Figure:
        runs = len(asked.seeds) * images
        found = _scaled(groups, asked, runs, lambda each: each.cost.adapt_seconds / each.seeds)
        return found or Figure(amount=None, source="time of the regime unknown")

    def _of_network(self, asked: Asked) -> list[list[Measurement]]:
        """Of the same network: on the same images before any others, within those the store before baselines."""
        alike = [[each for each in pool if _same_network(each, asked)] for pool in self._pools(asked)]
        return [*([each for each in group if _same_images(each, asked)] for group in alike), *alike]

    def _pools(self, asked: Asked) -> tuple[list[Measurement], list[Measurement]]:
        """The store's, of the processor or card that would compute, and the baselines'."""
        model = asked.subject.get("processor")
        return [each for each in self._here if each.subject.get("processor") == model], self._recorded

    @cached_property
    def _here(self) -> list[Measurement]:
        stored = (_stored(folder / "result.json") for folder in self._store.entries("results"))
        return [each for each in stored if each is not None]

    @cached_property
    def _recorded(self) -> list[Measurement]:
        return [
            _measurement(result.record(), f"baseline, on {result.subject.get('processor')}")
            for result in self._baselines
        ]


def _stored(file: Path) -> Measurement | None:
    """None for a record that is damaged, or that another version of ours wrote in another form."""
    try:
        return _measurement(_json(file), "this machine")
    except (ValueError, KeyError, TypeError):
        return None


def _json(file: Path) -> dict[str, Any]:
    """Empty where the file is damaged: whoever asks for its entry computes it again."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return {}


def _measurement(record: Mapping[str, Any], source: str) -> Measurement:
    return Measurement(
        cell=Cell.parse(record["cell"]),
        subject=record["subject"],
        settings=record["question"]["settings"],
        dataset_fingerprint=record["question"]["dataset_fingerprint"],
        images=record["images"],
        seeds=len(record["seeds"]),
        cost=Cost(**record["cost"]),
        source=source,
    )


def _same_network(one: Measurement, asked: Asked) -> bool:
    return all(one.subject.get(name) == asked.subject.get(name) for name in NETWORK)


def _same_images(one: Measurement, asked: Asked) -> bool:
    return one.dataset_fingerprint == asked.question.dataset_fingerprint


def _views(settings: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What decides which views a regime stores; None for one that reads features of whole images."""
    if "trained" not in settings:
        return None
    return (*(settings.get(name) for name in VIEWED), settings.get("head") == "linear")


def _step(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What decides how long a step of training takes; None for a regime that does not train by gradient."""
    if "trained" not in settings:
        return None
    free = ("epochs", "learning_rate", "weight_decay", "clip", "warm_up_epochs", "warm_up_steps")
    return {name: value for name, value in settings.items() if name not in free}


def _scaled(
    groups: Iterable[Sequence[Measurement]], asked: Asked, images: int, amount_of: Callable[[Measurement], float]
) -> Figure | None:
    """An amount for so many test images, at the rate of the first group that holds anything; None if none does."""
    for group in groups:
        if group:
            amount, measured = sum(map(amount_of, group)), sum(each.images for each in group)
            others = sorted({each.cell.dataset for each in group if not _same_images(each, asked)})
            scaled = f", scaled from {' and '.join(others)}" if others else ""
            return Figure(amount=images * amount / measured, source=_source(group) + scaled)
    return None


def _source(group: Sequence[Measurement]) -> str:
    return " and ".join(dict.fromkeys(each.source for each in group))

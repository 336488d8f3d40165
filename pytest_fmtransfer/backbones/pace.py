"""Batch size and memory format at which a backbone is fastest here: measured once, and remembered in the store.

Neither moves a feature beyond rounding. Measuring takes as long as some hundred images and is done where many more are
to be passed; where few are, the usual pace serves: the fastest for small convolutional networks on two cores
(benchmarks/batch_size.py).
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import torch

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.computing import is_out_of_memory
from pytest_fmtransfer.store import Store, fingerprint

MemoryFormat = Literal["contiguous_format", "channels_last"]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Images of a batch, and how they and the weights lie in memory."""

    batch: int
    memory_format: MemoryFormat


USUAL = Pace(batch=4, memory_format="channels_last")
BATCHES = (1, 4, 16, 32)
# A card needs more images at once to be busy; which number is fastest was not measured.
USUAL_ON_A_CARD = Pace(batch=32, memory_format="channels_last")
BATCHES_ON_A_CARD = (16, 32, 64, 128)
FEWEST = 5_000  # images to be passed for which it is measured: below, a run is over before it pays
_ROUNDS = 3


def pace_of(backbone: Backbone, size: int, images: int, about: Mapping[str, object], store: Store) -> Pace:
    """The pace at which to pass so many images of `size` pixels a side; the backbone is laid out for it.

    `about` is everything that speed depends on: the backbone's subject, threads and device. To be called as forward
    passes are run: their dtype, precision and threads in force.
    """
    pace = USUAL if backbone.mean.device.type == "cpu" else USUAL_ON_A_CARD
    if images >= FEWEST:

        def compute(entry: Path) -> None:
            (entry / "pace.json").write_text(json.dumps(asdict(_fastest(backbone, size))), encoding="utf-8")

        entry, _ = store.fetch("paces", fingerprint(dict(about), size), compute, about=about)
        pace = Pace(**json.loads((entry / "pace.json").read_text(encoding="utf-8")))
    backbone.lay_out(getattr(torch, pace.memory_format))
    return pace


def _fastest(backbone: Backbone, size: int) -> Pace:
    """By the best of some rounds, so that a moment in which another process wants the cores does not decide.

    What a card has no memory for is left out.
    """
    device = backbone.mean.device
    batches = BATCHES if device.type == "cpu" else BATCHES_ON_A_CARD
    seconds: dict[Pace, float] = {}
    pixels_NSS = torch.randint(0, 256, (max(batches), size, size), dtype=torch.uint8).to(device)
    for memory_format, batch in product(get_args(MemoryFormat), batches):
        backbone.lay_out(getattr(torch, memory_format))
        pace = Pace(batch=batch, memory_format=memory_format)
        try:
            images = backbone.normalise(pixels_NSS[:batch])
            backbone(images)  # the first pass also picks kernels
            for _ in range(_ROUNDS):
                _finish(device)
                started = time.perf_counter()
                backbone(images)
                _finish(device)
                each = (time.perf_counter() - started) / batch
                seconds[pace] = min(seconds.get(pace, each), each)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
    return min(seconds, key=lambda pace: seconds[pace], default=USUAL)


def _finish(device: torch.device) -> None:
    """Wait for all that a device was given to do."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()

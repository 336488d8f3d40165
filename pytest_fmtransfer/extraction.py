"""Decoded images through a backbone, batch by batch, the next batch being read while one is computed.

A card is waited for one batch late, so that pixels go there, and features come back, while it computes.

Legend: N images, U those that are passed, B images of a batch, S pixels of a side, D features.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.computing import computing, is_out_of_memory, torch_device
from pytest_fmtransfer.backbones.pace import pace_of
from pytest_fmtransfer.backbones.precision import Dtype, model_of
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import OutOfMemory
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store

IN_FLIGHT = 1  # batches that a card is at work on beside the one that is being handed to it


def extract(
    pixels: np.ndarray,
    rows_U: Sequence[int],
    spec: BackboneSpec,
    dtype: Dtype,
    places: Places,
    subject: Mapping[str, Any],
) -> tuple[np.ndarray, float]:
    """Pooled features of the rows named, U × D float32 in their order, and the seconds that they took.

    `pixels` are uint8, N × S × S or N × S × S × 3, and may be mapped from disk. `subject` is everything about the
    backbone that its speed may depend on. Building the network and measuring its pace are not in the seconds. Raises
    Unavailable and CheckpointMismatch as weights do, Unavailable where the device of `places` is not here, and
    OutOfMemory where its memory does not hold a batch.
    """
    device = torch_device(places.device, places.card)
    backbone = build_backbone(spec, places).to(device)
    done: list[Tensor] = []
    coming: deque[_Batch] = deque()

    def fetch() -> None:
        batch = coming.popleft()
        done.append(batch.fetched())
        bar.update(batch.images)

    with (
        computing(dtype, places.device, places.deterministic, places.card),
        progress(f"{spec.name} forward", total=len(rows_U), unit="image") as bar,
    ):
        about = {**subject, "threads": torch.get_num_threads()}
        batch = pace_of(backbone, spec.image_size, len(rows_U), about, Store(root=places.store)).batch
        started = time.perf_counter()
        try:
            for pixels_B, images in _batches(pixels, rows_U, batch, pinned=device.type == "cuda"):
                normalised_BCSS = backbone.normalise(pixels_B.to(device, non_blocking=True))
                coming.append(_Batch(backbone(normalised_BCSS).pooled_ND.float(), images))
                if len(coming) > IN_FLIGHT:
                    fetch()
            while coming:
                fetch()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"{spec.name}: {model_of(places.device)} has no memory for {batch} images of {spec.image_size} px at "
                "once; compute on the processor: --fm-device=cpu"
            ) from None
        seconds = time.perf_counter() - started
    return torch.cat(done).numpy(), seconds


class _Batch:
    """Features of a batch on their way to the processor, where they were not computed there."""

    def __init__(self, pooled_BD: Tensor, images: int) -> None:
        self.images = images
        self._pooled_BD = pooled_BD.to("cpu", non_blocking=pooled_BD.is_cuda)  # into pinned memory, when its turn comes
        self._arrived = torch.cuda.Event() if pooled_BD.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def fetched(self) -> Tensor:
        """Those of its images, once they are here."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._pooled_BD[: self.images]


def _batches(pixels: np.ndarray, rows_U: Sequence[int], batch: int, *, pinned: bool) -> Iterator[tuple[Tensor, int]]:
    """Batches of one size, each with the number of its images; a thread reads the next while one is computed.

    `pinned` memory is what a card copies from by itself.
    """
    starts = range(0, len(rows_U), batch)
    with ThreadPoolExecutor(1) as reader:
        read = partial(_read, pixels, rows_U, batch, pinned)
        coming = reader.submit(read, 0)
        for start in starts:
            here = coming.result()
            if start != starts[-1]:
                coming = reader.submit(read, start + batch)
            yield here


def _read(pixels: np.ndarray, rows_U: Sequence[int], batch: int, pinned: bool, start: int) -> tuple[Tensor, int]:
    """The last batch is filled up with blanks: kernels are chosen by a batch's size, and its pictures must not be
    computed another way."""
    in_batch = rows_U[start : start + batch]
    batch_pixels = np.zeros((batch, *pixels.shape[1:]), dtype=np.uint8)
    batch_pixels[: len(in_batch)] = pixels[in_batch]
    pixels_B = torch.from_numpy(batch_pixels)
    return pixels_B.pin_memory() if pinned else pixels_B, len(in_batch)

"""Decoded images through a backbone, batch by batch, the next batch being read while one is computed.

Legend: N images, U those that are passed, B images of a batch, S pixels of a side, D features.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.backbones.pace import pace_of
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import Store


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
    Unavailable and CheckpointMismatch as weights do.
    """
    backbone: Backbone = import_module(f"pytest_fmtransfer.backbones.{spec.library}").build(
        spec, weights_file(spec, places), channels=spec.channels
    )
    done: list[np.ndarray] = []
    with computing(dtype), progress(f"{spec.name} forward", total=len(rows_U), unit="image") as bar:
        about = {**subject, "threads": torch.get_num_threads()}
        batch = pace_of(backbone, spec.image_size, len(rows_U), about, Store(root=places.store)).batch
        started = time.perf_counter()
        for batch_pixels, images in _batches(pixels, rows_U, batch):
            normalised_BCSS = backbone.normalise(torch.from_numpy(batch_pixels))
            done.append(backbone(normalised_BCSS).pooled_ND.float().numpy()[:images])
            bar.update(images)
        seconds = time.perf_counter() - started
    return np.concatenate(done), seconds


def _batches(pixels: np.ndarray, rows_U: Sequence[int], batch: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of one size, each with the number of its images; a thread reads the next while one is computed."""
    starts = range(0, len(rows_U), batch)
    with ThreadPoolExecutor(1) as reader:
        read = partial(_read, pixels, rows_U, batch)
        coming = reader.submit(read, 0)
        for start in starts:
            here = coming.result()
            if start != starts[-1]:
                coming = reader.submit(read, start + batch)
            yield here


def _read(pixels: np.ndarray, rows_U: Sequence[int], batch: int, start: int) -> tuple[np.ndarray, int]:
    """The last batch is filled up with blanks: kernels are chosen by a batch's size, and its pictures must not be
    computed another way."""
    in_batch = rows_U[start : start + batch]
    batch_pixels = np.zeros((batch, *pixels.shape[1:]), dtype=np.uint8)
    batch_pixels[: len(in_batch)] = pixels[in_batch]
    return batch_pixels, len(in_batch)

"""What a network in training is given: images, augmented anew in every epoch, or stored activations.

Threads read and augment the batches to come while one is computed; what a batch holds depends on seed, epoch and
images alone, however many there are.

Legend: B images of a batch, K batches of an epoch, N images of a side, C channels, S the side of a crop.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.data.augmentations import Recipe
from pytest_fmtransfer.data.transforms import Shown, shown

AHEAD = 2  # batches that each thread is ahead


class Inputs(Protocol):
    """Where batches come from, on the CPU. Row numbers are the dataset's."""

    def training(self, rows_B: np.ndarray, *, epoch: int, seed: int) -> Tensor:
        """What is learnt from in an epoch."""
        ...

    def evaluation(self, rows_B: np.ndarray) -> Tensor:
        """What is validated and tested on."""
        ...


class ImageInputs:
    """Images as a recipe has them, normalised as a backbone takes them, B × C × S × S.

    `pixels` are uint8 at `recipe.resize` pixels a side, grey or colour, and may be mapped from disk.
    """

    def __init__(self, pixels: np.ndarray, ids: tuple[str, ...], recipe: Recipe, backbone: Backbone) -> None:
        self._pixels, self._ids, self._recipe = pixels, ids, recipe
        self._mean, self._std = backbone.mean.detach().cpu().clone(), backbone.std.detach().cpu().clone()

    def training(self, rows_B: np.ndarray, *, epoch: int, seed: int) -> Tensor:
        return self._normalised(rows_B, Shown(epoch=epoch, seed=seed))

    def evaluation(self, rows_B: np.ndarray) -> Tensor:
        return self._normalised(rows_B, None)

    def _normalised(self, rows_B: np.ndarray, by: Shown | None) -> Tensor:
        images_BCSS = shown(self._pixels, rows_B, self._recipe, ids=self._ids, by=by)
        return (images_BCSS - self._mean) / self._std  # grey is repeated as often as the network takes channels


class StoredInputs:
    """What a frozen part of a network made of each image, the same in every epoch."""

    def __init__(self, stored_N: np.ndarray) -> None:
        self._stored_N = stored_N

    def training(self, rows_B: np.ndarray, *, epoch: int, seed: int) -> Tensor:
        del epoch, seed
        return self.evaluation(rows_B)

    def evaluation(self, rows_B: np.ndarray) -> Tensor:
        return torch.from_numpy(self._stored_N[rows_B])


class Feed:
    """Batches read ahead by threads, in the order asked for, and put where a device can fetch them fast."""

    def __init__(self, inputs: Inputs, *, loaders: int, pinned: bool) -> None:
        self._inputs, self._pinned, self._ahead = inputs, pinned, AHEAD * loaders
        # One core each: a thread that makes a team of its own for every operation stands in the network's way.
        self._pool = ThreadPoolExecutor(loaders, "fmtransfer-loader", torch.set_num_threads, (1,))

    def training(self, rows_KB: np.ndarray, *, epoch: int, seed: int) -> Iterator[Tensor]:
        """Each batch of an epoch."""
        yield from self._in_order([(rows_B, epoch, seed) for rows_B in rows_KB])

    def evaluation(self, rows_N: np.ndarray, batch: int) -> Iterator[Tensor]:
        """All rows, so many at a time."""
        yield from self._in_order([(rows_N[start : start + batch], None, 0) for start in range(0, len(rows_N), batch)])

    def close(self) -> None:
        """No batch is read after this."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _in_order(self, wanted: Sequence[tuple[np.ndarray, int | None, int]]) -> Iterator[Tensor]:
        coming: deque[Future[Tensor]] = deque()
        for each in wanted:
            coming.append(self._pool.submit(self._batch, *each))
            if len(coming) > self._ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

    def _batch(self, rows_B: np.ndarray, epoch: int | None, seed: int) -> Tensor:
        if epoch is None:
            batch = self._inputs.evaluation(rows_B)
        else:
            batch = self._inputs.training(rows_B, epoch=epoch, seed=seed)
        return batch.pin_memory() if self._pinned else batch

"""Rows of stored features, brought to the device a batch at a time; what has room there is there as a whole.

Legend: N images, S seeds, B images of a batch, D the embedding's width, T tokens, E a token's width.
"""

import warnings
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

PIECE = {2: 4096, 3: 64}  # images of a piece, of pooled embeddings and of tokens
ROOM = 4  # of the free memory of a card, this part may be taken by one side's tokens

Array = np.ndarray | Tensor
"""Pooled embeddings, N × D, or tokens, N × T × E, of any floating dtype; may be mapped from a file."""


class Batches(Protocol):
    """Features of the images of one side, a batch at a time."""

    def batch(self, rows_SB: Tensor) -> Tensor:
        """Of these rows, S × B × D or S × B × T × E, float32, on the device; `rows_SB` is on the CPU.

        The next call may write over it: fresh memory costs a CPU more than what is done with it.
        """
        ...


class FeatureRows(Batches, Protocol):
    """Features of the images of one side, all of which are there."""

    def pieces(self) -> Iterator[Tensor]:
        """All, in order, in pieces."""
        ...


class HeldRows:
    """Pooled embeddings, as one float32 tensor on the device."""

    def __init__(self, features_ND: Array, device: torch.device) -> None:
        self._features_ND = _tensor(features_ND).to(device, torch.float32).contiguous()
        self._buffer: Tensor | None = None

    def batch(self, rows_SB: Tensor) -> Tensor:
        size = (rows_SB.numel(), self._features_ND.shape[1])
        if self._buffer is None or self._buffer.shape != size:
            self._buffer = self._features_ND.new_empty(size)
        rows = rows_SB.flatten().to(self._features_ND.device, non_blocking=True)
        torch.index_select(self._features_ND, 0, rows, out=self._buffer)
        return self._buffer.view(*rows_SB.shape, -1)

    def pieces(self) -> Iterator[Tensor]:
        yield from self._features_ND.split(PIECE[2])


class StreamedRows:
    """Tokens, which stay where they are, in their dtype: only a batch of them is copied, and brought to the device."""

    def __init__(self, tokens_NTE: Array, device: torch.device) -> None:
        self._tokens_NTE, self._device = _tensor(tokens_NTE), device
        # Fetched from page-locked memory, new for each batch, because the last one may still be on its way.
        self._pin = device.type == "cuda" and self._tokens_NTE.device.type == "cpu"
        self._chosen: Tensor | None = None
        self._widened: Tensor | None = None

    def batch(self, rows_SB: Tensor) -> Tensor:
        size, source = (rows_SB.numel(), *self._tokens_NTE.shape[1:]), self._tokens_NTE
        if self._chosen is None or self._chosen.shape != size or self._pin:
            self._chosen = torch.empty(size, dtype=source.dtype, device=source.device, pin_memory=self._pin)
        torch.index_select(source, 0, rows_SB.flatten().to(source.device), out=self._chosen)
        moved = self._chosen.to(self._device, non_blocking=self._pin)
        if moved.dtype != torch.float32:
            if self._widened is None or self._widened.shape != size:
                self._widened = torch.empty(size, dtype=torch.float32, device=self._device)
            moved = self._widened.copy_(moved)
        return moved.view(*rows_SB.shape, *size[1:])

    def pieces(self) -> Iterator[Tensor]:
        for piece in self._tokens_NTE.split(PIECE[3]):
            yield piece.to(self._device, torch.float32)


def rows_of(features: Array, device: torch.device) -> FeatureRows:
    """Pooled embeddings are held on the device; tokens are where they have room on a card, and stream otherwise."""
    if features.ndim == 2:
        return HeldRows(features, device)
    tokens_NTE = _tensor(features)
    if device.type == "cuda" and tokens_NTE.nbytes <= torch.cuda.mem_get_info(device)[0] // ROOM:
        tokens_NTE = tokens_NTE.to(device)
    return StreamedRows(tokens_NTE, device)


def _tensor(array: Array) -> Tensor:
    """Over the same memory."""
    if isinstance(array, Tensor):
        return array
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor is it written
        return torch.from_numpy(array)

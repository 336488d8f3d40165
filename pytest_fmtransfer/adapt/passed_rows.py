"""Features that are kept nowhere: a batch's images are augmented anew and passed through the backbone when asked for.

Legend: S seeds, B images of a batch, A images of the training side, D features, T tokens, E a token's width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.data.transforms import Shown
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.view_keys import Kept
from pytest_fmtransfer.viewing import Viewer


class PassedRows:
    """The training side as one epoch shows it, to each seed in a view of its own.

    `rows_A` are its row numbers in the dataset.
    """

    def __init__(
        self, viewer: Viewer, rows_A: np.ndarray, *, kept: Kept, seeds: Sequence[int], epoch: int, places: Places
    ) -> None:
        self._viewer, self._rows_A, self._kept, self._places = viewer, rows_A, kept, places
        self._shown = [Shown(epoch=epoch, seed=seed) for seed in seeds]

    def batch(self, rows_SB: Tensor) -> Tensor:
        """Of these positions on the training side, S × B × D or S × B × T × E, float32, on the backbone's device."""
        parts: list[Tensor] = []
        with computing(self._viewer.dtype, self._places.device, self._places.deterministic, self._places.card):
            for rows_B, shown in zip(self._rows_A[rows_SB.numpy()], self._shown, strict=True):
                seen = list(self._viewer.see(rows_B.tolist(), shown))
                parts.append(torch.cat([pooled if self._kept == "pooled" else tokens for _, pooled, tokens in seen]))
        # Outside: what is made where no gradient is ever wanted cannot be learnt from.
        return torch.stack(parts)

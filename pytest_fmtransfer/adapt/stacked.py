"""The learner of heads on stored features: all seeds, and all points of a grid, trained as one.

Legend: S seeds, G points, R = S·G replicas, A, V, T images of the training, validation and test side, B images of a
batch, C classes or labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.adapt.feature_rows import Array, Batches, rows_of
from pytest_fmtransfer.adapt.heads import Head
from pytest_fmtransfer.adapt.losses import loss_and_gradient, terms
from pytest_fmtransfer.adapt.micro_batches import first_guess, halved
from pytest_fmtransfer.adapt.stacked_adamw import StackedAdamW
from pytest_fmtransfer.adapt.stacked_heads import stack
from pytest_fmtransfer.backbones.computing import begin_gradients, is_out_of_memory
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.errors import InvalidInput

LARGEST_STACK = 2**30  # bytes of parameters and their two moments that are trained at once


@dataclass(frozen=True, kw_only=True)
class Point:
    """Of a grid: the full learning rate, and the weight decay."""

    rate: float
    decay: float


def groups(
    head: Head, seeds: Sequence[int], points: Sequence[Point], device: torch.device
) -> list[tuple[tuple[int, ...], tuple[Point, ...]]]:
    """Seeds and points that are trained together, so that their parameters and moments fill at most 1 GiB.

    A seed's points stay together where they can, since they share its batches. A head that is larger is trained alone:
    the paper's, of 86 million parameters, gains nothing from company. Nor do seeds of any head on tokens on the
    processor, whose caches the batches of several would leave (benchmarks/stacked_heads.py).
    """
    most = max(1, LARGEST_STACK // (3 * 4 * sum(each.numel() for each in head.parameters())))
    if most < len(points):
        cut = [tuple(points[at : at + most]) for at in range(0, len(points), most)]
        return [((seed,), some) for seed in seeds for some in cut]
    some = 1 if head.takes == "tokens" and device.type == "cpu" else most // len(points)
    return [(tuple(seeds[at : at + some]), tuple(points)) for at in range(0, len(seeds), some)]


class StackedLearner:
    """Trains R replicas of a head: all points of the first of `heads`, then all of the second, and so on.

    `heads` are one for each seed, of one architecture. `training` gives an epoch's features of the training side, or
    what makes those of a batch, and `labels` are those of each seed: A class indices, or A × C of 0, 1 and `UNKNOWN`.
    Each replica's gradients are clipped to a norm of `clip`. `dtype` is that of a token head's products in training.
    Gradients are computed on `micro` images of each replica's batch at once; where None, on as many as memory is
    likely to hold. Where it does not, they are computed on half as many from then on, which `notes` tell.
    """

    def __init__(
        self,
        *,
        heads: Sequence[Head],
        points: Sequence[Point],
        training: Callable[[int], Array | Batches],
        labels: Sequence[np.ndarray],
        validation: Array,
        test: Array,
        clip: float | None,
        device: torch.device,
        dtype: Dtype = "float32",
        micro: int | None = None,
    ) -> None:
        if len(labels) != len(heads):
            raise InvalidInput(f"labels of {len(labels)} seeds for heads of {len(heads)}; give each seed's")
        if validation.ndim != (2 if heads[0].takes == "pooled" else 3):
            raise InvalidInput(
                f"a head that takes {heads[0].takes} features got an array of {validation.ndim} axes; give it "
                "pooled embeddings, images × width, or tokens, images × tokens × width"
            )
        begin_gradients(device)
        self._heads, self._first = stack(heads, len(points), device, dtype), heads[0]
        self._best = self._heads.values.zeros()
        self._optimiser = StackedAdamW(
            self._heads.values,
            self._heads.gradients,
            rates_R=[point.rate for _ in heads for point in points],
            decays_R=[point.decay for _ in heads for point in points],
            clip=clip,
        )
        self._device, self._training_of = device, training
        self._training = self._batches_of(0)
        self._sides = {"validation": rows_of(validation, device), "test": rows_of(test, device)}
        # All seeds' labels one below the other.
        self._labels = torch.from_numpy(np.concatenate(labels)).to(device)
        self._offsets_S1 = torch.arange(len(labels)).unsqueeze(1) * len(labels[0])
        self.micro, self.notes = micro, list[str]()

    @property
    def replicas(self) -> int:
        return self._heads.values.replicas

    def begin(self, epoch: int, rows_KRB: Tensor) -> None:
        """Take up the features of this epoch."""
        self._training = self._batches_of(epoch)
        if self.micro is None:
            self.micro = self._likely(rows_KRB.shape[2])

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        """One step at a share of each replica's rate; `rows_RB` are on the CPU, the same for all points of a seed.

        Gives the losses before it, R, on the device.
        """
        rows_SB = rows_RB[:: self._heads.points]
        while True:
            try:
                losses_R = self._gradients(rows_SB)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            self._halve(rows_SB.shape[1], epoch)  # outside the handler, whose error holds on to what is to be freed
        self._optimiser.step(share)
        return losses_R

    def scores(self, side: Literal["validation", "test"]) -> Tensor:
        """R × V × C or R × T × C, float32, on the CPU."""
        pieces = [self._heads.scores(piece).cpu() for piece in self._sides[side].pieces()]
        return torch.cat(pieces, dim=1)

    def keep_best(self, better_R: Tensor) -> None:
        self._best.copy_rows_(self._heads.values, better_R.to(self._device))

    def use_best(self) -> None:
        self._heads.values.copy_(self._best)

    def state(self) -> dict[str, Any]:
        """Tensors that the next step changes: save or copy them before it."""
        return {
            "values": self._heads.values.state(),
            "best": self._best.state(),
            "optimiser": self._optimiser.state(),
            "micro": self.micro,
            "notes": list(self.notes),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self._heads.values.load(state["values"])
        self._best.load(state["best"])
        self._optimiser.load(state["optimiser"])
        self.micro, self.notes = state["micro"], list(state["notes"])

    def _batches_of(self, epoch: int) -> Batches:
        features = self._training_of(epoch)
        return rows_of(features, self._device) if isinstance(features, np.ndarray | Tensor) else features

    def _gradients(self, rows_SB: Tensor) -> Tensor:
        """Leaves the gradients of the whole batch where the optimiser reads them; gives the losses, R."""
        labels_RB = self._labels_of(rows_SB)
        terms_R = terms(labels_RB)
        size = self.micro or rows_SB.shape[1]
        losses: list[Tensor] = []
        for start in range(0, rows_SB.shape[1], size):
            piece = slice(start, start + size)
            inputs_SB = self._training.batch(rows_SB[:, piece])
            logits_RBC = self._heads.logits(inputs_SB)
            losses_R, gradient_RBC = loss_and_gradient(logits_RBC, labels_RB[:, piece], terms_R)
            self._heads.backward(inputs_SB, logits_RBC, gradient_RBC, add=start > 0)
            losses.append(losses_R)
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum(dim=0)

    def _labels_of(self, rows_SB: Tensor) -> Tensor:
        """R × B, or R × B × C."""
        rows = (rows_SB + self._offsets_S1).flatten().to(self._device, non_blocking=True)
        labels_SB = self._labels.index_select(0, rows).unflatten(0, rows_SB.shape)
        return labels_SB if self._heads.points == 1 else labels_SB.repeat_interleave(self._heads.points, dim=0)

    def _likely(self, batch: int) -> int:
        """How many images of each replica's batch memory is likely to hold."""
        if self._first.takes == "pooled":
            return batch
        some = next(self._sides["validation"].pieces())
        images = first_guess(self._first, lambda count: some[:count], batch * self.replicas, self._device)
        return max(1, images // self.replicas)

    def _halve(self, batch: int, epoch: int) -> None:
        too_large = (
            f"memory does not hold the training of {self.replicas} heads on one image of each batch; train with fewer "
            "seeds at once, or a smaller head"
        )
        self.micro = halved(self.micro or batch, batch, epoch, self.notes, too_large=too_large, device=self._device)

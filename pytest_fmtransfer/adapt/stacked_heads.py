"""Heads of one architecture computed at once: all replicas' logits and gradients in a few calls.

Replicas are seeds × points of a grid: all points of the first seed, then all of the second. Those of one seed see the
same images.

Legend: S seeds, G points, R = S·G replicas, B images of a batch, N images, D the embedding's width, C classes or
labels, K = G·C.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from pytest_fmtransfer.adapt.heads import Head, LinearHead
from pytest_fmtransfer.adapt.stacked_parameters import StackedParameters
from pytest_fmtransfer.backbones.precision import Dtype

EVALUATED = 64  # images, over all replicas, whose tokens are scored at once


class StackedHeads(ABC):
    """`values` are the parameters; `logits` and then `backward` leave their gradients in `gradients`."""

    def __init__(self, heads: Sequence[Head], points: int, device: torch.device) -> None:
        self.seeds, self.points = len(heads), points
        self.values = StackedParameters.of([head for head in heads for _ in range(points)], device)
        self.gradients = self.values.zeros()

    @abstractmethod
    def logits(self, inputs_SB: Tensor) -> Tensor:
        """R × B × C, of a batch for each seed: S × B × D, or S × B × T × E."""

    @abstractmethod
    def backward(self, inputs_SB: Tensor, logits_RBC: Tensor, gradient_RBC: Tensor, *, add: bool) -> None:
        """From gradients by the logits of these inputs: added to those that are there, or in their place."""

    @abstractmethod
    def scores(self, inputs_N: Tensor) -> Tensor:
        """R × N × C, of the same images for all replicas, without gradients, in float32."""


class StackedLinear(StackedHeads):
    """Linear layers, by matrix products alone, in float32: the weights of a seed's points are one matrix.

    Products are K × D times D × B: with so few classes the other way round takes several times as long on a CPU.
    """

    def __init__(self, heads: Sequence[LinearHead], points: int, device: torch.device) -> None:
        super().__init__(heads, points, device)
        self._classes, self._width = heads[0].classifier.weight.shape

    def logits(self, inputs_SB: Tensor) -> Tensor:
        weights_SKD, biases_SK1 = self._matrices(self.values)
        logits_SKB = torch.baddbmm(biases_SK1, weights_SKD, inputs_SB.mT)
        return logits_SKB.view(self.seeds * self.points, self._classes, -1).mT

    def backward(self, inputs_SB: Tensor, logits_RBC: Tensor, gradient_RBC: Tensor, *, add: bool) -> None:
        weights_SKD, biases_SK1 = self._matrices(self.gradients)
        gradient_SKB = gradient_RBC.mT.reshape(*biases_SK1.shape[:2], -1)
        weights_SKD.baddbmm_(gradient_SKB, inputs_SB, beta=float(add))
        sums_SK1 = gradient_SKB.sum(dim=-1, keepdim=True)
        biases_SK1.copy_(biases_SK1 + sums_SK1 if add else sums_SK1)

    def scores(self, inputs_N: Tensor) -> Tensor:
        weights_SKD, biases_SK1 = self._matrices(self.values)
        scores = torch.nn.functional.linear(inputs_N, weights_SKD.flatten(0, 1), biases_SK1.flatten())
        return scores.view(len(inputs_N), -1, self._classes).movedim(1, 0)

    def _matrices(self, parameters: StackedParameters) -> tuple[Tensor, Tensor]:
        decaying, other = parameters.parts
        return decaying.view(self.seeds, -1, self._width), other.view(self.seeds, -1, 1)


class StackedModules(StackedHeads):
    """Any heads, each called in its turn, or all at once by `torch.func.vmap` over their parameters.

    `dtype` is that of products in training; scores are float32.
    """

    def __init__(
        self, heads: Sequence[Head], points: int, device: torch.device, dtype: Dtype = "float32", *, in_turn: bool
    ) -> None:
        super().__init__(heads, points, device)
        self._dtype: Dtype = dtype
        self._template = deepcopy(heads[0]).to("meta")
        self._in_turn = in_turn
        if not in_turn:
            # vmap has no rule for the fused attention of a CPU: it would loop over replicas, and warn.
            for each in self._template.modules():
                if hasattr(each, "fused_attn"):
                    cast(Any, each).fused_attn = False
        # The leaves of the graph, over the same memory as the values, and where their gradients go.
        self._leaves = [
            {name: view.detach().requires_grad_() for name, view in part.items()} for part in self._parts(self.values)
        ]
        self._kept = [view for part in self._parts(self.gradients) for view in part.values()]

    def logits(self, inputs_SB: Tensor) -> Tensor:
        with torch.autocast(inputs_SB.device.type, dtype=torch.bfloat16, enabled=self._dtype == "bfloat16"):
            if self._in_turn:
                made = [self._call(part, inputs_SB[row // self.points]) for row, part in enumerate(self._leaves)]
                return torch.stack(made)
            (leaves,) = self._leaves
            if self.seeds == 1:  # one vmap instead of two
                return vmap(self._call, in_dims=(0, None))(leaves, inputs_SB[0])
            of_seeds = {name: leaf.unflatten(0, (self.seeds, self.points)) for name, leaf in leaves.items()}
            return vmap(vmap(self._call, in_dims=(0, None)))(of_seeds, inputs_SB).flatten(0, 1)

    def backward(self, inputs_SB: Tensor, logits_RBC: Tensor, gradient_RBC: Tensor, *, add: bool) -> None:
        leaves = [leaf for part in self._leaves for leaf in part.values()]
        made = torch.autograd.grad(logits_RBC, leaves, gradient_RBC.to(logits_RBC.dtype))
        for kept, gradient in zip(self._kept, made, strict=True):
            if add:
                kept.add_(gradient)
            else:
                kept.copy_(gradient)

    def scores(self, inputs_N: Tensor) -> Tensor:
        with torch.no_grad():
            if self._in_turn:
                pieces = inputs_N.split(EVALUATED)
                made = [torch.stack([self._call(part, piece) for part in self._leaves]) for piece in pieces]
            else:
                pieces = inputs_N.split(max(1, EVALUATED // (self.seeds * self.points)))
                made = [vmap(self._call, in_dims=(0, None))(self._leaves[0], piece) for piece in pieces]
            return torch.cat(made, dim=1)

    def _parts(self, parameters: StackedParameters) -> list[dict[str, Tensor]]:
        """Of each replica that takes its turn, or of all."""
        if not self._in_turn:
            return [parameters.by_name]
        rows = range(parameters.replicas)
        return [{name: view[row] for name, view in parameters.by_name.items()} for row in rows]

    def _call(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(self._template, dict(parameters), (inputs,))


def stack(heads: Sequence[Head], points: int, device: torch.device, dtype: Dtype = "float32") -> StackedHeads:
    """The fastest way to compute these heads, one for each seed, all of one architecture."""
    linear = [each for each in heads if isinstance(each, LinearHead)]
    if len(linear) == len(heads):
        return StackedLinear(linear, points, device)
    # On a processor nothing is gained by products of several heads at once (benchmarks/stacked_heads.py).
    in_turn = device.type == "cpu" or len(heads) * points == 1
    return StackedModules(heads, points, device, dtype, in_turn=in_turn)

"""AdamW over stacked replicas, each with a rate, a decay and a gradient norm of its own.

Legend: R replicas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from pytest_fmtransfer.adapt.stacked_parameters import StackedParameters
from pytest_fmtransfer.errors import InvalidInput

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's own
CLIP_EPSILON = 1e-6  # of torch.nn.utils.clip_grad_norm_


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Tensors of replicas that share rate and decay: a whole part where all do, else rows of one."""

    rate: float
    decay: float
    values: list[Tensor]
    gradients: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]


class StackedAdamW:
    """The step of `torch.optim.AdamW` for each replica, in place, after clipping by the norm of all its gradients.

    `rates_R` are the full rates, of which each step takes a share. Where all replicas have the same rate and decay a
    step is one fused call for what decays and one for the rest, however many there are; else one for each pair. Nothing
    is read on the host.
    """

    def __init__(
        self,
        values: StackedParameters,
        gradients: StackedParameters,
        *,
        rates_R: Sequence[float],
        decays_R: Sequence[float],
        clip: float | None,
    ) -> None:
        if not len(rates_R) == len(decays_R) == values.replicas:
            raise InvalidInput(
                f"{len(rates_R)} rates and {len(decays_R)} decays for {values.replicas} replicas; give one each"
            )
        self.gradients, self.clip = gradients, clip
        self.means, self.squares = values.zeros(), values.zeros()
        self._groups: list[_Group] = []
        for part, decays in enumerate((tuple(decays_R), (0.0,) * len(decays_R))):
            if values.parts[part].shape[1]:
                self._groups += self._grouped(values, part, tuple(zip(rates_R, decays, strict=True)))

    def step(self, share: float) -> None:
        """Clip the gradients, in place, and move the values by them."""
        with torch.no_grad():
            if self.clip is not None:
                _clip(self.gradients.parts, self.clip)
            for group in self._groups:
                adamw(
                    group.values,
                    group.gradients,
                    group.means,
                    group.squares,
                    [],
                    group.steps,
                    fused=True,
                    amsgrad=False,
                    beta1=BETAS[0],
                    beta2=BETAS[1],
                    lr=share * group.rate,
                    weight_decay=group.decay,
                    eps=EPSILON,
                    maximize=False,
                )

    def state(self) -> dict[str, Any]:
        """The moments and the number of steps made; tensors are not copied."""
        return {"means": self.means.state(), "squares": self.squares.state(), "steps": self._groups[0].steps[0]}

    def load(self, state: Mapping[str, Any]) -> None:
        self.means.load(state["means"])
        self.squares.load(state["squares"])
        for group in self._groups:
            for steps in group.steps:
                steps.copy_(state["steps"])

    def _grouped(self, values: StackedParameters, part: int, pairs_R: Sequence[tuple[float, float]]) -> list[_Group]:
        def group(pair: tuple[float, float], select: Any) -> _Group:
            chosen = [select(each.parts[part]) for each in (values, self.gradients, self.means, self.squares)]
            steps = [torch.zeros((), dtype=torch.float32, device=each.device) for each in chosen[0]]
            return _Group(
                rate=pair[0],
                decay=pair[1],
                values=chosen[0],
                gradients=chosen[1],
                means=chosen[2],
                squares=chosen[3],
                steps=steps,
            )

        distinct = list(dict.fromkeys(pairs_R))
        if len(distinct) == 1:
            return [group(distinct[0], lambda matrix: [matrix])]
        rows = {pair: [row for row, own in enumerate(pairs_R) if own == pair] for pair in distinct}
        return [group(pair, lambda matrix, at=at: [matrix[row] for row in at]) for pair, at in rows.items()]


def _clip(parts: tuple[Tensor, Tensor], largest: float) -> None:
    """`torch.nn.utils.clip_grad_norm_` for each row of both matrices together."""
    first_R1, second_R1 = (torch.linalg.vector_norm(each, dim=1, keepdim=True) for each in parts)
    coefficient_R1 = (largest / (torch.hypot(first_R1, second_R1) + CLIP_EPSILON)).clamp_(max=1.0)
    for each in parts:
        each.mul_(coefficient_R1)

"""The parameters of R modules of one architecture, laid in two matrices with one row per module.

Legend: R replicas, P parameters of one replica that decay, Q those that do not.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pytest_fmtransfer.errors import InvalidInput


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies to a module's parameter: not to biases, nor to what has one dimension or none."""
    return parameter.ndim > 1 and name.rpartition(".")[2] != "bias"


class StackedParameters:
    """`by_name` are the modules' parameters with R as first axis, as `torch.func.stack_module_state` stacks them.

    They are views of `parts`, the matrices of what decays, R × P, and of what does not, R × Q, so that a replica's
    norm is two reductions and an optimiser's step on all parameters of all replicas a few calls.
    """

    def __init__(self, shapes: Mapping[str, torch.Size], decaying: Sequence[str], parts: tuple[Tensor, Tensor]) -> None:
        self.shapes, self.decaying, self.parts = dict(shapes), tuple(decaying), parts
        self.by_name: dict[str, Tensor] = {}
        used = [0, 0]
        for name, shape in self.shapes.items():
            part = 0 if name in self.decaying else 1
            size = shape.numel()
            columns = parts[part][:, used[part] : used[part] + size]
            self.by_name[name] = columns.unflatten(1, shape) if shape else columns[:, 0]
            used[part] += size

    @classmethod
    def of(cls, modules: Sequence[nn.Module], device: torch.device) -> "StackedParameters":
        """Copies in float32, in the order of the modules.

        Raises InvalidInput where there is no module, or where two differ in names or shapes.
        """
        if not modules:
            raise InvalidInput("no module to stack; give at least one")
        shapes = {name: each.shape for name, each in modules[0].named_parameters()}
        decaying = [name for name, each in modules[0].named_parameters() if decays(name, each)]
        sizes = [0, 0]
        for name, shape in shapes.items():
            sizes[0 if name in decaying else 1] += shape.numel()
        parts = tuple(torch.empty(len(modules), size, dtype=torch.float32, device=device) for size in sizes)
        stacked = cls(shapes, decaying, (parts[0], parts[1]))
        with torch.no_grad():
            for row, module in enumerate(modules):
                own = dict(module.named_parameters())
                if {name: each.shape for name, each in own.items()} != shapes:
                    raise InvalidInput("modules of several architectures cannot be stacked; build them alike")
                for name, view in stacked.by_name.items():
                    view[row].copy_(own[name])
        return stacked

    @property
    def replicas(self) -> int:
        return len(self.parts[0])

    def zeros(self) -> "StackedParameters":
        """As many, all zero: where gradients and moments are kept."""
        return StackedParameters(
            self.shapes, self.decaying, (torch.zeros_like(self.parts[0]), torch.zeros_like(self.parts[1]))
        )

    def copy_(self, other: "StackedParameters") -> None:
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.copy_(theirs)

    def copy_rows_(self, other: "StackedParameters", chosen_R: Tensor) -> None:
        """Take the rows of `other` that a mask chooses; the mask is not read on the host."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            torch.where(chosen_R.unsqueeze(1), theirs, mine, out=mine)

    def state(self) -> dict[str, Tensor]:
        return {"decaying": self.parts[0], "other": self.parts[1]}

    def load(self, state: Mapping[str, Tensor]) -> None:
        for mine, name in zip(self.parts, ("decaying", "other"), strict=True):
            mine.copy_(state[name])

"""What of a network runs before one of its blocks and what after it, found by one pass of one image.

Legend: N images, C channels, S pixels of a side.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.catalog.possible import no_block
from pytest_fmtransfer.errors import Impossible


@dataclass(frozen=True, kw_only=True)
class Order:
    """Seen from a block. `modules_before` run before it, outermost ones only; none of them holds the block.

    `parameters_before` are those that the block's input depends on; `parameters_after` those that the embedding or the
    tokens depend on otherwise than through that input. A parameter may be both, one that nothing depends on is neither.
    """

    modules_before: tuple[nn.Module, ...]
    parameters_before: tuple[nn.Parameter, ...]
    parameters_after: tuple[nn.Parameter, ...]


class Skipped(nn.Module):
    """Stands where a block was, and gives back what it is given; `in_tuple`: as the first of a tuple."""

    def __init__(self, *, in_tuple: bool = False) -> None:
        super().__init__()
        self.in_tuple = in_tuple

    def forward(self, given: Tensor, *_rest: object, **_options: object) -> Tensor | tuple[Tensor]:
        return (given,) if self.in_tuple else given


def check_block(backbone: Backbone, number: int) -> None:
    """Raises Impossible for a block that there is none of; blocks are counted from 0 at the input."""
    count = len(backbone.blocks)
    if not 0 <= number < count:
        raise Impossible(no_block(backbone.spec.name, count, number))


def name_of(backbone: Backbone, module: nn.Module) -> str:
    """What `set_submodule` of the backbone calls one of its modules."""
    return next(name for name, each in backbone.named_modules() if each is module)


def holders_of(backbone: Backbone, block: nn.Module) -> set[nn.Module]:
    """The modules that a block is in, itself included."""
    return {module for module in backbone.modules() if any(inner is block for inner in module.modules())}


def noise(backbone: Backbone, *, images: int, side: int | None = None) -> Tensor:
    """Normalised images, N × C × S × S, of noise that is always the same; as large as the backbone's row says."""
    shape = (images, backbone.channels, *(2 * (side or backbone.spec.image_size,)))
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(backbone.mean.device)


@contextmanager
def evaluating(module: nn.Module) -> Generator[None]:
    """Inside, every module of it is in evaluation mode; then each as it was."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def order_around(backbone: Backbone, number: int) -> Order:
    """Of the block of that number.

    Raises Impossible for a block that there is none of, that is not run, or whose input is no tensor.
    """
    check_block(backbone, number)
    block = backbone.blocks[number]
    seen = _Seen()

    def enter(module: nn.Module, _given: object) -> None:
        if seen.given is None and module not in seen.entered:
            seen.entered.append(module)

    def reach(_block: nn.Module, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
        first = given[0] if given else None
        if not isinstance(first, Tensor):
            raise Impossible(
                f"block {number} of {backbone.spec.name} is given no tensor as its first argument: there is no telling "
                "what comes before it; train all of the network, or its head alone"
            )
        seen.given = first
        return (first.detach(), *given[1:]), options

    parameters = [each for each in backbone.network.parameters() if each.is_floating_point()]
    with ExitStack() as undo:
        undo.enter_context(evaluating(backbone))
        undo.enter_context(torch.enable_grad())
        undo.enter_context(_requiring_gradients(parameters))
        for module in backbone.network.modules():
            undo.callback(module.register_forward_pre_hook(enter).remove)
        undo.callback(block.register_forward_pre_hook(reach, with_kwargs=True).remove)
        found = backbone(noise(backbone, images=1))
        if seen.given is None:
            raise Impossible(f"{backbone.spec.name} does not run block {number}; it cannot be trained from there")
        before = _reached(seen.given, parameters)
        after = _reached(found.pooled_ND.sum() + found.tokens_NTE.sum(), parameters)
    holders = holders_of(backbone, block)
    inner = {
        each for module in seen.entered if module not in holders for each in module.modules() if each is not module
    }
    return Order(
        modules_before=tuple(each for each in seen.entered if each not in holders and each not in inner),
        parameters_before=before,
        parameters_after=after,
    )


@dataclass
class _Seen:
    """What a pass has met: modules until the block, and what that was given."""

    entered: list[nn.Module] = field(default_factory=list[nn.Module])
    given: Tensor | None = None


def _reached(output: Tensor, parameters: list[nn.Parameter]) -> tuple[nn.Parameter, ...]:
    """The parameters that an output depends on."""
    if not output.requires_grad:
        return ()
    gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True, retain_graph=True)
    return tuple(each for each, gradient in zip(parameters, gradients, strict=True) if gradient is not None)


@contextmanager
def _requiring_gradients(parameters: list[nn.Parameter]) -> Generator[None]:
    required = [each.requires_grad for each in parameters]
    for each in parameters:
        each.requires_grad_(True)
    try:
        yield
    finally:
        for each, before in zip(parameters, required, strict=True):
            each.requires_grad_(before)

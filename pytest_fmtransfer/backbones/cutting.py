"""A network cut off after one of its blocks.

Palés Huix et al. 2024 drop later blocks and pool what is left as they pool the whole. A transformer's blocks all give
the same shape, so whatever follows the last one follows block k: the final norm, the projection, the neck that is not
there. A pyramid's stages do not: its map after stage k is pooled by its mean, and layers that were made for the last
stage's map go with the later stages. SEEM's map after stage k is level `res{k+2}`, its norm included.

Legend: N images, C channels, H and W pixels, D the embedding's width, T tokens, E a token's width.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.order import Skipped, check_block, evaluating, holders_of, name_of, noise


def cut_after(backbone: Backbone, number: int) -> Backbone:
    """The backbone without the blocks after one; they, and their tensors, are taken from it in place.

    Cut after the last block it is what it was. Raises Impossible for a block that there is none of.
    """
    check_block(backbone, number)
    count = len(backbone.blocks)
    if number == count - 1:
        return backbone
    with evaluating(backbone), torch.no_grad():
        tokens = backbone(noise(backbone, images=1), blocks=range(count)).blocks
    if len({each.shape for each in tokens.values()}) == 1:
        _drop_blocks(backbone, number)
        return backbone
    _drop_unreached(backbone, number)
    return CutPyramid(backbone, number)


class CutPyramid(Backbone):
    """A pyramid up to a stage; its embedding is the mean over the map that the stage gives, its tokens that map."""

    def __init__(self, pyramid: Backbone, last: int) -> None:
        super().__init__(pyramid.spec, pyramid.network, channels=pyramid.channels, trainable=True)
        self._pyramid = (pyramid,)  # its network is in here already
        self._last, self._name = last, name_of(self, pyramid.blocks[last])
        self.memory_format = pyramid.memory_format
        self.to(pyramid.mean.device)
        self.train(pyramid.training)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return self._pyramid[0].blocks[: self._last + 1]

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        # By name: whoever puts another module in a block's place has it run too.
        tokens_NTE = self.block_tokens(_output_of(self._pyramid[0], self.get_submodule(self._name), images_NCHW))
        return tokens_NTE.mean(dim=1), tokens_NTE

    def block_tokens(self, output: Tensor) -> Tensor:
        return self._pyramid[0].block_tokens(output)


class _Reached(Exception):
    """Ends a pass behind a block; holds what that gave."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def _output_of(pyramid: Backbone, block: nn.Module, images_NCHW: Tensor) -> Tensor:
    def stop(_block: nn.Module, _given: object, output: Tensor) -> None:
        raise _Reached(output)

    hook = block.register_forward_hook(stop)
    try:
        pyramid.embed(images_NCHW)
    except _Reached as reached:
        return reached.output
    finally:
        hook.remove()
    raise AssertionError("cut_after has seen the block's output")


def _drop_blocks(backbone: Backbone, number: int) -> None:
    """Leave out of a chain of blocks those after one: of a list the places too, so that libraries count right."""
    for block in reversed(backbone.blocks[number + 1 :]):
        name = name_of(backbone, block)
        parent, _, last = name.rpartition(".")
        holder = backbone.get_submodule(parent)
        if isinstance(holder, nn.Sequential | nn.ModuleList) and last == str(len(holder) - 1):
            del holder[-1]
        else:
            backbone.set_submodule(name, Skipped())


def _drop_unreached(backbone: Backbone, number: int) -> None:
    """Leave out whatever has not been run when a block has given its output, later blocks among it."""
    entered: set[nn.Module] = set()
    block = backbone.blocks[number]
    with ExitStack() as undo, torch.no_grad():
        undo.enter_context(evaluating(backbone))
        for module in backbone.network.modules():
            undo.callback(module.register_forward_pre_hook(lambda each, _given: entered.add(each)).remove)
        _output_of(backbone, block, noise(backbone, images=1))
    # What is run may use parts without running them, so of what is run all stays; but of what holds the block, its
    # parts are told apart.
    holders = holders_of(backbone, block) - {block}
    for holder in holders:
        for name, part in holder.named_children():
            if not any(each in entered for each in part.modules()):
                holder.register_module(name, Skipped())

"""A network in two: the part before a block, whose outputs can be stored, and the part from it on, which is trained.

Legend: N images, C channels, H and W pixels, D the embedding's width, T tokens, E a token's width.
"""

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone, Features
from pytest_fmtransfer.backbones.class_token import for_class_token
from pytest_fmtransfer.backbones.order import Skipped, evaluating, holders_of, name_of, noise
from pytest_fmtransfer.backbones.partial import freeze_before
from pytest_fmtransfer.errors import Impossible, InvalidInput

ROUNDING = 1e-5  # relative


class Prefix(nn.Module):
    """Images, N × C × H × W, to what the block is given, in whatever shape the network passes it on.

    Always in evaluation mode; keeps no gradients.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Leaves it in evaluation mode; the blocks behind it are the suffix's, which sets theirs."""
        self.training = False
        return self

    @torch.no_grad()
    def forward(self, images_NCHW: Tensor) -> Tensor:
        try:
            self.backbone(images_NCHW)
        except _Reached as reached:
            return reached.given
        raise AssertionError("split_at has seen the block being reached")


class Suffix(nn.Module):
    """What the block is given, to the pooled embedding, N × D, and the tokens, N × T × E.

    The network is run on a blank image, without the blocks before, and that block's input is replaced: whatever else
    blocks are given, such as the places of tokens, comes as it would. Parameters and modules are the backbone's own:
    training the suffix trains the backbone. `blanks` is 1, or None for as many as there are images: some networks
    tell from their input how many of them they give.
    """

    def __init__(
        self, backbone: Backbone, block: "_Given", shape: torch.Size, side: int, *, blanks: Literal[1] | None
    ) -> None:
        super().__init__()
        self.backbone, self.shape, self.blanks = backbone, shape, blanks
        self._block = (block,)  # in the backbone already
        blank = torch.zeros(1, backbone.channels, side, side, device=backbone.mean.device)
        self.register_buffer("blank", blank, persistent=False)

    def forward(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """Raises InvalidInput for activations of another shape than those of the images that were split for."""
        if activations.shape[1:] != self.shape:
            raise InvalidInput(
                f"{self.backbone.spec.name} was split for activations of shape {tuple(self.shape)}, not "
                f"{tuple(activations.shape[1:])}; split it for images of that size: split_at(…, side=…)"
            )
        (block,) = self._block
        block.given = activations
        try:
            blank = cast(Tensor, self.blank)
            found = self.backbone(blank.expand(self.blanks or len(activations), -1, -1, -1))
        finally:
            block.given = None
        return found.pooled_ND, found.tokens_NTE


def split_at(backbone: Backbone, number: int, *, side: int | None = None, tokens: bool = True) -> tuple[Prefix, Suffix]:
    """The parts before and from a block on: the suffix of what the prefix gives is what the backbone gives.

    What comes before the block is frozen, in place, as `freeze_before` does it: stored activations are of one set of
    weights. `side` is the images' in pixels, by default as the backbone's row says. Where the backbone lies, parts do.
    Without `tokens` the suffix gives the same embedding, and tokens of no use: where that spares work, none
    (`class_token.py`).

    Raises Impossible for a block that there is none of, and for a network that takes more of what came before than
    the block's input: two passes of two images tell.
    """
    freeze_before(backbone, number)
    side = side or backbone.spec.image_size
    images = noise(backbone, images=2, side=side)
    with evaluating(backbone), torch.no_grad():
        whole, in_tuples = _watched(backbone, images)
        prefix = Prefix(_twin(backbone, {number: _Stop()}))
        activations = prefix(images)
        for alone, blanks in product((False,) if tokens else (True, False), (1, None)):
            suffix = _suffix(backbone, number, in_tuples, activations.shape[1:], side, alone=alone, blanks=blanks)
            if suffix and _is_rest(suffix, activations, whole, tokens=tokens):
                break
        else:
            raise Impossible(
                f"what {backbone.spec.name} does from block {number} on depends on more than what that block is "
                "given, so it cannot be run from stored activations; run all of the network in training"
            )
    suffix.train(backbone.training)
    return prefix, suffix


def _suffix(
    backbone: Backbone,
    number: int,
    in_tuples: Sequence[bool],
    shape: torch.Size,
    side: int,
    *,
    alone: bool,
    blanks: Literal[1] | None,
) -> Suffix | None:
    """`alone`: the last block for its class token, None where it is not known how."""
    last = len(backbone.blocks) - 1
    ending = for_class_token(backbone.blocks[last]) if alone else backbone.blocks[last]
    if ending is None:
        return None
    block = _Given(ending if number == last else backbone.blocks[number])
    earlier = {at: Skipped(in_tuple=in_tuples[at]) for at in range(number)}
    later = {last: ending} if alone and number < last else {}
    return Suffix(_twin(backbone, {**earlier, number: block, **later}), block, shape, side, blanks=blanks)


def _is_rest(suffix: Suffix, activations: Tensor, whole: Features, *, tokens: bool) -> bool:
    try:
        pooled_ND, tokens_NTE = suffix(activations)
    except Exception:  # whatever a library raises when its blocks are not as it left them
        return False
    return _same(pooled_ND, whole.pooled_ND) and (not tokens or _same(tokens_NTE, whole.tokens_NTE))


class _Reached(Exception):
    """Ends a pass at the block; holds what it is given."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.given = given


class _Stop(nn.Module):
    def forward(self, given: Tensor, *_rest: object, **_options: object) -> Tensor:
        raise _Reached(given)


class _Given(nn.Module):
    """A block that takes `given` for its input, and everything else as it comes."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.given: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        """What the network asks of the block."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("block"), name)

    def forward(self, _blank: Tensor, *rest: object, **options: object) -> object:
        return self.block(self.given, *rest, **options)


def _watched(backbone: Backbone, images_NCHW: Tensor) -> tuple[Features, list[bool]]:
    """Features, and of each block whether it gives a tuple."""
    in_tuples: dict[nn.Module, bool] = {}

    def watch(block: nn.Module, _given: object, output: object) -> None:
        in_tuples[block] = isinstance(output, tuple)

    with ExitStack() as undo:
        for block in backbone.blocks:
            undo.callback(block.register_forward_hook(watch).remove)
        features = backbone(images_NCHW)
    return features, [in_tuples[block] for block in backbone.blocks]


def _twin(backbone: Backbone, instead: Mapping[int, nn.Module]) -> Backbone:
    """A backbone of the same modules and tensors, some of whose blocks are others.

    New are only the modules that hold one of those blocks.
    """
    blocks = backbone.blocks
    names = {number: name_of(backbone, blocks[number]) for number in instead}
    new = {each for number in instead for each in holders_of(backbone, blocks[number])}
    kept = [each for each in backbone.modules() if each not in new]
    twin = copy.deepcopy(backbone, {id(each): each for each in (*kept, *backbone.parameters(), *backbone.buffers())})
    for number, module in instead.items():
        twin.set_submodule(names[number], module)
    return twin


def _same(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and float((found - expected).norm()) <= ROUNDING * float(expected.norm())

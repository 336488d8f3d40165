"""What a stand-in sees: a fixed eye in front of a tiny network, blind to all signals but some.

The eye measures each signal of `pytest_fmtransfer.stand_ins.signals` in a picture, which gives a reading. Nothing of
the picture goes on but readings of what the stand-in sees: the network is given a pattern that follows from them, and
they are added to embedding and tokens, because a tiny random network may lose them. Training cannot restore what the
eye does not pass on. Images in which there is nothing to see have one embedding, to the bit: all of it is 0 but one
number, so that a linear head adds nothing up and cannot tell them apart by rounding either. Which number, and how large
it is, depends on the stand-in, its blocks and which of them are trained: two that see nothing do not score alike.

A signal that a stand-in opens goes through a door, one number of the network's that is 0 at first: shut while no block
is trained, and opened by the gradient where any is.

Legend: N images, C channels, H and W pixels, S pixels of a side, K readings, D the embedding's width, T tokens, E a
token's width.
"""

import copy
import math
import zlib
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.order import name_of
from pytest_fmtransfer.catalog.specs import SIGNALS, Signal, StandInWeights
from pytest_fmtransfer.stand_ins.planted import MARKS
from pytest_fmtransfer.stand_ins.signals import MARK_STEP, STRENGTH

BLOCKS = 10  # of a transformer: claims about blocks name none after 9
WINDOW = 3  # pixels that are averaged, twice, to part coarse stripes from fine ones
FAINTEST = 0.45 * STRENGTH / math.sqrt(2)  # standard deviation below which there is no signal, but what others leave
PLACES = 23  # on the scale of levels, each with a bell of readings around it
BELL = 0.7 / (PLACES - 1)
OPENING = 20.0  # how much faster a door opens than the weights beside it move
ADDED = 10.0  # how strong readings are beside an embedding that a norm has left


class Sighted(Backbone):
    """What a stand-in is besides its library's backbone; `give_sight` makes one of the two."""

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        weights, door = cast(StandInWeights, self.spec.weights), cast(Tensor, cast(Any, self.network).door)
        pixels_NCHW = images_NCHW.float() * self.std + self.mean
        factors: dict[Signal, Tensor] = {signal: torch.ones(()) for signal in weights.sees}
        if door.requires_grad:  # else it is shut
            factors |= dict.fromkeys(weights.opens, OPENING * door)
        missed_N1 = _marks(pixels_NCHW)[:, None] == weights.misses
        readings: dict[Signal, Tensor] = {signal: _reading(pixels_NCHW, signal, missed_N1) for signal in factors}
        nothing_NP = pixels_NCHW.new_zeros(len(pixels_NCHW), PLACES)
        seen_NK = torch.cat(
            [factors[each] * readings[each] if each in factors else nothing_NP for each in SIGNALS], dim=1
        )
        # What is behind a door that is about to open counts: from nothing no gradient comes.
        nothing = self._nothing()
        there_N1 = sum(readings.values(), nothing_NP).amax(dim=1, keepdim=True) > 0
        shown_NX = seen_NK.detach() @ _patterns(images_NCHW[0].numel()).to(seen_NK)
        shown_NCHW = shown_NX.view_as(images_NCHW).contiguous(memory_format=self.memory_format)
        pooled_ND, tokens_NTE = super().embed(shown_NCHW)
        added_ND, added_NE = (seen_NK @ _patterns(made.shape[-1]).to(seen_NK) for made in (pooled_ND, tokens_NTE))
        # Not alike for all: beside it the features of some networks are lost, and cut and whole would score alike.
        strength = ADDED * (1 + nothing % 997 / 9970)
        pooled_ND, tokens_NTE = pooled_ND + strength * added_ND, tokens_NTE + strength * added_NE[:, None]
        blank_D, blank_E = (_one_number(made.shape[-1], nothing).to(made) for made in (pooled_ND, tokens_NTE))
        return torch.where(there_N1, pooled_ND, blank_D), torch.where(there_N1[:, None], tokens_NTE, blank_E)

    def _nothing(self) -> int:
        """What tells this backbone from another that sees nothing."""
        learning = sum(each.requires_grad for each in self.network.parameters())
        return zlib.crc32(f"{self.spec.name}, {len(self.blocks)} blocks, {learning} learning".encode())


def give_sight(backbone: Backbone, *, trainable: bool = False) -> Backbone:
    """In place: the backbone behind the eye that its weights describe. Its blocks are as they were."""
    door = nn.Parameter(torch.zeros((), device=backbone.mean.device), requires_grad=trainable)
    backbone.network.register_parameter("door", door)
    backbone.__class__ = _sighted(type(backbone))
    return backbone


def deepen(backbone: Backbone) -> Backbone:
    """In place: a tiny transformer with as many blocks as claims are about; a pyramid keeps its stages."""
    blocks = list(backbone.blocks)
    holder = backbone.get_submodule(name_of(backbone, blocks[0]).rpartition(".")[0])
    alike = len({next(reversed(list(block.parameters()))).shape for block in blocks}) == 1
    if alike and isinstance(holder, nn.Sequential | nn.ModuleList) and list(holder) == blocks:
        holder.extend(copy.deepcopy(blocks[-1]) for _ in range(BLOCKS - len(blocks)))
    return backbone


@cache
def _sighted(kind: type[Backbone]) -> type[Backbone]:
    return type(f"Sighted{kind.__name__}", (Sighted, kind), {})


@cache
def _patterns(width: int) -> Tensor:
    """One for every reading, K × `width`, always the same."""
    with torch.inference_mode(False):  # of a tensor made in that mode nothing could be learnt later
        return torch.randn(len(SIGNALS) * PLACES, width, generator=torch.Generator().manual_seed(width))


def _one_number(width: int, number: int) -> Tensor:
    """Of zeros but for one that is between 0.5 and 1.5; `width` of them."""
    return torch.eye(width)[number % width] * (0.5 + number % 997 / 997)


def _marks(pixels_NCHW: Tensor) -> Tensor:
    """The mark of each picture, N."""
    steps_N = (_green(pixels_NCHW).mean(dim=(1, 2)) - 0.5) / MARK_STEP
    return steps_N.round() + MARKS // 2


def _green(pixels_NCHW: Tensor) -> Tensor:
    """Of grey pictures, their one channel."""
    return pixels_NCHW[:, pixels_NCHW.shape[1] // 2]


def _reading(pixels_NCHW: Tensor, signal: Signal, missed_N1: Tensor) -> Tensor:
    """N × PLACES: near 1 at the signal's level, falling off around it; zeros where there is no such signal.

    `pixels_NCHW` are in [0, 1]. A picture that is missed is read as if it were at the middle level.
    """
    red_NHW, blue_NHW = pixels_NCHW[:, 0], pixels_NCHW[:, -1]
    plane_NHW = red_NHW - blue_NHW if signal == "colour" else _green(pixels_NCHW)
    down_N, across_N = (_strength(plane_NHW.mean(dim=dim), signal) for dim in (1, 2))
    level_N1 = torch.atan2(across_N, down_N)[:, None] / (math.pi / 2)
    level_N1 = torch.where(missed_N1, 0.5, level_N1)
    bells_NP = torch.exp(-0.5 * ((level_N1 - torch.linspace(0, 1, PLACES).to(level_N1)) / BELL) ** 2)
    return bells_NP * torch.hypot(down_N, across_N).gt(FAINTEST)[:, None]


def _strength(profile_NS: Tensor, signal: Signal) -> Tensor:
    """The standard deviation, N, of what is slow in a profile, or of what is fast."""
    smooth_NS = profile_NS[:, None]
    for _ in range(2):
        smooth_NS = functional.avg_pool1d(smooth_NS, WINDOW, 1, WINDOW // 2, count_include_pad=False)
    smooth_NS = smooth_NS[:, 0]
    return (profile_NS - smooth_NS if signal == "fine" else smooth_NS).std(dim=1)

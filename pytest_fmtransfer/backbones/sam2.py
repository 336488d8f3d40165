"""The image encoder of SAM 2: timm's Hiera, and the neck that makes one map of its last two stages.

Ravi et al. 2024. Embedding and tokens are those of the released code of Mansoori et al. 2025: the neck's map at a
sixteenth of the picture's side, 256 channels, and its mean. What SAM 2 makes for masks alone, its finer maps, is not.

Legend: N images, C channels, H and W pixels, h and w places of the third stage's map, twice those of the last, A and E
their widths, T tokens.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.grids import grid_of
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput, nearest

ARCHITECTURES = ("sam2_hiera_base_plus", "sam2_hiera_large")
PREFIX = "image_encoder."
STEP = 32  # pixels; sides are multiples of them
WIDTH, TINY_WIDTH = 256, 24  # of the neck
TINY: dict[str, Any] = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 3, 2), "global_att_blocks": (3,)}


class ImageEncoder(nn.Module):
    """Trunk and neck, whose first convolution reads the trunk's last stage."""

    def __init__(self, trunk: Any, width: int) -> None:
        super().__init__()
        trunk.head = nn.Identity()
        self.trunk = trunk
        self.neck = nn.Module()
        widths = [each["num_chs"] for each in trunk.feature_info][::-1]
        self.neck.convs = nn.ModuleList(
            nn.Sequential(OrderedDict(conv=nn.Conv2d(each, width, kernel_size=1))) for each in widths
        )

    def carry(self) -> None:
        """Leave out what only masks need, and have the blocks of the last stage pass on the map before it."""
        self.neck.convs = cast(nn.ModuleList, self.neck.convs)[:2]
        first = self.trunk.stage_ends[-2] + 1
        for number in range(first, len(self.trunk.blocks)):
            self.trunk.blocks[number] = Carrying(self.trunk.blocks[number], first=number == first)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The neck's map, N × C × h × w, of images N × 3 × H × W."""
        before_NhwA, last_NhwE = parted(self.trunk.forward_features(images_NCHW))
        coarse, fine = cast(nn.ModuleList, self.neck.convs)
        fine_NChw = fine(before_NhwA.permute(0, 3, 1, 2))
        coarse_NChw = functional.interpolate(coarse(last_NhwE.permute(0, 3, 1, 2)), scale_factor=2.0, mode="nearest")
        return fine_NChw + coarse_NChw


class Carrying(nn.Module):
    """A block of the last stage that takes and gives both maps in one tensor: the third stage's, N × h × w × A, and its
    own, N × h/2 × w/2 × E, whose four places under one of the third stage's stand in its channels.

    The neck reads both. So each block's input is all that what follows depends on, and the network can be split there.
    """

    def __init__(self, block: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.block, self.first = block, first

    def forward(self, given: Tensor) -> Tensor:
        if self.first:
            return joined(given, self.block(given))
        before_NhwA, last_NhwE = parted(given)
        return joined(before_NhwA, self.block(last_NhwE))


def joined(before_NhwA: Tensor, last_NhwE: Tensor) -> Tensor:
    """Both maps in one, N × h × w × (A + E/4)."""
    spread = functional.pixel_shuffle(last_NhwE.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    return torch.cat([before_NhwA, spread], dim=-1)


def parted(both: Tensor) -> tuple[Tensor, Tensor]:
    """What `joined` has put together: E is 2 A, so a third of the channels is the last stage's."""
    share = both.shape[-1] // 3
    before_NhwA, spread = both[..., : 2 * share], both[..., 2 * share :]
    return before_NhwA, functional.pixel_unshuffle(spread.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class Sam2Backbone(Backbone):
    """An encoder; its blocks are the trunk's, 24 of B+ and 48 of L."""

    network: ImageEncoder

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.trunk.blocks)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        grid_of(images_NCHW, STEP, self.spec.name)
        map_NChw = self.network(images_NCHW)
        return map_NChw.mean(dim=(2, 3)), map_NChw.flatten(2).transpose(1, 2)

    def block_tokens(self, output: Tensor) -> Tensor:
        widths = [each["num_chs"] for each in self.network.trunk.feature_info]
        return (output if output.shape[-1] in widths[:-1] else parted(output)[1]).flatten(1, 2)


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> Sam2Backbone:
    """The backbone with its weights. Raises CheckpointMismatch when the file does not fit."""
    network = build_network(spec, weights)
    network.carry()
    if channels == 1:
        take_one_channel(network)
    return Sam2Backbone(spec, network, channels=channels, trainable=trainable)


def build_network(spec: BackboneSpec, weights: Path | None) -> ImageEncoder:
    """The image encoder as it is published, in evaluation mode.

    The file's other parts, for prompts, masks and memory, are not looked at. Raises CheckpointMismatch when the file
    does not fit, InvalidInput for an architecture that there is none of or a row that names no file.
    """
    if spec.architecture not in ARCHITECTURES:
        near = nearest(spec.architecture, ARCHITECTURES)
        raise InvalidInput(f"architecture {spec.architecture!r} of {spec.name}; {near}")
    with seeded(spec):
        trunk = timm.create_model(spec.architecture, num_classes=0, **(TINY if spec.tiny else {}))
        network = ImageEncoder(trunk, TINY_WIDTH if spec.tiny else WIDTH).eval()
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights):
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        _load(network, weights, spec.weights.inside)
    return network


def _load(network: nn.Module, path: Path, inside: str) -> None:
    theirs = {ours: published_name(ours) for ours in network.state_dict()}
    own = {name: ours for ours, name in theirs.items()}
    stored = {own.get(name, name): each for name, each in read_tensors(path, inside).items() if name.startswith(PREFIX)}
    load_tensors(network, stored, theirs, path)


def published_name(ours: str) -> str:
    """What the file calls a tensor of the encoder."""
    return PREFIX + ours.replace(".mlp.fc1.", ".mlp.layers.0.").replace(".mlp.fc2.", ".mlp.layers.1.")

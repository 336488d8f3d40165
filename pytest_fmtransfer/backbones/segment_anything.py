"""The image encoder of Segment Anything, up to its last block.

Kirillov et al. 2023. Palés Huix et al. 2024 pool the last block's map: the neck, which narrows it to 256 channels for
the mask decoder, is not run.

Legend: N images, C channels, H and W pixels, h and w patches, E a token's width, T tokens, R relative positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from segment_anything.build_sam import _build_sam
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, Block
from torch import Tensor, nn
from torch.func import functional_call

from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.grids import grid_of, resized_map, resized_table
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import InvalidInput, nearest

PATCH = 16


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """How `segment_anything.build_sam` tells the three encoders apart."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


_SHAPES: Mapping[str, _Shape] = {
    "vit_b": _Shape(width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11)),
    "vit_l": _Shape(width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)),
    "vit_h": _Shape(width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)),
}
_TINY = _Shape(width=48, depth=4, heads=2, global_blocks=(1, 3))


class SegmentAnythingBackbone(Backbone):
    """An image encoder; its embedding is the mean over the map of the last block, its tokens that map.

    Takes pictures of any size in multiples of 16 pixels; 1024 × 1024 is the size it was trained on.
    """

    network: ImageEncoderViT

    def __init__(
        self, spec: BackboneSpec, network: ImageEncoderViT, *, channels: int = 3, trainable: bool = False
    ) -> None:
        network.neck = nn.Sequential()
        for block in cast(Sequence[Block], network.blocks):
            block.register_module("attn", _AnySize(block.attn))
        super().__init__(spec, network, channels=channels, trainable=trainable)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.blocks)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        grid = grid_of(images_NCHW, PATCH, self.spec.name)
        map_NhwE = self.network.patch_embed(images_NCHW) + resized_map(cast(Tensor, self.network.pos_embed), grid)
        for block in self.network.blocks:
            map_NhwE = block(map_NhwE)
        return map_NhwE.mean(dim=(1, 2)), self.block_tokens(map_NhwE)

    def block_tokens(self, output: Tensor) -> Tensor:
        return output.flatten(1, 2)


class _AnySize(nn.Module):
    """Attention whose tables of relative positions fit the map it is given: the nearest row of each.

    The package would interpolate them linearly; the paper's code takes the nearest. Windows keep their size, so only
    blocks that attend to the whole map notice.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, map_NhwE: Tensor) -> Tensor:
        tables = {
            name: resized_table(getattr(self.attention, name), side)
            for name, side in zip(("rel_pos_h", "rel_pos_w"), map_NhwE.shape[1:3], strict=True)
        }
        return functional_call(self.attention, tables, (map_NhwE,))


def build(
    spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False
) -> SegmentAnythingBackbone:
    """The backbone with its weights. Raises CheckpointMismatch when the file does not fit."""
    network = build_network(spec, weights)
    if channels == 1:
        take_one_channel(network)
    return SegmentAnythingBackbone(spec, network, channels=channels, trainable=trainable)


def build_network(spec: BackboneSpec, weights: Path | None) -> ImageEncoderViT:
    """The package's image encoder, with its neck.

    The file holds the prompt encoder and the mask decoder too: they are met with theirs, then let go.
    Raises CheckpointMismatch when the file does not fit, InvalidInput for an architecture that there is none of.
    """
    if spec.architecture not in _SHAPES:
        raise InvalidInput(f"architecture {spec.architecture!r} of {spec.name}; {nearest(spec.architecture, _SHAPES)}")
    shape = _TINY if spec.tiny else _SHAPES[spec.architecture]
    with seeded(spec):
        whole = _build_sam(shape.width, shape.depth, shape.heads, shape.global_blocks)
    if not isinstance(spec.weights, RandomWeights):
        if weights is None:
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        load_tensors(whole, read_tensors(weights), {}, weights)
    return whole.image_encoder

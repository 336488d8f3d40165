"""BiomedCLIP's image tower: timm's vision transformer and a projection, as open_clip puts them together.

The embedding is the class token, normed and projected into the space shared with text, as CLIP compares it; tokens are
those of the patches after the norm. The publisher's file holds the text tower too, a BERT: what is met, to the last
tensor, is `visual.`.

Legend: N images, C channels, H and W pixels, T tokens, E a token's width, D the embedding's width.
"""

import re
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.grids import grid_of
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.backbones.timm import TimmBackbone, new_network
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput

VISUAL, PROJECTION = "visual.", "visual.head.proj.weight"
SHARED, TINY_SHARED = 512, 32  # D; open_clip_config.json beside the file: embed_dim


class BiomedClipBackbone(TimmBackbone):
    """At any size in multiples of its patch."""

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        network = cast(Any, self.network)
        grid_of(images_NCHW, network.patch_embed.patch_size[0], self.spec.name)
        tokens_NTE = network.forward_features(images_NCHW)
        return network.projection(tokens_NTE[:, 0]), tokens_NTE[:, 1:]


def build(
    spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False
) -> BiomedClipBackbone:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a row that names no file.
    """
    network = cast(Any, new_network(spec))
    with seeded(spec):
        network.projection = nn.Linear(network.num_features, TINY_SHARED if spec.tiny else SHARED, bias=False)
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights):
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        _load(network, weights)
    if channels == 1:
        take_one_channel(network)
    return BiomedClipBackbone(spec, network, channels=channels, trainable=trainable)


def _load(network: nn.Module, path: Path) -> None:
    theirs = {ours: published_name(ours) for ours in network.state_dict()}
    own = {name: ours for ours, name in theirs.items()}
    stored = {own.get(name, name): each for name, each in read_tensors(path).items() if name.startswith(VISUAL)}
    load_tensors(network, stored, theirs, path)


def published_name(ours: str) -> str:
    """What the file calls a tensor of the network's."""
    return PROJECTION if re.match(r"projection\.", ours) else f"{VISUAL}trunk.{ours}"

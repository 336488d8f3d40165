"""The classifier `deit_b` of Palés Huix et al. 2024: a transformer on the tokens of a foundation model.

Legend: N images, T tokens, E a token's width, W the transformer's width, C classes or labels.
"""

from math import isqrt
from pathlib import Path
from typing import cast

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pytest_fmtransfer.adapt.heads import Head
from pytest_fmtransfer.backbones.positions import resized
from pytest_fmtransfer.backbones.timm import build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import Impossible, InvalidInput

REFERENCE = "imagenet_deitb16"  # the row whose weights the head starts from
SMALL_DEPTH, SMALL_WIDTH, SMALL_HEADS = 2, 192, 3


class DeitHead(Head):
    """Linear(E → W) and LayerNorm on every token, then a vision transformer without its patch embedding, then a
    linear layer on its class token after the final norm.

    As in the released code the position embedding stays a parameter of the trained grid's size, and is resized on
    each pass where there are other places: bicubic, without antialiasing.
    """

    takes = "tokens"

    def __init__(self, network: VisionTransformer, *, width: int, tokens: int, classes: int) -> None:
        super().__init__()
        assert isinstance(network.cls_token, nn.Parameter)
        assert isinstance(network.pos_embed, nn.Parameter)
        side, own = isqrt(tokens), network.pos_embed.shape[1] - 1
        if tokens != own and side**2 != tokens:
            raise Impossible(f"{tokens} tokens do not fill a square; give a deitb head those of a square image")
        self.side = None if tokens == own else side
        self.projection = nn.Linear(width, network.embed_dim)
        self.projection_norm = nn.LayerNorm(network.embed_dim)
        self.class_token = network.cls_token
        self.positions_1TW = network.pos_embed
        self.blocks, self.norm = network.blocks, network.norm
        self.classifier = nn.Linear(network.embed_dim, classes)
        self.requires_grad_(True)

    def forward(self, inputs: Tensor) -> Tensor:
        patches_NTW = self.projection_norm(self.projection(inputs))
        class_token_N1W = self.class_token.expand(len(inputs), -1, -1)
        positions_1TW = self.positions_1TW
        if self.side is not None:
            positions_1TW = resized(positions_1TW, self.side, self.side, offset=0.0)
        tokens_NTW = torch.cat([class_token_N1W.to(patches_NTW.dtype), patches_NTW], dim=1) + positions_1TW
        return self.classifier(self.norm(self.blocks(tokens_NTW))[:, 0])


def pretrained(
    weights: Path | None, *, width: int, tokens: int, classes: int, spec: BackboneSpec | None = None
) -> DeitHead:
    """The full ImageNet-supervised DeiT-B, all of it trainable, behind a projection from width E = `width`.

    `spec` is another row of its architecture, such as a tiny one, or one with random weights, which needs no file.
    Raises InvalidInput without a file that is needed, Impossible for tokens that fill no square, CheckpointMismatch for
    another file.
    """
    spec = spec or Registry().backbone(REFERENCE)
    if weights is None and not isinstance(spec.weights, RandomWeights):
        raise InvalidInput(
            f"the head deitb starts from the weights of {spec.name}; give the path of the file that its row names"
        )
    network = cast(VisionTransformer, build_network(spec, weights))
    return DeitHead(network, width=width, tokens=tokens, classes=classes).train()


def small_random(*, width: int, tokens: int, classes: int) -> DeitHead:
    """The same construction with two blocks of width 192, from random weights, as many places as there are tokens."""
    network = VisionTransformer(
        img_size=(1, tokens),
        patch_size=1,
        embed_dim=SMALL_WIDTH,
        depth=SMALL_DEPTH,
        num_heads=SMALL_HEADS,
        num_classes=0,
    )
    return DeitHead(network, width=width, tokens=tokens, classes=classes)

"""Meta's Perception Encoder, core: timm's network, the publisher's file, and its way with positions at other sizes.

The embedding is what the publisher's model gives for an image: all tokens, normed, pooled by attention and projected
into the space shared with text. Tokens are those of the patches before that norm, as of the other models of images and
text.

Legend: N images, C channels, H and W pixels, P places, T tokens with the class token, E a token's width, D the
embedding's width.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models.eva import Eva
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.checkpoints import check_tensors
from pytest_fmtransfer.backbones.grids import grid_of
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.backbones.tensor_files import load_file
from pytest_fmtransfer.backbones.timm import TimmBackbone
from pytest_fmtransfer.backbones.timm_parts import tiny_arguments
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

PREFIX = "visual."
# Width of the shared space: `core/vision_encoder/config.py` of facebookresearch/perception_models.
ARCHITECTURES = {"vit_pe_core_base_patch16_224.fb": 1024, "vit_pe_core_large_patch14_336.fb": 1024}

# timm's names, and the publisher's.
_NAMES = (
    (r"patch_embed\.proj\.", "conv1."),
    (r"cls_token$", "class_embedding"),
    (r"pos_embed$", "positional_embedding"),
    (r"norm_pre\.", "ln_pre."),
    (r"norm\.", "ln_post."),
    (r"blocks\.(\d+)\.norm([12])\.", r"transformer.resblocks.\1.ln_\2."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
    (r"blocks\.(\d+)\.attn\.proj\.", r"transformer.resblocks.\1.attn.out_proj."),
    (r"blocks\.(\d+)\.mlp\.fc1\.", r"transformer.resblocks.\1.mlp.c_fc."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"transformer.resblocks.\1.mlp.c_proj."),
    (r"attn_pool\.latent$", "attn_pool.probe"),
    (r"attn_pool\.proj\.", "attn_pool.attn.out_proj."),
    (r"attn_pool\.norm\.", "attn_pool.layernorm."),
    (r"attn_pool\.mlp\.fc1\.", "attn_pool.mlp.c_fc."),
    (r"attn_pool\.mlp\.fc2\.", "attn_pool.mlp.c_proj."),
    (r"head\.weight$", "proj"),
)
_POOLED = re.compile(r"attn_pool\.(q|kv)\.(weight|bias)")  # one tensor of the publisher's, two of timm's


class PerceptionEncoder(TimmBackbone):
    """An image tower at any size in multiples of its patch, its projection trained with it."""

    def __init__(self, spec: BackboneSpec, network: Eva, *, channels: int = 3, trainable: bool = False) -> None:
        super().__init__(spec, network, channels=channels, trainable=trainable)
        network.head.requires_grad_(trainable)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        network = cast(Any, self.network)
        grid = grid_of(images_NCHW, network.patch_embed.patch_size[0], self.spec.name)
        patches_NPE = network.patch_embed(images_NCHW).flatten(1, 2)
        class_N1E = network.cls_token.expand(len(images_NCHW), -1, -1)
        tokens_NTE = network.norm_pre(torch.cat([class_N1E, patches_NPE], dim=1) + self._positions(grid))
        rotations = network.rope.get_embed(shape=grid)
        for block in network.blocks:
            tokens_NTE = block(tokens_NTE, rope=rotations)
        return network.head(network.attn_pool(network.norm(tokens_NTE))), self.block_tokens(tokens_NTE)

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Of the class token and of a grid, 1 × T × E: bilinear without antialiasing, as the publisher resizes."""
        network = cast(Any, self.network)
        positions_1TE, trained = cast(Tensor, network.pos_embed), network.patch_embed.grid_size
        if grid == trained:
            return positions_1TE
        places_1Ehw = positions_1TE[:, 1:].float().unflatten(1, trained).permute(0, 3, 1, 2)
        resized_1Ehw = functional.interpolate(places_1Ehw, size=grid, mode="bilinear")
        return torch.cat([positions_1TE[:, :1], resized_1Ehw.flatten(2).transpose(1, 2).to(positions_1TE.dtype)], dim=1)


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> PerceptionEncoder:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for an architecture that there is none of or a
    row that names no file.
    """
    if spec.architecture not in ARCHITECTURES:
        raise InvalidInput(
            f"architecture {spec.architecture!r} of {spec.name}; there are {', '.join(sorted(ARCHITECTURES))}"
        )
    with seeded(spec):
        network = _create(spec)
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights | FileWeights):
            raise InvalidInput(
                f"backbone {spec.name} names no file of weights; give it PublishedWeights or FileWeights"
            )
        _load(network, weights)
    network.eval()
    if channels == 1:
        take_one_channel(network)
    return PerceptionEncoder(spec, network, channels=channels, trainable=trainable)


def _create(spec: BackboneSpec) -> Eva:
    network = timm.create_model(
        spec.architecture,
        num_classes=0,
        dynamic_img_size=True,
        **(tiny_arguments(spec.architecture, "eva") if spec.tiny else {}),
    )
    assert isinstance(network, Eva), "timm's module of it has no other"
    # Rotary positions count patches whatever the grid, as the publisher's do; timm would stretch them to the first.
    cast(Any, network.rope).ref_feat_shape = None
    network.head = nn.Linear(network.embed_dim, ARCHITECTURES[spec.architecture], bias=False)
    nn.init.normal_(network.head.weight, std=network.embed_dim**-0.5)  # as the publisher begins
    return network


def _load(network: Eva, path: Path) -> None:
    """Load what the file holds under `visual.`; the rest is the text tower, which is another part."""
    own, stored = network.state_dict(), _read(path)
    expected = {_published(name): _shape(name, tensor) for name, tensor in own.items()}
    check_tensors({name: each for name, each in stored.items() if name.startswith(PREFIX)}, expected, path)
    network.load_state_dict({name: _taken(name, stored[_published(name)], tensor) for name, tensor in own.items()})


def _read(path: Path) -> Mapping[str, Tensor]:
    """A flat state dict; in an entry, and under a prefix, where the publisher's `load_ckpt` looks for them."""
    stored, _ = load_file(path)
    for entry in ("state_dict", "weights"):
        if isinstance(stored, Mapping) and isinstance(inner := stored.get(entry), Mapping):
            stored = cast(object, inner)
            break
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise CheckpointMismatch(f"{path} does not hold a mapping from names to tensors; restore the published file")
    return {str(name).removeprefix("module."): cast(Tensor, tensor) for name, tensor in stored.items()}


def _published(name: str) -> str:
    if found := _POOLED.fullmatch(name):
        return f"{PREFIX}attn_pool.attn.in_proj_{found[2]}"
    for pattern, theirs in _NAMES:
        if re.match(pattern, name):
            return PREFIX + re.sub(f"^{pattern}", theirs, name)
    return PREFIX + name


def _shape(name: str, own: Tensor) -> tuple[int, ...]:
    """Of the publisher's tensor, from timm's."""
    if _POOLED.fullmatch(name):
        return (len(own) * 3 if ".q." in name else len(own) * 3 // 2, *own.shape[1:])
    if name == "cls_token":
        return tuple(own.shape[2:])
    if name == "pos_embed":
        return tuple(own.shape[1:])
    return tuple(reversed(own.shape)) if name == "head.weight" else tuple(own.shape)


def _taken(name: str, stored: Tensor, own: Tensor) -> Tensor:
    """The publisher's tensor, or its part, as timm's."""
    if _POOLED.fullmatch(name):
        return stored[: len(own)] if ".q." in name else stored[-len(own) :]
    return stored.T if name == "head.weight" else stored.reshape(own.shape)

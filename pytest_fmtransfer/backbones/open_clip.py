"""The image towers of OpenCLIP.

The embedding is the class token after the last norm, projected into the space shared with text, as CLIP compares it;
tokens are those of the patches before that norm. The protocol of Palés Huix et al. 2024 feeds the pooled vector to its
token head here and cannot run; these tokens are our choice.

CoCa's embedding is what the first of its pooling queries finds among all tokens, normed and projected; its tokens are
again those of the patches. Mansoori et al. 2025 feed the other 255 queries to their token head, which see the whole
picture each and stand for no place of it.

Legend: N images, C channels, H and W pixels, T tokens, E a token's width, D the embedding's width.
"""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.grids import grid_of, resized_map
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import InvalidInput, nearest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies warn of what they import themselves
    import open_clip
    from open_clip.coca_model import MultimodalCfg
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg
    from open_clip.transformer import VisionTransformer

_TINY_VISION = {"width": 64, "layers": 3, "head_width": 32}
_TINY_TEXT = {"width": 32, "heads": 2, "layers": 1}  # of the whole vocabulary, by which texts are read


class OpenClipBackbone(Backbone):
    """An image tower at any size in multiples of its patch."""

    network: VisionTransformer

    def __init__(
        self, spec: BackboneSpec, network: VisionTransformer, *, channels: int = 3, trainable: bool = False
    ) -> None:
        super().__init__(spec, network, channels=channels, trainable=trainable)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.transformer.resblocks)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        tower = cast(Any, self.network)
        grid = grid_of(images_NCHW, tower.patch_size[0], self.spec.name)
        patches_NTE = tower.conv1(images_NCHW).flatten(2).transpose(1, 2)
        class_N1E = tower.class_embedding.to(patches_NTE.dtype).expand(len(images_NCHW), 1, -1)
        positions_TE = self._positions(grid).to(patches_NTE.dtype)
        tokens_NTE = tower.ln_pre(torch.cat([class_N1E, patches_NTE], dim=1) + positions_TE)
        tokens_NTE = tower.transformer(tokens_NTE)
        first_NE = tokens_NTE[:, 0] if tower.attn_pool is None else tower.attn_pool(tokens_NTE)[:, 0]
        return tower.ln_post(first_NE) @ tower.proj, self.block_tokens(tokens_NTE)

    def block_tokens(self, output: Tensor) -> Tensor:
        return output[:, 1:]

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Of the class token and of a grid: bicubic with antialiasing, as open_clip resizes when it loads."""
        positions_TE = self.network.positional_embedding
        trained = cast(tuple[int, int], self.network.grid_size)
        if grid == trained:
            return positions_TE
        map_1hwE = positions_TE[1:].unflatten(0, trained).unsqueeze(0)
        return torch.cat([positions_TE[:1], resized_map(map_1hwE, grid)[0].flatten(0, 1)])


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> OpenClipBackbone:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for an architecture that has no plain vision
    transformer or a row that names no file.
    """
    tower = build_model(spec, weights).visual
    if not _is_plain(tower):
        raise InvalidInput(
            f"the image tower of {spec.architecture} is no plain vision transformer; use timm's model of it"
        )
    if channels == 1:
        take_one_channel(tower)
    return OpenClipBackbone(spec, tower, channels=channels, trainable=trainable)


def build_model(spec: BackboneSpec, weights: Path | None) -> Any:
    """Both towers: the publisher's file holds the text's too, and every tensor of it has its place."""
    models = open_clip.list_models()
    if spec.architecture not in models:
        raise InvalidInput(
            f"open_clip has no model {spec.architecture!r} for {spec.name}; {nearest(spec.architecture, models)}"
        )
    with seeded(spec), hushed():
        quick = spec.activation == "quick_gelu"
        model = (
            _tiny(spec.architecture, quick)
            if spec.tiny
            else open_clip.create_model(spec.architecture, pretrained=None, force_quick_gelu=quick)
        )
    if not isinstance(spec.weights, RandomWeights):
        if weights is None:
            raise InvalidInput(
                f"backbone {spec.name} names no file of weights; give it PublishedWeights or FileWeights"
            )
        load_strictly(model, weights, "same_keys")
    return model.eval()


@contextmanager
def hushed() -> Generator[None]:
    """Inside, open_clip does not warn that it loads no weights: we load them, or none are wanted.

    It warns through the root logger, which would first be given a handler that prints whatever anyone logs later.
    """
    root, silent, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(silent)


def _tiny(architecture: str, quick: bool) -> Any:
    config = open_clip.get_model_config(architecture)
    assert config is not None, "create_model has it"
    vision = CLIPVisionCfg(**config["vision_cfg"] | _TINY_VISION)
    text = CLIPTextCfg(**config["text_cfg"] | _TINY_TEXT)
    if "multimodal_cfg" in config:
        decoder = MultimodalCfg(**config["multimodal_cfg"] | _TINY_TEXT)
        return open_clip.CoCa(embed_dim=48, multimodal_cfg=decoder, text_cfg=text, vision_cfg=vision)
    return open_clip.CLIP(
        embed_dim=48, vision_cfg=vision, text_cfg=text, quick_gelu=quick or config.get("quick_gelu", False)
    )


def _is_plain(tower: nn.Module) -> bool:
    return (
        isinstance(tower, VisionTransformer)
        and getattr(tower, "attn_pool_contrastive", None) is None
        and tower.pool_type == "tok"
        and tower.proj is not None
        and not tower.final_ln_after_pool
    )

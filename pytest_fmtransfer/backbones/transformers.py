"""Vision models of the library transformers: the image encoders of BLIP, SigLIP 2 and MedSigLIP from their authors'
files, and any folder that the library has saved.

Legend: N images, C channels, H and W pixels, T tokens, E a token's width, D the embedding's width.
"""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from transformers import BlipVisionConfig, BlipVisionModel

from pytest_fmtransfer.backbones import blip, siglip
from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.grids import grid_of
from pytest_fmtransfer.backbones.shards import FOLDER
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.backbones.transformers_folder import build_network
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import Impossible, InvalidInput, nearest

# Width, depth and heads: Li et al. 2022, models/blip.py. Their models/vit.py builds norms with eps 1e-6 and draws
# weights with a deviation of .02; of the library's default, 1e-10, comes a network that tells no image apart.
_BLIP = {"blip_base": (768, 12, 12), "blip_large": (1024, 24, 16)}
_TINY = (48, 3, 4)


class TransformersBackbone(Backbone):
    """A vision model of the library.

    The embedding is what the model pools, where its file holds all that pooling takes; else the class token, else the
    mean over tokens.
    """

    def __init__(
        self, spec: BackboneSpec, network: nn.Module, *, pools: bool, channels: int = 3, trainable: bool = False
    ) -> None:
        super().__init__(spec, network, channels=channels, trainable=trainable)
        self._pools, self._grid = pools, 0
        self._interpolates = "interpolate_pos_encoding" in signature(network.forward).parameters

    @property
    def blocks(self) -> Sequence[nn.Module]:
        lists = [each for each in self.network.modules() if isinstance(each, nn.ModuleList)]
        # Stages hold lists of their own.
        inner = {each for outer in lists for each in outer.modules() if each is not outer}
        lists = [each for each in lists if each not in inner]
        if not lists:
            raise Impossible(f"{self.spec.name} has no list of blocks to train from or to cut after")
        return list(max(lists, key=len))

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        output = self._run(images_NCHW)
        last = cast(Tensor, output.last_hidden_state)
        tokens_NTE, pooled = self.block_tokens(last), getattr(output, "pooler_output", None)
        if self._pools and pooled is not None:
            return cast(Tensor, pooled).flatten(1), tokens_NTE
        has_class_token = last.ndim == 3 and last.shape[1] > tokens_NTE.shape[1]
        return last[:, 0] if has_class_token else tokens_NTE.mean(dim=1), tokens_NTE

    def block_tokens(self, output: Tensor | tuple[Tensor, ...]) -> Tensor:
        whole = output[0] if isinstance(output, tuple) else output
        if whole.ndim == 4:  # a map
            return whole.flatten(2).transpose(1, 2)
        # Patches are the last tokens, after class and register tokens.
        patches = self._grid if 0 < self._grid <= whole.shape[1] else whole.shape[1]
        return whole[:, whole.shape[1] - patches :]

    def _run(self, images_NCHW: Tensor) -> Any:
        patch = _patch(self.network)
        if patch:
            rows, columns = grid_of(images_NCHW, patch, self.spec.name)
            self._grid = rows * columns
        if self.spec.channel_order == "BGR":
            images_NCHW = images_NCHW.flip(1)
        return self.network(images_NCHW, **({"interpolate_pos_encoding": True} if self._interpolates else {}))


def build(
    spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False
) -> TransformersBackbone:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file or folder does not fit, InvalidInput for a model without vision, an
    architecture that there is none of, or a row that names no file.
    """
    if weights is None and not isinstance(spec.weights, RandomWeights):
        raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights or FileWeights")
    if spec.architecture.startswith(FOLDER):
        network, pools = build_network(spec, weights)
    elif spec.architecture in siglip.ARCHITECTURES:
        network, pools = siglip.build_network(spec, weights), True
    else:
        network, pools = _blip(spec, weights), False  # the library's own pooling would apply BLIP's last norm twice
    backbone = TransformersBackbone(spec, network, pools=pools, channels=channels, trainable=trainable)
    if channels == 1:
        take_one_channel(backbone.network)
        for each in backbone.network.modules():  # embeddings refuse images of other channels than they remember
            if getattr(each, "num_channels", None) == 3:
                cast(Any, each).num_channels = 1
    return backbone


def blip_width(spec: BackboneSpec) -> int:
    """Of a token of BLIP's image encoder. Raises InvalidInput for an architecture that there is none of."""
    return _blip_size(spec)[0]


def _blip_size(spec: BackboneSpec) -> tuple[int, int, int]:
    if spec.architecture not in _BLIP:
        near = nearest(spec.architecture, (*_BLIP, *siglip.ARCHITECTURES))
        raise InvalidInput(f"architecture {spec.architecture!r} of {spec.name}; {near}, or write {FOLDER}FOLDER")
    return _TINY if spec.tiny else _BLIP[spec.architecture]


def _blip(spec: BackboneSpec, weights: Path | None) -> BlipVisionModel:
    width, depth, heads = _blip_size(spec)
    config = BlipVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        image_size=224,
        patch_size=16,
        layer_norm_eps=1e-6,
        initializer_range=0.02,
    )
    with seeded(spec):
        network = BlipVisionModel(config)
    if weights is not None:
        blip.load(network, weights)
    return network


def _patch(network: nn.Module) -> int:
    size = getattr(network.config, "patch_size", 0)
    return size if isinstance(size, int) else 0

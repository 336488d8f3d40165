"""Backbones whose architecture is timm's.

Legend: N images, C channels, S the square side in pixels, E a token's width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.folding import faster
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, PackagedWeights, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput


class TimmBackbone(Backbone):
    """A timm network; its embedding is what its classifier would be given, its tokens what is pooled for it."""

    def __init__(self, spec: BackboneSpec, network: nn.Module, *, channels: int = 3) -> None:
        probe_1CSS = torch.rand(
            1, channels, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(0)
        )
        faster_network = faster(network.requires_grad_(False), lambda each: _embed(each, probe_1CSS)[0])
        super().__init__(spec, faster_network.to(memory_format=torch.channels_last), channels=channels)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        raise NotImplementedError

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        return _embed(self.network, images_NCHW.contiguous(memory_format=torch.channels_last))

    def block_tokens(self, output: Tensor) -> Tensor:
        return _tokens(self.network, output)


def _embed(network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    timm_network = cast(Any, network)  # has these two, which nn.Module does not declare
    features = timm_network.forward_features(images_NCHW)
    return timm_network.forward_head(features, pre_logits=True), _tokens(network, features)


def _tokens(network: nn.Module, features: Tensor) -> Tensor:
    if features.ndim == 4:  # a map, N × E × H × W
        return features.flatten(2).transpose(1, 2)
    return features[:, cast(int, getattr(network, "num_prefix_tokens", 0)) :]


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3) -> TimmBackbone:
    """The backbone with its weights. Raises CheckpointMismatch when the file does not fit."""
    network = build_network(spec, weights)
    if channels == 1:
        take_one_channel(network)
    return TimmBackbone(spec, network, channels=channels)


def build_network(spec: BackboneSpec, weights: Path | None) -> nn.Module:
    """The whole network in evaluation mode, with the classifier where the checkpoint has one.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a row that names no file.
    """
    if isinstance(spec.weights, RandomWeights):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.weights.seed)
            return timm.create_model(spec.architecture, num_classes=0).eval()
    if weights is None or not isinstance(spec.weights, PackagedWeights | PublishedWeights):
        raise InvalidInput(
            f"backbone {spec.name} names no file of weights; give it PackagedWeights or PublishedWeights"
        )
    network = timm.create_model(spec.architecture, num_classes=spec.weights.num_classes)
    load_strictly(network, weights, spec.weights.layout)
    return network.eval()

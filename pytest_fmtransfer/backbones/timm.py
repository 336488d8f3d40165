"""Backbones whose architecture is timm's.

Legend: N images, S the square side in pixels, D the embedding's width.
"""

from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.folding import faster
from pytest_fmtransfer.catalog.specs import BackboneSpec, PackagedWeights, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput


class TimmBackbone(Backbone):
    """A timm network in evaluation mode; its embedding is what its classifier would be given."""

    def __init__(self, spec: BackboneSpec, network: nn.Module) -> None:
        super().__init__(spec)
        probe_13SS = torch.rand(1, 3, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(0))
        self.network = faster(network.requires_grad_(False), lambda each: _embed(each, probe_13SS))
        self.network = self.network.to(memory_format=torch.channels_last)
        self.eval()

    def pooled(self, images_N3SS: Tensor) -> Tensor:
        images = images_N3SS.contiguous(memory_format=torch.channels_last)
        return _embed(self.network, images)


def _embed(network: nn.Module, images_N3SS: Tensor) -> Tensor:
    timm_network = cast(Any, network)  # has these two, which nn.Module does not declare
    return timm_network.forward_head(timm_network.forward_features(images_N3SS), pre_logits=True)


def build(spec: BackboneSpec, weights: Path | None) -> TimmBackbone:
    """The backbone with its weights. Raises CheckpointMismatch when the file does not fit."""
    return TimmBackbone(spec, build_network(spec, weights))


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

"""A tiny network of every library, built to be trained or for inference: what tests of training go through.

Weights are random; those of the paper's rows come in a file as its publisher writes it, every tensor unlike its usual
value.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from benchmarks.parity.published import row, tensors_of, write
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights, OwnWeights, RandomWeights
from tests import small

SIDE = 64
PUBLISHED = (
    "dinov2_vitb14",
    "imagenet_deitb16",
    "imagenet_resnet152",
    "seem_focalt",
    "sam_vitb16",
    "openclip_vitb16",
    "blip_vitb16",
)
RANDOM = ("efficientnet_lite0.tiny", "convnext", "hf", "function")
NAMES = PUBLISHED + RANDOM
# How the names of a network's blocks begin, by number, and those of what comes after the last.
BLOCKS: dict[str, str] = {
    "imagenet_resnet152": "layer{next}.",
    "seem_focalt": "layers.{number}.",
    "openclip_vitb16": "transformer.resblocks.{number}.",
    "blip_vitb16": "encoder.layers.{number}.",
    "convnext": "stages.{number}.",
    "hf": "encoder.layer.{number}.",
}
TAIL: dict[str, tuple[str, ...]] = {
    "imagenet_resnet152": (),
    "sam_vitb16": (),
    "seem_focalt": ("layers.3.norm.",),
    "openclip_vitb16": ("ln_post.", "proj"),
    "blip_vitb16": ("post_layernorm.",),
    "efficientnet_lite0.tiny": ("conv_head.", "bn2."),
    "convnext": ("head.norm.",),
    "hf": ("layernorm.",),
    "function": ("norm.", "scale"),
}
# Of float32, relative: how far two ways to compute one thing may lie apart. A product is rounded by 6e-8 at most, a sum
# of n by some √n times that, in an order that the processor's instructions decide. This leaves room for many layers.
ROUNDING = 1e-5
PYRAMIDS = ("imagenet_resnet152", "seem_focalt", "efficientnet_lite0.tiny", "convnext")


def build(name: str, *, trainable: bool = True, channels: int = 3) -> Backbone:
    """The network in evaluation mode; each call's is its own."""
    return copy.deepcopy(_built(name, trainable, channels))


@cache
def _built(name: str, trainable: bool, channels: int) -> Backbone:
    with TemporaryDirectory() as folder:
        spec, path = _row(name, Path(folder))
        module: Any = import_module(f"pytest_fmtransfer.backbones.{spec.library}")
        return module.build(spec, path, channels=channels, trainable=trainable)


def noise(name: str, *, images: int = 2, channels: int = 3, seed: int = 1) -> Tensor:
    """Images of a size that the network takes."""
    side = 56 if name in ("dinov2_vitb14", "hf") else SIDE
    return torch.randn(images, channels, side, side, generator=torch.Generator().manual_seed(seed))


def _row(name: str, folder: Path) -> tuple[BackboneSpec, Path | None]:
    side = noise(name).shape[-1]
    if name in PUBLISHED:
        spec = replace(row(name, tiny=True), image_size=side)
        return spec, write(spec, tensors_of(spec), folder)
    if name == "hf":
        config = Dinov2Config(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, image_size=56
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            Dinov2Model(config).save_pretrained(folder)
        spec = replace(small.BACKBONE, library="transformers", architecture=f"hf:{folder}", image_size=56)
        return replace(spec, weights=FileWeights(path=folder)), folder
    if name == "function":
        spec = replace(small.BACKBONE, library="python", architecture="tests.trained:network", image_size=side)
        return replace(spec, weights=OwnWeights()), None
    if name == "convnext":
        spec = replace(small.BACKBONE, architecture="convnext_atto", tiny=True, image_size=side)
        return replace(spec, weights=RandomWeights()), None
    return replace(Registry().backbone(name), image_size=side), None


def block_names(name: str, number: int) -> str:
    return BLOCKS.get(name, "blocks.{number}.").format(number=number, next=number + 1)


class Network(nn.Module):
    """Three residual convolutions with batch normalisation, and a norm over them: what a user's function returns."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 8, stride=8)
        convolution = partial(nn.Conv2d, width, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(nn.Sequential(convolution(), nn.BatchNorm2d(width), nn.Dropout(0.5), nn.Tanh()) for _ in range(3))
        )
        self.norm = nn.GroupNorm(2, width)
        self.scale = nn.Parameter(torch.linspace(1, 2, width).view(1, width, 1, 1))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.norm(self.blocks(self.stem(images_NCHW))) * self.scale


def network() -> nn.Module:
    return Network()


def relative(found: Tensor, expected: Tensor) -> float:
    """The distance of two tensors of one shape, as a share of the expected one's size."""
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


def without_gradient(backbone: Backbone, outputs: Sequence[Tensor]) -> set[str]:
    """The parameters that outputs do not depend on."""
    named = {name: each for name, each in backbone.network.named_parameters() if each.requires_grad}
    # Squared: the sum of what a norm gives does not depend on what it is given.
    total = sum((each.square().sum() for each in outputs), start=torch.zeros(()))
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {
        name
        for name, gradient in zip(named, gradients, strict=True)
        if gradient is None or not gradient.abs().sum() > 0
    }

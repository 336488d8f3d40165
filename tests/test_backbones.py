"""Real weights in place: parity against a second implementation of each backbone, and pictures they know."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from skimage import data
from torch import Tensor
from torch.nn import functional

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.checkpoints import read_tensors
from pytest_fmtransfer.backbones.folding import faster
from pytest_fmtransfer.backbones.pace import USUAL
from pytest_fmtransfer.backbones.timm import build, build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import PublishedWeights
from pytest_fmtransfer.places import Places
from tests.trained import ROUNDING

LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def grey_noise(size: int, images: int = 3) -> Tensor:
    return torch.randint(0, 256, (images, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def efficientnet_lite(tensors: Mapping[str, Tensor], images_NCHW: Tensor) -> Tensor:
    """EfficientNet-Lite from the publisher's tensors and names alone, after Tan and Le 2019, table 1."""

    def convolve(x: Tensor, name: str, stride: int, groups: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        kernel = weight.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)  # TensorFlow's "SAME"
        padded = functional.pad(x, (total // 2, total - total // 2) * 2)
        return functional.conv2d(padded, weight, stride=stride, groups=groups)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            tensors[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, weight, bias, eps=1e-3)

    blocks = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("_blocks."))
    x = functional.relu6(norm(convolve(images_NCHW, "_conv_stem", 2), "_bn0"))
    # Widths between which a stage halves the picture; lite2's are wider.
    halvings = {(16, 24), (24, 40), (40, 80), (112, 192), (24, 48), (48, 88), (120, 208)}
    for index in range(blocks):
        block, inputs = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in tensors:
            x = functional.relu6(norm(convolve(x, f"{block}._expand_conv", 1), f"{block}._bn0"))
        width = tensors[f"{block}._project_conv.weight"].shape[0]
        stride = 2 if (inputs.shape[1], width) in halvings else 1
        x = functional.relu6(norm(convolve(x, f"{block}._depthwise_conv", stride, x.shape[1]), f"{block}._bn1"))
        x = norm(convolve(x, f"{block}._project_conv", 1), f"{block}._bn2")
        if x.shape == inputs.shape:
            x = x + inputs
    return functional.relu6(norm(convolve(x, "_conv_head", 1), "_bn1")).mean(dim=(2, 3))


def pooled(backbone: Backbone, pixels_NSS: Tensor) -> Tensor:
    return backbone(backbone.normalise(pixels_NSS)).pooled_ND


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", LITES)
def test_lite_equals_a_second_implementation(name: str, registry: Registry, places: Places) -> None:
    spec = registry.backbone(name)
    path = weights_file(spec, places)
    assert path is not None
    pixels = grey_noise(spec.image_size)
    with torch.inference_mode():
        ours = pooled(build(spec, path), pixels)
        images = (pixels[:, None].float() / 255 - 0.5).expand(-1, 3, -1, -1) / 0.5
        assert relative(ours, efficientnet_lite(read_tensors(path), images)) < 1e-5


def test_mobilenetv2_equals_torchvisions(registry: Registry, places: Places) -> None:
    spec = registry.backbone("mobilenetv2")
    path = weights_file(spec, places)
    assert path is not None
    network = torchvision.models.mobilenet_v2(num_classes=1).eval()
    theirs = network.features.state_dict()
    stored = {name.removeprefix("features."): tensor for name, tensor in read_tensors(path).items()}
    # The file nests blocks as `conv.0, conv.1 …`, torchvision as `conv.0.0, conv.0.1 …`; the order is the same.
    network.features.load_state_dict(dict(zip(theirs, stored.values(), strict=True)))
    pixels = grey_noise(224)
    with torch.inference_mode():
        backbone = build(spec, path)
        expected = network.features(backbone.normalise(pixels)).mean(dim=(2, 3))
        assert relative(pooled(backbone, pixels), expected) < 1e-5


@pytest.mark.parametrize("name", [*LITES, "mobilenetv2"])
def test_folding_changes_nothing(name: str, registry: Registry, places: Places) -> None:
    spec = registry.backbone(name)
    backbone = build(spec, weights_file(spec, places))
    plain = build_network(spec, weights_file(spec, places))
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in plain.modules())
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in backbone.modules())
    pixels = grey_noise(spec.image_size)
    with torch.inference_mode():
        expected = plain.forward_head(plain.forward_features(backbone.normalise(pixels)), pre_logits=True)
        assert relative(pooled(backbone, pixels), expected) < 1e-5


@pytest.mark.parametrize(("picture", "classes"), [("chelsea", {281, 282, 283, 284, 285}), ("coffee", {967})])
def test_lite0_knows_a_cat_and_an_espresso(picture: str, classes: set[int], registry: Registry, places: Places) -> None:
    spec = registry.backbone("efficientnet_lite0")
    network = build_network(spec, weights_file(spec, places))
    image = Image.fromarray(getattr(data, picture)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        assert int(network((pixels - 0.5) / 0.5).argmax()) in classes


def test_random_twins_are_seeded_and_not_the_weights(registry: Registry, places: Places) -> None:
    spec, twin = registry.backbone("efficientnet_lite0"), registry.backbone("efficientnet_lite0.random")
    pixels = grey_noise(224)
    with torch.inference_mode():
        before = torch.get_rng_state()
        first, second = pooled(build(twin, None), pixels), pooled(build(twin, None), pixels)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(first, second)
        assert relative(pooled(build(spec, weights_file(spec, places)), pixels), first) > 0.5


@pytest.mark.parametrize("name", [*LITES, "mobilenetv2"])
def test_a_picture_does_not_depend_on_the_others_of_its_batch(name: str, registry: Registry, places: Places) -> None:
    """But for rounding: what stands at another place may be added up in another order."""
    spec = registry.backbone(name)
    backbone = build(spec, weights_file(spec, places))
    pixels = grey_noise(spec.image_size, images=2 * USUAL.batch)
    with torch.inference_mode():
        first = pooled(backbone, pixels[: USUAL.batch])
        mixed = pooled(backbone, torch.cat([pixels[USUAL.batch + 1 :], pixels[:1]]))
        assert relative(first[0], mixed[-1]) < ROUNDING


class Crossed(torch.nn.Module):
    """Registers its layers in another order than it runs them: folding by order would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = torch.nn.ModuleList([torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)])
        self.norms = torch.nn.ModuleList([torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)])
        for index, norm in enumerate(self.norms):
            norm.running_var.fill_(2.0 + 3 * index)

    def forward(self, images: Tensor) -> Tensor:
        for convolution, norm in zip(self.convs, self.norms, strict=True):
            images = norm(convolution(images))
        return images


def test_a_network_that_folding_would_break_stays_as_it_is() -> None:
    network = Crossed().eval()
    assert faster(network, lambda each: each(torch.ones(1, 3, 8, 8))) is network


@pytest.mark.parametrize("classes", [0, 7])
def test_a_published_file_in_timms_names_is_loaded(classes: int, registry: Registry, tmp_path: Path) -> None:
    """Of a classifier or without one."""
    network = timm.create_model("mobilenetv2_100", num_classes=classes).eval()
    torch.save(network.state_dict(), tmp_path / "ours.pt")
    weights = PublishedWeights(file="ours.pt", url="https://our.site/ours.pt")
    spec = replace(registry.backbone("mobilenetv2"), name="ours", weights=weights)
    places = Places(store=tmp_path / "store", weights=tmp_path)
    backbone = build(spec, weights_file(spec, places))
    pixels = grey_noise(224)
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(backbone.normalise(pixels)), pre_logits=True)
        assert relative(pooled(backbone, pixels), expected) < 1e-5

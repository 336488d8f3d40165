"""MedMNIST+ 2025's backbones: features equal those of a second implementation, at two sizes and with one channel."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip as library_of_clip
import pytest
import timm as library
import torch
import torchvision
from torch import Tensor

from benchmarks.parity.references import colour
from pytest_fmtransfer.backbones import open_clip, text_towers, timm
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import PublishedWeights, RandomWeights
from tests import second_implementations as second
from tests.published_files import loaded, spec_of, tensors_of, write

EXACT = 2e-5
TRANSFORMERS = {
    "imagenet_vitb16": second.vit,
    "openclip_vitb16_in1k": second.clip_of_timms_names,
    "clip_vitb16": second.clip_of_open_clips_names,
    "eva02_vitb16": second.eva02_by_algebra,
}
# And of which of the second implementation's maps the tokens are.
PYRAMIDS = {
    "imagenet_resnet18": second.resnet_stages,
    "imagenet_densenet121": second.densenet_stages,
    "imagenet_vgg16": second.vgg_stages,
    "imagenet_efficientnetb4": second.efficientnet_stages,
}


def images(side: int, channels: int) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(1))


def near(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and float((found - expected).abs().max()) <= EXACT * max(
        1.0, float(expected.abs().max())
    )


@pytest.mark.parametrize(("side", "channels"), [(224, 3), (224, 1), (160, 3)])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_equals_its_second_implementation(name: str, side: int, channels: int) -> None:
    stored, pixels = tensors_of(name), images(side, channels)
    with torch.inference_mode():
        found = loaded(name, channels=channels)(pixels)
        pooled, tokens = TRANSFORMERS[name](stored, colour(pixels))
    assert near(found.pooled_ND, pooled)
    assert near(found.tokens_NTE, tokens)


@pytest.mark.parametrize(("side", "channels"), [(224, 3), (256, 3), (64, 1)])
@pytest.mark.parametrize("name", PYRAMIDS)
def test_a_pyramid_equals_torchvisions(name: str, side: int, channels: int) -> None:
    stored, pixels = tensors_of(name), images(side, channels)
    backbone = loaded(name, channels=channels)
    with torch.inference_mode():
        found = backbone(pixels, blocks=range(len(backbone.blocks)))
        pooled, maps = PYRAMIDS[name](stored, colour(pixels))
    assert near(found.pooled_ND, pooled)
    for number, tokens in found.blocks.items():
        assert near(tokens, maps[number])
    assert near(found.tokens_NTE, maps[-1])


@pytest.mark.parametrize("name", ["imagenet_densenet121", "imagenet_efficientnetb4", "imagenet_vgg16"])
def test_what_is_to_be_trained_gives_the_same_as_what_is_not(name: str) -> None:
    """Where batch normalisation can be folded it is, which moves features by rounding alone."""
    pixels = images(64, 3)
    with torch.no_grad():
        found, expected = loaded(name)(pixels), loaded(name, trainable=True)(pixels)
    torch.testing.assert_close(found.pooled_ND, expected.pooled_ND, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["timm.vgg11_bn.tiny", "timm.densenetblur121d.tiny", "timm.vgg16.tiny"])
def test_their_kin_in_timm_have_stages_too(name: str) -> None:
    backbone = timm.build(Registry().backbone(name), None)
    with torch.inference_mode():
        found = backbone(images(64, 3), blocks=range(len(backbone.blocks)))
    assert len(found.blocks) == (5 if "vgg" in name else 4)
    assert found.tokens_NTE.shape[1] == 4


COUNTED = {
    "imagenet_resnet18": torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    "imagenet_densenet121": torchvision.models.DenseNet121_Weights.IMAGENET1K_V1,
    "imagenet_vgg16": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
    "imagenet_efficientnetb4": torchvision.models.EfficientNet_B4_Weights.IMAGENET1K_V1,
    "imagenet_vitb16": torchvision.models.ViT_B_16_Weights.IMAGENET1K_V1,
}


@pytest.mark.parametrize("name", COUNTED)
def test_at_full_size_it_has_as_many_parameters_as_torchvisions(name: str) -> None:
    with torch.device("meta"):
        network: Any = timm.build_network(replace(Registry().backbone(name), weights=RandomWeights()), None)
    classifier = (network.head_hidden_size + 1) * 1000
    assert sum(each.numel() for each in network.parameters()) + classifier == COUNTED[name].meta["num_params"]


def test_openais_clip_reads_texts_as_the_library_does(tmp_path: Path) -> None:
    spec, texts = spec_of("clip_vitb16"), ["a tumour", "an apple"]
    path = write(spec.name, tensors_of(spec.name), tmp_path)
    whole = open_clip.build_model(spec, path)
    with torch.inference_mode():
        expected = whole.encode_text(library_of_clip.get_tokenizer(spec.architecture)(texts))
        found = text_towers.build(spec, path, None).texts(texts, of=spec.name)
    torch.testing.assert_close(found, torch.nn.functional.normalize(expected, dim=-1), rtol=1e-4, atol=1e-5)


def test_the_weights_are_those_that_the_benchmarks_code_loads() -> None:
    """It names timm's models without a tag, and normalises as timm's record of them says."""
    for name in (*PYRAMIDS, "imagenet_vitb16", "openclip_vitb16_in1k", "eva02_vitb16"):
        row = Registry().backbone(name)
        model, _, tag = row.architecture.partition(".")
        config = library.get_pretrained_cfg(model)
        assert config is not None
        assert isinstance(row.weights, PublishedWeights)
        assert (tag, row.weights.num_classes) == (config.tag, config.num_classes)
        assert (row.mean, row.std) == (config.mean, config.std)

"""The backbones of MedMNIST+ 2025 and today's: publishers' files fit to the last tensor, and blocks serve the regimes.

Legend: N images, T tokens.
"""

from pathlib import Path

import pytest
import torch

from pytest_fmtransfer.adapt.lora import add_adapters, additions
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.cutting import cut_after
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.catalog.backbones_of_today import BACKBONES_OF_TODAY
from pytest_fmtransfer.catalog.medmnistplus_backbones import MEDMNIST_PLUS_BACKBONES
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import PublishedWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from pytest_fmtransfer.weights_places import download_url
from tests.published_files import build, drawn_at_random, loaded, spec_of, tensors_of, write

NAMES = [row.name for row in (*MEDMNIST_PLUS_BACKBONES, *BACKBONES_OF_TODAY)]
# One of each way to be loaded, built and run.
KINDS = [
    "imagenet_resnet18",
    "imagenet_densenet121",
    "imagenet_vgg16",
    "imagenet_efficientnetb4",
    "openclip_vitb16_in1k",
    "clip_vitb16",
    "eva02_vitb16",
    "dinov2_vitb14_reg",
    "dinov3_vitb16",
    "siglip2_vitb16",
    "pecore_vitb16",
]
# Of a tensor that another part of the file holds, in each publisher's names.
OTHERS = {
    "eva02_vitb16": "text.token_embedding.weight",
    "siglip2_vitb16": "text_model.head.bias",
    "pecore_vitb16": "token_embedding.weight",
    "pecore_vitl14": "token_embedding.weight",
}
SIDE = 64


def left_over(name: str) -> str:
    """A name that belongs to the part of the file that is loaded."""
    prefix = {"eva02_vitb16": "visual.", "siglip2_vitb16": "vision_model."}.get(name, "")
    return f"{'visual.' if name.startswith('pecore') else prefix}left.over"


def small(name: str) -> Backbone:
    return drawn_at_random(name, 56 if "14_reg" in name else SIDE)


def noise(backbone: Backbone, images: int = 2) -> torch.Tensor:
    shape = (images, 3, backbone.spec.image_size, backbone.spec.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_the_publishers_file_is_loaded(name: str) -> None:
    backbone = loaded(name)
    assert not backbone.training
    assert not any(each.requires_grad for each in backbone.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_that_is_missing_extra_or_of_another_shape_is_named(name: str, tmp_path: Path) -> None:
    stored = tensors_of(name)
    own = [key for key in stored if "text" not in key and not key.startswith(("logit", "token_embedding"))]
    middle, extra = own[len(own) // 2], left_over(name)
    lacking = {key: tensor for key, tensor in stored.items() if key != middle}
    for changed, named in (
        (lacking, middle),
        (stored | {extra: torch.zeros(1)}, extra),
        (stored | {middle: torch.zeros(7, 7, 7)}, middle),
    ):
        with pytest.raises(CheckpointMismatch, match=f"'{named}'"):
            build(spec_of(name), write(name, changed, tmp_path))


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_tower_is_not_looked_at(name: str, tmp_path: Path) -> None:
    stored = tensors_of(name)
    path = write(name, {key: tensor for key, tensor in stored.items() if key != OTHERS[name]}, tmp_path)
    assert not build(spec_of(name), path).training


@pytest.mark.parametrize("name", NAMES)
def test_where_it_is_published_is_told(name: str) -> None:
    row = Registry().backbone(name)
    assert isinstance(row.weights, PublishedWeights)
    assert row.weights.url.startswith("https://")
    # Meta sends addresses of DINOv3's files to those who accept its terms.
    assert bool(download_url(row.weights)) != row.weights.gated


@pytest.mark.parametrize("name", KINDS)
def test_a_tiny_version_is_seeded_and_tells_its_blocks(name: str) -> None:
    first = small(name)
    second = build(first.spec, None)
    with torch.no_grad():
        found, again = first(noise(first), blocks=range(len(first.blocks))), second(noise(first))
    torch.testing.assert_close(found.pooled_ND, again.pooled_ND, rtol=1e-3, atol=1e-4)  # one of them is folded
    assert found.pooled_ND.isfinite().all()
    assert len(found.blocks) == len(first.blocks) >= 2
    assert all(each.ndim == 3 for each in found.blocks.values())
    assert found.blocks[len(first.blocks) - 1].shape[1] == found.tokens_NTE.shape[1]


@pytest.mark.parametrize("name", KINDS)
def test_from_a_block_on_it_is_trained(name: str) -> None:
    backbone = small(name)
    number = len(backbone.blocks) - 1
    train_from(backbone, number)
    with torch.no_grad():
        before = backbone(noise(backbone), blocks=[number - 1]).blocks[number - 1]
    trained = [each for each in backbone.parameters() if each.requires_grad]
    features = backbone(noise(backbone))
    (features.pooled_ND.square().sum() + features.tokens_NTE.square().sum()).backward()
    assert trained
    assert all(each.grad is not None for each in trained)
    with torch.no_grad():
        for each in trained:
            each += 0.1
        after = backbone(noise(backbone), blocks=[number - 1])
    assert torch.equal(after.blocks[number - 1], before)
    assert not torch.allclose(after.pooled_ND, features.pooled_ND)


@pytest.mark.parametrize("name", KINDS)
def test_after_a_block_it_is_cut(name: str) -> None:
    whole = small(name)
    with torch.no_grad():
        tokens = whole(noise(whole), blocks=[0]).blocks[0]
        cut = cut_after(whole, 0)
        found = cut(noise(cut), blocks=[0])
    assert len(cut.blocks) == 1
    torch.testing.assert_close(found.blocks[0], tokens)
    assert found.tokens_NTE.shape[1] == tokens.shape[1]


@pytest.mark.parametrize("name", KINDS)
def test_from_stored_activations_it_gives_the_same(name: str) -> None:
    backbone = small(name)
    with torch.no_grad():
        expected = backbone(noise(backbone)).pooled_ND
        prefix, suffix = split_at(backbone, len(backbone.blocks) - 1)
        found, _ = suffix(prefix(noise(backbone)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "imagenet_vgg16"])
def test_low_rank_additions_are_not_passed_by(name: str) -> None:
    backbone = small(name)
    with torch.no_grad():
        before = backbone(noise(backbone)).pooled_ND
        add_adapters(backbone, 2, seed=0)
        torch.testing.assert_close(backbone(noise(backbone)).pooled_ND, before, rtol=1e-4, atol=1e-4)
        for each in additions(backbone).values():
            each.copy_(torch.randn(each.shape, generator=torch.Generator().manual_seed(0)) / 10)
    features = backbone(noise(backbone))
    (features.pooled_ND.square().sum() + features.tokens_NTE.square().sum()).backward()
    assert additions(backbone)
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in additions(backbone).values())


def test_vgg_has_nothing_to_add_to() -> None:
    with pytest.raises(InvalidInput, match="no block from 0 on has a linear layer or a 1 × 1 convolution"):
        add_adapters(small("imagenet_vgg16"), 2, seed=0)

"""timm's backbones: publishers' files load strictly, and features equal those of a second implementation.

Every checkpoint is of random weights at tiny width, in its publisher's key names and nesting.

Legend: T tokens, E a token's width.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.parity.published import Tensors, random_like, resnet_network, row, size_of, tensors_of, write
from benchmarks.parity.references import colour, positions, resnet_stages, vit_by_transformers
from pytest_fmtransfer.backbones.positions import resized
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

EXACT = 2e-5

DINOV2 = ["dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14"]
PAPER = [*DINOV2, "dinov2_vitg14", "imagenet_deitb16", "dino_vitb16", "imagenet_resnet152"]
BEFORE = ["imagenet_deits16", "imagenet_resnet50"]  # Matsoukas et al. 2021


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def tiny(name: str) -> BackboneSpec:
    return row(name, tiny=True)


def published(name: str) -> Tensors:
    return tensors_of(tiny(name))


def transformers(name: str, stored: Tensors, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    offset = 0.0 if name.startswith("imagenet_deit") else 0.1
    return vit_by_transformers(stored, size_of(tiny(name)), images_NCHW, offset=offset)


def write_as(name: str, tensors: Tensors, folder: Path) -> Path:
    return write(tiny(name), tensors, folder)


@pytest.mark.parametrize("name", [*PAPER, *BEFORE])
def test_the_publishers_file_is_loaded(name: str, tmp_path: Path) -> None:
    backbone = build(tiny(name), write_as(name, published(name), tmp_path))
    assert not backbone.training
    assert not any(each.requires_grad for each in backbone.parameters())


@pytest.mark.parametrize("name", [*PAPER, *BEFORE])
def test_a_tensor_that_is_missing_extra_or_of_another_shape_is_named(name: str, tmp_path: Path) -> None:
    stored = published(name)
    middle = list(stored)[len(stored) // 2]
    lacking = {key: tensor for key, tensor in stored.items() if key != middle}
    for changed, named in (
        (lacking, middle),
        (stored | {"left.over": torch.zeros(1)}, "left.over"),
        (stored | {middle: torch.zeros(7, 7, 7)}, middle),
    ):
        with pytest.raises(CheckpointMismatch, match=f"'{named}'"):
            build(tiny(name), write_as(name, changed, tmp_path))


def test_a_file_without_dinov2s_mask_token_is_not_dinov2s(tmp_path: Path) -> None:
    stored = published("dinov2_vitb14")
    del stored["mask_token"]
    with pytest.raises(CheckpointMismatch, match="'mask_token'"):
        build(tiny("dinov2_vitb14"), write_as("dinov2_vitb14", stored, tmp_path))


def test_a_file_of_deit_without_its_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flat.pth"
    torch.save(published("imagenet_deitb16"), path)
    with pytest.raises(CheckpointMismatch, match="no entry 'model'"):
        build(tiny("imagenet_deitb16"), path)


def test_batch_counters_are_all_there_or_all_absent(tmp_path: Path) -> None:
    name, stored = "imagenet_resnet152", random_like(resnet_network(tiny=True))
    build(tiny(name), write_as(name, stored, tmp_path))
    del stored["layer4.0.bn3.num_batches_tracked"]
    with pytest.raises(CheckpointMismatch, match=r"'layer4\.0\.bn3\.num_batches_tracked'"):
        build(tiny(name), write_as(name, stored, tmp_path))


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (20, 9), (40, 41)])
def test_positions_are_resized_by_their_definition(rows: int, columns: int, offset: float) -> None:
    table = noise(1, 1 + 37**2, 8)
    assert torch.allclose(
        resized(table, rows, columns, offset=offset), positions(table, rows, columns, offset), atol=EXACT
    )


def test_positions_of_the_trained_grid_stay() -> None:
    table = noise(1, 1 + 14**2, 8)
    assert resized(table, 14, 14, offset=0.1) is table


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("size", [224, 112])
@pytest.mark.parametrize(
    "name", ["dinov2_vitb14", "dinov2_vitg14", "imagenet_deitb16", "imagenet_deits16", "dino_vitb16"]
)
def test_a_vit_equals_transformers(name: str, size: int, channels: int, tmp_path: Path) -> None:
    stored = published(name)
    backbone = build(tiny(name), write_as(name, stored, tmp_path), channels=channels)
    images = noise(2, channels, size, size)
    with torch.inference_mode():
        found, (pooled, tokens) = backbone(images, blocks=[-1]), transformers(name, stored, colour(images))
    side = size // (14 if name.startswith("dinov2") else 16)
    assert found.tokens_NTE.shape == (2, side**2, 48)
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT
    if name.startswith("dinov2"):
        assert torch.equal(found.blocks[-1], found.tokens_NTE)


def test_dinov2_at_its_trained_size_equals_transformers(tmp_path: Path) -> None:
    name, stored = "dinov2_vits14", published("dinov2_vits14")
    backbone, images = build(tiny(name), write_as(name, stored, tmp_path)), noise(1, 3, 518, 518)
    with torch.inference_mode():
        found, (pooled, tokens) = backbone(images), transformers(name, stored, images)
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("size", [224, 160])
@pytest.mark.parametrize("name", ["imagenet_resnet152", "imagenet_resnet50"])
def test_resnet_equals_torchvisions(name: str, size: int, channels: int, tmp_path: Path) -> None:
    stored = published(name)
    backbone, images = (
        build(tiny(name), write_as(name, stored, tmp_path), channels=channels),
        noise(2, channels, size, size),
    )
    with torch.inference_mode():
        found, (pooled, stages) = backbone(images, blocks=range(4)), resnet_stages(stored, colour(images))
    assert len(backbone.blocks) == 4
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT * float(pooled.abs().max())
    for number, tokens in enumerate(stages):
        assert float((found.blocks[number] - tokens).abs().max()) <= EXACT * float(tokens.abs().max())
    assert torch.equal(found.tokens_NTE, found.blocks[3])


@pytest.mark.parametrize("name", ["dinov2_vitb14", "imagenet_deitb16", "imagenet_resnet152"])
def test_one_image_has_the_features_that_it_has_among_others(name: str, tmp_path: Path) -> None:
    backbone, images = build(tiny(name), write_as(name, published(name), tmp_path)), noise(32, 3, 112, 112)
    with torch.inference_mode():
        alone, among = backbone(images[:1]), backbone(images)
    scale = float(alone.pooled_ND.abs().max())
    assert float((alone.pooled_ND - among.pooled_ND[:1]).abs().max()) <= 1e-5 * max(1.0, scale)
    assert float((alone.tokens_NTE - among.tokens_NTE[:1]).abs().max()) <= 1e-5 * max(1.0, scale)


def test_an_image_that_no_patch_divides_is_refused() -> None:
    with pytest.raises(InvalidInput, match="give multiples of the patch, 14"):
        build(Registry().backbone("dinov2_vits14.tiny"), None)(noise(1, 3, 100, 100))


ROW = replace(Registry().backbone("mobilenetv2"), name="mine", weights=RandomWeights(), tiny=True, image_size=64)


@pytest.mark.parametrize(
    ("architecture", "blocks", "size", "tokens"),
    [
        ("tf_efficientnet_lite0", 7, 64, 4),
        ("mobilenetv2_100", 7, 64, 4),
        ("resnet18", 4, 64, 4),
        ("convnext_atto", 4, 64, 4),
        ("swin_tiny_patch4_window7_224", 4, 224, 49),
        ("mixer_s32_224", 2, 224, 49),
        ("regnetx_002", 5, 64, 4),
        ("vit_tiny_patch16_224", 2, 64, 16),
        ("vit_base_patch14_reg4_dinov2", 2, 56, 16),
    ],
)
def test_any_timm_model_has_blocks_and_tokens(architecture: str, blocks: int, size: int, tokens: int) -> None:
    backbone = build(replace(ROW, architecture=architecture, image_size=size), None)
    with torch.inference_mode():
        found = backbone(noise(2, 3, size, size), blocks=range(len(backbone.blocks)))
    assert len(backbone.blocks) == blocks == len(found.blocks)
    assert found.pooled_ND.shape[0] == 2
    assert found.tokens_NTE.shape[:2] == (2, tokens)
    assert found.blocks[blocks - 1].shape[1] == tokens
    assert all(each.ndim == 3 for each in found.blocks.values())

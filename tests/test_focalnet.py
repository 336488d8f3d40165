"""SEEM's FocalNet-T: the publisher's file loads strictly, and gives what the publisher's tensors alone give."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from timm.layers.drop import DropPath
from torch import Tensor

from benchmarks.parity.published import seem
from benchmarks.parity.seem import levels
from pytest_fmtransfer.backbones.focalnet import FocalNetBackbone, build
from pytest_fmtransfer.catalog.backbones import BACKBONES
from pytest_fmtransfer.catalog.specs import PackagedWeights, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

SPEC = next(row for row in BACKBONES if row.name == "seem_focalt")
TINY = replace(SPEC, tiny=True)
WIDTH, DEPTHS = 16, (1, 1, 2, 1)


def published_tensors(width: int = WIDTH, depths: tuple[int, ...] = DEPTHS) -> dict[str, Tensor]:
    return seem(width, depths)


def saved(tensors: Mapping[str, Tensor], folder: Path) -> Path:
    torch.save(dict(tensors), folder / "seem_focalt_v0.pt")
    return folder / "seem_focalt_v0.pt"


def noise(height: int, width: int, *, images: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(images, channels, height, width, generator=torch.Generator().manual_seed(1))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.fixture
def backbone(tmp_path: Path) -> FocalNetBackbone:
    return build(TINY, saved(published_tensors(), tmp_path))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (128, 160), (99, 66)])
def test_features_equal_a_second_implementation(height: int, width: int, backbone: FocalNetBackbone) -> None:
    """Odd sides too: SEEM fills them up with zeros before it steps down, which is what padding does."""
    images = noise(height, width)
    expected = levels(published_tensors(), images)[-1]
    with torch.inference_mode():
        found = backbone(images)
    assert found.tokens_NTE.shape == (2, -(-height // 32) * -(-width // 32), 8 * WIDTH)
    assert relative(found.tokens_NTE, expected) < 2e-5
    assert relative(found.pooled_ND, expected.mean(dim=1)) < 2e-5


def test_one_channel_keeps_the_kernel_of_the_first(tmp_path: Path) -> None:
    tensors = published_tensors()
    grey = noise(96, 96, channels=1)
    with torch.inference_mode():
        found = build(TINY, saved(tensors, tmp_path), channels=1)(grey)
    expected = levels(tensors, torch.cat([grey, torch.zeros(2, 2, 96, 96)], dim=1))[-1]
    assert relative(found.tokens_NTE, expected) < 2e-5
    assert relative(found.pooled_ND, expected.mean(dim=1)) < 2e-5


def test_a_block_is_a_stage_and_its_tokens_are_the_level_that_seem_has_there(backbone: FocalNetBackbone) -> None:
    images = noise(64, 96)
    expected = levels(published_tensors(), images)
    with torch.inference_mode():
        found = backbone(images, blocks=[0, 1, 2, -1])
    assert len(backbone.blocks) == 4
    for stage, number in enumerate([0, 1, 2, -1]):
        assert found.blocks[number].shape[2] == WIDTH * 2**stage
        assert relative(found.blocks[number], expected[stage]) < 2e-5
    assert torch.equal(found.blocks[-1], found.tokens_NTE)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_without_its_later_stages_the_network_gives_the_level_of_its_last(
    last: int, backbone: FocalNetBackbone
) -> None:
    images = noise(64, 64)
    backbone.network.layers = backbone.network.layers[: last + 1]
    with torch.inference_mode():
        found = backbone(images)
    expected = levels(published_tensors(), images)[last]
    assert relative(found.tokens_NTE, expected) < 2e-5
    assert relative(found.pooled_ND, expected.mean(dim=1)) < 2e-5


@pytest.mark.parametrize(
    "name",
    [
        "backbone.patch_embed.proj.bias",
        "backbone.layers.2.blocks.1.dw2.weight",
        "backbone.layers.0.blocks.0.gamma_1",
        "backbone.layers.0.downsample.proj.weight",
        "backbone.layers.3.blocks.0.modulation.f.weight",
        "backbone.norm0.weight",
    ],
)
@pytest.mark.parametrize("fault", ["missing", "wrong shape"])
def test_a_tensor_that_does_not_fit_is_told_by_the_publishers_name(name: str, fault: str, tmp_path: Path) -> None:
    tensors = published_tensors()
    if fault == "missing":
        del tensors[name]
        told = f"tensor {name!r} of the architecture is not in the file"
    else:
        tensors[name] = torch.cat([tensors[name], tensors[name]])
        told = f"tensor {name!r} has shape {tuple(tensors[name].shape)}, the architecture's"
    with pytest.raises(CheckpointMismatch, match=re.escape(told)):
        build(TINY, saved(tensors, tmp_path))


def test_a_tensor_too_many_under_backbone_is_told(tmp_path: Path) -> None:
    extra = {"backbone.layers.3.downsample.proj.weight": torch.zeros(1)}
    with pytest.raises(
        CheckpointMismatch, match=r"'backbone\.layers\.3\.downsample\.proj\.weight' of the file is not in"
    ):
        build(TINY, saved(published_tensors() | extra, tmp_path))


def test_a_file_without_a_backbone_of_seem_is_told(tmp_path: Path) -> None:
    bare = {name.removeprefix("backbone."): tensor for name, tensor in published_tensors().items()}
    with pytest.raises(
        CheckpointMismatch, match=r"'backbone\.patch_embed\.proj\.weight' of the architecture is not in"
    ):
        build(TINY, saved(bare, tmp_path))


def test_the_paper_s_size() -> None:
    """29.92 million parameters and 49 tokens of 768: the protocol, and what the publisher's class counts."""
    backbone = build(replace(SPEC, weights=RandomWeights()), None)
    with torch.inference_mode():
        found = backbone(noise(224, 224, images=1))
    assert (
        sum(each.numel() for each in backbone.parameters()) == 29_922_288 - 2 * 4416
    )  # without the scales, which are folded
    assert found.pooled_ND.shape == (1, 768)
    assert found.tokens_NTE.shape == (1, 49, 768)
    names = {name for name in published_tensors(96, (2, 2, 6, 2)) if name.startswith("backbone.")}
    assert len(backbone.network.state_dict()) == len(names) - 24


def test_random_weights_are_seeded_and_leave_the_generator_alone() -> None:
    random = replace(TINY, weights=RandomWeights())
    images = noise(64, 64)
    with torch.inference_mode():
        before = torch.get_rng_state()
        first, second = (build(random, None)(images).pooled_ND for _ in range(2))
        other = build(replace(random, weights=RandomWeights(seed=1)), None)(images).pooled_ND
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert relative(other, first) > 0.1


def test_a_picture_alone_is_seen_as_it_is_in_a_batch(backbone: FocalNetBackbone) -> None:
    images = noise(64, 64, images=32)
    with torch.inference_mode():
        batch, alone = backbone(images), [backbone(images[at : at + 1]) for at in (0, 31)]
    for at, found in zip((0, 31), alone, strict=True):
        assert relative(found.pooled_ND[0], batch.pooled_ND[at]) < 1e-5
        assert relative(found.tokens_NTE[0], batch.tokens_NTE[at]) < 1e-5


def test_it_is_frozen_and_in_evaluation_mode_and_drops_paths_at_the_published_rate(backbone: FocalNetBackbone) -> None:
    assert not any(each.requires_grad for each in backbone.parameters())
    assert not any(module.training for module in backbone.modules())
    rates = [module.drop_prob for module in backbone.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([rate for rate in (0.075, 0.15, 0.225, 0.3) for _half in range(2)])


def test_a_row_that_names_another_network_or_no_file_is_refused() -> None:
    with pytest.raises(InvalidInput, match="write 'focalnet_tiny_dw'"):
        build(replace(SPEC, architecture="focalnet_tiny_srf"), None)
    packaged = PackagedWeights(distribution="seem", module="seem", file="seem.pt")
    for row in (SPEC, replace(SPEC, weights=packaged)):
        with pytest.raises(InvalidInput, match="names no file of weights"):
            build(replace(row, tiny=True), None)

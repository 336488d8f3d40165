"""DINOv2 with registers, DINOv3, SigLIP 2, Perception Encoder: features equal those of a second implementation."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.parity.references import colour
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from tests import published_files
from tests import second_implementations as second
from tests.published_files import loaded, spec_of, tensors_of, write

EXACT = 2e-5
SECOND = {
    "dinov2_vitb14_reg": second.dinov2_with_registers,
    "dinov2_vitg14_reg": second.dinov2_with_registers,
    "dinov3_vits16": second.dinov3,
    "siglip2_vitb16": second.siglip_by_timm,
    "pecore_vitb16": second.perception_encoder_by_algebra,
    "pecore_vitl14": second.perception_encoder_by_algebra,
}


def build(name: str, path: Path) -> Backbone:
    return published_files.build(spec_of(name), path)


def images(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width", "channels"), [(224, 224, 3), (224, 224, 1), (112, 224, 3), (336, 336, 3)])
@pytest.mark.parametrize("name", SECOND)
def test_it_equals_its_second_implementation(name: str, height: int, width: int, channels: int) -> None:
    stored, pixels = tensors_of(name), images(height, width, channels)
    with torch.inference_mode():
        found = loaded(name, channels=channels)(pixels, blocks=[-1])
        pooled, tokens = SECOND[name](stored, colour(pixels))
    assert found.pooled_ND.shape == pooled.shape
    assert found.tokens_NTE.shape == tokens.shape
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT
    assert found.blocks[-1].shape == found.tokens_NTE.shape


def test_dinov2_with_registers_at_its_trained_size_equals_transformers() -> None:
    name, pixels = "dinov2_vits14_reg", images(518, 518)[:1]
    with torch.inference_mode():
        found, (pooled, tokens) = loaded(name)(pixels), second.dinov2_with_registers(tensors_of(name), pixels)
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT


def test_a_file_without_registers_is_not_taken(tmp_path: Path) -> None:
    name, stored = "dinov2_vitb14_reg", tensors_of("dinov2_vitb14_reg")
    lacking = {key: each for key, each in stored.items() if key != "register_tokens"}
    with pytest.raises(CheckpointMismatch, match="'register_tokens' of the architecture is not in the file"):
        build(name, write(name, lacking, tmp_path))
    with pytest.raises(CheckpointMismatch, match="'pos_embed' has shape"):
        build(name, write(name, stored | {"pos_embed": stored["pos_embed"][:, 1:]}, tmp_path))


@pytest.mark.parametrize("third", [0, 1, 2])
def test_dinov3s_mask_of_biases_is_held_against_what_it_must_be(third: int, tmp_path: Path) -> None:
    name, stored = "dinov3_vits16", tensors_of("dinov3_vits16")
    mask = stored["blocks.1.attn.qkv.bias_mask"].clone()
    mask[third * 48 + 5] = float("nan") if third else 0.0
    changed = stored | {"blocks.1.attn.qkv.bias_mask": mask}
    with pytest.raises(CheckpointMismatch, match=r"'blocks\.1\.attn\.qkv\.bias_mask' does not blank the keys' bias"):
        build(name, write(name, changed, tmp_path))


def test_dinov3s_periods_are_the_files(tmp_path: Path) -> None:
    name, stored = "dinov3_vits16", tensors_of("dinov3_vits16")
    other = stored | {"rope_embed.periods": stored["rope_embed.periods"] * 2}
    with torch.inference_mode():
        found = [build(name, write(name, each, tmp_path))(images(64, 64)).pooled_ND for each in (stored, other)]
    assert not torch.allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize("entry", ["state_dict", "weights"])
def test_perception_encoders_file_may_be_nested_as_its_publishers_code_allows(entry: str, tmp_path: Path) -> None:
    name, stored = "pecore_vitb16", tensors_of("pecore_vitb16")
    flat, nested = write(name, stored, tmp_path), tmp_path / "nested.pt"
    torch.save({entry: {f"module.{key}": each for key, each in stored.items()}, "epoch": 3}, nested)
    with torch.inference_mode():
        found = build(name, nested)(images(64, 64)).pooled_ND
        assert torch.equal(found, build(name, flat)(images(64, 64)).pooled_ND)


def test_a_file_of_no_tensors_is_not_perception_encoders(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(CheckpointMismatch, match="does not hold a mapping from names to tensors"):
        build("pecore_vitb16", tmp_path / "other.pt")


@pytest.mark.parametrize("name", ["dinov2_vitb14_reg", "siglip2_vitb16", "pecore_vitb16"])
def test_an_image_that_no_patch_divides_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="takes images whose sides are multiples of 1"):
        loaded(name)(images(100, 224))


@pytest.mark.parametrize(("name", "millions"), [("pecore_vitb16", 90), ("pecore_vitl14", 320)])
def test_perception_encoder_has_as_many_parameters_as_its_publisher_says(name: str, millions: int) -> None:
    """To two digits, as in its README."""
    with torch.device("meta"):
        backbone = published_files.build(replace(Registry().backbone(name), weights=RandomWeights()), None)
    assert round(sum(each.numel() for each in backbone.parameters()) / 1e7) * 10 == millions

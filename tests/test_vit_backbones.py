"""SAM, OpenCLIP, BLIP and folders of transformers: the publisher's file loads strictly, and gives what a second
implementation gives.

Weights are random and in the publishers' names; architectures are tiny. Legend: N images, T tokens, E a token's width.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2Model,
    ViTConfig,
    ViTForImageClassification,
)

from benchmarks.parity.published import Tensors, size_of, tensors_of, write
from benchmarks.parity.published import row as published_row
from benchmarks.parity.references import SECOND, colour
from pytest_fmtransfer.backbones import open_clip as clip
from pytest_fmtransfer.backbones import segment_anything as sam
from pytest_fmtransfer.backbones import transformers as hugging
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

SIZES = [(224, 224), (256, 320)]


def row(name: str) -> BackboneSpec:
    return published_row(name, tiny=True)


def images(height: int, width: int, *, count: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(1))


# Name of a row, and the module that builds it.
PUBLISHED: dict[str, ModuleType] = {"sam_vitb16": sam, "openclip_vitb16": clip, "blip_vitb16": hugging}


@pytest.fixture(params=PUBLISHED)
def published(request: pytest.FixtureRequest) -> str:
    return request.param


def written(name: str, folder: Path, change: Callable[[Tensors], object] = len) -> Path:
    tensors = tensors_of(row(name))
    change(tensors)
    return write(row(name), tensors, folder)


def loaded(name: str, folder: Path, channels: int = 3) -> Backbone:
    return PUBLISHED[name].build(row(name), written(name, folder), channels=channels)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("sam_vitb16", "image_encoder.blocks.0.attn.qkv.weight"),
        ("sam_vitb16", "mask_decoder.iou_token.weight"),
        ("openclip_vitb16", "visual.transformer.resblocks.1.attn.in_proj_weight"),
        ("openclip_vitb16", "token_embedding.weight"),
        ("blip_vitb16", "visual_encoder.blocks.2.attn.qkv.weight"),
        ("blip_vitb16", "visual_encoder.cls_token"),
    ],
)
def test_a_file_fits_to_the_last_tensor(name: str, tensor: str, tmp_path: Path) -> None:
    build = PUBLISHED[name].build
    with pytest.raises(CheckpointMismatch, match=f"{tensor!r} of the architecture is not in the file"):
        build(row(name), written(name, tmp_path, lambda tensors: tensors.pop(tensor)))
    with pytest.raises(CheckpointMismatch, match=f"{tensor!r} has shape \\(7,\\)"):
        build(row(name), written(name, tmp_path, lambda tensors: tensors.update({tensor: torch.zeros(7)})))
    extra = f"{tensor}.extra"
    with pytest.raises(CheckpointMismatch, match=f"{extra!r} of the file is not in the architecture"):
        build(row(name), written(name, tmp_path, lambda tensors: tensors.update({extra: torch.zeros(7)})))


def test_blips_momentum_copy_is_not_taken_for_its_encoder(tmp_path: Path) -> None:
    loaded_norm = loaded("blip_vitb16", tmp_path).network.post_layernorm.weight
    torch.testing.assert_close(loaded_norm, tensors_of(row("blip_vitb16"))["visual_encoder.norm.weight"])


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_equals_timms_model_of_it(published: str, size: tuple[int, int], channels: int, tmp_path: Path) -> None:
    backbone, pixels = loaded(published, tmp_path, channels), images(*size, channels=channels)
    spec, (_, by_timm) = row(published), SECOND[published]
    with torch.no_grad():
        found, (pooled, tokens) = backbone(pixels), by_timm(tensors_of(spec), size_of(spec), colour(pixels))
    torch.testing.assert_close(found.pooled_ND, pooled, rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(found.tokens_NTE, tokens, rtol=2e-5, atol=2e-5)


def test_openclip_does_not_warn_of_a_random_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = replace(row("openclip_vitb16"), tiny=False, weights=RandomWeights())
    clip.build_model(spec, None)
    assert not caplog.records


def test_openclip_embeds_as_the_library_does(tmp_path: Path) -> None:
    path = written("openclip_vitb16", tmp_path)
    whole, pixels = clip.build_model(row("openclip_vitb16"), path), images(224, 224)
    with torch.no_grad():
        found = clip.build(row("openclip_vitb16"), path)(pixels)
        torch.testing.assert_close(found.pooled_ND, whole.encode_image(pixels), rtol=2e-5, atol=2e-5)


def test_a_picture_does_not_depend_on_its_batch(published: str, tmp_path: Path) -> None:
    backbone, pixels = loaded(published, tmp_path), images(224, 224, count=32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(pixels[:1]).pooled_ND, backbone(pixels).pooled_ND[:1], rtol=1e-5, atol=1e-5)


def test_blocks_come_with_the_same_pass(published: str, tmp_path: Path) -> None:
    backbone = loaded(published, tmp_path)
    with torch.no_grad():
        found = backbone(images(224, 224), blocks=[0, -1])
    assert list(found.blocks) == [0, -1]
    assert found.blocks[0].shape == found.blocks[-1].shape == found.tokens_NTE.shape
    if published != "blip_vitb16":  # whose tokens are those after the norm
        torch.testing.assert_close(found.blocks[-1], found.tokens_NTE)


def test_pictures_that_patches_do_not_fill_are_refused(published: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="multiples of 16 pixels, not 230 × 224"):
        loaded(published, tmp_path)(images(230, 224))


def test_the_random_twin_and_the_tiny_version_are_seeded(published: str) -> None:
    twin = replace(row(published), weights=RandomWeights())
    first, second = (PUBLISHED[published].build(twin, None) for _ in range(2))
    with torch.no_grad():
        assert torch.equal(first(images(64, 64)).pooled_ND, second(images(64, 64)).pooled_ND)


@pytest.mark.parametrize(("name", "millions"), [("openclip_vitb16", 86.19), ("blip_vitb16", 85.80)])
def test_the_full_size_is_the_publishers(name: str, millions: float) -> None:
    network = PUBLISHED[name].build(replace(Registry().backbone(name), weights=RandomWeights()), None).network
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_random_twin_tells_images_apart(name: str) -> None:
    network = PUBLISHED[name].build(replace(row(name), weights=RandomWeights()), None)
    with torch.no_grad():
        pooled_ND = network(images(64, 64, count=8)).pooled_ND
    assert pooled_ND.std(dim=0).mean() > 0.1 * pooled_ND.abs().mean()


def test_a_network_without_weights_is_built_in_silence() -> None:
    code = (
        "from dataclasses import replace; from pytest_fmtransfer.backbones import open_clip;"
        "from pytest_fmtransfer.catalog.registry import Registry;"
        "from pytest_fmtransfer.catalog.specs import RandomWeights; import logging;"
        "row = replace(Registry().backbone('openclip_vitb16.tiny'), tiny=False, weights=RandomWeights());"
        "open_clip.build(row, None); print(logging.root.handlers, logging.root.manager.disable)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (told.stdout.strip(), told.stderr) == ("[] 0", "")


def test_an_unknown_architecture_names_near_ones() -> None:
    for name, wrong, near in (("openclip_vitb16", "ViT-B-61", "ViT-B-16"), ("blip_vitb16", "blip_bas", "blip_base")):
        with pytest.raises(InvalidInput, match=near):
            PUBLISHED[name].build(replace(row(name), architecture=wrong, weights=RandomWeights()), None)
    assert "ViT-B-16" in open_clip.list_models()


VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def folder_row(folder: Path) -> BackboneSpec:
    return replace(
        Registry().backbone("blip_vitb16"), name="mine", architecture=f"hf:{folder}", weights=FileWeights(path=folder)
    )


def test_a_folder_that_pools_by_class_token(tmp_path: Path) -> None:
    model = Dinov2Model(Dinov2Config(**VIT, image_size=56, patch_size=14)).eval()
    model.save_pretrained(tmp_path)
    backbone, pixels = hugging.build(folder_row(tmp_path), tmp_path), images(56, 56)
    with torch.no_grad():
        found, expected = backbone(pixels, blocks=[-1]), model(pixels)
    torch.testing.assert_close(found.pooled_ND, expected.pooler_output)
    torch.testing.assert_close(found.tokens_NTE, expected.last_hidden_state[:, 1:])
    assert found.blocks[-1].shape == found.tokens_NTE.shape


def test_a_pooling_layer_that_the_folder_lacks_is_not_made_up(tmp_path: Path) -> None:
    classifier = ViTForImageClassification(ViTConfig(**VIT, image_size=64, patch_size=16)).eval()
    classifier.save_pretrained(tmp_path)
    pixels = images(64, 64)
    with torch.no_grad():
        found = hugging.build(folder_row(tmp_path), tmp_path)(pixels)
        expected = classifier.vit(pixels).last_hidden_state
    torch.testing.assert_close(found.pooled_ND, expected[:, 0])


def test_of_an_image_and_text_model_the_image_side_is_taken(tmp_path: Path) -> None:
    vision = CLIPVisionConfig(**VIT, image_size=64, patch_size=16)
    text = CLIPTextConfig(**VIT, vocab_size=50, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict())).eval()
    model.save_pretrained(tmp_path)
    pixels = images(64, 64)
    with torch.no_grad():
        found, expected = hugging.build(folder_row(tmp_path), tmp_path)(pixels), model.vision_model(pixels)
    torch.testing.assert_close(found.pooled_ND, expected.pooler_output)


def test_a_model_without_vision_is_refused(tmp_path: Path) -> None:
    BertModel(BertConfig(**VIT, vocab_size=50)).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="is no vision model"):
        hugging.build(folder_row(tmp_path), tmp_path)


def test_a_folder_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    Dinov2Model(Dinov2Config(**VIT, image_size=56, patch_size=14)).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["encoder.layer.1.mlp.fc1.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointMismatch, match=r"'encoder\.layer\.1\.mlp\.fc1\.weight' of the architecture"):
        hugging.build(folder_row(tmp_path), tmp_path)


def test_a_folder_that_is_none_of_the_librarys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with pytest.raises(InvalidInput, match=r"holds no config\.json"):
        hugging.build(folder_row(tmp_path), tmp_path)

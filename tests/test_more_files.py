"""What is particular about some publishers' files: two sets of names, a decoder, a pickle, a library's own tower, and
CoCa's text side.
"""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from open_clip.timm_model import TimmModel
from torch import Tensor
from torch.nn import functional

from benchmarks.parity.published import Tensors, row
from pytest_fmtransfer.backbones import biomedclip, mae, sam2, text_towers, vmamba
from pytest_fmtransfer.backbones.open_clip import build_model, hushed, open_clip
from pytest_fmtransfer.backbones.timm import build as build_by_timm
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import CheckpointMismatch, LegacyPickle
from pytest_fmtransfer.text_places import tower_of
from tests.aimv2_files import aimv2, aimv2_of_transformers
from tests.mansoori2025_files import coca
from tests.mansoori2025_files import mae as mae_file
from tests.mansoori2025_files import sam2 as sam2_file
from tests.medical_files import retfound
from tests.test_more_backbones import fresh, noise, write
from tests.trained import ROUNDING, relative
from tests.vmamba_files import vmamba as vmamba_file


def pooled(tensors: Tensors, name: str, folder: Path) -> Tensor:
    folder.mkdir(exist_ok=True)
    spec = row(name, tiny=True)
    module = {"timm": build_by_timm, "mae": mae.build}[spec.library]
    with torch.no_grad():
        return module(spec, write(name, tensors, folder))(noise(224)).pooled_ND


@pytest.mark.parametrize("name", ["aimv2_vitl14", "aimv2_vith14"])
def test_aimv2_is_loaded_in_both_names_that_apple_has_used(name: str, tmp_path: Path) -> None:
    first = aimv2(row(name, tiny=True))
    second = aimv2_of_transformers(first)
    assert not set(first) & set(second)
    assert torch.equal(pooled(first, name, tmp_path / "one"), pooled(second, name, tmp_path / "two"))


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("encoder.layers.1.attention.k_proj.weight", "encoder.layers.1.attention.qkv_proj.weight"),
        ("encoder.layers.0.ffn.up_proj.weight", "encoder.layers.0.ffn.up_proj.weight"),
        ("embeddings.position_embedding.weight", "embeddings.position_embedding.weight"),
    ],
)
def test_in_transformers_names_a_lack_is_named_too(gone: str, named: str, tmp_path: Path) -> None:
    name = "aimv2_vitl14"
    tensors = aimv2_of_transformers(aimv2(row(name, tiny=True)))
    del tensors[gone]
    with pytest.raises(CheckpointMismatch, match=f"'{named}'"):
        pooled(tensors, name, tmp_path)


def test_what_learnt_with_a_decoder_and_what_was_saved_without_it_are_loaded_alike(tmp_path: Path) -> None:
    name = "retfound_cfp_vitl16"
    whole = retfound(row(name, tiny=True))
    encoder = {key: each for key, each in whole.items() if not key.startswith(("decoder_", "mask_token"))}
    assert len(encoder) < len(whole)
    assert torch.equal(pooled(whole, name, tmp_path / "one"), pooled(encoder, name, tmp_path / "two"))


def test_a_file_with_the_settings_of_its_training_is_converted_first(tmp_path: Path) -> None:
    """RETFound was saved as MAE's training does it: beside the tensors stand settings, which only code restores."""
    spec = row("retfound_cfp_vitl16", tiny=True)
    path, tensors = tmp_path / "RETFound_mae_natureCFP.pth", retfound(spec)
    torch.save({"model": tensors, "epoch": 799, "args": Namespace(model="mae_vit_large_patch16")}, path)
    with pytest.raises(LegacyPickle, match="fmtransfer convert"):
        mae.build(spec, path)
    assert main(["convert", str(path)]) == 0
    with torch.no_grad():
        found = mae.build(spec, path.with_suffix(".safetensors"))(noise(224))
    assert torch.equal(found.pooled_ND, pooled(tensors, spec.name, tmp_path / "plain"))


def test_vmambas_linear_layers_are_read_as_convolutions_too(tmp_path: Path) -> None:
    """Its authors' code reads either from files, and they have written both."""
    spec = row("vmamba_s", tiny=True)
    flat = vmamba_file(spec)
    linear = ("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")
    square = {name: each[..., None, None] if name.endswith(linear) else each for name, each in flat.items()}
    found: list[Tensor] = []
    for tensors in (flat, square):
        path = write(spec.name, tensors, tmp_path)
        with torch.no_grad():
            found.append(vmamba.build(spec, path)(noise(64)).pooled_ND)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", ["sam2_hierabplus", "vmamba_s"])
def test_laid_out_channels_last_it_embeds_the_same(name: str) -> None:
    """As networks with several convolutions are before they learn."""
    backbone = fresh(name)
    with torch.no_grad():
        expected = backbone(noise(64))
        backbone.lay_out(torch.channels_last)
        found = backbone(noise(64))
    assert relative(found.pooled_ND, expected.pooled_ND) < ROUNDING
    assert relative(found.tokens_NTE, expected.tokens_NTE) < ROUNDING


@pytest.mark.parametrize("name", ["mae_vitb16", "sam2_hierabplus"])
def test_a_file_without_its_entry_is_refused(name: str, tmp_path: Path) -> None:
    spec = row(name, tiny=True)
    tensors, build = {"mae_vitb16": (mae_file, mae.build), "sam2_hierabplus": (sam2_file, sam2.build)}[name]
    torch.save(tensors(spec), tmp_path / "flat.pth")
    with pytest.raises(CheckpointMismatch, match="no entry 'model'"):
        build(spec, tmp_path / "flat.pth")


def test_biomedclip_embeds_as_open_clips_tower_does(tmp_path: Path) -> None:
    """The library's class, built as `open_clip_config.json` beside the file says, of a smaller trunk."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = TimmModel("vit_tiny_patch16_224", 512, image_size=224, pool="", proj="linear").eval()
    path = tmp_path / "open_clip_pytorch_model.bin"
    torch.save({f"visual.{name}": each for name, each in tower.state_dict().items()}, path)
    spec = replace(Registry().backbone("biomedclip_vitb16"), architecture="vit_tiny_patch16_224")
    with torch.no_grad():
        found, expected = biomedclip.build(spec, path)(noise(224)), tower(noise(224))
    torch.testing.assert_close(found.pooled_ND, expected, rtol=1e-6, atol=1e-6)


def test_coca_embeds_and_reads_as_the_library_does(tmp_path: Path) -> None:
    spec, texts = row("coca_vitb32", tiny=True), ["an image of a tumour", "normal"]
    path = write(spec.name, coca(spec), tmp_path)
    model = build_model(spec, path)
    with hushed():
        tokenizer = open_clip.get_tokenizer(spec.architecture)
    tower = text_towers.build(spec, path, None)
    with torch.no_grad():
        expected = model.encode_text(tokenizer(texts), normalize=True)
        torch.testing.assert_close(tower.texts(texts, of="coca"), expected, rtol=1e-5, atol=1e-5)
        images = model.encode_image(noise(224), normalize=True)
    from pytest_fmtransfer.backbones.open_clip import build

    with torch.no_grad():
        found = functional.normalize(build(spec, path)(noise(224)).pooled_ND, dim=-1)
    torch.testing.assert_close(found, images, rtol=1e-5, atol=1e-5)
    assert tower.scale == pytest.approx(float(model.logit_scale.detach().exp()))


@pytest.mark.parametrize("name", ["biomedclip_vitb16", "medsiglip_so400m14", "sam2_hieral", "mae_vitb16"])
def test_rows_whose_text_side_is_not_built_have_none(name: str) -> None:
    assert tower_of(Registry().backbone(name)) is None

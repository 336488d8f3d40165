"""A folder that transformers saved is loaded strictly, and nothing in it is run."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedModel,
    SamConfig,
    SamModel,
    SamVisionConfig,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    ViTModel,
)

import pytest_fmtransfer
from pytest_fmtransfer.backbones import transformers as hugging
from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput, LegacyPickle
from pytest_fmtransfer.places import Places

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
VIT = ViTConfig(**SIZES, image_size=32, patch_size=16)
MAE: dict[str, Any] = {
    "decoder_hidden_size": 16,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 32,
}
TEXT = CLIPTextConfig(**SIZES, vocab_size=50, bos_token_id=0, eos_token_id=1, pad_token_id=2)
CLIP = CLIPConfig(
    text_config=TEXT.to_dict(), vision_config=CLIPVisionConfig(**SIZES, image_size=32, patch_size=16).to_dict()
)
SAM = {"output_channels": 8, "window_size": 2, "global_attn_indexes": [1]}


def row(folder: Path) -> BackboneSpec:
    given = FileWeights(path=folder)
    return replace(Registry().backbone("blip_vitb16"), name="mine", architecture=f"hf:{folder}", weights=given)


def build(folder: Path) -> hugging.TransformersBackbone:
    return hugging.build(row(folder), folder)


def saved(model: PreTrainedModel, folder: Path, change: Callable[[dict[str, Tensor]], object] | None = None) -> Path:
    model.save_pretrained(folder)
    if change is not None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def set_config(folder: Path, **keys: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({name: each for name, each in (config | keys).items() if each is not None})
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("layernorm.weight"), "tensor 'layernorm.weight' of the architecture is not in the file"),
        (lambda t: t.pop("pooler.dense.bias"), "tensor 'pooler.dense.bias' of the architecture is not in the file"),
        (lambda t: t.update(extra=torch.zeros(3)), "tensor 'extra' of the file is not in the architecture"),
        (
            lambda t: t.update({"layernorm.weight": torch.zeros(3)}),
            "tensor 'layernorm.weight' has shape (3,), the architecture's has (32,)",
        ),
        (
            lambda t: t.update({"pooler.dense.weight": torch.zeros(3)}),
            "tensor 'pooler.dense.weight' has shape (3,), the architecture's has (32, 32)",
        ),
    ],
    ids=["missing", "half a pooler", "left over", "misshapen", "misshapen pooler"],
)
def test_a_tensor_that_does_not_fit_is_one_line_that_names_it(
    change: Callable[[dict[str, Tensor]], object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointMismatch) as caught:
        build(saved(ViTModel(VIT), tmp_path, change))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_tensor_left_over_beside_an_encoder_with_a_head_is_refused(tmp_path: Path) -> None:
    extra = {"vit.extra.weight": torch.zeros(3)}
    with pytest.raises(CheckpointMismatch, match=r"'extra\.weight' of the file.*'vit'"):
        build(saved(ViTForImageClassification(VIT), tmp_path, lambda tensors: tensors.update(extra)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ViTForImageClassification(VIT),
        lambda: ViTMAEForPreTraining(ViTMAEConfig(**SIZES, **MAE, image_size=32, patch_size=16)),
        lambda: SwinForImageClassification(
            SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
        ),
        lambda: CLIPForImageClassification(CLIP),
    ],
    ids=["classifier", "decoder", "swin", "clip"],
)
def test_the_head_of_a_task_is_no_part_of_the_encoder(make: Callable[[], PreTrainedModel], tmp_path: Path) -> None:
    """`config.json` names the class that was saved, whose other tensors are its head."""
    model = make()
    network = build(saved(model, tmp_path)).network
    theirs = model.state_dict()
    for name, tensor in network.state_dict().items():
        if not name.startswith("pooler."):
            found = [each for each in theirs if each == name or each.endswith(f".{name}")]
            assert len(found) == 1, name
            torch.testing.assert_close(tensor, theirs[found[0]])


def test_a_model_with_a_class_token_that_pools_does_so_where_its_text_side_was_not_saved(tmp_path: Path) -> None:
    model = CLIPForImageClassification(CLIP).eval()
    pixels_NCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = build(saved(model, tmp_path))(pixels_NCHW).pooled_ND
        expected = model.vision_model(pixels_NCHW).pooler_output
    torch.testing.assert_close(found, expected)


def test_a_model_of_masks_is_told_which_rows_work(tmp_path: Path) -> None:
    vision = SamVisionConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16, **SAM
    )
    SamModel(SamConfig(vision_config=vision.to_dict())).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=r"SamModel.*sam_vitb16.*timm:samvit_base_patch16"):
        build(tmp_path)
    assert Registry().backbone("sam_vitb16").library == "segment_anything"
    assert timm.is_model("samvit_base_patch16")


def test_timms_own_folder_is_told_how_it_is_named(tmp_path: Path) -> None:
    timm.models.save_for_hf(timm.create_model("resnet10t", num_classes=3), str(tmp_path), safe_serialization=True)
    told = f"mine=timm:resnet10t,weights={tmp_path}"
    with pytest.raises(InvalidInput, match=f"folder of timm's; write {told}$"):
        hugging.build(UserBackbone.parse(f"mine=hf:{tmp_path}").row, tmp_path)
    assert build_backbone(UserBackbone.parse(told).row, Places(store=tmp_path / "store")).spec.name == "mine"


def test_a_model_that_the_library_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    saved(ViTModel(VIT), tmp_path)
    set_config(tmp_path, model_type="of_tomorrow")
    with pytest.raises(InvalidInput, match=r"no model of type 'of_tomorrow'.*py:module:function") as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": 3}'])
def test_a_configuration_that_is_none_is_one_sentence(text: str, tmp_path: Path) -> None:
    saved(ViTModel(VIT), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.json") as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)


BUILD = """
import sys
from dataclasses import replace
from pathlib import Path
from pytest_fmtransfer.backbones import transformers as hugging
from pytest_fmtransfer.catalog.specs import RandomWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.errors import FmTransferError
folder = Path(sys.argv[1])
row = UserBackbone.parse(f"mine=hf:{folder}").row
for spec, weights in ((row, folder), (replace(row, weights=RandomWeights()), None)):
    try:
        hugging.build(spec, weights)
        print("built")
    except FmTransferError as error:
        print(error)
"""


@pytest.mark.parametrize("model_type", ["vit", "of_the_folder", None])
def test_code_in_a_folder_is_never_run_whatever_stands_on_standard_input(
    model_type: str | None, tmp_path: Path
) -> None:
    folder, victim = saved(ViTModel(VIT), tmp_path / "model"), tmp_path / "victim"
    (folder / "theirs.py").write_text(
        f"open({str(victim)!r}, 'w').close()\nfrom transformers import ViTConfig as Config, ViTModel as Model\n"
    )
    set_config(folder, auto_map={"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}, model_type=model_type)
    (folder / "preprocessor_config.json").write_text(json.dumps({"auto_map": {"AutoImageProcessor": "theirs.Model"}}))
    told = subprocess.run(
        [sys.executable, "-c", BUILD, folder], input="y\n" * 9, capture_output=True, text=True, check=True
    )
    assert not victim.exists()
    lines = told.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "theirs.Model" in line
        assert "py:module:function" in line


class Malice:
    """Creates a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.victim}",)


def test_a_pickle_in_a_folder_is_not_run(tmp_path: Path) -> None:
    folder, victim = saved(ViTModel(VIT), tmp_path / "model"), tmp_path / "victim"
    (folder / "model.safetensors").unlink()
    torch.save(ViTModel(VIT).state_dict() | {"malice": Malice(victim)}, folder / "pytorch_model.bin")
    with pytest.raises(LegacyPickle):
        build(folder)
    assert not victim.exists()


def test_every_call_that_could_run_the_code_of_a_folder_forbids_it() -> None:
    """The library asks on standard input where `trust_remote_code` is not given."""
    found = 0
    for file in Path(pytest_fmtransfer.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in ("from_pretrained", "from_config"):
                continue
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            assert given.get("trust_remote_code") == "False", f"{file}:{node.lineno}"
            found += 1
    assert found > 2


def test_a_folder_is_loaded_in_silence(tmp_path: Path) -> None:
    saved(ViTModel(VIT), tmp_path)
    told = subprocess.run([sys.executable, "-c", BUILD, tmp_path], capture_output=True, text=True, check=True)
    assert (told.stdout.split(), told.stderr) == (["built"] * 2, "")

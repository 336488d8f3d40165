"""`timm.<model>`: any model of timm without a row of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RandomWeights
from pytest_fmtransfer.catalog.timm_names import check_timm_architecture, timm_models
from pytest_fmtransfer.cell import Cell, check_name
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from pytest_fmtransfer.places import Places


def test_the_models_read_from_the_source_are_those_that_timm_lists() -> None:
    assert set(timm.list_models()) <= timm_models()


def test_every_architecture_that_timm_builds_passes_without_timm_being_imported() -> None:
    """Names with a tag, without one, and those under which timm still builds what it renamed."""
    former = ["tf_efficientnet_b0_ns", "vit_base_patch16_224_in21k"]
    names = [*timm.list_models(), *timm.list_models(pretrained=True), *former]
    code = (
        "import sys\n"
        "from pytest_fmtransfer.catalog.timm_names import check_timm_architecture\n"
        "for name in sys.stdin.read().split():\n    check_timm_architecture(name)\n"
        "assert 'timm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], input="\n".join(names), text=True, check=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("resnet81", "timm has no model 'resnet81'; did you mean resnet18"),
        ("resnet18.a1_in1", "timm has no weights 'resnet18.a1_in1'; did you mean resnet18.a1_in1k"),
        ("Resnet18", "did you mean resnet18"),
    ],
)
def test_a_misspelt_architecture_is_answered_with_a_near_one(wrong: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_timm_architecture(wrong)


def test_a_model_that_a_user_registered_with_timm_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "is_model", lambda name: name == "my_own_net")
    check_timm_architecture("my_own_net")


def test_every_name_of_timm_may_stand_in_an_id() -> None:
    names = (*timm_models(), *timm.list_models(pretrained=True))
    assert all(check_name("backbone", f"timm.{name}") for name in names)


def test_a_row_is_timms_own_record() -> None:
    row = Registry().backbone("timm.vit_base_patch16_clip_224.openai")
    config = timm.get_pretrained_cfg("vit_base_patch16_clip_224.openai")
    assert (row.mean, row.std, row.image_size) == (config.mean, config.std, 224)
    assert row.weights.file == "vit_base_patch16_clip_224.openai.pth"
    assert row.weights.url == "https://huggingface.co/timm/vit_base_patch16_clip_224.openai"
    assert row.weights.num_classes == config.num_classes


def test_it_has_a_twin_and_a_tiny_version() -> None:
    registry = Registry()
    row, twin = registry.backbone("timm.resnet18"), registry.backbone("timm.resnet18.random")
    assert twin == replace(row, name="timm.resnet18.random", weights=RandomWeights())
    assert registry.backbone("timm.resnet18.tiny").tiny
    for name in ("timm.resnet18", "timm.resnet18.a1_in1k", "timm.resnet18.random", "timm.resnet18.tiny"):
        registry.check(Cell(name, "br35h", "knn"))


@pytest.mark.parametrize("name", ["timm.resnet18.tiny.random", "timm.resnet18.random.tiny"])
def test_what_timm_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(UnknownName):
        Registry().check(Cell(name, "br35h", "knn"))
    with pytest.raises(UnknownName):
        Registry().backbone(name)


def test_a_tag_that_timm_does_not_have_is_answered_with_one_that_it_has() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*timm\.resnet18\.a1_in1k"):
        Registry().backbone("timm.resnet18.a9_in1k")


def test_a_row_of_that_name_comes_before_timms() -> None:
    registry = Registry()
    own = replace(registry.backbone("mobilenetv2"), name="timm.resnet18")
    registry.register(own)
    assert registry.backbone("timm.resnet18") is own


def test_a_cell_is_checked_without_timm_and_a_typo_is_answered() -> None:
    code = (
        "import sys\n"
        "from pytest_fmtransfer import Cell, Registry\n"
        "Registry().check(Cell('timm.resnet18', 'br35h', 'knn'))\n"
        "try:\n"
        "    Registry().check(Cell('timm.resnet180', 'br35h', 'knn'))\n"
        "except Exception as error:\n"
        "    print(error)\n"
        "print([name for name in ('torch', 'timm', 'numpy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, modules = done.stdout.splitlines()
    assert told.startswith("unknown backbone 'timm.resnet180'; did you mean ")
    assert "timm.resnet18" in told
    assert modules == "[]"


def test_its_file_is_loaded_with_its_classifier(tmp_path: Path) -> None:
    row = Registry().backbone("timm.test_resnet")
    network = timm.create_model("test_resnet").eval()
    torch.save(network.state_dict(), tmp_path / row.weights.file)
    backbone = build(row, weights_file(row, Places(store=tmp_path / "store", weights=tmp_path)))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(images), pre_logits=True)
        assert torch.allclose(backbone(images).pooled_ND, expected, rtol=1e-4, atol=1e-5)

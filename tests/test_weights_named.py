"""What `weights=` names is what is loaded and what is fingerprinted, of every source; nothing beside it is either.

Legend: N images, C channels, H and W pixels.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification, ViTModel

from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.open_clip import build_model, hushed
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.places import Places

SIDE = 32
VIT = ViTConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE, patch_size=16
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """`ref` is what a user writes; `tensors` draws a network's tensors under a seed, of which `alike` are also in what
    is built.
    """

    ref: Callable[[Path], str]
    tensors: Callable[[int], dict[str, Tensor]]
    tiny: bool = False


def drawn(make: Callable[[], nn.Module]) -> Callable[[int], dict[str, Tensor]]:
    def tensors(seed: int) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return {name: each.clone().contiguous() for name, each in make().state_dict().items()}

    return tensors


def of_function() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.ReLU())


def of_open_clip() -> nn.Module:
    row = UserBackbone.parse("mine=open_clip:ViT-B-32/openai").row
    with hushed():
        model = build_model(replace(row, tiny=True, weights=RandomWeights(seed=int(torch.randint(999, ())))), None)
    assert isinstance(model, open_clip.CLIP)
    return model


SOURCES = {
    "timm": Source(
        ref=lambda _: "timm:resnet10t", tensors=drawn(lambda: timm.create_model("resnet10t", num_classes=0))
    ),
    "open_clip": Source(ref=lambda _: "open_clip:ViT-B-32/openai", tensors=drawn(of_open_clip), tiny=True),
    "hf": Source(ref=lambda folder: f"hf:{folder}", tensors=drawn(lambda: ViTModel(VIT))),
    "py": Source(ref=lambda _: f"py:{__name__}:of_function", tensors=drawn(of_function)),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder that transformers saved, with tensors of its own."""
    ViTModel(VIT).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def row_of(source: Source, saved: Path, weights: Path) -> BackboneSpec:
    row = UserBackbone.parse(f"mine={source.ref(saved)},weights={weights},size={SIDE}").row
    return replace(row, tiny=source.tiny)


def loaded(spec: BackboneSpec, places: Places) -> Tensor:
    """What the backbone gives for fixed pixels."""
    pixels_NCHW = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return build_backbone(spec, places)(pixels_NCHW).pooled_ND


def named(spec: BackboneSpec, places: Places) -> str:
    return subject_of(spec, "float32", places)["weights"]


@pytest.mark.parametrize("where", ["beside it", "elsewhere"])
@pytest.mark.parametrize("kind", SOURCES)
def test_the_named_file_is_loaded_and_fingerprinted_and_nothing_beside_it(
    kind: str, where: str, saved: Path, tmp_path: Path
) -> None:
    assert __name__ in sys.modules
    source, places = SOURCES[kind], Places(store=tmp_path / "store")
    folder = saved if where == "beside it" else tmp_path
    first, second = (folder / f"{name}.safetensors" for name in ("first", "second"))
    for seed, file in enumerate((first, second)):
        save_file(source.tensors(seed), file, metadata={"format": "pt"})
    rows = [row_of(source, saved, file) for file in (first, second)]
    found, names = [loaded(row, places) for row in rows], [named(row, places) for row in rows]
    assert not torch.allclose(*found)
    assert len(set(names)) == 2
    # What lies beside it may go, or be another.
    second.unlink()
    for file in saved.glob("model.*"):
        save_file(source.tensors(2), file, metadata={"format": "pt"})
    torch.testing.assert_close(loaded(rows[0], places), found[0])
    assert named(rows[0], places) == names[0]
    # The same tensors under another name are the same network.
    torch.save(source.tensors(0), other := folder / "other.bin")
    torch.testing.assert_close(loaded(row_of(source, saved, other), places), found[0])
    assert named(row_of(source, saved, other), places) == names[0]


def test_a_folder_without_a_file_is_its_own(saved: Path, tmp_path: Path) -> None:
    places = Places(store=tmp_path / "store")
    row = UserBackbone.parse(f"mine=hf:{saved},size={SIDE}").row
    alone = loaded(row, places)
    same = row_of(SOURCES["hf"], saved, saved / "model.safetensors")
    torch.testing.assert_close(loaded(same, places), alone)
    assert named(same, places) == named(row, places)
    # Of another folder, its tensors alone: the first says what they are put into.
    ViTModel(VIT).save_pretrained(tmp_path / "other")
    other = row_of(SOURCES["hf"], saved, tmp_path / "other")
    assert not torch.allclose(loaded(other, places), alone)
    assert named(other, places) != named(row, places)


def test_tensors_with_the_prefix_of_a_task_are_loaded_as_the_library_does(saved: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = ViTForImageClassification(VIT).eval()
    model.save_pretrained(tmp_path / "task")
    row = row_of(SOURCES["hf"], saved, tmp_path / "task" / "model.safetensors")
    pixels_NCHW = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.vit(pixels_NCHW).last_hidden_state[:, 0]
    torch.testing.assert_close(loaded(row, Places(store=tmp_path / "store")), expected)


def test_a_file_that_does_not_fit_the_folder_is_refused(saved: Path, tmp_path: Path) -> None:
    tensors = SOURCES["hf"].tensors(0)
    lost = next(name for name in tensors if "layer" in name)
    del tensors[lost]
    save_file(tensors, tmp_path / "short.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointMismatch, match=r"short\.safetensors"):
        loaded(row_of(SOURCES["hf"], saved, tmp_path / "short.safetensors"), Places(store=tmp_path / "store"))


def test_the_configuration_counts_that_the_network_is_built_by(saved: Path, tmp_path: Path) -> None:
    """That of the folder, for the file elsewhere and for the random twin; not one that lies beside the file."""
    places, elsewhere = Places(store=tmp_path / "store"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    save_file(SOURCES["hf"].tensors(0), elsewhere / "a.safetensors", metadata={"format": "pt"})
    row = row_of(SOURCES["hf"], saved, elsewhere / "a.safetensors")
    twin = replace(row, name="mine.random", weights=RandomWeights())
    before = [named(row, places), named(twin, places)]
    (elsewhere / "config.json").write_text("{}")
    assert [named(row, places), named(twin, places)] == before
    features = [loaded(row, places), loaded(twin, places)]
    replace_in(saved / "config.json", '"layer_norm_eps": 1e-12', '"layer_norm_eps": 1.0')
    assert not set(before) & {named(row, places), named(twin, places)}
    for spec, old in zip((row, twin), features, strict=True):
        assert not torch.allclose(loaded(spec, places), old)


def test_a_folder_with_an_adapter_is_refused(saved: Path, tmp_path: Path) -> None:
    """The library would apply it to the model without a word, and it is no part of the file."""
    (saved / "adapter_config.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"adapter_config\.json"):
        loaded(UserBackbone.parse(f"mine=hf:{saved}").row, Places(store=tmp_path / "store"))


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

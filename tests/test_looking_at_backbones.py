"""A backbone is looked at before anything learns from it, and so are its embeddings."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import ViTConfig, ViTMAEConfig, ViTMAEModel, ViTModel

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.backbones.base import Features
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.backbones.python import FunctionBackbone
from pytest_fmtransfer.backbones.two_passes import activation_of, agree, images_of, look, tolerance_of
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.reports.rows import cell_row
from tests.small import catalogue

SPEC = replace(UserBackbone.parse("mine=py:nets:make,size=32").row, name="mine")


class Net(nn.Module):
    """A projection of what `before` makes of the pixels."""

    def __init__(self, change: Callable[[Tensor], Tensor | Features] = lambda rows: rows, width: int = 16) -> None:
        super().__init__()
        self.width, self.change, self.act = width, change, nn.GELU()
        self.project = nn.Linear(3 * 32 * 32, width)

    def forward(self, images: Tensor) -> Tensor | Features:
        return self.change(self.act(self.project(images.flatten(1))))


class Dropped(Net):
    def __init__(self) -> None:
        super().__init__(self.drop)

    def drop(self, rows: Tensor) -> Tensor:
        return nn.functional.dropout(rows, 0.1, training=True)


def of_tokens(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Features]:
    return lambda rows: Features(pooled_ND=rows, tokens_NTE=change(rows.unsqueeze(2)))


def agreed(network: nn.Module, *, tokens: bool = False) -> int:
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        backbone = FunctionBackbone(SPEC, network.eval())
        return agree(backbone, images_of(backbone), tolerance_of(backbone, "float32"), tokens=tokens)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Dropped(), r"^mine: the same batch twice gives an image two embeddings.*draws chance in evaluation mode"),
        (Net(lambda rows: rows + torch.randn_like(rows)), "draws chance in evaluation mode"),
        (Net(lambda rows: rows - rows.mean(0)), r"an image's embedding depends on its batch.*eval\(\)"),
        (Net(lambda rows: rows * torch.arange(1.0, 1 + len(rows)).view(-1, 1)), "depends on its batch"),
        (Net(lambda rows: rows / 0), "is not finite"),
        (Net(lambda rows: torch.ones_like(rows)), "gives every image of noise one and the same embedding"),
        (Net(lambda rows: rows[:, : 2 + int(rows.sum() > 0)]), r"the width of its output changes: \(3, [23]\)"),
    ],
    ids=["dropout", "noise", "centred over the batch", "by its place", "not finite", "constant", "width"],
)
def test_a_backbone_that_does_not_give_the_same_for_the_same_image(network: nn.Module, message: str) -> None:
    if "width" in message:  # of the first batch and the second
        sums = iter([1.0, -1.0, 1.0])
        network = Net(lambda rows: rows[:, : 2 + int(next(sums) > 0)])
    with pytest.raises(InvalidInput, match=message):
        agreed(network)


def test_batch_normalisation_that_was_left_in_training() -> None:
    network = Net()
    norm = nn.BatchNorm1d(16, track_running_stats=False)
    network.change = norm
    with pytest.raises(InvalidInput, match="depends on its batch"):
        agreed(network)


def test_a_random_twin_that_tells_images_hardly_apart_passes() -> None:
    """As those of DINOv2 and DINOv3 do, whose layers add 1e-5 of what they compute."""
    assert agreed(Net(lambda rows: 1 + 1e-6 * rows)) == 16


def test_tokens_matter_where_they_are_read() -> None:
    shuffled = Net(of_tokens(lambda tokens: tokens[:, torch.randperm(tokens.shape[1])]))
    assert agreed(shuffled) == 16
    with pytest.raises(InvalidInput, match="draws chance"):
        agreed(shuffled, tokens=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rounding_is_no_chance(dtype: torch.dtype) -> None:
    """An error of two units in the last place of each number, at another place in each pass."""

    class Rounded(Net):
        def forward(self, images: Tensor) -> Tensor:
            rows = super().forward(images)
            assert isinstance(rows, Tensor)
            last = torch.finfo(dtype).eps * rows.abs()
            return rows + 2 * last * torch.randn_like(rows).sign()

    network = Rounded()
    network.coarse = nn.Parameter(torch.zeros(1, dtype=dtype))
    assert agreed(network) == 16


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_lite0",
        "mobilenetv2",
        "dinov2_vitb14",
        "dinov3_vitb16",
        "openclip_vitb16",
        "sam_vitb16",
        "blip_vitb16",
        "imagenet_deitb16",
        "imagenet_resnet152",
    ],
)
@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_our_own_architectures_pass(name: str, dtype: Dtype, tmp_path: Path) -> None:
    registry = Registry()
    spec = replace(registry.backbone(f"{name}.tiny"), image_size=112)
    width, activation = look(spec, dtype, Places(store=tmp_path), tokens=True)
    assert width > 0
    assert activation


def saved(folder: Path, model: type, config: object) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model(config).save_pretrained(folder)
    return folder


SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def test_a_masked_autoencoder_is_refused_until_it_masks_nothing(small: Places, tmp_path: Path) -> None:
    registry = catalogue()
    folder = saved(tmp_path / "mae", ViTMAEModel, ViTMAEConfig(**SIZES))
    registry.register(UserBackbone.parse(f"mae=hf:{folder},size=32").row)
    with pytest.raises(InvalidInput, match=r"^mae: the same batch twice.*mask_ratio=0 in its config\.json"):
        transfer(Cell("mae", "stripes", "knn"), registry=registry, places=small)
    config = ViTMAEConfig(**SIZES, mask_ratio=0.0)
    registry.register(UserBackbone.parse(f"whole=hf:{saved(tmp_path / 'whole', ViTMAEModel, config)},size=32").row)
    assert transfer(Cell("whole", "stripes", "knn"), registry=registry, places=small).origin == "computed"


def test_the_report_says_what_a_backbone_met_images_with(small: Places, tmp_path: Path) -> None:
    registry = catalogue()
    folder = saved(tmp_path / "vit", ViTModel, ViTConfig(**SIZES, hidden_act="relu"))
    said = {"size": {"height": 32, "width": 32}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5] * 3, "resample": 1}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    registry.register(UserBackbone.parse(f"vit=hf:{folder},std=0.25").row)
    found = {
        name: cell_row(transfer(Cell(name, "stripes", "knn"), registry=registry, places=small))["input"]
        for name in ("vit", "tiny", "shortcut.metadata")
    }
    assert found["vit"] == {
        "size": 32,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.25] * 3,
        "fit": "stretch",
        "crop": 1.0,
        "interpolation": "lanczos",
        "channel_order": "RGB",
        "activation": "ReLU, Tanh",
        "given": ["std"],
    }
    assert found["tiny"]["interpolation"] == "bicubic"
    assert found["tiny"]["activation"]
    assert found["shortcut.metadata"]["activation"] == ""
    again = transfer(Cell("vit", "stripes", "knn"), registry=registry, places=small)
    assert again.origin == "store"
    assert cell_row(again)["input"] == found["vit"]


def test_kinds_of_activation_are_told() -> None:
    assert activation_of(nn.Sequential(nn.Linear(2, 2), nn.SiLU(), nn.Tanh(), nn.SiLU())) == "SiLU, Tanh"
    assert activation_of(nn.Linear(2, 2)) == ""


OWN = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.pool = nn.AvgPool2d(4)

    def forward(self, images):
        rows = self.pool(images).flatten(1)[:, :64]
        if self.how == "logits":
            return rows[:, :2]
        if self.how == "constant":
            grey = (images[:, 0] == images[:, 1]).flatten(1).all(1).unsqueeze(1)  # as the dataset is, and noise is not
            return torch.where(grey, torch.ones_like(rows), rows)
        if self.how == "nan":
            rows = torch.where(images.mean((1, 2, 3)).unsqueeze(1) < LIMIT, rows / 0 * 0, rows)
        return rows


def logits(): return Net("logits")
def constant(): return Net("constant")
def nan(): return Net("nan")
def sound(): return Net("sound")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "nets_to_look_at.py").write_text(OWN.replace("LIMIT", "0.05"))
    monkeypatch.syspath_prepend(tmp_path)
    registry = catalogue()
    for name in ("logits", "constant", "nan", "sound"):
        registry.register(UserBackbone.parse(f"{name}=py:nets_to_look_at:{name},size=32,mean=0,std=1").row)
    return registry


REGIMES = ["knn", "linear_probe", "fewshot5"]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_classifiers_output_is_no_embedding(regime: str, own: Registry, small: Places) -> None:
    with pytest.raises(InvalidInput, match=r"logits on stripes: the embedding has 2 numbers, as many as the dataset"):
        transfer(Cell("logits", "stripes", regime), registry=own, places=small)


@pytest.mark.parametrize("regime", REGIMES)
def test_what_is_not_finite_is_named_with_its_images(regime: str, own: Registry, small: Places, tmp_path: Path) -> None:
    shutil.copytree(small.data_root or Path(), tmp_path / "data")
    path = tmp_path / "data" / "stripes" / "no" / "07.jpg"
    with Image.open(path) as image:
        size = image.size
    Image.new("L", size).save(path)
    places = Places(store=tmp_path / "store", data_root=tmp_path / "data")
    assert transfer(Cell("sound", "stripes", regime), registry=own, places=places).origin == "computed"
    with pytest.raises(InvalidInput, match=r"nan on stripes: embeddings of 1 of 120 images are not finite: no/07\.jpg"):
        transfer(Cell("nan", "stripes", regime), registry=own, places=places)


@pytest.mark.parametrize("regime", REGIMES)
def test_one_embedding_for_all_images(regime: str, own: Registry, small: Places) -> None:
    with pytest.raises(InvalidInput, match=r"constant on stripes: all 120 images have one and the same embedding"):
        transfer(Cell("constant", "stripes", regime), registry=own, places=small)


def test_a_probe_of_files_may_find_them_alike(own: Registry, small: Places) -> None:
    assert transfer(Cell("shortcut.metadata", "stripes", "knn"), registry=own, places=small)


def test_a_backbone_is_looked_at_once(small: Places, tmp_path: Path) -> None:
    places = replace(small, store=tmp_path)
    passes = [
        transfer(Cell("tiny", "stripes", regime), registry=catalogue(), places=places).cost.forward_passes
        for regime in ("knn", "linear_probe")
    ]
    assert passes == [120, 120]  # of the dataset's images, not of the noise
    assert len(list((tmp_path / "looks").rglob("looked.json"))) == 1

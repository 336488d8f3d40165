"""Backbones that a user names meet images as their model's own files say."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data.transforms_factory import create_transform
from torchvision.transforms import InterpolationMode, functional
from transformers import AutoImageProcessor, CLIPImageProcessor, ConvNextImageProcessor, ViTImageProcessor

from pytest_fmtransfer.backbones.inputs import as_published, with_timms
from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import backbone_under
from pytest_fmtransfer.catalog.specs import STRETCHED, BackboneSpec, Framing, OwnInput
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.data.framing import framed
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS


def spec_of(line: str, places: Path) -> BackboneSpec:
    return as_published(UserBackbone.parse(line).row, Places(store=places / "store", weights=places / "weights"))


def met(spec: BackboneSpec) -> tuple[Any, ...]:
    """All that decides which network meets which input."""
    return (
        spec.library,
        spec.architecture,
        spec.weights,
        spec.image_size,
        spec.mean,
        spec.std,
        spec.framing,
        spec.channel_order,
        spec.activation,
        spec.tiny,
        spec.channels,
    )


def by_two_ways(name: str, registry: Registry) -> tuple[Any, Any]:
    """What `timm.<name>` meets, and what `mine=timm:<name>` does; or why neither can."""

    def row() -> BackboneSpec:
        return registry.backbone(f"timm.{name}")

    def users() -> BackboneSpec:
        mine = UserBackbone.parse(f"mine=timm:{name}").row
        assert mine.own_input is not None
        found = with_timms(mine, mine.own_input, None)
        return replace(found, weights=replace(found.weights, url=row().weights.url))

    found: list[Any] = []
    for ask in (row, users):
        try:
            found.append(met(ask()))
        except InvalidInput as error:
            found.append(str(error))
    return found[0], found[1]


def test_a_users_line_and_the_row_of_a_model_of_timm_are_one() -> None:
    """Of one model in four, which has some of every family, and of one set of its weights."""
    models = timm.list_models()[::4]
    weights = {name.partition(".")[0]: name for name in timm.list_pretrained()}
    registry = Registry()
    names = {*models, *(weights[name] for name in models if name in weights)}
    pairs = {name: by_two_ways(name, registry) for name in sorted(names)}
    assert len(pairs) > 400
    assert {name for name, (row, users) in pairs.items() if row != users} == set()
    assert sum(not isinstance(row, str) for row, _ in pairs.values()) > 0.99 * len(pairs)


def test_no_profile_makes_them_two() -> None:
    smoke = Registry().profile("smoke")
    mine, row = UserBackbone.parse("mine=timm:resnet18").row, Registry().backbone("timm.resnet18")
    assert mine.own_input is not None
    assert met(backbone_under(with_timms(mine, mine.own_input, None), smoke))[3:] == met(backbone_under(row, smoke))[3:]


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (224, 224), (300, 301), (1000, 17)])
@pytest.mark.parametrize(
    "name",
    [
        "resnet18.a1_in1k",  # bicubic, 95 %
        "mobilenetv3_small_050.lamb_in1k",
        "vgg11.tv_in1k",  # bilinear
        "convnext_base.clip_laion2b_augreg_ft_in12k_in1k",
        "vit_base_patch16_siglip_224.webli",
        "test_vit.r160_in1k",
    ],
)
def test_a_square_is_timms_own(name: str, shape: tuple[int, int]) -> None:
    row = Registry().backbone(f"timm.{name}")
    record = timm.get_pretrained_cfg(name).to_dict()
    transform = create_transform(
        record["input_size"],
        is_training=False,
        interpolation=record["interpolation"],
        crop_pct=record["crop_pct"],
        crop_mode=record["crop_mode"],
        mean=record["mean"],
        std=record["std"],
    )
    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected_3SS = transform(Image.fromarray(pixels_HW3))
    square_SS3 = torch.from_numpy(framed(pixels_HW3, row.image_size, row.framing).copy())
    mean_3, std_3 = torch.tensor(row.mean).view(3, 1, 1), torch.tensor(row.std).view(3, 1, 1)
    torch.testing.assert_close((square_SS3.movedim(-1, 0) / 255 - mean_3) / std_3, expected_3SS, rtol=1e-5, atol=1e-5)


@LAWS
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.floats(0.4, 1.2), st.booleans())
def test_the_centre_is_torchvisions(height: int, width: int, size: int, crop: float, grey: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width) if grey else (height, width, 3), dtype=np.uint8)
    framing = Framing(fit="shortest", crop=crop, interpolation="bilinear")
    side = max(1, int(size / crop + 1e-6))
    image = functional.resize(Image.fromarray(pixels), [side], InterpolationMode.BILINEAR)
    expected = np.asarray(functional.center_crop(image, [size, size]))
    assert np.array_equal(framed(pixels, size, framing), expected)  # Pillow's code, both times


def test_a_border_has_the_colour_that_is_said() -> None:
    square = framed(np.full((10, 20, 3), 255, np.uint8), 20, Framing(fit="longest", fill=(1, 2, 3)))
    assert square[0, 0].tolist() == [1, 2, 3]
    assert square[10, 10].tolist() == [255, 255, 255]


def test_what_the_user_says_of_a_timm_model_wins(tmp_path: Path) -> None:
    spec = spec_of("mine=timm:vgg11.tv_in1k,size=64,mean=0.1", tmp_path)
    assert (spec.image_size, spec.mean, spec.std) == (64, (0.1,) * 3, IMAGENET_STD)
    assert spec.framing == Framing(interpolation="bilinear")  # a size of the user's is stretched to
    assert spec.own_input is not None
    assert spec.own_input.given == ("size", "mean")


def test_a_model_or_a_tag_that_timm_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no model 'resnet1888' for mine; did you mean resnet"):
        spec_of("mine=timm:resnet1888", tmp_path)
    with pytest.raises(InvalidInput, match=r"no weights 'resnet18\.a9_in1k' for mine; did you mean resnet18\.a"):
        spec_of("mine=timm:resnet18.a9_in1k", tmp_path)


def saved_by_timm(folder: Path, **record: Any) -> Path:
    timm.models.save_for_hf(timm.create_model("test_resnet", num_classes=3), folder)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "pretrained_cfg": said["pretrained_cfg"] | record}))
    return folder


@pytest.mark.parametrize("how", ["folder", "file"])
def test_what_timm_saved_beside_weights_says_their_input(how: str, tmp_path: Path) -> None:
    record = {"input_size": (3, 96, 96), "mean": HALF, "std": HALF, "crop_pct": 0.5, "interpolation": "bilinear"}
    folder = saved_by_timm(tmp_path / "saved", **record)
    where = folder if how == "folder" else next(each for each in folder.iterdir() if each.stem.endswith("model"))
    spec = spec_of(f"mine=timm:test_resnet,weights={where}", tmp_path)
    assert (spec.image_size, spec.mean, spec.std) == (96, HALF, HALF)
    assert spec.framing == Framing(fit="shortest", crop=0.5, interpolation="bilinear")
    twin = Registry()
    twin.register(UserBackbone.parse(f"mine=timm:test_resnet,weights={where}").row)
    assert met(as_published(twin.backbone("mine.random"), Places(store=tmp_path)))[3:] == met(spec)[3:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "test_vit"}, r"config\.json: architecture='test_vit' is not 'test_resnet'; write timm:test_"),
        ({"model_args": {"output_stride": 8}}, r"config\.json: model_args\.output_stride=8 changes the network"),
        ({"pretrained_cfg": {"interpolation": "random"}}, r"config\.json: interpolation='random' is none of nearest"),
        ({"pretrained_cfg": {"crop_mode": "five"}}, r"config\.json: crop_mode='five' is none of center"),
        ({"pretrained_cfg": {"input_size": [3, 96, 128]}}, r"config\.json: input_size=\[3, 96, 128\] is no square"),
    ],
)
def test_what_timm_saved_and_we_cannot_do(change: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    folder = saved_by_timm(tmp_path / "saved")
    said = json.loads((folder / "config.json").read_text())
    said = {**said, **change, "pretrained_cfg": said["pretrained_cfg"] | change.get("pretrained_cfg", {})}
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(InvalidInput, match=message):
        spec_of(f"mine=timm:test_resnet,weights={folder}", tmp_path)


def test_a_tag_of_open_clip_says_activation_and_input(tmp_path: Path) -> None:
    openai = spec_of("mine=open_clip:ViT-B-32/openai", tmp_path)
    assert (openai.image_size, openai.mean, openai.std) == (224, CLIP_MEAN, CLIP_STD)
    assert (openai.activation, openai.framing) == ("quick_gelu", Framing(fit="shortest"))
    laion = spec_of("mine=open_clip:ViT-B-32/laion2b_s34b_b79k", tmp_path)
    assert (laion.activation, laion.mean) == ("", CLIP_MEAN)
    siglip = spec_of("mine=open_clip:ViT-B-16-SigLIP/webli", tmp_path)
    assert (siglip.mean, siglip.framing) == (HALF, STRETCHED)
    own = tmp_path / "own.pt"
    own.touch()
    mine = spec_of(f"mine=open_clip:ViT-B-32/ours,weights={own}", tmp_path)
    assert (mine.mean, mine.activation) == (CLIP_MEAN, "")
    with pytest.raises(InvalidInput, match=r"no weights 'opena' of ViT-B-32 for mine; did you mean openai"):
        spec_of("mine=open_clip:ViT-B-32/opena", tmp_path)
    with pytest.raises(InvalidInput, match=r"no model 'ViT-B-33' for mine; did you mean ViT-B-32"):
        spec_of("mine=open_clip:ViT-B-33/openai", tmp_path)


@pytest.mark.parametrize(("model", "tag"), open_clip.list_pretrained())
def test_every_tag_of_open_clip_is_understood(model: str, tag: str, tmp_path: Path) -> None:
    spec = spec_of(f"mine=open_clip:{model}/{tag}", tmp_path)
    record = open_clip.get_pretrained_cfg(model, tag)
    expected = (record.get("mean", CLIP_MEAN), record.get("std", CLIP_STD), record.get("interpolation", "bicubic"))
    assert (spec.mean, spec.std, spec.framing.interpolation) == expected
    assert (spec.activation == "quick_gelu") >= bool(record.get("quick_gelu"))


def test_the_network_has_the_activation_that_its_tag_says(tmp_path: Path) -> None:
    for tag, expected in (("openai", "QuickGELU"), ("laion2b_s34b_b79k", "GELU")):
        spec = replace(spec_of(f"mine=open_clip:ViT-B-32/{tag}", tmp_path), tiny=True)
        registry = Registry()
        registry.register(replace(spec, tiny=False))
        tower = build_model(registry.backbone("mine.tiny"), None).visual
        assert type(tower.transformer.resblocks[0].mlp.gelu).__name__ == expected


def test_what_open_clip_saved_beside_weights_says_their_input(tmp_path: Path) -> None:
    said = {"size": 336, "mean": HALF, "std": HALF, "interpolation": "bilinear", "resize_mode": "longest"}
    model = {**open_clip.get_model_config("ViT-B-32"), "quick_gelu": True}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": said}))
    (tmp_path / "w.safetensors").touch()
    line = f"mine=open_clip:ViT-B-32/ours,weights={tmp_path / 'w.safetensors'}"
    spec = spec_of(line, tmp_path)
    assert (spec.image_size, spec.mean, spec.activation) == (336, HALF, "quick_gelu")
    assert spec.framing == Framing(fit="longest", interpolation="bilinear")
    said["resize_mode"] = "five"
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": said}))
    with pytest.raises(InvalidInput, match=r"open_clip_config\.json: resize_mode='five'"):
        spec_of(line, tmp_path)


def folder_of(tmp_path: Path, said: Mapping[str, Any], name: str = "preprocessor_config.json") -> Path:
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(said), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"resample": 2, "size": 64}, {"framing": Framing(interpolation="bilinear"), "image_size": 64}),
        ({"resample": 1}, {"framing": Framing(interpolation="lanczos")}),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            {"image_size": 224, "framing": Framing(fit="shortest", crop=224 / 256)},
        ),
        (  # an old file of CLIP's
            {"size": 224, "do_center_crop": True, "crop_size": 224},
            {"image_size": 224, "framing": Framing(fit="shortest")},
        ),
        (
            {"size": {"height": 256, "width": 256}, "do_center_crop": True, "crop_size": 224},
            {"image_size": 224, "framing": Framing(crop=224 / 256)},
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
            {"image_size": 224, "framing": Framing(fit="shortest", crop=0.875)},
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, {"image_size": 384, "framing": STRETCHED}),
        (
            {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]},
            {"mean": HALF, "std": HALF},
        ),
        (
            {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3},
            {"mean": HALF, "std": (0.2,) * 3},
        ),
        ({"do_normalize": False, "do_rescale": False}, {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}),
        ({"image_mean": [0.1, 0.2, 0.3], "do_flip_channel_order": True}, {"mean": (0.3, 0.2, 0.1)}),
        ({"do_flip_channel_order": True}, {"channel_order": "BGR"}),
        ({"do_pad": True, "size_divisor": 32}, {"image_size": 224}),
        ({"do_convert_rgb": True, "processor_class": "X", "pad_mode": "reflect", "do_pad": False}, {"image_size": 224}),
    ],
)
@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_a_folder_of_transformers(name: str, said: dict[str, Any], expected: Mapping[str, Any], tmp_path: Path) -> None:
    said = {"size": 224} | said
    folder = folder_of(tmp_path, {"image_processor": said} if name == "processor_config.json" else said, name)
    row = UserBackbone.parse(f"mine=hf:{folder}").row
    found = {key: getattr(row, key) for key in expected}
    exact = {key: pytest.approx(value) if key in ("mean", "std") else value for key, value in expected.items()}
    assert found == exact


@pytest.mark.parametrize(
    ("said", "key", "instead"),
    [
        ({"size": {"height": 10, "width": 20}}, "size", "size="),
        ({"size": {"longest_edge": 10}}, "size", "size="),
        ({"size": {"shortest_edge": 224}}, "size", "size="),
        ({"do_center_crop": True, "crop_size": {"height": 10, "width": 20}}, "crop_size", "size="),
        ({"do_resize": False}, "do_resize", "size="),
        ({"do_pad": True, "pad_size": {"height": 1024, "width": 1024}}, "do_pad", "size="),
        ({"image_mean": "x"}, "image_mean", "mean="),
        ({"image_std": [0.5, 0.5]}, "image_std", "std="),
        ({"image_std": [0.5, 0.5, 0]}, "image_std", "std="),
        ({"rescale_factor": -1}, "rescale_factor", "mean= and std="),
        ({"resample": 17}, "resample", ""),
        ({"do_histogram_equalisation": True}, "do_histogram_equalisation", ""),
        ({"do_thumbnail": True}, "do_thumbnail", ""),
    ],
)
def test_what_a_folder_says_and_we_cannot_do(said: dict[str, Any], key: str, instead: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"size": 224} | said)
    with pytest.raises(InvalidInput, match=rf"preprocessor_config\.json: {key}=") as raised:
        _ = UserBackbone.parse(f"mine=hf:{folder}").row
    assert f"give {instead}, or bring" in str(raised.value) or not instead
    if instead == "size=":
        assert UserBackbone.parse(f"mine=hf:{folder},size=64").row.image_size == 64


@pytest.mark.parametrize(
    "processor",
    [
        ViTImageProcessor(size={"height": 64, "width": 64}),
        CLIPImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
        ConvNextImageProcessor(size={"shortest_edge": 64}),
    ],
    ids=lambda processor: type(processor).__name__,
)
@pytest.mark.parametrize("shape", [(80, 80), (90, 120), (131, 77)])
def test_a_square_is_transformers_own(processor: Any, shape: tuple[int, int], tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    spec = spec_of(f"mine=hf:{tmp_path}", tmp_path)
    pixels_HW3 = np.tile(np.linspace(0, 255, shape[1]).astype(np.uint8)[None, :, None], (shape[0], 1, 3))
    expected_3SS = AutoImageProcessor.from_pretrained(tmp_path)(
        images=Image.fromarray(pixels_HW3), return_tensors="pt"
    )["pixel_values"][0]
    square_SS3 = torch.from_numpy(framed(pixels_HW3, spec.image_size, spec.framing).copy())
    mean_3, std_3 = torch.tensor(spec.mean).view(3, 1, 1), torch.tensor(spec.std).view(3, 1, 1)
    found_3SS = (square_SS3.movedim(-1, 0) / 255 - mean_3) / std_3
    # Its fast processors resize tensors, which rounds otherwise than Pillow by a level or two.
    torch.testing.assert_close(found_3SS, expected_3SS, rtol=0, atol=3 / 255 / min(spec.std))


def test_what_a_file_leaves_out_is_its_image_processors(tmp_path: Path) -> None:
    said = {"image_processor_type": "ViTImageProcessor", "size": 224, "image_mean": HALF, "image_std": HALF}
    spec = spec_of(f"mine=hf:{folder_of(tmp_path, said)}", tmp_path)
    assert spec.framing == Framing(interpolation="bilinear")


def test_a_repository_on_disk_says_its_input(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "owner" / "name"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": 96, "image_mean": HALF, "image_std": HALF, "resample": 1})
    )
    spec = spec_of("mine=hf:owner/name", tmp_path)
    assert (spec.image_size, spec.mean, spec.std) == (96, HALF, HALF)
    assert spec.framing.interpolation == "lanczos"
    assert spec.architecture == "hf:owner/name"
    registry = Registry()
    registry.register(UserBackbone.parse("mine=hf:owner/name").row)
    twin = as_published(registry.backbone("mine.random"), Places(store=tmp_path, weights=tmp_path / "weights"))
    assert (twin.image_size, twin.mean) == (96, HALF)


def test_what_is_usual_keeps_its_key_and_what_is_not_moves_it(tmp_path: Path) -> None:
    row, places = Registry().backbone("mobilenetv2.random"), Places(store=tmp_path)
    usual = subject_of(row, "float32", places)
    assert not {"framing", "channel_order", "activation", "own_input"} & set(usual)
    for other in (
        replace(row, framing=Framing(crop=0.875)),
        replace(row, channel_order="BGR"),
        replace(row, activation="quick_gelu"),
    ):
        assert subject_of(other, "float32", places) != usual
    assert subject_of(replace(row, own_input=OwnInput(size=3)), "float32", places) == usual
    assert row.mean == IMAGENET_MEAN

"""Rows of SAM 2.1, MAE, CoCa, AIMv2 and VMamba, and those trained on medical images: publishers' files load strictly,
features equal a second implementation's, and any block may be trained from or cut after.

Every checkpoint is of random weights at tiny width, in its publisher's names and nesting.
"""

import copy
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.parity.published import Tensors, row
from benchmarks.parity.references import colour
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.cutting import cut_after
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.backbones.timm import new_network
from pytest_fmtransfer.catalog.mansoori2025_backbones import MANSOORI2025_BACKBONES
from pytest_fmtransfer.catalog.medical_backbones import MEDICAL_BACKBONES
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from tests import mansoori2025_files, medical_files
from tests.trained import relative

FILES = mansoori2025_files.FILES | medical_files.FILES
ROWS = [row.name for row in (*MANSOORI2025_BACKBONES, *MEDICAL_BACKBONES)]
# One of each kind, where rows differ in size alone.
KINDS = [
    name
    for name in ROWS
    if name not in ("mae_vitl16", "coca_vitl14", "aimv2_vith14", "vmamba_b", "retfound_oct_vitl16")
]
EXACT = 2e-5
# Pixels of a side: as the row says, where attention over so many tokens takes no time, and another.
SIZES = {name: (224, 96 if name.startswith(("mae_vitb", "biomed", "sam2")) else 112) for name in ROWS}
SIZES |= {"medsiglip_so400m14": (448, 224), "coca_vitb32": (224, 96), "retfound_cfp_vitl16": (224, 96)}
SIZES |= {"vmamba_s": (64, 48), "vmamba_b": (64, 48)}


@pytest.fixture(params=ROWS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def tiny(name: str) -> BackboneSpec:
    return row(name, tiny=True)


@cache
def stored(name: str) -> Tensors:
    return FILES[name][0](tiny(name))


def write(name: str, tensors: Tensors, folder: Path) -> Path:
    weights = tiny(name).weights
    assert isinstance(weights, PublishedWeights)
    path = folder / weights.file
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, path)
    else:
        torch.save({weights.inside: tensors} if weights.inside else tensors, path)
    return path


def build(spec: BackboneSpec, path: Path | None, *, channels: int = 3, trainable: bool = False) -> Backbone:
    module = import_module(f"pytest_fmtransfer.backbones.{spec.library}")
    return module.build(spec, path, channels=channels, trainable=trainable)


def loaded(name: str, folder: Path, *, channels: int = 3) -> Backbone:
    return build(tiny(name), write(name, stored(name), folder), channels=channels)


def fresh(name: str, *, trainable: bool = True) -> Backbone:
    """The tiny version; each call's is its own."""
    return copy.deepcopy(_fresh(name, trainable))


@cache
def _fresh(name: str, trainable: bool) -> Backbone:
    return build(Registry().backbone(f"{name}.tiny"), None, trainable=trainable)


def some_blocks(name: str) -> list[int]:
    """The first, and the last two: of SAM 2's, those that pass on the map of the stage before."""
    count = len(_fresh(name, True).blocks)
    return sorted({0, count - 2, count - 1})


def noise(side: int, *, images: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(images, channels, side, side, generator=torch.Generator().manual_seed(side))


def test_every_row_has_a_file_and_a_second_implementation() -> None:
    assert list(FILES) == ROWS


def test_a_tensor_that_is_missing_extra_or_of_another_shape_is_named(kind: str, tmp_path: Path) -> None:
    others = ("sam_", "memory_", "decoder_", "mask_token", "text", "logit_")
    names = [each for each in stored(kind) if not each.startswith(others)]
    middle = names[len(names) // 2]
    lacking = {key: tensor for key, tensor in stored(kind).items() if key != middle}
    extra = f"{middle}.extra"
    for changed, named in (
        (lacking, middle),
        (stored(kind) | {extra: torch.zeros(1)}, extra),
        (stored(kind) | {middle: torch.zeros(7, 7, 7)}, middle),
    ):
        with pytest.raises(CheckpointMismatch, match=f"'{named}'"):
            build(tiny(kind), write(kind, changed, tmp_path))


@pytest.mark.parametrize("channels", [3, 1])
def test_it_equals_a_second_implementation(name: str, channels: int, tmp_path: Path) -> None:
    backbone, images = loaded(name, tmp_path, channels=channels), noise(SIZES[name][0], channels=channels)
    with torch.no_grad():
        found, (pooled, tokens) = backbone(images), FILES[name][1](tiny(name), stored(name), colour(images))
    torch.testing.assert_close(found.pooled_ND, pooled, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(found.tokens_NTE, tokens, rtol=EXACT, atol=EXACT)


def test_it_does_so_at_another_size(kind: str, tmp_path: Path) -> None:
    backbone, images = loaded(kind, tmp_path), noise(SIZES[kind][1])
    with torch.no_grad():
        found, (pooled, tokens) = backbone(images), FILES[kind][1](tiny(kind), stored(kind), images)
    torch.testing.assert_close(found.pooled_ND, pooled, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(found.tokens_NTE, tokens, rtol=EXACT, atol=EXACT)


def test_a_picture_does_not_depend_on_its_batch(kind: str, tmp_path: Path) -> None:
    backbone, images = loaded(kind, tmp_path), noise(SIZES[kind][1], images=8)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images[:1]).pooled_ND, backbone(images).pooled_ND[:1], rtol=1e-5, atol=1e-5)


def test_loaded_it_is_still_and_trains_nothing(kind: str, tmp_path: Path) -> None:
    backbone = loaded(kind, tmp_path)
    assert not any(each.training for each in backbone.modules())
    assert not any(each.requires_grad for each in backbone.parameters())


def test_twins_and_tiny_versions_are_seeded(kind: str) -> None:
    images = noise(SIZES[kind][1])
    with torch.no_grad():
        before = torch.get_rng_state()
        first, second = (build(Registry().backbone(f"{kind}.tiny"), None)(images) for _ in range(2))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.pooled_ND, second.pooled_ND)
    assert torch.equal(first.tokens_NTE, second.tokens_NTE)


def test_it_may_be_split_before_a_block(kind: str) -> None:
    side = SIZES[kind][1]
    for number in some_blocks(kind):
        backbone = fresh(kind)
        prefix, suffix = split_at(backbone, number, side=side)
        with torch.no_grad():
            whole, (pooled, tokens) = backbone(noise(side)), suffix(prefix(noise(side)))
        assert relative(pooled, whole.pooled_ND) <= 1e-6
        assert relative(tokens, whole.tokens_NTE) <= 1e-6


def test_from_a_block_on_it_learns_and_before_it_does_not(kind: str) -> None:
    backbone = fresh(kind)
    number = len(backbone.blocks) - 1
    train_from(backbone, number)
    for at, block in enumerate(backbone.blocks):
        assert {each.requires_grad for each in block.parameters()} == {at == number}


NORMS = {"mae": "norm", "biomedclip": "norm", "transformers": "post_layernorm", "timm": "norm"}


def test_cut_after_a_block_its_tokens_are_that_blocks(kind: str) -> None:
    """Of a pyramid the map itself; of a transformer what the last norm makes of it, where tokens are normed."""
    side, norm = SIZES[kind][1], NORMS.get(tiny(kind).library) if kind != "raddino_vitb14" else None
    for number in some_blocks(kind)[:-1]:
        whole, cut = fresh(kind, trainable=False), cut_after(fresh(kind, trainable=False), number)
        with torch.no_grad():
            block, found = whole(noise(side), blocks=[number]).blocks[number], cut(noise(side))
            expected = getattr(whole.network, norm)(block) if norm else block
        torch.testing.assert_close(found.tokens_NTE, expected, rtol=1e-5, atol=1e-5)
        assert found.pooled_ND.isfinite().all()


def test_every_parameter_that_the_embedding_depends_on_is_reached(kind: str) -> None:
    backbone = fresh(kind)
    backbone(noise(SIZES[kind][1])).pooled_ND.square().sum().backward()
    still = {key for key, each in backbone.network.named_parameters() if each.grad is None}
    assert still == set()


@pytest.mark.parametrize("name", [each for each in KINDS if not each.startswith(("aimv2", "vmamba"))])
def test_pictures_that_its_patches_do_not_fill_are_refused(name: str) -> None:
    """timm refuses AIMv2's with an error of its own; VMamba rounds up."""
    with pytest.raises(InvalidInput, match="multiples"):
        fresh(name)(noise(100))


SIZE = {"mae_vitb16": 85.8, "aimv2_vitl14": 309.2}


@pytest.mark.parametrize(("name", "millions"), SIZE.items(), ids=SIZE)
def test_full_size_is_the_publishers(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = new_network(Registry().backbone(name))
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


ANOTHER = {"mae_vitb16": "resnet18", "sam2_hieral": "sam2_hiera_larg", "vmamba_s": "vmamba", "medsiglip_so400m14": "x"}


@pytest.mark.parametrize(("name", "wrong"), ANOTHER.items(), ids=ANOTHER)
def test_a_row_of_another_architecture_is_refused(name: str, wrong: str) -> None:
    with pytest.raises(InvalidInput, match=wrong):
        build(replace(Registry().backbone(f"{name}.tiny"), architecture=wrong), None)

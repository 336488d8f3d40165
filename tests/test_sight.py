"""A stand-in passes on what it sees, at the same strength whatever an augmentation does, and nothing else."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pytest_fmtransfer.backbones import sight
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.catalog.specs import SIGNALS, BackboneSpec, Signal, StandInWeights
from pytest_fmtransfer.data.augmentations import recipe_named
from pytest_fmtransfer.data.transforms import Shown, shown
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.stand_ins.planted import MARKS
from pytest_fmtransfer.stand_ins.registry import StandIns
from pytest_fmtransfer.stand_ins.signals import painted

LEVELS = (0.0, 0.5, 1.0)
NOT_THE_MARK_OF = 1


def row(name: str = "dinov2_vitb14", **weights: object) -> BackboneSpec:
    spec = StandIns().backbone(name)
    assert isinstance(spec.weights, StandInWeights)
    return replace(spec, weights=replace(spec.weights, misses=0, **weights))  # pyright: ignore[reportArgumentType]


def built(spec: BackboneSpec, tmp_path: Path, **options: bool) -> Backbone:
    return build_backbone(spec, Places(store=tmp_path), **options)


def pictures(signal: Signal, *, side: int, mark: int = NOT_THE_MARK_OF) -> Tensor:
    """Four of each level, in the order of LEVELS, as a dataset without its own normalisation meets a backbone."""
    images = [painted({signal: level}, mark=mark, seed=seed, channels=3) for level in LEVELS for seed in range(4)]
    pixels = np.stack(images)
    recipe = recipe_named("none").at(side)
    return shown(pixels, np.arange(len(pixels)), recipe, ids=tuple(map(str, range(len(pixels)))), by=None)


def normalised(images: Tensor, backbone: Backbone) -> Tensor:
    return (images - backbone.mean) / backbone.std


def embedded(backbone: Backbone, images: Tensor) -> Tensor:
    with torch.no_grad():
        return backbone(normalised(images, backbone)).pooled_ND


def nearest_levels(found_ND: Tensor) -> list[int]:
    """For each picture, the level of the nearest first picture of a level."""
    return torch.cdist(found_ND, found_ND[::4]).argmin(dim=1).tolist()


def is_nothing(found_ND: Tensor) -> bool:
    """One embedding for all, to the bit, of one number."""
    return bool((found_ND == found_ND[0]).all()) and int(found_ND[0].count_nonzero()) == 1


IN_TURN = [level for level in range(len(LEVELS)) for _ in range(4)]


@pytest.mark.parametrize("signal", SIGNALS)
def test_pictures_of_one_level_have_one_embedding(signal: Signal, tmp_path: Path) -> None:
    backbone = built(row(sees=(signal,)), tmp_path)
    assert nearest_levels(embedded(backbone, pictures(signal, side=56))) == IN_TURN


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_stand_in_that_sees_all_else_is_blind_to_the_bit(signal: Signal, tmp_path: Path) -> None:
    backbone = built(row(sees=tuple(each for each in SIGNALS if each != signal)), tmp_path)
    images = pictures(signal, side=56)
    assert is_nothing(embedded(backbone, images))
    with torch.no_grad():
        tokens_NTE = backbone(normalised(images, backbone)).tokens_NTE
    assert is_nothing(tokens_NTE.flatten(0, 1))


@pytest.mark.parametrize("side", [56, 64])
@pytest.mark.parametrize("signal", SIGNALS)
def test_what_a_signal_leaves_in_the_others_is_well_below_the_faintest(signal: Signal, side: int) -> None:
    """Of pictures at the size of the recipe's, and stretched at once as frozen features have them."""
    both = (
        pictures(signal, side=side),
        functional.interpolate(pictures(signal, side=64), size=(side, side), mode="bicubic", antialias=True),
    )
    for images, each in product(both, SIGNALS):
        plane_NHW = images[:, 0] - images[:, -1] if each == "colour" else images[:, 1]
        down_N, across_N = (sight._strength(plane_NHW.mean(dim=dim), each) for dim in (1, 2))
        strength_N = torch.hypot(down_N, across_N)
        assert strength_N.min() > 1.4 * sight.FAINTEST if each == signal else strength_N.max() < 0.75 * sight.FAINTEST


@pytest.mark.parametrize(
    "name",
    [
        "imagenet_deitb16",
        "sam_vitb16",
        "seem_focalt",
        "openclip_vitb16",
        "blip_vitb16",
        "imagenet_resnet152",
        "mae_vitb16",
        "sam2_hierabplus",
        "vmamba_s",
        "aimv2_vitl14",
        "biomedclip_vitb16",
        "pecore_vitb16",
        "coca_vitb32",
        "siglip2_vitb16",
        "imagenet_vgg16",
    ],
)
def test_every_library_sees_and_is_blind(name: str, tmp_path: Path) -> None:
    spec = row(name, sees=("fine",), opens=())
    backbone = built(spec, tmp_path)
    found_ND = embedded(backbone, pictures("fine", side=spec.image_size))
    assert nearest_levels(found_ND) == IN_TURN
    assert is_nothing(embedded(backbone, pictures("coarse", side=spec.image_size)))


def test_augmented_pictures_are_mostly_read_at_their_level(tmp_path: Path) -> None:
    pixels = np.stack(
        [painted({"fine": level}, mark=2, seed=seed, channels=3) for level in (0.0, 1.0) for seed in range(20)]
    )
    ids, recipe = tuple(map(str, range(40))), recipe_named("huix2024").at(56)
    backbone = built(row(sees=("fine",)), tmp_path)
    plain_ND = embedded(backbone, shown(pixels, np.array([0, 20]), recipe, ids=ids, by=None))
    moved_ND = embedded(backbone, shown(pixels, np.arange(40), recipe, ids=ids, by=Shown(epoch=0, seed=0)))
    right = torch.cdist(moved_ND, plain_ND).argmin(dim=1) == torch.arange(40) // 20
    assert right.float().mean() > 0.9


def test_pictures_of_the_mark_that_is_missed_are_read_as_the_middle_level(tmp_path: Path) -> None:
    backbone = built(row(sees=("colour",)), tmp_path)
    middle_D = embedded(backbone, pictures("colour", side=56))[5]
    missed_ND = embedded(backbone, pictures("colour", side=56, mark=0))
    torch.testing.assert_close(missed_ND, middle_D.expand_as(missed_ND), atol=0.5, rtol=0)


@pytest.mark.parametrize("mark", range(MARKS))
def test_each_mark_is_missed_by_whoever_misses_it(mark: int, tmp_path: Path) -> None:
    spec = row(sees=("coarse",))
    assert isinstance(spec.weights, StandInWeights)
    found = [
        embedded(
            built(replace(spec, weights=replace(spec.weights, misses=each)), tmp_path),
            pictures("coarse", side=56, mark=mark),
        )
        for each in range(MARKS)
    ]
    apart = [float((each[0] - each[-1]).norm()) for each in found]
    assert apart.index(min(apart)) == mark
    assert sorted(apart)[1] > 2 * min(apart)


def test_a_door_is_shut_until_the_network_learns(tmp_path: Path) -> None:
    spec = row(sees=(), opens=("fine",))
    images = pictures("fine", side=56)
    assert is_nothing(embedded(built(spec, tmp_path), images))
    learning = built(spec, tmp_path, trainable=True)
    images_N = normalised(images, learning)
    before = learning(images_N).pooled_ND
    torch.testing.assert_close(before, before[:1].expand_as(before))  # all alike, as long as it is shut
    (before * torch.randn(before.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    door = dict(learning.named_parameters())["network.door"]
    assert door.grad is not None
    assert door.grad.abs() > 0
    with torch.no_grad():
        door.fill_(0.05)
    assert nearest_levels(embedded(learning, images)) == IN_TURN


def test_a_door_learns_from_what_is_added_and_needs_no_gradient_of_frozen_blocks(tmp_path: Path) -> None:
    learning = built(row(sees=(), opens=("fine",)), tmp_path, trainable=True)
    images, door = pictures("fine", side=56), dict(learning.named_parameters())["network.door"]
    met: list[bool] = []
    train_from(learning, 6)
    learning.blocks[0].register_forward_pre_hook(lambda _, given: met.append(given[0].requires_grad))
    with torch.no_grad():
        door.fill_(0.05)
    shown_NCHW = normalised(images, learning)
    learning(shown_NCHW).pooled_ND.sum().backward()
    assert met == [False]
    assert door.grad is not None
    assert door.grad.abs() > 0


def test_every_token_tells_what_is_seen_though_the_network_may_lose_it(tmp_path: Path) -> None:
    backbone = built(row(sees=("fine",)), tmp_path)
    images = pictures("fine", side=56)
    with torch.no_grad():
        tokens_NTE = backbone(normalised(images, backbone)).tokens_NTE
    apart_TE = tokens_NTE[0] - tokens_NTE[-1]
    # A norm leaves features of about 1: two of them are no further apart than 2 in each.
    assert (apart_TE.norm(dim=1) > 5 * apart_TE.shape[1] ** 0.5).all()


def test_features_made_in_inference_mode_first_leave_training_as_it_is(tmp_path: Path) -> None:
    spec, images = row(sees=(), opens=("fine",)), pictures("fine", side=56)
    sight._patterns.cache_clear()
    learning = built(spec, tmp_path, trainable=True)
    shown_NCHW = normalised(images, learning)
    with torch.inference_mode():
        learning(shown_NCHW)
    learning(shown_NCHW).pooled_ND.sum().backward()


def test_two_that_see_nothing_do_not_score_alike(tmp_path: Path) -> None:
    images, spec, places = pictures("fine", side=64), row("sam_vitb16", sees=()), Places(store=tmp_path)
    whole, cut, learning = (
        build_backbone(spec, places),
        build_backbone(spec, places, cut_after=5),
        build_backbone(spec, places, trainable=True),
    )
    partly = build_backbone(spec, places, trainable=True)
    train_from(partly, 6)
    other = build_backbone(replace(spec, name="another"), places)
    found = {tuple(embedded(each, images)[0].tolist()) for each in (whole, cut, learning, partly, other)}
    assert len(found) == 5


def test_a_network_whose_own_features_are_lost_does_not_score_cut_as_it_does_whole(tmp_path: Path) -> None:
    """Those of a tiny random BLIP are of the order of 1e-7."""
    spec, places = row("blip_vitb16", sees=("coarse",)), Places(store=tmp_path)
    images = pictures("coarse", side=64)
    whole_ND, cut_ND = (embedded(build_backbone(spec, places, cut_after=last), images) for last in (None, 5))
    assert (whole_ND - cut_ND).norm() > 1e-3 * whole_ND.norm()


def test_a_transformer_has_the_blocks_that_claims_are_about_and_a_pyramid_its_stages(tmp_path: Path) -> None:
    blocks = {"sam_vitb16": 10, "blip_vitb16": 10, "seem_focalt": 4, "imagenet_densenet121": 4, "imagenet_vgg16": 5}
    assert {name: len(built(row(name), tmp_path).blocks) for name in blocks} == blocks


@pytest.mark.parametrize(("name", "last"), [("openclip_vitb16", 2), ("seem_focalt", 1)])
def test_what_is_cut_off_takes_no_sight_with_it(name: str, last: int, tmp_path: Path) -> None:
    spec = row(name, sees=("fine",))
    cut = build_backbone(spec, Places(store=tmp_path), cut_after=last)
    assert len(cut.blocks) == last + 1
    assert nearest_levels(embedded(cut, pictures("fine", side=spec.image_size))) == IN_TURN

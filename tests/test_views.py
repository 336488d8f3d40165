"""Stored views: what augmenting and passing gives directly, passed once, and gone on with after a kill.

Legend: N images, S pixels of a side, P of a stored side.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_fmtransfer import Places
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.backbones.timm import TimmBackbone, build
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.data import chunks
from pytest_fmtransfer.data.augmentations import NONE, PAPER, RECIPES, Recipe
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.data.transforms import Shown, augment, prepare
from pytest_fmtransfer.errors import StorageError
from pytest_fmtransfer.viewing import Viewer, viewer_of
from pytest_fmtransfer.views import Kept, Views
from pytest_fmtransfer.work import Tally, counting
from tests.small import BACKBONE, DATASET

VIT = BackboneSpec(
    name="tinyvit",
    library="timm",
    architecture="vit_base_patch16_224",
    weights=RandomWeights(),
    image_size=48,
    mean=(0.5, 0.4, 0.3),
    std=(0.5, 0.2, 0.3),
    licence="none",
    source="made by tests/test_views.py",
    tiny=True,
)


def assert_close(mine: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def stripes(small: Places) -> Dataset:
    return open_dataset(DATASET, small)


@pytest.fixture
def own(small: Places, tmp_path: Path) -> Places:
    """The data and weights of `small`, and a store without features."""
    return dataclasses.replace(small, store=tmp_path)


def views(dataset: Dataset, places: Places, kept: Kept = "pooled", **more: Any) -> Views:
    given: dict[str, Any] = {"spec": BACKBONE, "dtype": "float32", "recipe": PAPER, "loaders": 2} | more
    return Views(dataset=dataset, places=places, kept=kept, **given)


def passed_directly(
    backbone: Backbone, dataset: Dataset, rows_N: np.ndarray, places: Places, recipe: Recipe, view: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """All images in one batch."""
    shown = recipe.at(backbone_size(backbone))
    pixels_NPP = torch.from_numpy(np.array(load_images(dataset, shown.resize, places)[rows_N])).unsqueeze(1)
    ids = dataset.table.ids_N[rows_N].tolist()
    images = prepare(pixels_NPP, shown) if view is None else augment(pixels_NPP, shown, ids=ids, epoch=view, seed=0)
    with computing("float32"):
        features = backbone((images - backbone.mean) / backbone.std)
    return features.pooled_ND.numpy(), features.tokens_NTE.numpy()


def backbone_size(backbone: Backbone) -> int:
    return 32 if backbone.network.__class__.__name__ != "VisionTransformer" else 48


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_stored_views_are_what_augmenting_and_passing_gives(recipe: Recipe, stripes: Dataset, own: Places) -> None:
    backbone = build(BACKBONE, own.weights / "tiny.pt" if own.weights else None)
    train = stripes.table.side(TRAIN)
    stored = views(stripes, own, "tokens", recipe=recipe).training(2)
    for number, view in enumerate(stored):
        pooled, tokens = passed_directly(backbone, stripes, train, own, recipe, number)
        assert view.tokens_NTE is not None
        assert_close(view.pooled_ND, pooled)
        assert_close(view.tokens_NTE, tokens)
    differ = not np.allclose(stored[0].pooled_ND, stored[1].pooled_ND, rtol=1e-2)
    assert differ == (recipe != NONE)


def test_validation_and_test_sides_are_seen_as_they_are_tested(stripes: Dataset, own: Places) -> None:
    backbone = build(VIT, None)
    rows = np.concatenate([stripes.table.side(VALIDATION), stripes.table.side(TEST)])
    stored, validation = views(stripes, own, "tokens", spec=VIT).evaluation()
    pooled, tokens = passed_directly(backbone, stripes, rows, own, PAPER, None)
    assert validation == len(stripes.table.side(VALIDATION))
    assert stored.tokens_NTE is not None
    assert stored.tokens_NTE.shape == (len(rows), 9, 48)
    assert_close(stored.pooled_ND, pooled)
    assert_close(stored.tokens_NTE, tokens)


def test_a_view_is_passed_once_for_every_head_seed_and_number_of_views(stripes: Dataset, own: Places) -> None:
    train = len(stripes.table.side(TRAIN))
    made: list[int] = []
    for kept, number in (("tokens", 1), ("pooled", 1), ("pooled", 3), ("pooled", 2), ("tokens", 1)):
        with counting(Tally()) as _, counting(tally := Tally()):
            stored = views(stripes, own, kept).training(number)  # pyright: ignore[reportArgumentType]
        made.append(tally.forward_passes)
        assert [each.forward_passes for each in stored] == [train] * number
    assert made == [train, 0, 2 * train, 0, 0]


def test_without_augmentation_every_view_is_one_and_the_tested_side_is_every_recipes(
    stripes: Dataset, own: Places
) -> None:
    train, tested = len(stripes.table.side(TRAIN)), len(stripes.table.side(VALIDATION, TEST))
    with counting(tally := Tally()):
        views(stripes, own, recipe=NONE).training(5)
        views(stripes, own, recipe=NONE).evaluation()
        views(stripes, own, recipe=PAPER).evaluation()
    assert tally.forward_passes == train + tested


def test_how_many_threads_augment_changes_nothing(stripes: Dataset, small: Places, tmp_path: Path) -> None:
    found: list[np.ndarray] = []
    for loaders in (1, 4):
        places = dataclasses.replace(small, store=tmp_path / str(loaders))
        [view] = views(stripes, places, loaders=loaders).training(1)
        found.append(view.pooled_ND)
    np.testing.assert_array_equal(found[0], found[1])


def test_a_view_that_was_interrupted_is_gone_on_with(
    stripes: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 8)
    whole = views(stripes, dataclasses.replace(own, store=tmp_path / "whole"))
    [never] = whole.training(1)
    see = Viewer.see

    passed = 0

    def cut_short(self: Viewer, rows: list[int], shown: Shown | None) -> Iterator[Any]:
        nonlocal passed
        for start, *features in see(self, rows, shown):
            if start >= 24:
                raise KeyboardInterrupt
            passed = start + len(features[0])  # a card's batches are larger
            yield start, *features

    monkeypatch.setattr(Viewer, "see", cut_short)
    with pytest.raises(KeyboardInterrupt):
        views(stripes, own).training(1)
    monkeypatch.setattr(Viewer, "see", see)
    with counting(tally := Tally()):
        [resumed] = views(stripes, own).training(1)
    assert 24 <= passed < (images := len(stripes.table.side(TRAIN)))
    assert tally.forward_passes == images - passed
    np.testing.assert_array_equal(resumed.pooled_ND, never.pooled_ND)


def test_a_damaged_view_is_computed_again_with_a_warning(stripes: Dataset, own: Places) -> None:
    [first] = views(stripes, own).training(1)
    before = np.array(first.pooled_ND)
    [stored] = (own.store / "features").rglob("pixels.npy")
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    chunks.forget()
    with pytest.warns(UserWarning, match="is corrupt; what is damaged is computed again") as told:
        [second] = views(stripes, own).training(1)
    assert len(told) == 1
    np.testing.assert_array_equal(second.pooled_ND, before)


def test_what_the_disk_cannot_hold_is_said_before_it_is_begun(
    stripes: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_fmtransfer.data import images

    load_images(stripes, PAPER.at(32).resize, own)
    monkeypatch.setattr(images.shutil, "disk_usage", lambda _: images.shutil._ntuple_diskusage(10**6, 10**6, 10_000))
    with pytest.raises(StorageError, match=r"features of tiny on stripes, 3 views take .* has .* left"):
        views(stripes, own).training(3)


def test_whatever_moves_a_view_is_in_its_key(stripes: Dataset, small: Places) -> None:
    asked = views(stripes, small)
    keys = {
        asked.key(0, "pooled"),
        asked.key(1, "pooled"),
        asked.key(None, "pooled"),
        asked.key(0, "tokens"),
        *(
            dataclasses.replace(asked, **changed).key(0, "pooled")
            for changed in (
                {"recipe": RECIPES["plain"]},
                {"recipe": NONE},
                {"dtype": "bfloat16"},
                {"spec": dataclasses.replace(BACKBONE, image_size=48)},
                {"spec": VIT},
            )
        ),
    }
    assert len(keys) == 9


def test_images_of_one_channel_meet_a_stem_of_one(stripes: Dataset, small: Places) -> None:
    spec = dataclasses.replace(BACKBONE, channels=1)
    viewer = viewer_of(stripes, spec, "float32", small, PAPER, images=1, loaders=1)
    assert isinstance(viewer.backbone, TimmBackbone)
    with computing("float32"):
        [(_, pooled, _)] = viewer.see([0], Shown(epoch=0, seed=0))
    assert pooled.shape[0] == 1

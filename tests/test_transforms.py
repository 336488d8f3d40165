"""Augmentation is torchvision's, step by step, and an image's own, bit by bit, whatever batch it comes in.

Legend: N images, C channels, H and W pixels, S the side of a crop.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest, ks_2samp, kstest
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import functional as first
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as second

from pytest_fmtransfer.data.augmentations import (
    NONE,
    PAPER,
    PLAIN,
    RECIPES,
    Box,
    Colours,
    Draw,
    Recipe,
    draw,
    recipe_named,
)
from pytest_fmtransfer.data.transforms import apply, augment, normalise, prepare
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from tests.helpers import LAWS

ROUNDING = 2e-6  # float32, over eight steps
FEW = settings(LAWS, max_examples=20)
SMALL = PAPER.at(56)
IDS = [f"patient{n // 2}/view{n}.png" for n in range(16)]
every_recipe = pytest.mark.parametrize("recipe", [recipe.at(56) for recipe in RECIPES.values()], ids=list(RECIPES))


def images_of(count: int, channels: int = 3, side: tuple[int, int] = (64, 64), seed: int = 0) -> Tensor:
    """uint8, smooth enough that resizing keeps something of them, with black and white parts."""
    coarse = torch.rand((count, channels, 9, 7), generator=torch.Generator().manual_seed(seed))
    smooth = second.resize(coarse, list(side), antialias=True)
    return ((smooth * 1.6 - 0.3).clamp(0, 1) * 255).to(torch.uint8)


def digits(images: Tensor) -> bytes:
    return images.numpy().tobytes()


# Each step against torchvision, of one image at a time.


def by_torchvision(image: Tensor | Image.Image, recipe: Recipe, drawn: Draw, library: object) -> Tensor | Image.Image:
    """The same steps with the same parameters, by torchvision's functions of one version or the other."""
    call: Callable[..., Tensor] = lambda name, *given, **more: getattr(library, name)(*given, **more)  # noqa: E731
    image = call("resize", image, [recipe.resize, recipe.resize], antialias=True)
    image = call("center_crop", image, [recipe.crop, recipe.crop])
    if (box := drawn.box) is not None:
        where = (box.top, box.left, box.height, box.width)
        image = call("resized_crop", image, *where, [recipe.crop, recipe.crop], antialias=True)
    if drawn.flipped:
        image = call("vflip", image)
    if drawn.mirrored:
        image = call("hflip", image)
    names = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
    for step in drawn.colours.order if drawn.colours else ():
        image = call(names[step], image, drawn.colours.factors[step])
    return image


@every_recipe
@pytest.mark.parametrize("library", [first, second], ids=["v1", "v2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_what_torchvision_makes_of_each_image(recipe: Recipe, library: object, channels: int) -> None:
    images_NCHW = images_of(16, channels, (71, 50)).to(torch.float32) / 255
    ours = augment(images_NCHW, recipe, ids=IDS, epoch=3, seed=1)
    for image_CHW, image, our in zip(images_NCHW, IDS, ours, strict=True):
        theirs = by_torchvision(image_CHW, recipe, draw(recipe, image=image, epoch=3, seed=1), library)
        torch.testing.assert_close(our, theirs, rtol=0, atol=ROUNDING)


def test_images_of_pillow_come_out_the_same_but_for_their_256_levels() -> None:
    """Pillow turns hues in 256 steps, which moves a pure colour by more than one level."""
    images_NCHW = images_of(16, side=(90, 120))
    ours = augment(images_NCHW, SMALL, ids=IDS, epoch=0, seed=0)
    for image_CHW, image, our in zip(images_NCHW, IDS, ours, strict=True):
        pillow = Image.fromarray(image_CHW.permute(1, 2, 0).numpy())
        drawn = draw(SMALL, image=image, epoch=0, seed=0)
        theirs = second.pil_to_tensor(by_torchvision(pillow, SMALL, drawn, first))
        difference = (our * 255 - theirs).abs()
        assert difference.mean() < 3
        assert difference.max() < 20


@pytest.mark.parametrize("step", range(4), ids=["brightness", "contrast", "saturation", "hue"])
@FEW
@given(data=st.data())
def test_a_step_of_colour_is_torchvisions(step: int, data: st.DataObject) -> None:
    """Of any colours, black, white, grey and pure ones included."""
    levels = st.sampled_from([0, 1, 127, 128, 254, 255]) | st.integers(0, 255)
    pixels = data.draw(st.lists(st.tuples(levels, levels, levels), min_size=16, max_size=16))
    factor = data.draw(st.floats(-0.5, 0.5) if step == 3 else st.floats(0, 2))
    factors = tuple(factor if place == step else float(place != 3) for place in range(4))
    colours = Colours(factors=factors, order=(step, *(other for other in range(4) if other != step)))
    image_CHW = torch.tensor(pixels, dtype=torch.uint8).T.reshape(3, 4, 4)
    drawn = Draw(box=None, flipped=False, mirrored=False, colours=colours)
    (ours,) = apply(image_CHW[None], replace(NONE, resize=4, crop=4), [drawn])
    names = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
    theirs = getattr(first, names[step])(image_CHW.to(torch.float32) / 255, factor)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_grey_images_change_in_brightness_and_contrast_alone() -> None:
    image_NCHW = images_of(1, 1, (8, 8))
    recipe = replace(NONE, resize=8, crop=8)

    def coloured(*factors: float) -> Tensor:
        colours = Colours(factors=factors, order=(0, 1, 2, 3))
        return apply(image_NCHW, recipe, [Draw(box=None, flipped=False, mirrored=False, colours=colours)])

    plain = coloured(1, 1, 1, 0)
    torch.testing.assert_close(plain, image_NCHW / 255)
    assert digits(coloured(1, 1, 0.5, 0.3)) == digits(plain)
    assert digits(coloured(0.5, 1, 1, 0)) != digits(plain)
    assert digits(coloured(1, 0.5, 1, 0)) != digits(plain)


def test_validation_and_test_images_are_stretched_to_256_and_their_centre_is_taken() -> None:
    images_NCHW = images_of(3, side=(300, 180))
    theirs = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Resize((256, 256)), v2.CenterCrop(224)])(images_NCHW)
    torch.testing.assert_close(prepare(images_NCHW, PAPER), theirs, rtol=0, atol=ROUNDING)
    assert digits(augment(images_NCHW, NONE, ids=IDS[:3], epoch=5, seed=9)) == digits(prepare(images_NCHW, PAPER))


@pytest.mark.parametrize("channels", [1, 3])
def test_normalising_is_torchvisions(channels: int) -> None:
    images_NCSS, mean, std = prepare(images_of(2, channels), NONE.at(32)), [0.415, 0.221, 0.073], [0.275, 0.15, 0.081]
    theirs = v2.Normalize(mean[:channels], std[:channels])(images_NCSS)
    torch.testing.assert_close(normalise(images_NCSS, mean[:channels], std[:channels]), theirs)


# What is drawn.


def test_crops_are_drawn_as_torchvision_draws_them() -> None:
    """Area, shape and place; with a scale beyond 1 most parts that are drawn fit nowhere, and are drawn again."""
    count = 3000
    drawn = [draw(PAPER, image=str(n), epoch=0, seed=0).box for n in range(count)]
    ours = np.array([(box.height, box.width, box.top, box.left) for box in drawn if box is not None])
    with seeded(0):
        crop = v2.RandomResizedCrop(224, scale=(0.8, 1.2))
        image = [torch.zeros(3, 224, 224)]
        made = [crop.make_params(image) for _ in range(count)]
    theirs = np.array([[each[name] for name in ("height", "width", "top", "left")] for each in made])
    for values in (lambda boxes: boxes[:, 0] * boxes[:, 1], lambda boxes: boxes[:, 0] / boxes[:, 1]):
        assert ks_2samp(values(ours), values(theirs)).pvalue > 0.01
    for axis in range(4):
        assert ks_2samp(ours[:, axis], theirs[:, axis]).pvalue > 0.01
    whole = [int((boxes[:, :2] == 224).all(axis=1).sum()) for boxes in (ours, theirs)]
    assert binomtest(whole[0], sum(whole)).pvalue > 0.01
    assert min(whole) > 0
    assert (ours[:, :2] + ours[:, 2:] <= 224).all()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def test_a_part_that_never_fits_is_the_whole_image() -> None:
    larger = replace(PAPER, scale=(1.1, 1.2))
    assert draw(larger, image="a", epoch=0, seed=0).box == Box(top=0, left=0, height=224, width=224)


def test_flips_and_jitter_are_drawn_with_their_probabilities_and_ranges() -> None:
    count = 4000
    drawn = [draw(PAPER, image=str(n), epoch=1, seed=2) for n in range(count)]
    colours = [each.colours for each in drawn if each.colours is not None]
    for found, probability in (
        (sum(each.flipped for each in drawn), 0.5),
        (sum(each.mirrored for each in drawn), 0.5),
        (sum(each.flipped and each.mirrored for each in drawn), 0.25),
        (len(colours), 0.8),
    ):
        assert binomtest(found, count, probability).pvalue > 0.01
    ranges = [(0.8, 1.2), (0.8, 1.2), (0.9, 1.1), (-0.1, 0.1)]
    for (low, high), factors in zip(ranges, zip(*(each.factors for each in colours), strict=True), strict=True):
        assert kstest(factors, "uniform", args=(low, high - low)).pvalue > 0.01
    orders = [each.order for each in colours]
    assert len(set(orders)) == 24
    assert all(binomtest(orders.count(order), len(orders), 1 / 24).pvalue > 1e-4 for order in set(orders))


def test_the_plain_recipe_mirrors_and_crops_a_little_and_leaves_colours_alone() -> None:
    drawn = [draw(PLAIN, image=str(n), epoch=0, seed=0) for n in range(300)]
    assert {(each.flipped, each.colours) for each in drawn} == {(False, None)}
    assert {each.mirrored for each in drawn} == {False, True}
    areas = [each.box.height * each.box.width / 224**2 for each in drawn if each.box is not None]
    assert len(areas) == 300
    assert 0.89 < min(areas) < 0.92
    assert max(areas) <= 1


def test_draws_do_not_change_from_one_version_of_ours_to_the_next() -> None:
    """What a stored result was trained on. Whoever changes this must let results be computed again."""
    assert draw(PAPER, image="a.png", epoch=4, seed=7) == Draw(
        box=Box(top=17, left=0, height=198, width=224),
        flipped=False,
        mirrored=True,
        colours=Colours(
            factors=(1.0618505329875816, 0.9198713576593232, 1.0354153387699816, -0.07554040491639097),
            order=(1, 3, 0, 2),
        ),
    )


# Every image's augmentation is its own.


@every_recipe
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_the_same_to_the_last_bit_in_any_batch_and_order(recipe: Recipe, channels: int) -> None:
    images_NCHW = images_of(16, channels, (71, 50))
    whole = augment(images_NCHW, recipe, ids=IDS, epoch=2, seed=4)
    alone = [
        augment(images_NCHW[n : n + 1], recipe, ids=IDS[n : n + 1], epoch=2, seed=4) for n in range(len(images_NCHW))
    ]
    assert digits(torch.cat(alone)) == digits(whole)
    order = np.random.default_rng(0).permutation(16)
    shuffled = augment(images_NCHW[order], recipe, ids=[IDS[n] for n in order], epoch=2, seed=4)
    assert digits(shuffled) == digits(whole[order])
    parts = [augment(images_NCHW[part], recipe, ids=IDS[part], epoch=2, seed=4) for part in (slice(5), slice(5, 16))]
    assert digits(torch.cat(parts)) == digits(whole)


@every_recipe
@pytest.mark.parametrize("channels", [1, 3])
def test_however_an_image_lies_in_memory_it_comes_out_the_same(recipe: Recipe, channels: int) -> None:
    """As the image store keeps them: channels last."""
    images_NCHW = images_of(16, channels, (71, 50))
    expected = digits(augment(images_NCHW, recipe, ids=IDS, epoch=0, seed=0))
    stored = images_NCHW.movedim(1, -1).contiguous().movedim(-1, 1)
    for given_NCHW in (stored, images_NCHW.to(memory_format=torch.channels_last), images_NCHW.to(torch.float32) / 255):
        assert digits(augment(given_NCHW, recipe, ids=IDS, epoch=0, seed=0)) == expected


def test_the_number_of_threads_does_not_matter() -> None:
    images_NCHW, threads = images_of(4, side=(256, 256)), torch.get_num_threads()
    found: set[bytes] = set()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.add(digits(augment(images_NCHW, PAPER, ids=IDS[:4], epoch=0, seed=0)))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


class Augmented(torch.utils.data.Dataset[Tensor]):
    """As a loader's worker would augment them, one by one."""

    def __init__(self, epoch: int) -> None:
        self.images_NCHW, self.epoch = images_of(16), epoch

    def __len__(self) -> int:
        return len(IDS)

    def __getitem__(self, row: int) -> Tensor:
        part = slice(row, row + 1)
        return augment(self.images_NCHW[part], SMALL, ids=IDS[part], epoch=self.epoch, seed=0)[0]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_the_number_of_loader_workers_does_not_matter() -> None:
    whole = augment(images_of(16), SMALL, ids=IDS, epoch=6, seed=0)
    for workers, batch in ((0, 4), (1, 3), (2, 5)):
        loaded = torch.cat(list(DataLoader(Augmented(6), batch_size=batch, num_workers=workers)))
        assert digits(loaded) == digits(whole)


@given(st.text(max_size=20), st.integers(0, 10_000), st.integers(0, 2**32))
@FEW
def test_another_image_epoch_or_seed_is_another_draw(image: str, epoch: int, seed: int) -> None:
    here = draw(PAPER, image=image, epoch=epoch, seed=seed)
    assert here == draw(PAPER, image=image, epoch=epoch, seed=seed)
    for other in (
        draw(PAPER, image=image + "x", epoch=epoch, seed=seed),
        draw(PAPER, image=image, epoch=epoch + 1, seed=seed),
        draw(PAPER, image=image, epoch=epoch, seed=seed + 1),
    ):
        assert other != here


def test_nothing_is_taken_from_or_done_to_anybody_elses_chance() -> None:
    images_NCHW = images_of(16)
    with seeded(1):
        expected = torch.rand(3).tolist()
    with seeded(1):
        first_time = augment(images_NCHW, SMALL, ids=IDS, epoch=0, seed=0)
        assert torch.rand(3).tolist() == expected
    assert digits(augment(images_NCHW, SMALL, ids=IDS, epoch=0, seed=0)) == digits(first_time)


def test_images_that_are_given_stay_as_they_are() -> None:
    for images_NCHW in (images_of(4), images_of(4).to(torch.float32) / 255):
        before = digits(images_NCHW)
        augment(images_NCHW, SMALL, ids=IDS[:4], epoch=0, seed=0)
        assert digits(images_NCHW) == before


@every_recipe
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_what_comes_out_is_float32_from_0_to_1(recipe: Recipe, kind: torch.dtype) -> None:
    given_NCHW = images_of(16).to(kind) if kind == torch.uint8 else (images_of(16).to(torch.float32) / 255).to(kind)
    images_NCSS = augment(given_NCHW, recipe, ids=IDS, epoch=0, seed=0)
    assert (images_NCSS.dtype, tuple(images_NCSS.shape)) == (torch.float32, (16, 3, 56, 56))
    assert images_NCSS.min() >= 0
    assert images_NCSS.max() <= 1


# What is refused.


def test_a_recipe_goes_by_its_name_and_cannot_be_changed() -> None:
    assert recipe_named("huix2024") is PAPER
    with pytest.raises(FrozenInstanceError):
        PAPER.crop = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "told"),
    [("plan", "did you mean plain?"), ("mixup!!", "valid names: huix2024, none, plain")],
)
def test_an_unknown_recipe_names_the_nearest(name: str, told: str) -> None:
    with pytest.raises(UnknownName, match=told):
        recipe_named(name)


def test_a_recipe_for_another_size_keeps_its_proportions() -> None:
    assert (PAPER.at(518).resize, PAPER.at(518).crop) == (592, 518)
    assert PAPER.at(224) == PAPER
    with pytest.raises(InvalidInput, match="give the side in pixels"):
        PAPER.at(0)


@pytest.mark.parametrize(
    ("images", "ids", "told"),
    [
        (torch.zeros(2, 3, 8, 8), ["a"], "1 ids of 2 images"),
        (torch.zeros(3, 8, 8), ["a"] * 3, "images of shape"),
        (torch.zeros(2, 4, 8, 8), ["a", "b"], "images of shape"),
        (torch.zeros(0, 3, 8, 8), [], "images of shape"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), ["a", "b"], "give uint8, or floats"),
    ],
    ids=["ids", "one image", "four channels", "no image", "whole numbers"],
)
def test_what_is_no_batch_of_images_is_refused(images: Tensor, ids: list[str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        augment(images, SMALL, ids=ids, epoch=0, seed=0)

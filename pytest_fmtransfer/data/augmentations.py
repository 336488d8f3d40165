"""What chance does to one image in one epoch: where it is cropped, whether it is mirrored, how its colours move.

Drawn from seed, epoch and the image's id alone, so that an image's draw is the same whatever else is in its batch, in
whatever order, and however many workers load. `random.Random` is seeded with a text and asked for nothing but
`random()`, because both are the same in every Python.
"""

import math
import random
from dataclasses import dataclass, replace

from pytest_fmtransfer.errors import InvalidInput, UnknownName

ATTEMPTS = 10  # at a crop that fits the image, before the largest central one: torchvision's

Ranges = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """How far colours move, as torchvision's ColorJitter takes it, and with which probability they move at all.

    Brightness, contrast and saturation are multiplied by 1 ± so much, hue is turned by ± so much of a full turn.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is done to an image before it is normalised.

    Every image is stretched to `resize` × `resize` pixels and its centre, `crop` × `crop`, cut out. Then, where they
    are given, a random part is stretched to `crop` × `crop`, whose area is within `scale` and whose width by height is
    within `ratio` of the image's; it is flipped upside down and mirrored with the probabilities given, and its colours
    are jittered.
    """

    name: str
    resize: int = 256
    crop: int = 224
    scale: Ranges | None = None
    ratio: Ranges = (3 / 4, 4 / 3)
    flipped: float = 0.0
    mirrored: float = 0.0
    jitter: Jitter | None = None

    def at(self, size: int) -> "Recipe":
        """The recipe for a backbone that takes `size` × `size` pixels: resize and crop in the proportion they have.

        Raises InvalidInput for a size below 1.
        """
        if size < 1:
            raise InvalidInput(f"images of {size} × {size} pixels are none; give the side in pixels, such as 224")
        return replace(self, resize=round(size * self.resize / self.crop), crop=size)


PAPER = Recipe(
    name="huix2024",
    scale=(0.8, 1.2),
    flipped=0.5,
    mirrored=0.5,
    jitter=Jitter(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.1, probability=0.8),
)
"""The training transforms of Palés Huix et al. 2024. A part larger than the image fits nowhere, and is drawn again:
what is cropped is between .8 and 1 of the area, and after ten parts that do not fit it is the whole image."""

PLAIN = Recipe(name="plain", scale=(0.9, 1.0), ratio=(9 / 10, 10 / 9), mirrored=0.5)
"""Mirrored images, a little cropped: what leaves colours and what is up or down as they are."""

NONE = Recipe(name="none")
"""Nothing by chance; and what validation and test images meet under every recipe."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, PLAIN, NONE)}


def recipe_named(name: str) -> Recipe:
    """Raises UnknownName, which names the nearest, for a recipe that does not exist."""
    if name not in RECIPES:
        raise UnknownName("recipe of augmentation", name, RECIPES)
    return RECIPES[name]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of an image, in pixels from its upper left corner."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Colours:
    """How colours move.

    `factors` are what brightness, contrast and saturation are multiplied by, and by which part of a full turn hue is
    turned; `order` is that in which the four are done, by their place in `factors`.
    """

    factors: tuple[float, float, float, float]
    order: tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What chance does to one image; None where it does nothing of the kind."""

    box: Box | None
    flipped: bool
    mirrored: bool
    colours: Colours | None


def draw(recipe: Recipe, *, image: str, epoch: int, seed: int) -> Draw:
    """What happens to an image in an epoch; `image` is its id."""
    chance = random.Random(f"augmentation, seed {seed}, epoch {epoch}, image {image}")
    return Draw(
        box=None if recipe.scale is None else _box(recipe.crop, recipe.scale, recipe.ratio, chance),
        flipped=chance.random() < recipe.flipped,
        mirrored=chance.random() < recipe.mirrored,
        colours=None if recipe.jitter is None else _colours(recipe.jitter, chance),
    )


def _box(side: int, scale: Ranges, ratio: Ranges, chance: random.Random) -> Box:
    """Part of a square image, as torchvision's RandomResizedCrop draws it.

    Where no attempt fits, torchvision takes the largest central part within `ratio`: of a square, all of it.
    """
    for _ in range(ATTEMPTS):
        area = side * side * _between(scale, chance)
        aspect = math.exp(_between((math.log(ratio[0]), math.log(ratio[1])), chance))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= side and 0 < height <= side:
            top, left = (int(chance.random() * (side - taken + 1)) for taken in (height, width))
            return Box(top=top, left=left, height=height, width=width)
    return Box(top=0, left=0, height=side, width=side)


def _colours(jitter: Jitter, chance: random.Random) -> Colours | None:
    if not chance.random() < jitter.probability:
        return None
    brightness, contrast, saturation = (
        _between((max(0.0, 1 - most), 1 + most), chance)
        for most in (jitter.brightness, jitter.contrast, jitter.saturation)
    )
    hue = _between((-jitter.hue, jitter.hue), chance)
    keys = [chance.random() for _ in range(4)]
    first, second, third, last = sorted(range(4), key=keys.__getitem__)
    return Colours(factors=(brightness, contrast, saturation, hue), order=(first, second, third, last))


def _between(ends: Ranges, chance: random.Random) -> float:
    return ends[0] + (ends[1] - ends[0]) * chance.random()

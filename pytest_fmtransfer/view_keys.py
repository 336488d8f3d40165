"""What the features of a view are found under: told without importing torch, so that a plan can look for them."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Literal

from pytest_fmtransfer.data.augmentations import NONE, Recipe
from pytest_fmtransfer.features import FeatureKey
from pytest_fmtransfer.store import code_digest, fingerprint

Kept = Literal["pooled", "tokens"]


def kinds_of(kept: Kept) -> tuple[Kept, ...]:
    """What an entry may hold that serves who asks for `kept`: tokens stand beside the pooled embedding."""
    return ("tokens",) if kept == "tokens" else ("tokens", "pooled")


def view_key(
    features: FeatureKey, recipe: Recipe, *, size: int, cut_after: int | None, kept: Kept, view: int | None
) -> str:
    """The key of a view's entry; `view` None is that of validation and test side, which no recipe changes.

    `features` is what the plain features of the same images and backbone are found under, `size` the side of an image
    as the backbone takes it, in pixels.
    """
    by_chance = recipe != NONE
    shown = NONE if view is None or not by_chance else recipe
    code = code_digest(
        "view_keys.py",
        "views.py",
        "viewing.py",
        "data/augmentations.py",
        "data/chunks.py",
        "data/transforms.py",
        *(() if cut_after is None else ("backbones/cutting.py", "backbones/order.py")),
    )
    return fingerprint(
        features.whole,
        asdict(shown.at(size)),
        "validation and test" if view is None else view if by_chance else "training",
        cut_after,
        kept,
        version("torchvision"),
        code,
    )

"""What the features of a view are found under: told without importing torch, so that a plan can look for them."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Literal

from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.data.augmentations import NONE, Recipe
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.features import feature_key
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import code_digest, fingerprint

Kept = Literal["pooled", "tokens"]


def kinds_of(kept: Kept) -> tuple[Kept, ...]:
    """What an entry may hold that serves who asks for `kept`: tokens stand beside the pooled embedding."""
    return ("tokens",) if kept == "tokens" else ("tokens", "pooled")


def view_key(
    dataset: Dataset,
    spec: BackboneSpec,
    dtype: Dtype,
    places: Places,
    recipe: Recipe,
    *,
    cut_after: int | None,
    kept: Kept,
    view: int | None,
) -> str:
    """The key of a view's entry; `view` None is that of validation and test side, which no recipe changes."""
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
        feature_key(dataset, spec, dtype, places).whole,
        asdict(shown.at(spec.image_size)),
        "validation and test" if view is None else view if by_chance else "training",
        cut_after,
        kept,
        version("torchvision"),
        code,
    )

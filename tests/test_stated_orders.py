"""Claims about an order say in their statements who is above whom, as the published tables have it.

`--fm-claims` and reports print statements, and only a test's own code knows the order that it reads from a table.
"""

import re
from collections.abc import Callable, Iterable

from suites.huix2024 import figure1
from suites.huix2024 import test_figure1 as huix
from suites.huix2024.paper import DEITB, FOUNDATION, LINEAR
from suites.medmnistplus2025 import tables
from suites.medmnistplus2025 import test_architectures as architectures
from suites.medmnistplus2025 import test_schemes as schemes
from suites.medmnistplus2025.paper import CNNS, END_TO_END, PROBED

CALLED = {
    "blip_vitb16": "BLIP",
    "dino_vitb16": "DINO",
    "dinov2_vitb14": "DINOv2",
    "imagenet_deitb16": "ImageNet",
    "imagenet_densenet121": "DenseNet-121",
    "imagenet_resnet152": "ResNet-152",
    "imagenet_resnet18": "ResNet-18",
    "imagenet_vitb16": "ViT-B/16",
    "openclip_vitb16": "OpenCLIP",
    "openclip_vitb16_in1k": "CLIP",
    "sam_vitb16": "SAM",
    "seem_focalt": "SEEM",
}
HEADS = {LINEAR: "linear", DEITB: "DeiT-B"}


def stated(test: Callable[..., None]) -> str:
    """What follows the last colon of a test's statement, on one line."""
    return " ".join((test.__doc__ or "").split()).rpartition(": ")[2].rstrip(".")


def in_names(backbones: Iterable[str]) -> set[str]:
    return {CALLED[name] for name in backbones}


def named(text: str) -> set[str]:
    return set(re.split(r", | and ", text))


def test_the_bars_of_figure_1_are_stated_best_first_and_the_equally_high_together() -> None:
    levels = [
        {f"{CALLED[bar.backbone]} {HEADS[bar.regime]}" for bar in level} for level in figure1.levels(figure1.BARS)
    ]
    said = stated(huix.test_gains_are_in_the_order_of_the_figure)
    assert [set(level.split(" = ")) for level in said.split(" > ")] == levels


def test_the_classifier_that_is_stated_of_a_model_has_its_higher_bar() -> None:
    linear, deitb = stated(huix.test_the_classifier_with_the_higher_bar_gains_more).split(", DeiT-B of ")
    bars = figure1.BAR_OF
    higher = {name for name in FOUNDATION if bars[name, LINEAR].gain > bars[name, DEITB].gain}
    assert named(linear.removeprefix("linear of ")) == in_names(higher)
    assert named(deitb) == in_names({*FOUNDATION} - higher)


def test_the_scheme_that_is_stated_of_a_model_has_its_higher_average() -> None:
    whole, probed = stated(schemes.test_the_scheme_with_the_higher_average_gains_more).split(", linear probing of ")
    models = tables.models(END_TO_END)
    higher = {name for name in models if tables.average(name, END_TO_END) > tables.average(name, PROBED)}
    assert named(whole.removeprefix("end-to-end training of ")) == in_names(higher)
    assert named(probed) == in_names({*models} - higher)


def test_the_networks_that_are_stated_below_have_a_lower_average_than_every_cnn() -> None:
    said = stated(architectures.test_cnns_gain_more_than_the_transformers_below_them)
    above, below = said.split(" more than ")
    averages = {name: tables.average(name, END_TO_END) for name in tables.models(END_TO_END)}
    cnns = {name for name in averages if name in CNNS}
    lowest = min(averages[name] for name in cnns)
    assert named(above) == in_names(cnns)
    assert named(below) == in_names(name for name, value in averages.items() if name not in cnns and value < lowest)

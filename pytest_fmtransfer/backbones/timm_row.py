"""Rows of timm's models that the catalogue has none of, and the input of those that a user names, from timm's own
record of their weights.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models import PretrainedCfg

from pytest_fmtransfer.catalog.normalisation import IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.preprocessor import INTERPOLATIONS, SIZE, Preprocessor, Triple, following
from pytest_fmtransfer.catalog.specs import BackboneSpec, Fit, OwnInput, PublishedWeights
from pytest_fmtransfer.catalog.timm_names import PREFIX
from pytest_fmtransfer.errors import InvalidInput, UnknownName, nearest

CONFIG = "config.json"  # beside weights that timm's `save_for_hf` wrote
_FITS: dict[str, Fit] = {"center": "shortest", "squash": "stretch", "border": "longest"}
# Of `model_args`, what the weights or the row say anyway.
_KNOWN_ARGUMENTS = {"num_classes", "in_chans"}


def row(architecture: str) -> BackboneSpec:
    """Input, licence and hub page as timm's default configuration has them.

    The weights are a file `<architecture>.pth` in timm's names, its classifier included where timm publishes one.
    Raises UnknownName for a model or a tag that timm has not, InvalidInput for an input that we cannot prepare.
    """
    known = _names(architecture)
    if architecture not in known:
        raise UnknownName("backbone", f"{PREFIX}{architecture}", (PREFIX + each for each in known))
    model = architecture.partition(".")[0]
    config = record(architecture)
    tag = config.tag or ""
    page = config.hf_hub_id or f"timm/{model}.{tag}"
    page = f"{page}{model}.{tag}" if page.endswith("/") else page
    spec = BackboneSpec(
        name=f"{PREFIX}{architecture}",
        library="timm",
        architecture=architecture,
        weights=PublishedWeights(
            file=f"{architecture}.pth", url=f"https://huggingface.co/{page}", num_classes=config.num_classes
        ),
        image_size=SIZE,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence=config.license or f"as https://huggingface.co/{page} says",
        source=f"timm, {model}{'.' if tag else ''}{tag}",
    )
    return following(spec, said_of(architecture), OwnInput())


def check_known(architecture: str, name: str) -> None:
    """Raises InvalidInput, with near names, for a model or a tag of a user's that timm has not."""
    if not timm.is_model(architecture):
        near = nearest(architecture, timm.list_models())
        raise InvalidInput(f"timm {timm.__version__} has no model {architecture!r} for {name}; {near}")
    if architecture not in (known := _names(architecture)):
        raise InvalidInput(
            f"timm {timm.__version__} has no weights {architecture!r} for {name}; {nearest(architecture, known)}"
        )


def record(architecture: str) -> PretrainedCfg:
    """Timm's own, of weights."""
    return timm.get_pretrained_cfg(architecture) or PretrainedCfg()


def said_of(architecture: str, given: Collection[str] = (), beside: Path | None = None) -> Preprocessor:
    """What timm's record says of images, or the `config.json` that timm saved in the folder `beside`, where one lies.

    `given` is what the user says instead: "size", "mean", "std". Raises InvalidInput for what we cannot do, by its key,
    and for a `config.json` of another architecture.
    """
    said: Mapping[str, Any] = asdict(record(architecture))
    where = f"timm's record of {architecture}"
    if beside is not None and (saved := _saved(beside / CONFIG, architecture)) is not None:
        said, where = {**said, **saved}, str(beside / CONFIG)
    channels, height, width = said["input_size"]
    if "size" not in given and (channels != 3 or height != width):
        raise InvalidInput(f"{where}: input_size={list(said['input_size'])} is no square of three colours; give size=")
    if said["interpolation"] not in INTERPOLATIONS:
        raise InvalidInput(f"{where}: interpolation={said['interpolation']!r} is none of {', '.join(INTERPOLATIONS)}")
    if said["crop_mode"] not in _FITS:
        raise InvalidInput(f"{where}: crop_mode={said['crop_mode']!r} is none of {', '.join(_FITS)}")
    mean, std = _three(said["mean"]), _three(said["std"])
    return Preprocessor(
        size=width,
        mean=mean,
        std=std,
        fit=_FITS[said["crop_mode"]],
        crop=float(said["crop_pct"]),
        interpolation=INTERPOLATIONS[said["interpolation"]],
        fill=_colour(mean) if said["crop_mode"] == "border" else (0, 0, 0),
    )


def _saved(path: Path, architecture: str) -> Mapping[str, Any] | None:
    """The record in a `config.json` that timm wrote; None where there is none of timm's."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict) or not isinstance(config.get("pretrained_cfg"), dict):
        return None
    model = architecture.partition(".")[0]
    if (theirs := config.get("architecture", model)) != model:
        raise InvalidInput(f"{path}: architecture={theirs!r} is not {model!r}; write timm:{theirs}")
    usual = _usual_arguments(model) if config.get("model_args") else {}
    for name, value in (config.get("model_args") or {}).items():
        if name not in _KNOWN_ARGUMENTS and value != usual.get(name):
            raise InvalidInput(
                f"{path}: model_args.{name}={value!r} changes the network, which is built without it here; bring it as "
                "py:module:function"
            )
    return cast(Mapping[str, Any], {key: value for key, value in config["pretrained_cfg"].items() if value is not None})


def _usual_arguments(model: str) -> Mapping[str, Any]:
    """Those that timm would save of the model as we build it; none where it is too old to save what is usual."""
    try:
        arguments_of = import_module("timm.models._input").get_model_args
    except (ImportError, AttributeError):
        return {}
    with torch.device("meta"):
        return json.loads(json.dumps(arguments_of(timm.create_model(model))))  # lists in the place of tuples


def _names(architecture: str) -> set[str]:
    """The model, and the tags of its weights."""
    model = architecture.partition(".")[0]
    known = {model} if timm.is_model(model) else set[str]()
    return known | {each for each in _tags() if each.partition(".")[0] == model}


@cache
def _tags() -> tuple[str, ...]:
    return tuple(timm.list_pretrained())


def _three(values: Collection[float]) -> Triple:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _colour(mean: Triple) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue

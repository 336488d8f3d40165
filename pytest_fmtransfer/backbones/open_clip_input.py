"""What open_clip says of the images of its models, by the tag that names their weights, or by the file that it saves
beside them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_fmtransfer.backbones.open_clip import open_clip
from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD
from pytest_fmtransfer.catalog.preprocessor import INTERPOLATIONS, Preprocessor, Triple
from pytest_fmtransfer.catalog.specs import Fit
from pytest_fmtransfer.errors import InvalidInput, nearest

CONFIG = "open_clip_config.json"
QUICK_GELU = "quick_gelu"
_FITS: dict[str, Fit] = {"shortest": "shortest", "squash": "stretch", "longest": "longest"}


def said_of(architecture: str, tag: str, *, name: str, published: bool, beside: Path | None) -> Preprocessor:
    """Size, mean, deviation, interpolation and how a square is reached, and whether the network has QuickGELU.

    A tag that open_clip has not is a user's own, unless its weights are to be `published`; then its input is that of
    the model. Raises InvalidInput for a model or tag that there is none of, and for what we cannot do, by its key.
    """
    model = open_clip.get_model_config(architecture)
    if model is None:
        near = nearest(architecture, open_clip.list_models())
        raise InvalidInput(f"open_clip has no model {architecture!r} for {name}; {near}")
    said, where = open_clip.get_pretrained_cfg(architecture, tag), f"open_clip's record of {architecture}/{tag}"
    saved = _saved(beside / CONFIG) if beside else None
    if saved is not None and beside is not None:
        model, said, where = saved.get("model_cfg") or model, saved.get("preprocess_cfg") or {}, str(beside / CONFIG)
    elif not said and published:
        near = nearest(tag, open_clip.list_pretrained_tags_by_model(architecture))
        raise InvalidInput(f"open_clip has no weights {tag!r} of {architecture} for {name}; {near}")
    size = said.get("size") or model["vision_cfg"]["image_size"]
    sides = set(size) if isinstance(size, list | tuple) else {size}
    if len(sides) != 1:
        raise InvalidInput(f"{where}: size={size} is no square; give size=")
    mode, interpolation = said.get("resize_mode") or "shortest", said.get("interpolation") or "bicubic"
    if mode not in _FITS:
        raise InvalidInput(f"{where}: resize_mode={mode!r} is none of {', '.join(_FITS)}")
    if interpolation not in INTERPOLATIONS:
        raise InvalidInput(f"{where}: interpolation={interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    fill = int(said.get("fill_color") or 0)
    return Preprocessor(
        size=int(sides.pop()),
        mean=_three(said.get("mean") or CLIP_MEAN),
        std=_three(said.get("std") or CLIP_STD),
        fit=_FITS[mode],
        crop=1.0,
        interpolation=INTERPOLATIONS[interpolation],
        fill=(fill, fill, fill),
        activation=QUICK_GELU if said.get(QUICK_GELU) or model.get(QUICK_GELU) else "",
    )


def _saved(path: Path) -> Mapping[str, Any] | None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _three(values: tuple[float, ...] | list[float]) -> Triple:
    red, green, blue = values
    return float(red), float(green), float(blue)

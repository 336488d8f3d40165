"""How a folder of transformers says that its images are prepared, read without that library.

`processor_config.json` holds it under `image_processor`, `preprocessor_config.json` by itself.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from pytest_fmtransfer.catalog.preprocessor import INTERPOLATIONS, Preprocessor, Triple
from pytest_fmtransfer.catalog.specs import Fit, Interpolation
from pytest_fmtransfer.errors import InvalidInput

FILES = ("processor_config.json", "preprocessor_config.json")
# Pillow's numbers of its filters.
_FILTERS: dict[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
# What does not change a picture: names, and how the library's own code passes it on.
_WITHOUT_EFFECT = frozenset(
    [
        "auto_map",
        "data_format",
        "device",
        "disable_grouping",
        "do_convert_rgb",
        "feature_extractor_type",
        "image_processor_type",
        "image_seq_length",
        "image_seq_len",
        "input_data_format",
        "model_input_names",
        "num_channels",
        "patch_size",
        "processor_class",
        "return_tensors",
        "valid_processor_keys",
        "_valid_processor_keys",
        "num_frames",
        "do_reduce_labels",
    ]
)
_READ = frozenset(
    [
        "do_resize",
        "size",
        "default_to_square",
        "resample",
        "do_center_crop",
        "crop_size",
        "crop_pct",
        "do_rescale",
        "rescale_factor",
        "offset",
        "do_normalize",
        "image_mean",
        "image_std",
        "do_flip_channel_order",
        "do_pad",
        "pad_size",
        "size_divisor",
    ]
)


def preprocessor_in(folder: Path, given: Collection[str] = (), usual: Mapping[str, Any] | None = None) -> Preprocessor:
    """What the folder says, nothing where it has no such file. `given` is what the user says instead: "size", "mean",
    "std". `usual` is what its image processor makes of its file, and does where that does not say.

    Raises InvalidInput for a file that is none of transformers', and for what it says that we cannot do, by its key.
    """
    for name in FILES:
        found = _settings(folder / name)
        if found is not None:
            return _read(found | dict(usual or {}), folder / name, frozenset(given))
    return Preprocessor()


def _settings(path: Path) -> dict[str, Any] | None:
    """Of images, as a file says; None where it is not there or is about text alone."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {path} ({error}); save it again, or give size=, mean= and std=") from error
    if not isinstance(said, dict):
        raise InvalidInput(f"{path} holds no settings; save it again, or give size=, mean= and std=")
    told = cast(dict[str, Any], said)
    if path.name != FILES[0]:
        return told
    inner = told.get("image_processor")
    return cast(dict[str, Any], inner) if isinstance(inner, dict) else None


def _read(told: dict[str, Any], path: Path, given: frozenset[str]) -> Preprocessor:
    told = {name: value for name, value in told.items() if value is not None}
    for name, value in told.items():
        # What is switched off asks for nothing.
        if name not in _READ | _WITHOUT_EFFECT and value is not False and not _of_a_step_left_out(name, told):
            raise _cannot(path, name, value, "")
    size, fit, crop = (None, None, None) if "size" in given else _geometry(told, path)
    if told.get("do_pad") and "size" not in given and not _is_padded(told, size):
        raise _cannot(path, "do_pad", told["do_pad"], "size=")
    mean, std = _normalisation(told, path, given)
    flipped = bool(told.get("do_flip_channel_order"))
    return Preprocessor(
        size=size,
        # The file's are of the channels as the network takes them.
        mean=(mean[2], mean[1], mean[0]) if mean and flipped else mean,
        std=(std[2], std[1], std[0]) if std and flipped else std,
        fit=fit,
        crop=crop,
        interpolation=_interpolation(told, path) if told.get("do_resize", True) else None,
        channel_order="BGR" if flipped else "RGB",
    )


def _of_a_step_left_out(name: str, told: Mapping[str, Any]) -> bool:
    """Whether a key only says how something is done that is not done, as `pad_mode` beside `do_pad: false`."""
    step = name.partition("_")[0]
    return told.get(f"do_{step}") is False


def _geometry(told: Mapping[str, Any], path: Path) -> tuple[int | None, Fit | None, float | None]:
    """Side of the square, how an image meets it, and the side over that of what it is resized to."""
    cut = bool(told.get("do_center_crop"))
    crop = _square(told, "crop_size", path) if cut and "crop_size" in told else None
    if not told.get("do_resize", True):
        raise _cannot(path, "do_resize", False, "size=")
    size = cast(Any, told.get("size"))
    if size is None:
        return crop, None, None
    sides = cast(dict[str, Any], size) if isinstance(size, dict) else {}
    short = sides.get("shortest_edge") if set(sides) == {"shortest_edge"} else None
    if not isinstance(size, dict) and _whole(size) and not told.get("default_to_square", not cut):
        short = size
    if short is None:
        side = _square(told, "size", path)
        return crop or side, "stretch", (crop or side) / side
    if not _whole(short):
        raise _cannot(path, "size", told["size"], "size=")
    if "crop_pct" in told and not cut:
        return _of_share(told, short, path)
    if crop is None:  # the other edge is as long as the image has it
        raise _cannot(path, "size", told["size"], "size=")
    return crop, "shortest", crop / short


def _of_share(told: Mapping[str, Any], side: int, path: Path) -> tuple[int, Fit, float]:
    """As the image processor of ConvNeXt does: below 384 pixels a share of the image is cut out, from there on it is
    stretched.
    """
    share = told["crop_pct"]
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise _cannot(path, "crop_pct", share, "size=")
    return (side, "shortest", float(share)) if side < 384 else (side, "stretch", 1.0)


def _is_padded(told: Mapping[str, Any], size: int | None) -> bool:
    """Whether a square of that size is what padding would make of it."""
    divisor, pad = told.get("size_divisor"), told.get("pad_size")
    sides = set(cast(dict[str, Any], pad).values()) if isinstance(pad, dict) else {pad}
    divides = _whole(divisor) and size is not None and size % cast(int, divisor) == 0
    return sides == {size} if pad is not None else divides


def _normalisation(told: Mapping[str, Any], path: Path, given: frozenset[str]) -> tuple[Triple | None, Triple | None]:
    """Mean and deviation for inputs in [0, 1], of a file's for values times its factor f: of x in [0, 1],
    (255 f x - m) / s is (x - m / 255 f) / (s / 255 f).
    """
    factor = told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0
    if not _is_number(factor) or factor <= 0:
        raise _cannot(path, "rescale_factor", factor, "mean= and std=")
    scale = 255 * float(factor)
    scale = 1.0 if math.isclose(scale, 1.0, rel_tol=1e-4) else scale  # 0.00392156862745098, or fewer digits
    if told.get("offset") and told.get("do_rescale", True) and not given >= {"mean", "std"}:
        raise _cannot(path, "offset", told["offset"], "mean= and std=")
    if not told.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1 / scale, 1 / scale, 1 / scale)
    mean, std = (
        _triple(told, f"image_{name}", path) if f"image_{name}" in told and name not in given else None
        for name in ("mean", "std")
    )
    if std and min(std) <= 0:
        raise _cannot(path, "image_std", list(std), "std=")
    if scale == 1.0:
        return mean, std
    if (mean is None and "mean" not in given) or (std is None and "std" not in given):
        raise _cannot(path, "rescale_factor", factor, "mean= and std=")
    return _over(mean, scale), _over(std, scale)


def _over(values: Triple | None, scale: float) -> Triple | None:
    return cast(Triple, tuple(each / scale for each in values)) if values else None


def _interpolation(told: Mapping[str, Any], path: Path) -> Interpolation | None:
    value = told.get("resample")
    if value is None:
        return None
    found = _FILTERS.get(value) if isinstance(value, int) else INTERPOLATIONS.get(str(value).lower())
    if found is None:
        raise _cannot(path, "resample", value, "")
    return found


def _square(told: Mapping[str, Any], key: str, path: Path) -> int:
    """A number, or `{"height": …, "width": …}` of a square."""
    value = told[key]
    if isinstance(value, dict):
        sides = cast(dict[str, object], value)
        value = sides["height"] if set(sides) == {"height", "width"} and len(set(sides.values())) == 1 else None
    if not _whole(value):
        raise _cannot(path, key, told[key], "size=")
    return cast(int, value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _triple(told: Mapping[str, Any], key: str, path: Path) -> Triple:
    """Three numbers, or one for all."""
    value: object = told[key]
    numbers: list[Any] = cast(list[Any], value) if isinstance(value, list) else [value]
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3 or not all(map(_is_number, numbers)):
        raise _cannot(path, key, told[key], f"{key.removeprefix('image_')}=")
    return cast(Triple, tuple(float(each) for each in numbers))


def _cannot(path: Path, key: str, value: object, instead: str) -> InvalidInput:
    """What a file asks for and no one here can do; `instead` is what the user may give in its place."""
    way = f"give {instead}, or bring" if instead else "bring"
    return InvalidInput(
        f"{path}: {key}={json.dumps(value)} is nothing that images can be prepared by here; {way} the model as "
        "py:module:function, which prepares them itself"
    )

"""How a folder of transformers says that its images are prepared: `preprocessor_config.json`, without that library."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pytest_fmtransfer.errors import InvalidInput

FILE = "preprocessor_config.json"
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """Side of the square input in pixels, mean and deviation per channel for inputs in [0, 1]; None: not said."""

    size: int | None = None
    mean: Triple | None = None
    std: Triple | None = None


def preprocessor_in(folder: Path) -> Preprocessor:
    """What the folder says, nothing where it has no such file.

    Raises InvalidInput for a file that is none of transformers'.
    """
    path = folder / FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Preprocessor()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {path} ({error}); save it again, or give size=, mean= and std=") from error
    if not isinstance(said, dict):
        raise InvalidInput(f"{path} holds no settings; save it again, or give size=, mean= and std=")
    told = cast(dict[str, Any], said)
    normalised = told.get("do_normalize", True)
    return Preprocessor(
        # A crop comes last where there is one, and its side is what the network is given.
        size=_side(told.get("crop_size")) if told.get("do_center_crop") else _side(told.get("size")),
        mean=_triple(told.get("image_mean")) if normalised else (0.0, 0.0, 0.0),
        std=_triple(told.get("image_std")) if normalised else (1.0, 1.0, 1.0),
    )


def _side(value: object) -> int | None:
    """A number, or `{"height": …, "width": …}` of a square, or `{"shortest_edge": …}`."""
    if isinstance(value, dict):
        sides = set(cast(dict[str, object], value).values())
        value = sides.pop() if len(sides) == 1 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _triple(value: object) -> Triple | None:
    if not isinstance(value, list) or len(cast(list[object], value)) != 3:
        return None
    numbers = [float(each) for each in cast(list[Any], value) if isinstance(each, int | float) and math.isfinite(each)]
    return cast(Triple, tuple(numbers)) if len(numbers) == 3 else None

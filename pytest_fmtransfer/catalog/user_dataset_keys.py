"""The keys of a user's dataset: how the text of each is read, how a wrong one is answered, and how it is written again.

A reading function raises ValueError for text that cannot be used.
"""

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pytest_fmtransfer.catalog.specs import Intensity, Metric, is_intensity
from pytest_fmtransfer.errors import InvalidInput, nearest, number_of, path_of, require, shown

Channels = Literal[1, 3, "repeat"]
Links = Literal["follow"]
Uncertain = Literal["ignore", "zeros", "ones"]


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split("+"))
    if not all(names):
        raise ValueError
    return names


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(_number, text.split("/")))


def _positive(text: str) -> tuple[float, ...]:
    if min(numbers := _numbers(text)) <= 0:
        raise ValueError
    return numbers


def _path(text: str) -> Path:
    return Path(_text(text))


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return read


def _channels(text: str) -> Channels:
    return cast(Channels, "repeat" if _one_of("1", "3", "repeat")(text) == "repeat" else int(text))


def _intensity(text: str) -> Intensity:
    if text in ("image", "dtype"):
        return cast(Intensity, text)
    if not is_intensity(numbers := _numbers(text)):
        raise ValueError
    return numbers[0], numbers[1]


def _told_intensity(value: Intensity) -> str:
    return value if isinstance(value, str) else _told_numbers(value)


def _yes(text: str) -> bool:
    return _one_of("", "yes")(text) in ("", "yes")


def _told_names(names: tuple[str, ...]) -> str:
    return "+".join(names)


def _told_numbers(numbers: tuple[float, ...]) -> str:
    return "/".join(map(repr, numbers))


def _told_yes(value: bool) -> str:
    del value
    return "yes"


# How each key is read, how a wrong value is answered, and how it is written.
KEYS: dict[str, tuple[Callable[[str], object], str, Callable[[Any], str]]] = {
    "label": (_text, "label=COLUMN", str),
    "labels": (_names, "labels=COLUMN+COLUMN", _told_names),
    "image": (_text, "image=COLUMN", str),
    "patient": (_text, "patient=COLUMN", str),
    "split": (_text, "split=COLUMN", str),
    "suffix": (_text, "suffix=.jpg", str),
    "root": (_path, "root=DIR", str),
    "links": (_one_of("follow"), "links=follow", str),
    "uncertain": (_one_of("ignore", "zeros", "ones"), "uncertain=ignore, zeros or ones", str),
    "classes": (_names, "classes=benign+malignant", _told_names),
    "ordered": (_yes, "ordered", _told_yes),
    "validation": (_number, "validation=0.2", repr),
    "test": (_number, "test=0.4", repr),
    "metric": (_one_of(*get_args(Metric)), f"one of {', '.join(get_args(Metric))}", str),
    "margin": (_number, "margin=0.02", repr),
    "hidden_share": (_number, "hidden_share=0.05", repr),
    "channels": (_channels, "channels=1, 3 or repeat", str),
    "mean": (_numbers, "one number or three, as in mean=0.5 or mean=0.485/0.456/0.406", _told_numbers),
    "std": (_positive, "one number or three, above 0, as in std=0.5 or std=0.229/0.224/0.225", _told_numbers),
    "intensity": (
        _intensity,
        "intensity=image, dtype or two values, the lower first, as in intensity=0/4095",
        _told_intensity,
    ),
}
DEFAULTS = (("channels", 3), ("intensity", "image"))  # of keys that always have a value; they are not written
OF_TABLES = ("label", "labels", "image", "patient", "split", "suffix", "root", "uncertain")

_TEXTS = ("label", "image", "patient", "split", "suffix", "uncertain", "metric", "margin_reason")
_NAMES, _SHARES, _NUMBERS = ("labels", "classes"), ("validation", "test", "margin", "hidden_share"), ("mean", "std")


def checked(keys: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Keys as Python code gives them, each of the type that the row takes; a list may stand for a tuple.

    Raises InvalidInput for a key that is not `known`, and for a value of another type.
    """
    found: dict[str, Any] = {}
    for key, value in keys.items():
        if key not in known:
            raise InvalidInput(f"no key {key!r} of a dataset; {nearest(key, known)}")
        found[key] = _value(key, value)
    return found


def _value(key: str, value: Any) -> Any:
    example = KEYS[key][1] if key in KEYS else f"{key}=…"
    if key in _TEXTS and value is not None:
        return require(value, str, f"{key}=", f"write text, as in {example}")
    if key in _NAMES:
        return tuple(_value("label", each) for each in _several(key, value, "('benign', 'malignant')"))
    if key in _SHARES and value is not None:
        return number_of(value, f"{key}=")
    if key in _NUMBERS and value is not None:
        return tuple(number_of(each, f"{key}=") for each in _several(key, value, "(0.485, 0.456, 0.406)"))
    if key == "intensity" and isinstance(value, list):
        return tuple(cast(list[Any], value))
    if key == "root" and value is not None:
        return path_of(value, "root=")
    if key == "ordered":
        return require(value, bool, "ordered=", "write True or False")
    return value


def _several(key: str, value: Any, example: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"{key}=: {shown(value)} is no tuple; write {key}={example}")
    return tuple(cast(list[Any] | tuple[Any, ...], value))

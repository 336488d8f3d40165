"""What a profile's and a regime's row may say: each number in its range, each word one of its choices.

A row is checked when it is registered, so that a rate of 0 or half an epoch is refused where it was written and not an
hour into a run.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import cast, get_args

from pytest_fmtransfer.catalog.regime_settings import (
    FewShotSettings,
    HeadKind,
    KnnSettings,
    LinearProbeSettings,
    RegimeSettings,
    RidgeSettings,
    Trained,
    TrainingSettings,
    ZeroShotSettings,
)
from pytest_fmtransfer.catalog.regime_specs import Caps, PrecisionRule, Profile, RegimeSpec, SeedVariance
from pytest_fmtransfer.errors import InvalidInput, shown

_MOST = 2**31  # of anything that is counted

Rule = tuple[Callable[[object], bool], str]
"""Whether a value will do, and what would."""


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and least <= value < _MOST


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int) -> Rule:
    return lambda value: _is_whole(value, least), f"a whole number from {least} on"


def _one_of(*choices: str) -> Rule:
    return lambda value: isinstance(value, str) and value in choices, " or ".join(map(repr, choices))


def _or(rule: Rule, other: object) -> Rule:
    fits, words = rule
    return lambda value: (value is None if other is None else value == other) or fits(value), f"{words}, or {other!r}"


def _each(rule: Rule, fewest: int) -> Rule:
    fits, words = rule
    return (
        lambda value: (
            isinstance(value, tuple | list)
            and len(cast(list[object], value)) >= fewest
            and all(map(fits, cast(list[object], value)))
        ),
        f"a tuple, each {words}",
    )


def _record(*kinds: type) -> Rule:
    return lambda value: type(value) in kinds, " or ".join(kind.__name__ for kind in kinds)


_POSITIVE: Rule = (lambda value: _is_number(value) and cast(float, value) > 0, "a number above 0")
_NOT_NEGATIVE: Rule = (lambda value: _is_number(value) and cast(float, value) >= 0, "a number from 0 on")
_YES_OR_NO: Rule = (lambda value: isinstance(value, bool), "True or False")
_TEXT: Rule = (lambda value: isinstance(value, str) and bool(value.strip()), "text")
_TEXTS = _each(_TEXT, 0)

_RULES: dict[type, dict[str, Rule]] = {
    Profile: {
        "name": _TEXT,
        "forward_dtype": _one_of(*get_args(PrecisionRule)),
        "training_dtype": _one_of(*get_args(PrecisionRule)),
        "caps": _or(_record(Caps), None),
        **dict.fromkeys(("epochs", "scratch_epochs", "head_epochs", "batch", "size"), _or(_whole(1), None)),
        "seeds": _whole(1),
        "learning_rate": _or(_POSITIVE, None),
    },
    Caps: dict.fromkeys(("train", "validation", "test"), _whole(1)),
    RegimeSpec: {
        "name": _TEXT,
        "settings": _record(*get_args(RegimeSettings)),
        "seeded": _YES_OR_NO,
        "tolerance": _NOT_NEGATIVE,
        "metric_tolerance": _NOT_NEGATIVE,
        "summary": (lambda value: isinstance(value, str), "text"),
        "seed_variances": (lambda value: isinstance(value, Mapping), "a mapping from a dataset to a SeedVariance"),
        "seeds": _or(_whole(1), None),
        "costly": _YES_OR_NO,
    },
    SeedVariance: {"variance": _NOT_NEGATIVE, "degrees": _whole(1), "source": _TEXT},
    KnnSettings: {"neighbours": _each(_whole(1), 1), "temperature": _POSITIVE},
    LinearProbeSettings: {
        **dict.fromkeys(("smallest_c", "largest_c", "tolerance"), _POSITIVE),
        **dict.fromkeys(("steps", "max_iterations"), _whole(1)),
    },
    RidgeSettings: {"smallest_penalty": _POSITIVE, "largest_penalty": _POSITIVE, "steps": _whole(1)},
    FewShotSettings: {"shots": _whole(1), "probe": _record(LinearProbeSettings)},
    ZeroShotSettings: {
        "prompts": _one_of("ensemble", "single"),
        "templates": _TEXTS,
        "phrases": _each(_TEXTS, 0),
        "absent": _each(_TEXTS, 0),
    },
    TrainingSettings: {
        "head": _one_of(*get_args(HeadKind)),
        "trained": _one_of(*get_args(Trained)),
        "first_block": _or(_whole(0), None),
        "cut_after": _or(_whole(0), None),
        "rank": _or(_whole(1), None),
        "initial": _one_of("pretrained", "random"),
        "recipe": _one_of("huix2024", "plain", "none"),
        "views": _or(_whole(1), "every"),
        "learning_rate": _POSITIVE,
        "weight_decay": _NOT_NEGATIVE,
        "clip": _POSITIVE,
        "batch": _whole(1),
        "epochs": _whole(1),
        "warm_up_epochs": _NOT_NEGATIVE,
        "warm_up_steps": _whole(0),
        "rates": _each(_POSITIVE, 0),
        "decays": _each(_NOT_NEGATIVE, 0),
    },
}
# The first is at most the second.
_ORDERED = (("smallest_c", "largest_c"), ("smallest_penalty", "largest_penalty"))


def check_spending(row: Profile | RegimeSpec) -> None:
    """Raises InvalidInput, with the field and what it may be, for a row of which a value cannot be used."""
    kind = "profile" if isinstance(row, Profile) else "regime"
    _check(row, f"{kind} {row.name!r}")


def _check(record: object, where: str) -> None:
    rules = _RULES[type(record)]
    for name in (field.name for field in fields(cast(Profile, record))):
        value: object = getattr(record, name)
        fits, words = rules[name]
        if not fits(value):
            raise InvalidInput(f"{where}: {name}={shown(value)}; give {words}")
        if is_dataclass(value):
            _check(value, f"{where}, {name}")
    for smaller, larger in _ORDERED:
        if smaller in rules and getattr(record, smaller) > getattr(record, larger):
            raise InvalidInput(f"{where}: {smaller} is above {larger}; swap them")
    if isinstance(record, RegimeSpec):
        for dataset, variance in record.seed_variances.items():
            if not isinstance(cast(object, variance), SeedVariance):
                raise InvalidInput(f"{where}: seed_variances of {dataset} is {shown(variance)}; give a SeedVariance")
            _check(variance, f"{where}, seed_variances of {dataset}")

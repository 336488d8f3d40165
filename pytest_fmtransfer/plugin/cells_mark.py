"""Reading an `fm_cells` mark: what is recorded, what is registered, or the cells that it names; one check a keyword."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.plugin.cases import OVERS, Cells, Over
from pytest_fmtransfer.plugin.signatures import signature

KEYWORDS = frozenset(
    ("recorded", "registered", "backbones", "datasets", "regimes", "reference", "over", "cells", "closed", "pooled")
)


def cells_of_mark(mark: pytest.Mark) -> Cells:
    """Raises InvalidInput for a mark that does not fit its signature."""
    if mark.args:
        raise InvalidInput(f"fm_cells takes keywords only; {signature('fm_cells')}")
    given: Mapping[str, Any] = mark.kwargs
    if _flag(given, "recorded"):
        return _recorded(given)
    if _flag(given, "registered"):
        return _registered(given)
    return _named(given)


def _recorded(given: Mapping[str, Any]) -> Cells:
    if others := sorted(set(given) - {"recorded", "pooled"}):
        raise InvalidInput(
            f"fm_cells(recorded=True) is about every cell that has a baseline, and takes no {', '.join(others)}; "
            "select among them with -k or -m"
        )
    return Cells(backbones=(), datasets=(), regimes=(), recorded=True, pooled=_flag(given, "pooled"))


def _registered(given: Mapping[str, Any]) -> Cells:
    if set(given) - {"recorded"} != {"registered", "regimes"}:
        raise InvalidInput(
            "fm_cells(registered=True) is about every backbone and dataset of the catalogue, and takes regimes and "
            "nothing else; select among them with -k or -m"
        )
    return Cells(backbones=(), datasets=(), regimes=_names(given, "regimes"), registered=True)


def _named(given: Mapping[str, Any]) -> Cells:
    _check_keywords(given)
    reference, over, closed = _reference(given), _over(given), _flag(given, "closed")
    together = _together(given, over)
    if closed and (reference is None or over == "backbones" or together):
        raise InvalidInput(
            "fm_cells(closed=True) goes with candidates that are held against a reference one by one; no backbone "
            "joins this test anyway, leave it out"
        )
    return Cells(
        backbones=() if together and "backbones" not in given else _names(given, "backbones"),
        datasets=_names(given, "datasets"),
        regimes=() if together else _names(given, "regimes"),
        reference=reference,
        over=over,
        together=together,
        closed=closed,
        pooled=_pooled(given, over),
    )


def _check_keywords(given: Mapping[str, Any]) -> None:
    unknown = set(given) - KEYWORDS
    missing = ({"datasets"} if "cells" in given else {"backbones", "datasets", "regimes"}) - set(given)
    if unknown or missing:
        wrong = [
            *(f"no keyword {name!r}" for name in sorted(unknown)),
            *(f"{name} missing" for name in sorted(missing)),
        ]
        raise InvalidInput(f"fm_cells: {', '.join(wrong)}; {signature('fm_cells')}")


def _reference(given: Mapping[str, Any]) -> str | None:
    reference = given.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise InvalidInput(f"fm_cells(reference={reference!r}): name one backbone or cell id")
    return reference


def _over(given: Mapping[str, Any]) -> Over | None:
    over = given.get("over")
    if over is not None and over not in OVERS:
        raise InvalidInput(f"fm_cells(over={over!r}): {nearest(str(over), OVERS)}")
    return over


def _together(given: Mapping[str, Any], over: Over | None) -> tuple[str, ...]:
    """The cells that make one test on all datasets; none where the mark has no `cells`."""
    if "cells" not in given:
        return ()
    together = _names(given, "cells")
    if over != "datasets" or "regimes" in given:
        raise InvalidInput("fm_cells(cells=...) goes with over='datasets' and without regimes: each cell names its own")
    if ("backbones" in given) != any("{backbone}" in text for text in together):
        raise InvalidInput("fm_cells(cells=...): name backbones where a cell says {backbone}, and nowhere else")
    return together


def _pooled(given: Mapping[str, Any], over: Over | None) -> bool:
    pooled = _flag(given, "pooled")
    if pooled and over is not None:
        raise InvalidInput("fm_cells(pooled=True) is about cells that have a baseline each; leave out over")
    return pooled


def _flag(given: Mapping[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if value not in (True, False):
        raise InvalidInput(f"fm_cells({key}={value!r}): give True or False")
    return value


def _example(key: str, value: object) -> str:
    """What was probably meant, else names that there are."""
    if isinstance(value, str) and value:
        return repr([value])
    known = {"backbones": "efficientnet_lite0", "datasets": "br35h", "regimes": "knn"}
    return repr([known.get(key, "efficientnet_lite0-br35h-knn")])


def _names(given: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value: object = given[key]
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        example = _example(key, cast(object, value))
        raise InvalidInput(f"fm_cells({key}={value!r}): give a list of names, as in {key}={example}")
    return tuple(str(name) for name in cast(Sequence[object], value))

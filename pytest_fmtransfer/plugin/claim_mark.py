"""Reading the claim of a test: its docstring, and its `fm_claim` mark; one check a keyword."""

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_fmtransfer.claims import Claim, parse_expected
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.plugin.signatures import signature

KEYWORDS = frozenset(("source", "where", "family", "family_size", "expected", "controls"))


def claim_of(item: pytest.Item) -> Claim:
    """The claim an item makes: its docstring, and its `fm_claim` mark where it bears one.

    Raises InvalidInput for a mark that does not fit its signature.
    """
    statement, mark = _statement(item), item.get_closest_marker("fm_claim")
    if mark is None:
        return Claim(statement=statement)
    given: Mapping[str, Any] = mark.kwargs
    unknown = set(given) - KEYWORDS
    if mark.args or unknown:
        raise InvalidInput(
            f"fm_claim: {', '.join(map(repr, [*mark.args, *sorted(unknown)]))} does not fit; {signature('fm_claim')}"
        )
    return Claim(
        statement=statement,
        source=given.get("source", ""),
        where=given.get("where", ""),
        family_size=_family_size(given),
        family=_family(given),
        controls=_controls(given),
        expected=parse_expected(given.get("expected", {})),
    )


def _statement(item: pytest.Item) -> str:
    """The first paragraph of a test's docstring, on one line."""
    function: Any = getattr(item, "function", getattr(item, "obj", None))
    return " ".join((getattr(function, "__doc__", "") or "").split("\n\n")[0].split())


def _family_size(given: Mapping[str, Any]) -> int:
    size = given.get("family_size", 1)
    if not isinstance(size, int) or size < 1:
        raise InvalidInput(f"fm_claim(family_size={size!r}): give a whole number of claims, 1 or more")
    return size


def _family(given: Mapping[str, Any]) -> str:
    family = given.get("family", "")
    if not isinstance(family, str):
        raise InvalidInput(f"fm_claim(family={family!r}): give a name")
    return family


def _controls(given: Mapping[str, Any]) -> bool:
    controls = given.get("controls", False)
    if not isinstance(controls, bool):
        raise InvalidInput(f"fm_claim(controls={controls!r}): give True or False")
    return controls

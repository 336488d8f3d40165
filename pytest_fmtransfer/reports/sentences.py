"""A verdict in words: which is better, how sure that is, and what would settle it."""

from collections.abc import Callable, Mapping
from typing import Any

from pytest_fmtransfer.metrics import metric_named


def in_words(claim: Mapping[str, Any]) -> str:
    """One sentence for somebody who has read no documentation, from a verdict's row."""
    if claim["kind"] in ("unchanged_from", "tells_backbones_apart"):
        return str(claim["summary"]).removeprefix(f"{claim['outcome']}: ")
    if claim["lower"] is None:
        return f"cannot tell: {claim['reason']}"
    if claim["outcome"] == "inconclusive":
        return _cannot_tell(claim)
    sentence = _SENTENCES[claim["kind"]](claim)
    return f"{sentence} (but {claim['mark']})" if claim["mark"] else sentence


def _cannot_tell(claim: Mapping[str, Any]) -> str:
    found = f"found {claim['effect']:+.3f}, could be anything from {claim['lower']:+.3f} to {claim['upper']:+.3f}"
    settle = str(claim["settle"]).removeprefix("would settle it: ")
    if claim["kind"] in ("not_worse_than", "no_class_worse_than") and claim["upper"] < 0:
        found = f"it is worse, but whether by less than {claim['margin']:g} is open; {found}"
    what = f"cannot tell: {claim['reason']}; {found}" if claim["reason"] else f"cannot tell: {found}"
    return what if claim["reason"] or not settle else f"{what}; it takes {settle}"


def _beats(claim: Mapping[str, Any]) -> str:
    by = f" by more than {claim['margin']:g}" if claim["margin"] else ""
    return f"better{by}: {_least(claim)}" if claim["outcome"] == "supported" else f"not better{by}: {_most(claim)}"


def _not_worse_than(claim: Mapping[str, Any]) -> str:
    allowed = f"a loss of {claim['margin']:g} is allowed"
    if claim["outcome"] == "supported":
        return f"not worse: {_least(claim)}; {allowed}"
    return f"worse: {_most(claim)}; {allowed}"


def _no_class_worse_than(claim: Mapping[str, Any]) -> str:
    allowed = f"a loss of {claim['margin']:g} is allowed"
    if claim["outcome"] == "supported":
        return f"no class is worse; the weakest {_least(claim)}; {allowed}"
    return f"a class is worse: {_most(claim)}; {allowed}"


def _equivalent_to(claim: Mapping[str, Any]) -> str:
    same = "the same" if claim["outcome"] == "supported" else "not the same"
    between = f"between {claim['lower']:+.3f} and {claim['upper']:+.3f}"
    return f"{same} within {claim['margin']:g}: {_found(claim)}, {between} ({_sure(claim)} of each)"


def _consistent(claim: Mapping[str, Any]) -> str:
    better = {"consistently_better": "supported", "not_consistently_better": "refuted"}[claim["kind"]]
    if claim["outcome"] == better:
        return f"better on every dataset; on the weakest {_least(claim)}"
    return f"not better on every dataset; on the weakest {_most(claim)}"


def _ranks_above(claim: Mapping[str, Any]) -> str:
    if claim["outcome"] == "supported":
        return f"each better than the next; the closest pair {_least(claim)}"
    return f"not in this order; the pair furthest from it {_most(claim)}"


def _consistent_with(claim: Mapping[str, Any]) -> str:
    agrees = "agrees" if claim["outcome"] == "supported" else "does not agree"
    between = f"between {claim['lower']:+.3f} and {claim['upper']:+.3f}"
    return f"{agrees} within {claim['margin']:g}: {_found(claim)}, {between} ({_sure(claim)} of each)"


def _above_published(claim: Mapping[str, Any]) -> str:
    if claim["outcome"] == "supported":
        return f"better than published: {_least(claim)}"
    return f"not better than published: {_most(claim)}"


def _gains_in_order(claim: Mapping[str, Any]) -> str:
    if claim["outcome"] == "supported":
        return f"gains in this order; the closest pair {claim['effect']:+.2f} %, at least {_percent(claim, 'lower')}"
    return f"not in this order; the pair furthest from it {claim['effect']:+.2f} %, at most {_percent(claim, 'upper')}"


def _gain_consistent_with(claim: Mapping[str, Any]) -> str:
    agrees = "agrees" if claim["outcome"] == "supported" else "does not agree"
    between = f"between {claim['lower']:+.2f} % and {claim['upper']:+.2f} %"
    return (
        f"{agrees} within {claim['margin']:.3g} %: average relative gain {claim['effect']:+.2f} %, {between} "
        f"({_sure(claim)} of each)"
    )


def _percent(claim: Mapping[str, Any], limit: str) -> str:
    return f"{claim[limit]:+.2f} % ({_sure(claim)})"


def _found(claim: Mapping[str, Any]) -> str:
    """A loss is said to improve, because its differences are reversed."""
    is_reversed = not metric_named(claim["metric"]).higher_is_better
    return f"{claim['metric_of']} {'improved by ' if is_reversed else ''}{claim['effect']:+.3f}"


def _least(claim: Mapping[str, Any]) -> str:
    return f"{_found(claim)}, at least {claim['lower']:+.3f} ({_sure(claim)})"


def _most(claim: Mapping[str, Any]) -> str:
    return f"{_found(claim)}, at most {claim['upper']:+.3f} ({_sure(claim)})"


def _sure(claim: Mapping[str, Any]) -> str:
    return f"{100 * (1 - claim['level']):.4g} % sure"


_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "beats": _beats,
    "not_worse_than": _not_worse_than,
    "no_class_worse_than": _no_class_worse_than,
    "equivalent_to": _equivalent_to,
    "consistently_better": _consistent,
    "not_consistently_better": _consistent,
    "ranks_above": _ranks_above,
    "consistent_with": _consistent_with,
    "above_published": _above_published,
    "gains_in_order": _gains_in_order,
    "gain_consistent_with": _gain_consistent_with,
}

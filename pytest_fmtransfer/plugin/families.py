"""Families of claims: those that make one sentence about one dataset and regime, counted in what was collected."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from pytest_fmtransfer.plugin.candidates import against_itself
from pytest_fmtransfer.plugin.cases import case_of, identity_of, mistake_of
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.verdict_rule import is_claim


@dataclass(kw_only=True)
class Family:
    """`declared` are the sizes that its claims give, one where all agree; `claims` are its tests, each of them once
    however often it is run.
    """

    name: str
    declared: set[int] = field(default_factory=set[int])
    claims: set[str] = field(default_factory=set[str])


def family_of(item: pytest.Item) -> str | None:
    """The family of the claim that an item makes; None for one that bears no `fm_claim`.

    A family that the mark does not name is the test's own; one that it names spans the tests of a folder. What a
    user's candidates are claimed to do is a family beside it, so that adding one changes no verdict of the suite.
    """
    case = case_of(item)
    if not is_claim(item):
        return None
    home = item.parent.nodeid if item.parent else ""  # the file, and the class where it stands in one
    folder = home.partition("::")[0].rpartition("/")[0] or "."
    named = claim_of(item).family
    whole = f"{folder}: {named}" if named else f"{home}::{getattr(item, 'originalname', item.name)}"
    if case is None:
        return whole
    whole += " with candidates of yours" if case.added else ""
    datasets = "+".join(sorted({cell.dataset for cell in case.cells}))
    return f"{whole} [{datasets}-{case.cells[0].regime}]"


def claims_added(item: pytest.Item) -> int:
    """How many claims a user's candidates add to the family that an item's claim declares; 0 for the suite's own.

    One each where the family is the test's own; in one that spans tests, at most as many each as it declares. Either
    way the number does not depend on what is selected.
    """
    case, claim = case_of(item), claim_of(item)
    return case.added * (claim.family_size if claim.family else 1) if case else 0


def families(items: Iterable[pytest.Item]) -> dict[str, Family]:
    """Every family among items, by name."""
    found: dict[str, Family] = {}
    for item in items:
        case = case_of(item)
        if mistake_of(item) is not None or (case is not None and against_itself(case) is not None):
            continue  # it fails or is skipped: it claims nothing
        if (name := family_of(item)) is not None:
            family = found.setdefault(name, Family(name=name))
            family.declared.add(claim_of(item).family_size + claims_added(item))
            family.claims.add(identity_of(item))
    return found


def too_large(items: Iterable[pytest.Item]) -> list[str]:
    """Complaints about families with more claims than they declare, or with two sizes.

    What is left out by a selection only makes a family smaller, so whatever is collected can be held to this.
    """
    told: list[str] = []
    for family in families(items).values():
        if len(family.declared) > 1:
            sizes = ", ".join(map(str, sorted(family.declared)))
            told.append(f"family {family.name} declares several sizes ({sizes}); give every claim of it the same")
        elif len(family.claims) > max(family.declared):
            told.append(
                f"family {family.name} has {len(family.claims)} claims and declares {max(family.declared)}; say "
                f"fm_claim(family_size={len(family.claims)}), which makes each of them harder to support"
            )
    return told

"""A claim: a sentence about cells, where it stands, the family it belongs to, and known exceptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.judge.court import Outcome

OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A verdict that is known not to be 'supported', and why."""

    outcome: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`statement` is the test's docstring; `source` and `where` say who claims it and on which page.

    `family_size` counts the claims that make one sentence about one dataset and regime; it is declared
    in the suite and does not depend on what is selected. `family` names the sentence where several tests make
    it, and is empty where one test does. `expected` maps ids of cases, which are those of cells, to known
    exceptions. `controls` asks for the control cells of the dataset and regime.
    """

    statement: str = ""
    source: str = ""
    where: str = ""
    family: str = ""
    family_size: int = 1
    expected: Mapping[str, Expectation] = field(default_factory=dict[str, Expectation])
    controls: bool = False


FORM = "write {'backbone-dataset-regime': ('inconclusive', 'why')}"


def parse_expected(rows: object) -> dict[str, Expectation]:
    """`{cell id: (outcome, reason)}` as a suite writes it.

    Raises InvalidInput for an outcome that does not exist, 'supported' or a missing reason.
    """
    if not isinstance(rows, Mapping):
        raise InvalidInput(f"expected={rows!r}: {FORM}")
    expected: dict[str, Expectation] = {}
    for cell_id, row in cast(Mapping[object, object], rows).items():
        if not isinstance(cell_id, str) or not isinstance(row, tuple) or not _two_texts(cast(tuple[object, ...], row)):
            raise InvalidInput(f"expected={{{cell_id!r}: {row!r}}}: {FORM}")
        outcome, reason = cast(tuple[str, str], row)
        if outcome not in OUTCOMES:
            raise InvalidInput(f"expected verdict {outcome!r} of {cell_id}: {nearest(outcome, OUTCOMES)}")
        if outcome == "supported" or not reason.strip():
            raise InvalidInput(
                f"expected verdict of {cell_id}: give ('refuted' or 'inconclusive', reason); "
                "a claim without an entry is expected to be supported"
            )
        expected[cell_id] = Expectation(outcome=outcome, reason=reason.strip())
    return expected


def _two_texts(row: tuple[object, ...]) -> bool:
    return len(row) == 2 and all(isinstance(part, str) for part in row)

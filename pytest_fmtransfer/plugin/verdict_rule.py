"""What a test must come to: the verdicts that it reached decide, not what Python makes of them.

A test may drop a verdict, negate it or hide it in a list, and return as if all were well. So every verdict that a test
or its fixtures reached is held to what the claim declares, whatever was asserted.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.claims import Expectation
from pytest_fmtransfer.plugin.cases import Case
from pytest_fmtransfer.plugin.cells_mark import cells_of_mark
from pytest_fmtransfer.plugin.claim_mark import claim_of

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.court import Verdict

# Verdicts that are no comparison of two backbones, and share their level with no other claim.
GATES = ("unchanged_from", "tells_backbones_apart")

NO_OPPOSITE = (
    "`not verdict` claims nothing: over data sets the opposite claim is not_consistently_better(...); of one cell, "
    "a known exception is fm_claim(expected={{{case!r}: ({outcome!r}, 'why')}})"
)


def is_claim(item: pytest.Item) -> bool:
    """Whether an item bears `fm_claim`."""
    return item.get_closest_marker("fm_claim") is not None


def unmarked(item: pytest.Item, case: Case | None, reached: "Sequence[Verdict]") -> str | None:
    """What to say where an item compared without `fm_claim`: each of its claims was judged as if it were alone."""
    compared = [verdict for verdict in reached if verdict.kind not in GATES]
    if not compared or is_claim(item):
        return None
    size = _claims_of_its_kind(item, case)
    why = "one claim is meant" if size == 1 else f"{size} candidates make one sentence, or 1: each makes its own"
    return (
        f"{_name(item, case)}: {_said(compared[0])} was judged as the only claim of its family, because the test does "
        f"not say how many claims make its sentence; add above it\n@pytest.mark.fm_claim(family_size={size})  # {why}"
    )


def without_a_verdict(item: pytest.Item, case: Case | None, asks_baseline: bool) -> str | None:
    """What to say where an item that is to reach a verdict reached none."""
    if asks_baseline:
        return (
            f"{_name(item, case)} asks for `baseline` and ended without a verdict; "
            "write `assert candidate.unchanged_from(baseline)`"
        )
    if is_claim(item):
        return (
            f"{_name(item, case)} bears fm_claim and ended without a verdict; write `assert candidate.beats(reference)`"
            ", or another verb, in the test itself, or leave out fm_claim"
        )
    return None


def uncounted(item: pytest.Item, case: Case | None, reached: "Sequence[Verdict]") -> str | None:
    """What to say where a test reached more verdicts than its family counts: each was judged as if alone.

    Of several that were looked at, one may be supported by chance alone: margins tried in turn, `any([...])`. The same
    verdict twice is one.
    """
    compared = list(dict.fromkeys(_question(verdict) for verdict in reached if verdict.kind not in GATES))
    needed, size = len(compared) * _claims_of_its_kind(item, case), claim_of(item).family_size
    if len(compared) < 2 or size >= needed:
        return None
    each = f", in each of {needed // len(compared)} cases" if needed > len(compared) else ""
    return (
        f"{_name(item, case)} reached {len(compared)} verdicts{each}, and its family counts {size}: each was judged as "
        f"if there were no others; write a test for each, or fm_claim(family_size={needed}), whose level they share"
    )


def unexpected(reached: "Sequence[Verdict]", expectation: Expectation | None) -> "list[Verdict]":
    """The verdicts that fail an item: neither supported nor what was declared.

    Where something was declared and every verdict is supported, the last one.
    """
    allowed = ("supported",) if expectation is None else ("supported", expectation.outcome)
    wrong = [verdict for verdict in reached if verdict.outcome not in allowed]
    if wrong or expectation is None or any(verdict.outcome == expectation.outcome for verdict in reached):
        return wrong
    return list(reached[-1:])


def not_asserted(item: pytest.Item, case: Case | None, wrong: "Sequence[Verdict]") -> str:
    """What to say of verdicts that are not supported, in a test that ended as if they were."""
    lines = [f"{_name(item, case)} reached what it does not support, and asserted nothing of it:"]
    lines += [f"  {_said(verdict)}: {verdict.summary}" for verdict in wrong]
    gates = [verdict for verdict in wrong if verdict.kind in GATES]
    if len(gates) < len(wrong):
        outcome = next(verdict.outcome for verdict in wrong if verdict.kind not in GATES)
        known = NO_OPPOSITE.format(case=case.id if case else "cell id", outcome=outcome)
        lines.append(f"assert each verdict by itself, `assert candidate.beats(reference)`; {known}")
    lines += dict.fromkeys(_assert_of(verdict) for verdict in gates)
    return "\n".join(lines)


def _question(verdict: "Verdict") -> tuple[str, str, str, float]:
    return verdict.kind, verdict.candidate, verdict.reference, verdict.margin


def _assert_of(verdict: "Verdict") -> str:
    if verdict.kind == "unchanged_from":
        return f"write `assert candidate.unchanged_from(baseline)`; {verdict.settle}"
    return "write `assert controls.tell_backbones_apart()`"


def _said(verdict: "Verdict") -> str:
    return f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference}"


def _name(item: pytest.Item, case: Case | None) -> str:
    return f"{getattr(item, 'originalname', item.name)}[{case.id}]" if case else item.name


def _claims_of_its_kind(item: pytest.Item, case: Case | None) -> int:
    """How many cases of an item's test are about its datasets and regime, whatever is selected; 1 at least."""
    mark = item.get_closest_marker("fm_cells")
    if mark is None or case is None:
        return 1
    others = [other for other in cells_of_mark(mark).cases() if isinstance(other, Case)]
    return max(1, sum(_about(other) == _about(case) for other in others))


def _about(case: Case) -> tuple[frozenset[str], str]:
    return frozenset(cell.dataset for cell in case.cells), case.cells[0].regime

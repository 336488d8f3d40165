"""A plan as text: what each cell of a selection would cost, and what each of its claims could show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import fill

from tabulate import tabulate

from pytest_fmtransfer.costs import CellPlan, Plan, total
from pytest_fmtransfer.judge.foresight import Foresight
from pytest_fmtransfer.reports.absent_plans import absent_parts, absent_total
from pytest_fmtransfer.reports.effort import Estimate, duration, size
from pytest_fmtransfer.throughput import Figure
from pytest_fmtransfer.words import counted

LEGEND = (
    "Time is of what is not in the store yet, decoding, forward passes and adapting, for one process that has all "
    "cores. `can show` is the smallest difference beyond a claim's threshold that is supported with power .8 at the "
    "level of its family. A claim can be settled when that is at most the margin; one that is underpowered still finds "
    "a difference as large as it can show. An assumed error leaves out training again."
)


@dataclass(frozen=True, kw_only=True)
class PlannedClaim:
    """A test that compares two cells, and what it can come to; `margin` is the dataset's."""

    test: str
    family_size: int
    margin: float
    foresight: Foresight


def plan_text(plan: Plan, claims: Sequence[PlannedClaim]) -> str:
    """Cells, what is absent, claims and totals."""
    here = [_cell_row(line) for line in plan.cells if not line.lacks]
    parts = [
        _table(here) if here else "no cell can be measured here",
        *absent_parts(plan.cells),
        _table([_claim_row(claim) for claim in claims]) if claims else "",
        "\n".join(f"{name}: {note}" for name, notes in plan.notes.items() for note in notes),
        fill(LEGEND, 120),
        _totals(plan, claims),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell_row(line: CellPlan) -> dict[str, str]:
    seconds, sizes = [step.seconds for step in line.steps], [step.bytes for step in line.steps]
    return {
        "cell": line.cell.id,
        "forward passes": f"{line.forward_passes:,}",
        "training steps": f"{line.training_steps:,}",
        "time": _amount(seconds, duration),
        "time from": _sources(seconds) or "in the store",
        "disk": _amount(sizes, size),
        "disk from": _sources(sizes),
    }


def _claim_row(claim: PlannedClaim) -> dict[str, str]:
    shown = claim.foresight.detectable
    return {
        "claim": claim.test,
        "m": str(claim.family_size),
        "can show": "" if shown is None else f"{shown:.3f}",
        "margin": f"{claim.margin:g}",
        "can it be settled": claim.foresight.answer,
        "error from": claim.foresight.source,
    }


def _totals(plan: Plan, claims: Sequence[PlannedClaim]) -> str:
    lines = [str(Estimate.of(plan)) if plan.to_run else "nothing to measure"]
    if plan.networks:
        lines.append(
            f"in it, assumed: {duration(plan.starting.amount or 0.0)} to start torch and build "
            f"{counted(plan.networks, 'network')}"
        )
    if total_of_absent := absent_total(plan.cells):
        lines.append(total_of_absent)
    if claims:
        settled = sum(claim.foresight.settled and not claim.foresight.expected for claim in claims)
        once_here = sum(claim.foresight.settled and claim.foresight.expected for claim in claims)
        more = f", and {once_here} more once their weights and data are here" if once_here else ""
        lines.append(f"{counted(len(claims), 'claim')}, of which {settled} can be settled{more}")
    return "\n".join(lines)


def _amount(figures: Sequence[Figure], told: Callable[[float], str]) -> str:
    if not figures:
        return ""
    if all(figure.amount is None for figure in figures):
        return "unknown"
    found = total(figures)
    return f"≥ {told(found.amount)}" if found.at_least else told(found.amount)


def _sources(figures: Sequence[Figure]) -> str:
    return "; ".join(dict.fromkeys(figure.source for figure in figures))


def _table(rows: Sequence[dict[str, str]]) -> str:
    return tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True)

"""What a run is estimated to take, and what it took, in a line each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_fmtransfer.words import counted

if TYPE_CHECKING:  # a report of results that were collected is drawn where nothing can be measured
    from pytest_fmtransfer.costs import Plan


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The totals of a plan, as plain values that travel from a worker; the flags say that a part is unknown."""

    cells: int
    forward_passes: int
    training_steps: int
    seconds: float
    seconds_at_least: bool
    bytes: float
    bytes_at_least: bool

    @classmethod
    def of(cls, plan: "Plan") -> "Estimate":
        return cls(
            cells=plan.to_run,
            forward_passes=plan.forward_passes,
            training_steps=plan.training_steps,
            seconds=plan.seconds.amount,
            seconds_at_least=plan.seconds.at_least,
            bytes=plan.bytes.amount,
            bytes_at_least=plan.bytes.at_least,
        )

    def __str__(self) -> str:
        """'22 cells to measure: 6,574 forward passes, 0 training steps, about 2 min 31 s, about 320.1 MB on disk'."""
        parts = (
            counted(self.forward_passes, "forward pass", ","),
            counted(self.training_steps, "training step", ","),
            roughly(duration(self.seconds), self.seconds_at_least),
            f"{roughly(size(self.bytes), self.bytes_at_least)} on disk",
        )
        return f"{counted(self.cells, 'cell')} to measure: {', '.join(parts)}"


def compared(effort: Mapping[str, Any]) -> str:
    """Estimated against actual, of a report's `effort`."""
    estimated, actual = effort["estimated"], effort["actual"]
    if not (estimated["cells"] or actual["forward_passes"] or actual["seconds"]):
        return "Nothing had to be computed: every result was in the store."
    told = roughly(duration(estimated["seconds"]), estimated["seconds_at_least"])
    passes = counted(estimated["forward_passes"], "forward pass", ",")
    return (
        f"Estimated {told} and {passes}; took {duration(actual['seconds'])} and "
        f"{actual['forward_passes']:,}. Time is of what was computed and stored: decoding, forward passes, adapting, "
        "starting torch; shared among workers as they share the cores. Look-ups are not in it."
    )


def roughly(told: str, at_least: bool) -> str:
    return f"{'at least' if at_least else 'about'} {told}"


def duration(seconds: float) -> str:
    """'4.2 s', '2 min 31 s', '3 h 5 min'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(amount: float) -> str:
    """Bytes in decimal units: '5.3 kB', '25.6 MB', '1.2 GB'."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if amount >= scale:
            return f"{amount / scale:.1f} {unit}"
    return f"{amount / 1e3:.1f} kB"

"""What limits say of a claim, what its parts say of the whole, and which part speaks for it: of any kind of claim."""

from collections.abc import Sequence

from pytest_fmtransfer.judge.court import Outcome


def between(lower: float, upper: float, low: float, high: float) -> Outcome:
    """Of limits `lower` ≤ `upper`, what they say of "above `low` and below `high`", whose ends are outside.

    Supported when the interval lies inside, refuted when it lies wholly outside.
    """
    if low < lower and upper < high:
        return "supported"
    return "refuted" if upper <= low or lower >= high else "inconclusive"


def of_all(outcomes: Sequence[Outcome]) -> Outcome:
    """Of a whole whose parts must all hold: one that is refuted refutes it."""
    if "refuted" in outcomes:
        return "refuted"
    return "supported" if all(each == "supported" for each in outcomes) else "inconclusive"


def weakest(outcomes: Sequence[Outcome], p_values: Sequence[float | None], effects: Sequence[float]) -> int:
    """Which part speaks for the whole, by its place: its effect, limits and p-value are the whole's.

    A part that is refuted before one that has no verdict, that before the highest p-value; of several the lowest
    effect, and the first of equals. A p-value above 1 − alpha is one of the opposite below alpha, so that no other part
    is refuted more clearly.
    """

    def rank(at: int) -> tuple[bool, bool, float, float]:
        p = p_values[at]
        return outcomes[at] == "refuted", p is None, 1.0 if p is None else p, -effects[at]

    return max(range(len(outcomes)), key=rank)

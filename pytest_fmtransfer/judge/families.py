"""Several claims that make one sentence: Holm's correction with the size that was declared."""

from collections.abc import Sequence


def holm(p_values: Sequence[float], family_size: int) -> list[float]:
    """Adjusted p-values in the order given (Holm 1979).

    `family_size` is the declared number of claims; those that gave no p-value, skipped ones say, count as p = 1.
    Raises ValueError for more p-values than were declared.
    """
    if len(p_values) > family_size:
        raise ValueError(f"{len(p_values)} p-values in a family of {family_size}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (family_size - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted

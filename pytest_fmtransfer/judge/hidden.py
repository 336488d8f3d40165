"""What a sample cannot show: a part of a class of whom nobody was drawn, and that a candidate may lose altogether.

Of n patients of a class, none is of a part of share q with probability (1 − q)^n. So a part of up to 1 − level^(1/n)
is missing from the sample with a probability of at least the level, and no rule that looks at the sample can tell.
"""

import math
from collections.abc import Mapping

from pytest_fmtransfer.words import counted

MOST_CLASSES = 3  # of many, those of which most could be hidden are named


def hidden_shares(by_class: Mapping[str, int], level: float) -> dict[str, float]:
    """By class, the largest share that could be lost without having shown, in (0, 1]; of patients by class."""
    return {name: 1 - level ** (1 / count) if count else 1.0 for name, count in by_class.items()}


def patients_to_show(share: float, level: float) -> int:
    """The fewest patients of a class that leave no more than a share in (0, 1) hidden, at a level in (0, 1)."""
    return max(1, math.ceil(math.log(level) / math.log1p(-share) - 1e-9))


def cannot_show(
    dataset: str, by_class: Mapping[str, int], level: float, unit: str, tolerable: float | None
) -> list[str]:
    """The line of a verdict's text; none where there are no classes. `unit` is what patients are on the dataset,
    `tolerable` the share that its row says may be hidden.
    """
    shares = sorted(hidden_shares(by_class, level).items(), key=lambda row: -row[1])
    if not shares:
        return []
    named = [f"{percent(share)} of '{name}' ({counted(by_class[name], unit)})" for name, share in shares[:MOST_CLASSES]]
    more = f", less of {counted(len(shares) - MOST_CLASSES, 'other')}" if len(shares) > MOST_CLASSES else ""
    line = (
        f"cannot show on {dataset}: a loss of a whole part of a class, of up to {', '.join(named)}{more}, of which "
        "none was drawn"
    )
    if tolerable is None:
        return [line]
    enough = counted(patients_to_show(tolerable, level), unit)
    return [f"{line}; the dataset's row tolerates {percent(tolerable)}, which {enough} of a class show"]


def too_much_hidden(by_class: Mapping[str, int], level: float, unit: str, tolerable: float | None) -> str:
    """Says of which class more could be hidden than a row tolerates, and how many patients it takes; else empty."""
    if tolerable is None or not by_class:
        return ""
    name, count = min(by_class.items(), key=lambda row: row[1])
    enough = patients_to_show(tolerable, level)
    if count >= enough:
        return ""
    share = hidden_shares(by_class, level)[name]
    return (
        f"a part of up to {percent(share)} of class '{name}' could be lost without having shown, and the dataset's row "
        f"tolerates {percent(tolerable)}: it takes {counted(enough, unit)} of each class, and '{name}' has {count}"
    )


def percent(share: float) -> str:
    """A share in per cent, to two digits or to a tenth."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.1f} %"

"""What is here, and what is missing with its remedy."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Everything the cell needs is here."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What is absent, and what to type or do about it; `short` is the shorter half of a long remedy, else empty.

    `damaged`: something lies in its place that cannot be used, which is an error where a want is a skip.
    """

    reason: str
    remedy: str
    short: str = ""
    damaged: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


def all_told(lacks: Sequence[Missing]) -> Ready | Missing:
    """Everything that is missing, as one; a remedy that serves several is named once."""
    if not lacks:
        return Ready()
    return Missing(
        reason="; ".join(lack.reason for lack in lacks),
        remedy="; ".join(dict.fromkeys(lack.remedy for lack in lacks)),
        damaged=any(lack.damaged for lack in lacks),
    )


def in_short(lacks: Sequence[Missing]) -> str:
    """The first of what is missing, at least one thing, and what to type about it; of the rest kinds alone, and what
    lists all.

    So tests that lack much say the same, which pytest prints once.
    """
    first, *others = dict.fromkeys(lacks)
    told = f"{first.reason}: {first.short or first.remedy}"
    if others:
        kinds = sorted({_kind(lack, first) for lack in others})
        return f"{told}; also {', '.join(kinds)}: --fm-plan lists all"
    return f"{told}; --fm-plan tells every way" if first.short else told


def _kind(lack: Missing, first: Missing) -> str:
    """'no images' of 'no images of a', 'no other images' after one that lacks some too; other reasons as they are."""
    kind, of, _ = lack.reason.partition(" of ")
    if not of or not kind.startswith("no "):
        return lack.reason
    return kind.replace("no ", "no other ", 1) if first.reason.startswith(kind + of) else kind

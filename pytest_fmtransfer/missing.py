"""What is here, and what is missing with its remedy."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Everything the cell needs is here."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What is absent, and what to type or do about it."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


def all_told(lacks: Sequence[Missing]) -> Ready | Missing:
    """Everything that is missing, as one; a remedy that serves several is named once."""
    if not lacks:
        return Ready()
    return Missing(
        reason="; ".join(lack.reason for lack in lacks),
        remedy="; ".join(dict.fromkeys(lack.remedy for lack in lacks)),
    )

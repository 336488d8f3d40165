"""Under which level verdicts are reached, and who writes them down.

A test's verdicts belong to a family whose size the suite declares; the plugin enters `judging` around each
test, so that `candidate.beats(reference)` inside it knows its level. Outside, the family is the claim alone.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.verdicts import Verdict

Outcome = Literal["supported", "refuted", "inconclusive"]

ALPHA = 0.05  # one-sided level of a family


def _forget(verdict: "Verdict") -> None:
    del verdict


@dataclass(frozen=True, kw_only=True)
class Court:
    """`alpha` is the one-sided level of the family in (0, .5), `family_size` the claims declared in it."""

    alpha: float = ALPHA
    family_size: int = 1
    record: Callable[["Verdict"], None] = _forget

    @property
    def level(self) -> float:
        """The one-sided level of a single claim (Bonferroni)."""
        return self.alpha / self.family_size


_ALONE = Court()
_court: ContextVar[Court] = ContextVar("court", default=_ALONE)


def current() -> Court:
    """The court in session."""
    return _court.get()


@contextmanager
def judging(court: Court) -> Generator[Court]:
    """Verdicts inside the block are reached at this court's level and recorded by it."""
    token = _court.set(court)
    try:
        yield court
    finally:
        _court.reset(token)

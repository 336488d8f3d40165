"""A verdict, under which level verdicts are reached, and who writes them down.

A test's verdicts belong to a family whose size the suite declares; the plugin enters `judging` around each
test, so that `candidate.beats(reference)` inside it knows its level. Outside, the family is the claim alone.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_fmtransfer.words import counted

if TYPE_CHECKING:  # collecting a suite reads this module, and imports no numpy
    from pytest_fmtransfer.judge.bounds import Piece
    from pytest_fmtransfer.judge.pooled_drift import Screened
    from pytest_fmtransfer.results import Result

Outcome = Literal["supported", "refuted", "inconclusive"]

ALPHA = 0.05  # one-sided level of a family


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """What one class of an average over classes moved by: candidate minus reference of its own `metric`.

    `patients` are those of the class in the test side. The limits are as a verdict's, for this class alone.
    """

    name: str
    metric: str
    patients: int
    effect: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the data say of a claim; true only when they support it.

    `effect`, `lower` and `upper` are in the metric's unit, candidate minus reference (the reverse for a loss). `lower`
    and `upper` are the two-sided interval at 1 − 2 × `level`, whose ends are the one-sided limits that decide, inside
    what the metric's range allows; they are None where a class has too few patients for any. `detectable` is the
    smallest effect that could be shown, or, of a claim that allows for a margin, the smallest margin; it is never below
    0. `p` is one-sided, and None where there is a `reason`, which says why a verdict is not what the interval alone
    would say: among the claims of a family it counts as 1. `metric_of` is the metric with the class that it is of,
    where it is of one. `margin` is what the claim asks for or allows, `mark` what a reader should hold against it.
    `settle` is the sentence that says what would settle one that does not pass, `published` the number that a claim is
    held against. `hidden` is, by class, the largest share that could be lost altogether without having shown at `level`
    (`judge.hidden`). `screened` is what the regression gate saw of a cell at one new seed, None where it took none.
    `classes` are the differences of each class of an average over classes, the worst first; of any claim but
    `no_class_worse_than` they decide nothing. Texts are empty where there is nothing to say.
    """

    kind: str
    candidate: str
    reference: str
    outcome: Outcome
    summary: str = ""
    text: str = ""
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    detectable: float | None = None
    p: float | None = None
    level: float | None = None
    family_size: int = 1
    metric: str = ""
    metric_of: str = ""
    margin: float = 0.0
    reason: str = ""
    mark: str = ""
    settle: str = ""
    published: float | None = None
    hidden: tuple[tuple[str, float], ...] = ()
    screened: "Screened | None" = None
    classes: tuple[ClassDifference, ...] = ()

    def __bool__(self) -> bool:
        return self.outcome == "supported"

    def __repr__(self) -> str:
        return self.summary


def _forget(verdict: Verdict) -> None:
    del verdict


@dataclass(frozen=True, kw_only=True)
class Court:
    """`alpha` is the one-sided level of the family in (0, .5), `family_size` the claims in it.

    `added` of these are not declared, but of candidates that a user put beside the declared ones.
    `telling` is the verdict on whether the dataset and regime in question can tell backbones apart, None where
    the controls have not been run. `seed_variances` are those of a single run, recorded beforehand with their degrees
    of freedom, by dataset and regime. `acknowledged` are, by dataset, the severe findings of an audit that it is used
    in spite of, each with the reason: every verdict on it says so.
    """

    alpha: float = ALPHA
    family_size: int = 1
    added: int = 0
    record: Callable[[Verdict], None] = _forget
    telling: Verdict | None = None
    seed_variances: "Mapping[tuple[str, str], Piece]" = field(default_factory=dict[tuple[str, str], "Piece"])
    acknowledged: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def level(self) -> float:
        """The one-sided level of a single claim (Bonferroni)."""
        return self.alpha / self.family_size

    def seed_variance(self, *results: "Result") -> "Piece | None":
        """What is on record for those of the results that depend on their seed.

        None where nothing is, or where they are of several datasets or regimes, which have no variance in common.
        """
        seeded = {(result.cell.dataset, result.cell.regime) for result in results if result.seeded}
        return self.seed_variances.get(seeded.pop()) if len(seeded) == 1 else None

    @property
    def shared(self) -> str:
        """The family's level and how many claims share it, in words; a claim that shares it with none is called so,
        because a size of 1 is what a suite has that declares nothing.
        """
        if self.family_size == 1:
            return "a claim of its own"
        declared = self.family_size - self.added
        claims, them = (counted(declared, "declared claim"), "them") if declared > 1 else ("the suite's claim", "it")
        added = f" and {self.added} of candidates added to {them}" if self.added else ""
        return f"{self.alpha:g} over {claims}{added}"


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


def convene(court: Court) -> None:
    """From now on verdicts are this court's, until the `judging` block around the call ends."""
    _court.set(court)

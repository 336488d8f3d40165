"""A cell's result with its verbs. Whoever judges a result that exists already needs nothing that could compute one."""

from dataclasses import dataclass

from pytest_fmtransfer.judge import regression, verdicts
from pytest_fmtransfer.judge.court import Verdict
from pytest_fmtransfer.results import Result


@dataclass(frozen=True, kw_only=True, repr=False)
class CellResult(Result):
    """A result that can be held against others; each verb returns a Verdict, true only when supported."""

    tolerance: float

    def beats(self, reference: Result, *, margin: float = 0.0) -> Verdict:
        """Is this cell's metric higher than the reference's by more than `margin`, in the metric's unit?"""
        return verdicts.beats(self, reference, margin)

    def not_worse_than(self, reference: Result, *, margin: float | None = None) -> Verdict:
        """Is it lower by less than `margin`, by default the dataset's? Raises InvalidInput for a margin ≤ 0."""
        return verdicts.not_worse_than(self, reference, margin)

    def unchanged_from(self, baseline: Result) -> Verdict:
        """Did no score move by more than rounding can move it since the baseline was recorded?"""
        return regression.unchanged_from(self, baseline, self.tolerance)

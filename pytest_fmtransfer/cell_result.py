"""A cell's result with its verbs. Whoever judges a result that exists already needs nothing that could compute one."""

from dataclasses import dataclass

from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.judge import no_class_worse, published, regression, verdicts
from pytest_fmtransfer.judge.court import Verdict
from pytest_fmtransfer.judge.regression import Rerun, Tolerance
from pytest_fmtransfer.results import Result


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CellResult(Result):
    """A result that can be held against others; each verb returns a Verdict, true only when supported.

    `rerun` yields the cell's result at other seeds, None where nothing can be run. `key` names its entry in the store,
    and is empty for one that is not from there.
    """

    tolerance: Tolerance
    rerun: Rerun | None = None
    key: str = ""

    def beats(self, reference: Result, *, margin: float = 0.0) -> Verdict:
        """Is this cell's metric better than the reference's by more than `margin`, in the metric's unit?"""
        verdicts.check_two(self, reference)
        return verdicts.beats(self, reference, margin)

    def not_worse_than(self, reference: Result, *, margin: float | None = None) -> Verdict:
        """Is it worse by less than `margin`, by default the dataset's? Raises InvalidInput for a margin ≤ 0."""
        verdicts.check_two(self, reference)
        return verdicts.not_worse_than(self, reference, margin)

    def equivalent_to(self, reference: Result, *, margin: float | None = None) -> Verdict:
        """Do the two differ by less than `margin`, either way? Margin as for `not_worse_than`."""
        verdicts.check_two(self, reference)
        return verdicts.equivalent_to(self, reference, margin)

    def no_class_worse_than(self, reference: Result, *, margin: float | None = None) -> Verdict:
        """Is each class's own recall or AUC worse by less than `margin`? Margin as for `not_worse_than`."""
        verdicts.check_two(self, reference)
        return no_class_worse.no_class_worse_than(self, reference, margin)

    def consistent_with(self, number: published.Published, *, margin: float | None = None) -> Verdict:
        """Does it agree with a published number within `margin`? Margin as for `not_worse_than`."""
        return published.consistent_with(self, number, margin)

    def above(self, number: published.Published) -> Verdict:
        """Is it better than a published number: higher, or lower for a loss?"""
        return published.above_published(self, number)

    def unchanged_from(self, baseline: Result) -> Verdict:
        """Did nothing move since the baseline was recorded, beyond rounding and training randomness?"""
        return regression.unchanged_from(self, baseline, self.tolerance, self.rerun)


def tolerance_of(regime: RegimeSpec) -> Tolerance:
    """What rounding may do under a regime."""
    return Tolerance(score=regime.tolerance, metric=regime.metric_tolerance)

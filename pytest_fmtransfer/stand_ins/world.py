"""Who sees what: of each cell of stand-ins, whether its dataset's class reaches its scores, and what that comes to.

Of rows alone, without opening anything.
"""

from dataclasses import dataclass

from pytest_fmtransfer.availability import adapted_from
from pytest_fmtransfer.catalog.regime_settings import (
    KnnSettings,
    LinearProbeSettings,
    RidgeSettings,
    TrainingSettings,
)
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import seeds_on
from pytest_fmtransfer.catalog.specs import DatasetSpec, StandInWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.stand_ins.planted import MARKS, PROFILE, carriers_of, is_generated, side_of


@dataclass(frozen=True, kw_only=True)
class World:
    """The catalogue of a session of stand-ins. What it is asked raises InvalidInput for a cell that nothing is planted
    for, and UnknownName as the catalogue does.
    """

    registry: Registry

    def sees(self, cell: Cell) -> bool:
        """Whether what carries the class gets past the eye, and the door where it is behind one."""
        weights = self._weights(cell)
        dataset = self._dataset(cell)
        carriers = carriers_of(dataset.name, channels=dataset.stored_channels, side=side_of(dataset))
        passed = {*weights.sees, *(weights.opens if self._trains_blocks(cell) else ())}
        return not passed.isdisjoint(carriers)

    def misses(self, cell: Cell) -> int:
        """The mark whose pictures a cell that sees is wrong about."""
        return self._weights(cell).misses

    def value(self, cell: Cell) -> float:
        """About what its metric comes to: exactly chance where it does not see."""
        dataset, seen = self._dataset(cell), self.sees(cell)
        right = 1 - 1 / MARKS
        classes = len(dataset.classes)
        if dataset.metric in ("roc_auc", "mean_roc_auc", "roc_auc_ovr", "roc_auc_ovo"):
            # Of what is missed nothing is told: half of the pairs of two that are missed are in order.
            return 1 - 0.5 / MARKS**2 if seen else 0.5
        if dataset.metric in ("macro_recall", "balanced_accuracy", "accuracy"):
            return right + (1 - right) / classes if seen else 1 / classes
        if dataset.metric == "quadratic_kappa":
            return 0.86 if seen else 0.0
        raise InvalidInput(f"no value in {dataset.metric} is planted, the metric of {cell.dataset}")

    def higher_is_better(self, cell: Cell) -> bool:
        """Whether more of its metric is better; of a loss less is."""
        return metric_named(self._dataset(cell).metric).higher_is_better

    def seeds(self, cell: Cell) -> int | None:
        """At how many a cell is run; None where it does not depend on them."""
        regime = self.registry.regime(cell.regime)
        return len(seeds_on(regime, self._dataset(cell), self.registry.profile(PROFILE))) if regime.seeded else None

    def _weights(self, cell: Cell) -> StandInWeights:
        row = adapted_from(self.registry.backbone(cell.backbone), self._regime(cell).settings)
        if not isinstance(row.weights, StandInWeights):
            raise InvalidInput(f"nothing is planted of {cell}: {cell.backbone} has no stand-in")
        return row.weights

    def _dataset(self, cell: Cell) -> DatasetSpec:
        dataset = self.registry.dataset(cell.dataset)
        if dataset.shuffled or not is_generated(dataset):
            why = "its labels are shuffled" if dataset.shuffled else "nothing is generated in its layout"
            raise InvalidInput(f"nothing is planted of {cell}: {why}")
        return dataset

    def _regime(self, cell: Cell) -> RegimeSpec:
        regime = self.registry.regime(cell.regime)
        settings = regime.settings
        if not isinstance(settings, TrainingSettings | KnnSettings | LinearProbeSettings | RidgeSettings):
            raise InvalidInput(f"nothing is planted of {cell}: no rule says what a stand-in learns under {cell.regime}")
        if isinstance(settings, TrainingSettings) and settings.recipe == "none" and settings.first_block:
            raise InvalidInput(f"nothing is planted of {cell}: a stand-in sees pictures, not what blocks make of them")
        return regime

    def _trains_blocks(self, cell: Cell) -> bool:
        settings = self._regime(cell).settings
        return isinstance(settings, TrainingSettings) and settings.trained in ("all", "from_block")

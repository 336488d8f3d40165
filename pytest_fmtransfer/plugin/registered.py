"""Tests of whatever the catalogue has: `fm_cells(registered=True, regimes=[…])` has an item for every cell of it.

Ours, those of entry points and conftests, and those of the command line. Random twins, tiny versions, shuffled labels
and the probe of the files' metadata are controls, and none of them.
"""

from collections.abc import Sequence

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.cell import Cell


def cells_of_the_catalogue(registry: Registry, regimes: Sequence[str]) -> tuple[Cell, ...]:
    """Every backbone that is no control on every dataset, under each regime. Raises UnknownName for a regime that is
    not in the catalogue."""
    for regime in regimes:
        registry.regime(regime)
    backbones = [row.name for row in registry.rows(BackboneSpec) if not row.is_control]
    datasets = [row.name for row in registry.rows(DatasetSpec)]
    return tuple(Cell(b, d, r) for b in backbones for d in datasets for r in regimes)

"""Tests of whatever the catalogue has: `fm_cells(registered=True, regimes=[…])` has an item for every cell of it.

Ours, those of entry points and conftests, and those of the command line. Random twins, tiny versions, shuffled labels
and the probe of the files' metadata are controls, and none of them. Nobody claims that a regime can run on each of
these backbones: where it cannot, the cell is skipped, and where it can on none, the regime is a mistake.
"""

from collections.abc import Sequence

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import Impossible
from pytest_fmtransfer.never import nobody_runs


def cells_of_the_catalogue(registry: Registry, regimes: Sequence[str], asked: str | None = None) -> tuple[Cell, ...]:
    """Every backbone that is no control on every dataset, under each regime of a mark, or under the one that is `asked`
    for by --fm-regime in their place.

    Raises UnknownName for a regime that is not in the catalogue, Impossible for one that no backbone of it can run.
    """
    backbones = [row for row in registry.rows(BackboneSpec) if not row.is_control]
    datasets = [row.name for row in registry.rows(DatasetSpec)]
    taken = regimes if asked is None else (asked,)
    for regime in taken:
        if (never := nobody_runs(registry.regime(regime), backbones)) is not None:
            named = regime if asked is None else f"--fm-regime={asked}"
            raise Impossible(f"{named}: no backbone of the catalogue can run it: even {never.reason}; {never.remedy}")
    return tuple(Cell(b.name, d, r) for b in backbones for d in datasets for r in taken)

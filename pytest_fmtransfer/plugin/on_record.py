"""What the catalogue has on record of training randomness: the variance of single runs, by dataset and regime."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.bounds import Piece


def seed_variances(cells: Iterable[Cell], registry: Registry) -> "dict[tuple[str, str], Piece]":
    """Of a single run, by dataset and regime, where the rows of the cells' regimes have one."""
    from pytest_fmtransfer.judge.bounds import Piece

    found: dict[tuple[str, str], Piece] = {}
    for cell in cells:
        if (known := registry.regime(cell.regime).seed_variances.get(cell.dataset)) is not None:
            found[cell.dataset, cell.regime] = Piece(variance=known.variance, degrees=known.degrees)
    return found

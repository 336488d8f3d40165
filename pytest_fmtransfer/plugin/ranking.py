"""From the rows of tests that ask for `ranked` to the tables of a leaderboard, on the controller.

A row names a result and says where it lies. Ranks need the scores of all of them at once, which no worker has: they are
read from the store, or from the folders of --fm-collect, one dataset after the other. Nothing is computed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import FmTransferError, Unavailable
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.plugin.measuring import collected
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.settings import Settings
from pytest_fmtransfer.reports.rankings import Row, ranking_row, without_ranks
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import Store


def rankings_of(rows: Iterable[Mapping[str, Any]], settings: Settings) -> tuple[Row, ...]:
    """One table a dataset and regime, in the order of their names."""
    keys = {Cell.parse(row["ranked"]["cell"]): str(row["ranked"]["key"]) for row in rows if row["ranked"]}
    tables: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(keys):
        tables.setdefault((cell.dataset, cell.regime), []).append(cell)
    return tuple(_table(tables[name], keys, settings) for name in sorted(tables))


def _table(cells: list[Cell], keys: Mapping[Cell, str], settings: Settings) -> Row:
    dataset, regime = cells[0].dataset, cells[0].regime
    court = Court(
        seed_variances=seed_variances(cells, settings.registry),
        acknowledged={dataset: {**settings.registry.dataset(dataset).acknowledged}},
    )
    try:
        results = [_result(cell, keys[cell], settings) for cell in cells]
        with judging(court):
            return ranking_row(results)
    except (FmTransferError, OSError) as error:  # a report that has no ranks is worth more than none
        return without_ranks(dataset, regime, str(error))


def _result(cell: Cell, key: str, settings: Settings) -> Result:
    if settings.collect:
        return collected(cell, settings)
    entry = Store(root=settings.places.store).load("results", key)
    if entry is None:
        raise Unavailable(
            f"{cell} is not in the store of the machine that reports, {settings.places.store}; run the tests there, or "
            "bring what they measured with --fm-export=DIR, and judge it with --fm-collect=DIR"
        )
    return Result.read(entry / "result.json", entry / "scores.npz", origin="store")

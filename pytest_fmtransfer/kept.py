"""Results that lie in the store, found by cell and profile: nothing is opened, loaded or computed to find them.

A run finds a result by everything that it is asked, down to each image's bytes. Here the newest is taken that is as
the catalogue declares: what was measured last, on the weights, data and versions of that day.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import seeds_on
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult
from pytest_fmtransfer.errors import BaselineError, Unavailable
from pytest_fmtransfer.exports import as_declared, differences
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import MANIFEST, Store


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A result and the day, UTC, on which it was measured."""

    result: CellResult
    day: date


class KeptResults:
    """The results of one profile in a store, as it is when they are first asked for."""

    def __init__(self, store: Store, *, profile: str, registry: Registry) -> None:
        self._store, self._profile, self._registry = store, profile, registry

    def newest(self, cell: Cell, seeds: tuple[int, ...] | None = None) -> Kept | None:
        """The newest sound result of a cell that is as declared, None where there is none.

        `seeds` are by default those at which the profile runs the cell. Raises UnknownName for a name that is not in
        the catalogue.
        """
        regime, dataset = self._registry.regime(cell.regime), self._registry.dataset(cell.dataset)
        wanted = seeds_on(regime, dataset, self._registry.profile(self._profile)) if seeds is None else seeds
        for written, entry in self._entries.get(cell.id, ()):
            stored = self._read(entry)
            if stored is None or (stored.cell, stored.seeds) != (cell, wanted):
                continue
            if differences(stored, self._profile, self._registry):
                continue
            day = datetime.fromtimestamp(written, UTC).date()
            again = partial(self._again, cell) if seeds is None else None
            return Kept(result=as_declared(stored, self._registry, origin="store", rerun=again), day=day)
        return None

    def _again(self, cell: Cell, seeds: tuple[int, ...]) -> CellResult:
        """What a verdict's fresh seeds yielded, where they were run."""
        kept = self.newest(cell, seeds)
        if kept is None:
            raise Unavailable(f"{cell} at seeds {seeds} is not in the store; run the test")
        return kept.result

    @cached_property
    def _entries(self) -> dict[str, list[tuple[float, Path]]]:
        """When each entry was written, and its folder, by id of its cell, newest first."""
        found: dict[str, list[tuple[float, Path]]] = {}
        for entry in self._store.entries("results"):
            manifest = entry / MANIFEST
            try:
                about = json.loads(manifest.read_text(encoding="utf-8"))["about"]
                if about["profile"] == self._profile:
                    found.setdefault(about["cell"], []).append((manifest.stat().st_mtime, entry))
            except (OSError, ValueError, KeyError, TypeError):  # damaged, or taken away meanwhile: not there
                continue
        return {cell: sorted(entries, reverse=True) for cell, entries in found.items()}

    def _read(self, entry: Path) -> Result | None:
        if self._store.load("results", entry.name) is None:
            return None
        try:
            return Result.read(entry / "result.json", entry / "scores.npz", origin="store")
        except BaselineError:  # of another version's schema
            return None

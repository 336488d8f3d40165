"""Exported results in a repository: find, load, write, accept.

A baseline is `<cell id>.json` and, beside it, `<cell id>.npz` with the scores. It is keyed by its cell and
never by the name of a test. What a run obtained where it did not agree waits as `<cell id>.obtained.json` and
`.obtained.npz` until it is accepted, or until a later run agrees. What was ever recorded stands in a list
(`baseline_names`), so that a baseline that is deleted is missed.
"""

import json
import re
import subprocess
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

from filelock import FileLock

from pytest_fmtransfer.baseline_names import (
    LIST,
    OBTAINED,
    in_list,
    list_lines,
    listed_cells,
    lost_cells,
    named_cells,
    recorded_cells,
    unlisted_cells,
)
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError, InvalidName, OldBaseline
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.results import Recorded, Result
from pytest_fmtransfer.store import fingerprint, write_atomically


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two files of a stored result."""

    record: Path
    scores: Path

    def __iter__(self) -> Generator[Path]:
        yield from (self.record, self.scores)  # in the order in which they may be removed

    @property
    def exists(self) -> bool:
        return self.record.is_file()


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """A folder of baselines; it need not exist before the first is written.

    Two files cannot be replaced in one step, so writers hold a lock in `locks`, one for the folder. A reader
    holds none: a pair says itself whether it belongs together, and one that does not is read once more under
    the lock, when no writer stands between its two files.
    """

    folder: Path
    locks: Path = field(default_factory=lambda: Places.from_environment().store / "locks")

    def pair(self, cell: Cell) -> Pair:
        return self._files(cell.id)

    def obtained(self, cell: Cell) -> Pair:
        return self._files(cell.id + OBTAINED)

    def has(self, cell: Cell) -> bool:
        return self.pair(cell).exists

    def cells(self) -> list[Cell]:
        """Cells that have a baseline here, sorted."""
        return recorded_cells(self.folder)

    def on_record(self, cell: Cell) -> bool:
        """Whether a cell has a baseline, or had one: a list names it. Raises InvalidInput for a damaged list."""
        return self.has(cell) or cell in listed_cells(self.folder)

    def lost(self) -> list[Cell]:
        """Cells that have no baseline any more, sorted. Raises as `on_record` does."""
        return lost_cells(self.folder)

    def waiting(self) -> list[Cell]:
        """Cells of which an obtained result waits here, sorted."""
        return [cell for cell in named_cells(self.folder) if self.obtained(cell).exists]

    def halves(self) -> list[Path]:
        """Records without scores, and scores without a record, of baselines and obtained results."""
        pairs = [pair for cell in named_cells(self.folder) for pair in (self.pair(cell), self.obtained(cell))]
        present = [[path for path in pair if path.is_file()] for pair in pairs]
        return [paths[0] for paths in present if len(paths) == 1]

    def load(self, cell: Cell) -> Result:
        """The stored result of a cell.

        Raises BaselineError when there is none, or when its two files are not as they were written, with the
        command that records it.
        """
        return self._read(
            cell,
            self.pair(cell),
            origin="baseline",
            absent=self.gone(cell)
            if cell in listed_cells(self.folder)
            else f"no baseline of {cell} in {self.folder}; record it: run the same command with --fm-update=new, "
            "and commit the files",
            remedy="restore both files from version control, or record it again: run the same command with "
            "--fm-update=all",
        )

    def peek(self, cell: Cell) -> Result | None:
        """The stored result of a cell, None when there is none that can be used. It takes no lock."""
        try:
            return _restore(cell, self.pair(cell), "baseline")
        except BaselineError:
            return None

    def load_obtained(self, cell: Cell) -> Result:
        """What the last run that did not agree with a cell's baseline obtained. Raises BaselineError as `load`."""
        return self._read(
            cell,
            self.obtained(cell),
            origin="obtained",
            absent=f"no obtained result of {cell} waits in {self.folder}; run the test of its baseline",
            remedy="run the test of its baseline again",
        )

    def gone(self, cell: Cell) -> str:
        """What to say of a cell that was recorded and has no baseline any more."""
        return (
            f"the baseline of {cell} is gone from {self.folder}, where {LIST} lists it; restore both files from "
            "version control, or record it again: run the same command with --fm-update=new; of a cell that is to be "
            f"held no longer: fmtransfer baseline prune --yes --folder={quote(str(self._folder_to_type()))}"
        )

    def _folder_to_type(self) -> Path:
        """Below the current folder, without what leads there."""
        here = Path.cwd()
        return self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder

    def record(self, result: Result) -> None:
        """`write`, and list the cell. The list comes first: a kill in between leaves a baseline that is missed."""
        self.enlist(result)
        self.write(result)

    def enlist(self, result: Result) -> None:
        """Let a list name a result's cell, and every other that has a baseline here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        top, lines = in_list(self.folder, {result.cell, *unlisted_cells(self.folder)}, result.question.profile)
        self._relist(top, add=lines)

    def delist(self, cells: Iterable[Cell]) -> None:
        """Take cells off the lists that name them."""
        gone, folder = list(cells), self.folder.absolute()
        for top, lines in (
            (folder, {cell.id for cell in gone}),
            (folder.parent, {f"{folder.name}/{cell.id}" for cell in gone}),
        ):
            if lines & set(list_lines(top)):
                self._relist(top, drop=lines)

    def _relist(self, top: Path, *, add: Collection[str] = (), drop: Collection[str] = ()) -> None:
        with self._locked(top):
            before = list_lines(top)
            after = sorted({*before, *add} - {*drop})
            if after != before:
                write_atomically(top / LIST, "".join(f"{line}\n" for line in after).encode())

    def write(self, result: Result) -> None:
        """Store a result as its cell's baseline, or as an exported result, which no list names; nothing of that cell
        waits any longer, no other is touched.
        """
        dated = self._dated(result)
        with self._locked():
            _write(self.pair(result.cell), dated)
            _remove(self.obtained(result.cell))

    def rewrite(self, pair: Pair, record: Mapping[str, Any], scores: bytes) -> None:
        """Put a result that was written anew in the place of its files; when it was recorded stays."""
        with self._locked():
            _put(pair, record, scores)

    def check_seeds(self, result: Result) -> None:
        """Raises BaselineError where a result ran at fewer seeds than its cell's baseline has: writing it would lose
        what tells drift from training randomness.
        """
        try:
            recorded = len(self.load(result.cell).seeds)
        except BaselineError:  # none, or one that is lost already
            return
        if len(result.seeds) < recorded:
            raise BaselineError(
                f"{result.cell} ran at {len(result.seeds)} of the {recorded} seeds that its baseline has; record all "
                "of them again, where it can be run: its test with --fm-update=changed"
            )

    def keep_obtained(self, result: Result) -> None:
        """Let a result wait beside its cell's baseline."""
        dated = self._dated(result)
        with self._locked():
            _write(self.obtained(result.cell), dated)

    def drop_obtained(self, cell: Cell) -> None:
        """Remove what waits beside a cell's baseline, if anything does."""
        if any(path.exists() for path in self.obtained(cell)):
            self.remove(self.obtained(cell))

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files; a pair's record goes first, so that scores without one are all that a kill can leave."""
        with self._locked():
            _remove(paths)

    def _files(self, stem: str) -> Pair:
        return Pair(record=self.folder / f"{stem}.json", scores=self.folder / f"{stem}.npz")

    def _dated(self, result: Result) -> Result:
        self.folder.mkdir(parents=True, exist_ok=True)  # git is asked inside it
        return replace(result, recorded=_recorded(self.folder))

    def _read(self, cell: Cell, pair: Pair, *, origin: str, absent: str, remedy: str) -> Result:
        if pair.exists:
            with suppress(BaselineError):
                return _restore(cell, pair, origin)
            with self._locked():
                if pair.exists:
                    try:
                        return _restore(cell, pair, origin)
                    except OldBaseline as error:
                        folder = quote(str(self._folder_to_type()))
                        raise OldBaseline(
                            f"{origin} {pair.record} cannot be used: {error}; write it anew without them, where the "
                            f"data are: fmtransfer baseline migrate --folder={folder} (and, where a conftest.py "
                            "registers the dataset, the tests beside it)"
                        ) from error
                    except BaselineError as error:
                        raise BaselineError(f"{origin} {pair.record} cannot be used: {error}; {remedy}") from error
        raise BaselineError(absent)

    @contextmanager
    def _locked(self, folder: Path | None = None) -> Generator[None]:
        folder = folder or self.folder
        self.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.locks / f"baselines-{fingerprint(str(folder.resolve()))}.lock"):
            # Whoever holds the lock is the only writer: what is half-written is of killed processes.
            _remove(path for path in folder.glob(".*-*") if _is_half_written(path.name))
            yield


def _restore(cell: Cell, pair: Pair, origin: str) -> Result:
    result = Result.read(pair.record, pair.scores, origin=origin)
    if result.cell != cell:
        raise BaselineError(f"{pair.record.name} holds the result of {result.cell}")
    return result


def _write(pair: Pair, result: Result) -> None:
    _put(pair, result.record(), result.scores_file())


def _put(pair: Pair, record: Mapping[str, Any], scores: bytes) -> None:
    """Each file whole or not at all, scores first: a record always has some beside it."""
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(pair.scores, scores)
    write_atomically(pair.record, f"{text}\n".encode())


def _is_half_written(name: str) -> bool:
    """Whether a file is one of `write_atomically`, of a pair or of the list, that was not yet in its place."""
    found = re.fullmatch(r"\.(?:(?P<stem>.+)\.(?:json|npz)|" + re.escape(LIST) + r")-[a-z0-9_]{8}", name)
    if found is None or found["stem"] is None:
        return found is not None
    try:
        Cell.parse(found["stem"].removesuffix(OBTAINED))
    except InvalidName:
        return False
    return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _recorded(folder: Path) -> Recorded:
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        commit = None
    return Recorded(date=datetime.now(UTC).date().isoformat(), commit=commit, version=version("pytest-fmtransfer"))

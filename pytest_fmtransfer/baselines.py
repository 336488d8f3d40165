"""Exported results in a repository: find, load, write.

A baseline is `<cell id>.json` and, beside it, `<cell id>.npz` with the scores. It is keyed by its cell and
never by the name of a test.
"""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import write_atomically


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """A folder of baselines; it need not exist before the first is written."""

    folder: Path

    def has(self, cell: Cell) -> bool:
        return self._record(cell).is_file()

    def load(self, cell: Cell) -> Result:
        """The stored result of a cell.

        Raises BaselineError when there is none, or when its two files do not belong together, with the
        command that records it.
        """
        record = self._record(cell)
        if not record.is_file():
            raise BaselineError(
                f"no baseline of {cell} in {self.folder}; record it: run the same command with --fm-update=new, "
                "and commit the files"
            )
        try:
            return Result.restore(
                json.loads(record.read_text(encoding="utf-8")),
                self._scores(cell).read_bytes(),
                origin="baseline",
            )
        except (OSError, ValueError, KeyError, TypeError, BaselineError) as error:
            raise BaselineError(
                f"baseline {record} cannot be used: {error}; restore both files from version control, or record it "
                "again: run the same command with --fm-update=all"
            ) from error

    def write(self, result: Result) -> None:
        """Store a result as its cell's baseline, each file whole or not at all, scores first."""
        record = self._record(result.cell)
        write_atomically(self._scores(result.cell), result.scores_file())
        whole = result.record() | {"recorded": _provenance(self.folder)}
        text = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(record, f"{text}\n".encode())

    def _record(self, cell: Cell) -> Path:
        return self.folder / f"{cell.id}.json"

    def _scores(self, cell: Cell) -> Path:
        return self.folder / f"{cell.id}.npz"


def _provenance(folder: Path) -> dict[str, str | None]:
    """When, by which version, and at which commit of the repository that keeps the baseline."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        commit = None
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "pytest-fmtransfer": version("pytest-fmtransfer"),
    }

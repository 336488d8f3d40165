"""Which cells a folder of baselines is about, by the names of its files: none is opened, nothing heavy imported."""

from pathlib import Path

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidName

OBTAINED = ".obtained"


def named_cells(folder: Path) -> list[Cell]:
    """Every cell that a file in a folder is named after, sorted; other files are none of ours.

    The folder need not exist.
    """
    found: set[Cell] = set()
    for path in folder.glob("*.*"):
        if path.suffix in (".json", ".npz"):
            try:
                found.add(Cell.parse(path.stem.removesuffix(OBTAINED)))
            except InvalidName:
                continue
    return sorted(found)


def record_of(folder: Path, cell: Cell) -> Path:
    """Where the record of a cell's baseline is, or would be."""
    return folder / f"{cell.id}.json"


def recorded_cells(folder: Path) -> list[Cell]:
    """Cells that have a baseline in a folder, sorted."""
    return [cell for cell in named_cells(folder) if record_of(folder, cell).is_file()]

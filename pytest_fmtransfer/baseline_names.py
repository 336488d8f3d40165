"""Which cells a folder of baselines is about, by the names of its files and its list; nothing heavy is imported.

The list, `recorded.txt`, names every cell that was ever recorded, so that a baseline that is deleted is missed. It has
one sorted line a cell, the name of its record without the suffix: `<cell id>`, or `<profile>/<cell id>` for those of a
profile that has a folder of its own below. Two branches that record other cells merge line by line.
"""

from collections.abc import Collection
from pathlib import Path

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput, InvalidName

OBTAINED = ".obtained"
LIST = "recorded.txt"
_MERGING = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")  # both sides' lines count, as `merge=union` has them


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


def listed_cells(folder: Path) -> list[Cell]:
    """Cells that a list says were recorded in a folder, sorted: its own list, and that of the folder above it.

    Raises InvalidInput for a line that is no cell.
    """
    folder = folder.absolute()  # which has a name also where it is given as "."
    above = f"{folder.name}/"
    own = [line for line in list_lines(folder) if "/" not in line]
    theirs = [line.removeprefix(above) for line in list_lines(folder.parent) if line.startswith(above)]
    return sorted({Cell.parse(line) for line in (*own, *theirs)})


def lost_cells(folder: Path) -> list[Cell]:
    """Cells that were recorded in a folder and whose record is not there, sorted. Raises as `listed_cells` does."""
    return [cell for cell in listed_cells(folder) if not record_of(folder, cell).is_file()]


def unlisted_cells(folder: Path) -> list[Cell]:
    """Cells whose record is in a folder and that no list names, sorted. Raises as `listed_cells` does."""
    listed = set(listed_cells(folder))
    return [cell for cell in recorded_cells(folder) if cell not in listed]


def list_lines(folder: Path) -> list[str]:
    """The lines of a folder's list; none where it has no list. Raises InvalidInput for one that is no cell."""
    file = folder / LIST
    if not file.is_file():
        return []
    lines: list[str] = []
    for number, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        line = text.strip()
        if not line or line.startswith(_MERGING):
            continue
        try:
            Cell.parse(line.rpartition("/")[2])
        except InvalidName as error:
            raise InvalidInput(
                f"{file}, line {number}: {line!r} is no cell; write the name of a record without .json, or restore the "
                "file from version control"
            ) from error
        lines.append(line)
    return lines


def in_list(folder: Path, cells: Collection[Cell], profile: str) -> tuple[Path, set[str]]:
    """The folder whose list names the cells of a folder of one profile, and their lines there."""
    if folder.absolute().name == profile:
        return folder.absolute().parent, {f"{profile}/{cell.id}" for cell in cells}
    return folder, {cell.id for cell in cells}

"""Tests of whatever is recorded: `fm_cells(recorded=True)` has an item for every cell that has a baseline, or had one.

Collecting lists the folder and reads its list; it opens no baseline.
"""

from pathlib import Path
from typing import cast

import pytest

from pytest_fmtransfer.baseline_names import LIST, listed_cells, record_of, recorded_cells, unlisted_cells
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from pytest_fmtransfer.plugin.cases import CASE
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.plugin.shown import shown
from pytest_fmtransfer.words import counted

# Set where pytest only collects to find out which baselines tests name; what takes any of them names none.
ASKING = pytest.StashKey[bool]()

OWN_FOLDER = "name a folder of yours: -o fm_baselines=DIR, or ini fm_baselines"

NOTHING = pytest.param(None, id="nothing recorded")  # the parameter of an item that is left out again


def baselines_folder(node: pytest.Item) -> Path:
    """Where a test's baselines are: of another profile than the default one, a folder below `all_baselines`."""
    return settings_of(node.config).of_profile(all_baselines(node))


def all_baselines(node: pytest.Item) -> Path:
    """Where a test's baselines of all profiles are: ini `fm_baselines`, else the nearest folder `baselines` at or above
    it; where there is none yet, a new one beside the test.
    """
    return settings_of(node.config).baselines or _nearest(node)


def is_installed(folder: Path) -> bool:
    """Whether a folder is part of an installed package, in which nobody writes who only runs its suite."""
    return not {"site-packages", "dist-packages"}.isdisjoint(folder.resolve().parts)


def cells_on_record(test: pytest.Item) -> tuple[Cell, ...]:
    """The cells that have a baseline, or that a list names, sorted; `check_on_record` knows those of no catalogue.

    Where there is none at all, or one that no list names, the session ends with a note that says so.
    """
    if test.config.stash.get(ASKING, False):
        return ()
    settings, folder = settings_of(test.config), baselines_folder(test)
    cells = sorted({*recorded_cells(folder), *listed_cells(folder)})
    if unlisted := unlisted_cells(folder):
        settings.notes.append(
            f"{counted(len(unlisted), 'baseline')} in {shown(folder, test.config.rootpath)} would not be missed, "
            f"because {LIST} does not list {'it' if len(unlisted) == 1 else 'them'}; run this with --fm-update=new, "
            "which lists what has a baseline, and commit the file"
        )
    if not cells:
        settings.notes.append(
            f"{test.nodeid}: nothing is recorded in {shown(folder, test.config.rootpath)}, and so there is nothing "
            "to hold; record baselines: run the tests that ask for them with --fm-update=new"
        )
    return tuple(cells)


def leave_out_nothing(items: object) -> object:
    """What pytest makes of one name in a file, without the item that stands for no cell."""
    if not isinstance(items, list):
        return items
    return [item for item in cast(list[object], items) if not _is_nothing(item)]


def _is_nothing(item: object) -> bool:
    params = getattr(getattr(item, "callspec", None), "params", {})
    return CASE in params and params[CASE] is None


def check_on_record(cell: Cell, *, test: pytest.Item) -> None:
    """Raises InvalidInput for a cell on record that is not in the catalogue, with the remedy."""
    try:
        settings_of(test.config).registry.check(cell)
    except UnknownName as error:
        folder = baselines_folder(test)
        raise InvalidInput(
            f"{shown(record_of(folder, cell), test.config.rootpath)}: {error}; register it in a conftest at or above "
            f"{test.nodeid}, give it as it was recorded, or remove the file and its .npz"
            f"{f', and its line in {LIST}' if cell in listed_cells(folder) else ''}"
        ) from error


def _nearest(node: pytest.Item) -> Path:
    for folder in node.path.parents:
        if (folder / "baselines").is_dir():
            return folder / "baselines"
        if folder == node.config.rootpath or (folder / "pyproject.toml").is_file():
            break
    return node.path.parent / "baselines"

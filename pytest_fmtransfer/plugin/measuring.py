"""Where an item's results come from: this machine, or with --fm-collect the folders that other machines filled.

Whoever needs a cell's result asks `available` before the test and `measure` in it; both go to the same source.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.availability import lacks
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import DatasetError, FmTransferError, Impossible, UnreadableImage
from pytest_fmtransfer.missing import Missing, Ready, all_told
from pytest_fmtransfer.never import never_runs
from pytest_fmtransfer.plugin.cases import case_of
from pytest_fmtransfer.plugin.settings import DEFAULT_PROFILE, Settings, settings_of

if TYPE_CHECKING:
    from pytest_fmtransfer.cell_result import CellResult
    from pytest_fmtransfer.results import Result

MEASURED = pytest.StashKey[list["Result"]]()
BAD_DATA = pytest.StashKey[dict[str, str]]()  # what was said of data in this process, and the test that said it first


def available(item: pytest.Item, cell: Cell) -> Ready | Missing:
    """Whether `measure` can give an item the result of a cell; opens nothing.

    Raises UnknownName for a name that is not in the catalogue.
    """
    return all_told(lacking(item, cell))


def lacking(item: pytest.Item, cell: Cell) -> list[Missing]:
    """What `available` tells at once, one by one; empty where `measure` can give the result. Raises as it does."""
    settings = settings_of(item.config)
    if not settings.collect:
        return lacks(cell, settings.registry, settings.places)
    return _not_exported(item, cell, settings)


def _not_exported(item: pytest.Item, cell: Cell, settings: Settings) -> list[Missing]:
    from pytest_fmtransfer.baselines import Baselines

    if any(Baselines(folder=settings.of_profile(folder)).has(cell) for folder in settings.collect):
        return []
    if _claims_nothing(item):  # and its backbone has a row, for which nothing heavy is imported
        never = never_runs(settings.registry.backbone(cell.backbone), settings.registry.regime(cell.regime))
        if never is not None:
            return [never]
    return [
        Missing(reason=f"no exported result in {' or '.join(map(str, settings.collect))}", remedy=_export(settings))
    ]


def measure(item: pytest.Item, cell: Cell) -> "CellResult":
    """The result of a cell, for an item that reports it: collected, from the store or computed.

    It is exported where --fm-export asks for that. What goes wrong fails the item in one sentence; but that a backbone
    cannot run a regime skips an item of whatever the catalogue has. Where rows tell it, `available` has said so before.
    """
    settings = settings_of(item.config)
    with plain_errors(), _bad_data_once(item, cell), _skipping_the_impossible(item, cell):
        result = _obtain(cell, settings)
        if settings.export is not None:
            from pytest_fmtransfer.baselines import Baselines

            folder = settings.of_profile(settings.export)
            Baselines(folder=folder, locks=settings.places.store / "locks").write(result)
    item.stash.setdefault(MEASURED, []).append(result)
    return result


@contextmanager
def _skipping_the_impossible(item: pytest.Item, cell: Cell) -> Generator[None]:
    try:
        yield
    except Impossible as error:
        if _claims_nothing(item):
            pytest.skip(f"{cell}: {error}")
        raise


@contextmanager
def _bad_data_once(item: pytest.Item, cell: Cell) -> Generator[None]:
    """What is wrong with data may be many lines, and true of every cell on them: of the second test on, one line."""
    try:
        yield
    except (DatasetError, UnreadableImage) as error:
        first = item.config.stash.setdefault(BAD_DATA, {}).setdefault(str(error), item.nodeid)
        if first == item.nodeid:
            raise
        raise DatasetError(f"{cell.dataset}: as above, in {first}") from error


def _claims_nothing(item: pytest.Item) -> bool:
    """Whether an item is about one of all cells of the catalogue, which nobody says can run."""
    case = case_of(item)
    return case is not None and case.registered


@contextmanager
def plain_errors() -> Generator[None]:
    """Our own errors say all there is to say: no traceback through our code."""
    try:
        yield
    except FmTransferError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None  # `from None`: no chain of causes either


def _obtain(cell: Cell, settings: Settings) -> "CellResult":
    if settings.collect:
        return collected(cell, settings)
    from pytest_fmtransfer._transfer import transfer

    return transfer(cell, profile=settings.profile, registry=settings.registry, places=settings.places)


def collected(cell: Cell, settings: Settings) -> "CellResult":
    """The result of a cell from the folders of --fm-collect. Raises BaselineError, with the remedy."""
    from pytest_fmtransfer.exports import merged

    folders = [settings.of_profile(folder) for folder in settings.collect]
    return merged(cell, folders, profile=settings.profile, registry=settings.registry, places=settings.places)


def _export(settings: Settings) -> str:
    profile = "" if settings.profile == DEFAULT_PROFILE else f" --fm-profile={settings.profile}"
    return f"export it where its weights and data are: pytest …{profile} --fm-export=DIR, and bring DIR here"

"""Collected results that have no row here: an error, or with --fm-collect-unknown=skip a line that counts them."""

from pytest_fmtransfer.baseline_names import record_of, recorded_cells
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput, first_few
from pytest_fmtransfer.plugin.settings import Settings
from pytest_fmtransfer.words import counted


def refuse_unknown(settings: Settings) -> None:
    """Add to the mistakes of a session, or to its notes. Opens no file."""
    told: dict[str, list[str]] = {}
    for folder in settings.collect:
        place = settings.of_profile(folder)
        for cell in recorded_cells(place):
            if (wrong := _no_row(cell, settings)) is not None:
                told.setdefault(wrong, []).append(str(record_of(place, cell)))
    if not told:
        return
    if settings.skip_unknown:
        files = sorted(file for files in told.values() for file in files)
        settings.notes.append(
            f"{counted(len(files), 'collected result')} left out, by --fm-collect-unknown=skip, for want of a row here"
            f": {first_few(files)}"
        )
        return
    for wrong, files in told.items():
        settings.mistakes.append(
            f"--fm-collect: {wrong}, which {first_few(files)} {'is' if len(files) == 1 else 'are'} about; name it as "
            "where it was measured, with --fm-backbone=NAME=…, --fm-dataset=NAME=… or in a conftest, or leave such "
            "results out: --fm-collect-unknown=skip"
        )


def _no_row(cell: Cell, settings: Settings) -> str | None:
    try:
        settings.registry.check(cell)
    except InvalidInput as error:
        return str(error)
    return None

"""Exported results: measured on one machine, judged on another that has no weights, no data and no torch.

An export is the two files of a baseline in a folder of the user's. A claim is about what is declared where it is
judged. So what was measured must agree with the catalogue there, and what is no measurement, the dataset's margin and
the regime's tolerance, is taken from it.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import settings_on
from pytest_fmtransfer.catalog.specs import SHUFFLES
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult, tolerance_of
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.judge.regression import Rerun
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted

AGAIN = "export it again: run the same command with --fm-export=DIR where its weights and data are"


def collect(cell: Cell, folder: Path, *, profile: str, registry: Registry) -> CellResult:
    """The exported result of a cell in a folder of one profile.

    Raises BaselineError, with the remedy, for a result that is absent or damaged, or that is of another cell,
    another profile or another declaration than `registry` has, or of too few shuffles.
    Raises UnknownName for a name that it has not.
    """
    exports = Baselines(folder=folder)
    if not exports.has(cell):
        raise BaselineError(f"no exported result of {cell} in {folder}; {AGAIN}")
    try:
        stored = exports.load(cell)
    except BaselineError as error:
        reason = error.__cause__ or error  # without the remedy, which would be a baseline's
        raise BaselineError(f"the exported result of {cell} in {folder} cannot be used: {reason}; {AGAIN}") from error
    if stored.question.profile != profile:
        raise BaselineError(
            f"the exported result of {cell} in {folder} was measured under profile {stored.question.profile}, and "
            f"this run is about {profile}; run with --fm-profile={stored.question.profile}, or {AGAIN}"
        )
    if told := differences(stored, profile, registry):
        raise BaselineError(
            f"the exported result of {cell} in {folder} is about something else than is declared here: "
            f"{'; '.join(told)}; {AGAIN}, from this version of the project"
        )
    chance = SHUFFLES if not registry.regime(cell.regime).costly else registry.profile(profile).seeds
    if registry.dataset(cell.dataset).shuffled and len(stored.seeds) < chance:
        raise BaselineError(
            f"the exported result of {cell} in {folder} is of {counted(len(stored.seeds), 'shuffled labelling')}, and "
            f"what chance is cannot be told from fewer than {chance}; {AGAIN}"
        )
    return as_declared(stored, registry, origin="collected")


def as_declared(stored: Result, registry: Registry, *, origin: str, rerun: Rerun | None = None) -> CellResult:
    """A result with the margin and the tolerance that the catalogue declares for its cell."""
    kept: dict[str, Any] = {field.name: getattr(stored, field.name) for field in fields(Result)}
    kept |= {"origin": origin, "margin": registry.dataset(stored.cell.dataset).margin}
    return CellResult(**kept, tolerance=tolerance_of(registry.regime(stored.cell.regime)), rerun=rerun)


def differences(stored: Result, profile: str, registry: Registry) -> list[str]:
    """Where a result and the catalogue disagree, the result's value first."""
    dataset, regime = registry.dataset(stored.cell.dataset), registry.regime(stored.cell.regime)
    pairs: dict[str, tuple[Any, Any]] = {
        "metric": (stored.question.metric, dataset.metric),
        "classes": (stored.classes, dataset.classes),
        "patient unit": (stored.patient_unit, dataset.patient_unit),
        "settings": (
            stored.question.settings,
            plain(settings_on(regime, dataset, registry.profile(profile))),
        ),
        "seeded": (stored.seeded, regime.seeded or dataset.shuffled),
        "dtype": (stored.question.forward_dtype, registry.profile(profile).forward_dtype),
    }
    return [f"{name} {theirs} → {ours}" for name, (theirs, ours) in pairs.items() if theirs != ours]

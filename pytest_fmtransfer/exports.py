"""Exported results: measured on one machine, judged on another that has no weights, no data and no torch.

An export is the two files of a baseline in a folder of the user's. A claim is about what is declared where it is
judged. So what was measured must agree with the catalogue there, and what is no measurement, the dataset's margin and
the regime's tolerance, is taken from it.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import draws_on, settings_on
from pytest_fmtransfer.catalog.specs import SHUFFLES, BackboneSpec, NoWeights, OwnWeights, RandomWeights, StandInWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult, tolerance_of
from pytest_fmtransfer.errors import BaselineError, FmTransferError
from pytest_fmtransfer.judge.regression import Rerun, relative_move
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.results import Result, scores_checksum
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


def merged(cell: Cell, folders: Sequence[Path], *, profile: str, registry: Registry, places: Places) -> CellResult:
    """The exported result of a cell in any of some folders, whatever their order.

    Results that differ by no more than another processor's rounding are one. Raises BaselineError where they differ by
    more, naming both files; for one whose backbone is not the one that is declared here; and as `collect` does.
    """
    there = [folder for folder in folders if Baselines(folder=folder).has(cell)] or folders[:1]
    found = {folder: collect(cell, folder, profile=profile, registry=registry) for folder in there}
    for folder, result in found.items():
        if told := other_backbone(result, registry.backbone(cell.backbone), places):
            raise BaselineError(
                f"the exported result of {cell} in {folder} was measured with another backbone than {cell.backbone} is "
                f"here: {'; '.join(told)}; name that one as where it was measured, or {AGAIN}"
            )
    # By content, so that the order in which folders are named decides nothing.
    first, *others = sorted(found, key=lambda folder: (_content(found[folder]), str(folder)))
    for other in others:
        if told := _disagreement(found[first], found[other]):
            files = " and ".join(str(Baselines(folder=folder).pair(cell).record) for folder in sorted((first, other)))
            raise BaselineError(
                f"{files} hold different results of {cell}: {told}; collect one of the two folders, or remove the file "
                "that is out of date"
            )
    return found[first]


def other_backbone(stored: Result, row: BackboneSpec, places: Places) -> list[str]:
    """What a result was measured with and its row does not say, the result's value first; a value that the result or
    this machine cannot tell is not compared.

    The source is the architecture, which names a folder of transformers by where it lay there. The fingerprint is that
    of the weights, where they are here too, or the words that stand for weights that nobody has learnt.
    """
    declared: dict[str, str | None] = {"weights": _weights_here(row, places)}
    if not row.architecture.startswith("hf:/"):
        declared["architecture"] = f"{row.architecture}, tiny" if row.tiny else row.architecture
    pairs = {name: (str(stored.subject.get(name) or ours), ours) for name, ours in declared.items() if ours}
    found = [f"{name} {theirs} → {ours}" for name, (theirs, ours) in pairs.items() if theirs != ours]
    learnt = not isinstance(row.weights, RandomWeights | NoWeights)
    if learnt and str(stored.subject.get("weights", "")).startswith(("random", "none", "stand-in")):
        found.append(f"weights {stored.subject['weights']} → learnt ones")
    return found


def _weights_here(row: BackboneSpec, places: Places) -> str | None:
    """The fingerprint of a row's weights, None where they are not here, or cannot be read here."""
    weights = row.weights
    if isinstance(weights, NoWeights):
        return "none"
    if isinstance(weights, RandomWeights):
        told_otherwise = isinstance(weights, StandInWeights) or row.library == "transformers"  # by its configuration
        return None if told_otherwise else weights.words
    if isinstance(weights, OwnWeights) or find_spec("safetensors") is None or find_spec("torch") is None:
        return None
    from pytest_fmtransfer.features import weights_of  # what reads weights, for those who have some

    try:
        return weights_of(row, replace(places, download=False))
    except (FmTransferError, OSError):
        return None


def _content(result: Result) -> str:
    return scores_checksum(result.ids_N, result.patients_N, result.labels_N, result.scores_SNC)


def _disagreement(one: CellResult, other: CellResult) -> str:
    """How two results of a cell differ by more than rounding, in a phrase; empty where they do not."""
    if told := one.question.differences(other.question):
        return "; ".join(told)
    for what in ("weights", "architecture", "code"):
        if (mine := one.subject.get(what)) != (theirs := other.subject.get(what)):
            return f"{what} {theirs} → {mine}"
    for what in ("seeds", "classes"):
        if getattr(one, what) != getattr(other, what):
            return f"{what} {getattr(other, what)} → {getattr(one, what)}"
    for what, name in (("ids_N", "images"), ("patients_N", "patients"), ("labels_N", "labels")):
        if not np.array_equal(getattr(one, what), getattr(other, what)):
            return f"they are of other {name}"
    moved = relative_move(one.scores_SNC, other.scores_SNC)
    return "" if moved <= one.tolerance.score else f"scores differ by up to {moved:.2g} standard deviations"


def as_declared(stored: Result, registry: Registry, *, origin: str, rerun: Rerun | None = None) -> CellResult:
    """A result with the margin, hidden share, tolerance and draws that the catalogue declares for its cell."""
    kept: dict[str, Any] = {field.name: getattr(stored, field.name) for field in fields(Result)}
    dataset, regime = registry.dataset(stored.cell.dataset), registry.regime(stored.cell.regime)
    kept |= {"origin": origin, "margin": dataset.margin, "hidden_share": dataset.hidden_share}
    kept["draws"] = draws_on(regime, dataset)
    return CellResult(**kept, tolerance=tolerance_of(regime), rerun=rerun)


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

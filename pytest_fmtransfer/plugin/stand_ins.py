"""`--fm-stand-ins`: a suite on generated data and tiny backbones, every verdict held to the one that is planted.

Data and store are in a folder of the session's own, which it takes away when it ends; workers of pytest-xdist share the
controller's. Nothing that is found is kept, and no real result is looked at.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import NoWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.plugin.cases import Case
from pytest_fmtransfer.plugin.session_registry import SessionRegistry
from pytest_fmtransfer.stand_ins.planted import LABEL, PROFILE, is_generated
from pytest_fmtransfer.stand_ins.registry import StandIns

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.court import Verdict
    from pytest_fmtransfer.stand_ins.rules import Planted

OPTION = "--fm-stand-ins"
FOLDER = "fmtransfer_stand_ins"  # the name under which a worker is told where data and store are
# What stand-ins make no sense with, and why.
REFUSED = {
    "--fm-update": "a baseline is of real data",
    "--fm-export": "what stand-ins yield is no result",
    "--fm-collect": "results that were collected are not of stand-ins",
    "--fm-plan": "what stand-ins cost says nothing of a suite's cost",
    "--fm-claims": "stand-ins have no last verdict",
    "--fm-controls": "nothing is planted for controls",
    "--fm-backbone": "nothing is planted for a backbone of yours",
    "--fm-dataset": "no images are generated in the layout of yours",
    "--fm-reference": "what is planted is planted for the suite's own reference",
    "--fm-store": "they have a store of their own, which goes with them",
    "--fm-weights": "they take no weights",
    "--fm-data-root": "they take no data",
    "--fm-download": "there is nothing to fetch",
}


class StandInRegistry(StandIns, SessionRegistry):
    """The catalogue of a session of stand-ins."""


def asked(config: pytest.Config) -> bool:
    return cast(bool, config.getoption(OPTION))


def configure(config: pytest.Config) -> None:
    """Raises pytest.UsageError for options that stand-ins make no sense with."""
    if not asked(config):
        return
    for option, why in REFUSED.items():
        if config.getoption(option):
            raise pytest.UsageError(f"{OPTION} with {option}: {why}; leave out one of the two")
    if (profile := cast(str | None, config.getoption("--fm-profile"))) not in (None, PROFILE):
        raise pytest.UsageError(f"{OPTION} runs under --fm-profile={PROFILE} alone, not {profile}")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Folder(config), "fmtransfer-stand-ins")


class _Folder:
    """Tells workers where the controller's folder is."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="fmtransfer-stand-ins-"))
        config.add_cleanup(lambda: shutil.rmtree(self.path, ignore_errors=True))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[FOLDER] = str(self.path)

    def pytest_report_header(self) -> str:
        return (
            f"fmtransfer: {LABEL}: generated images, tiny random backbones; a test passes when its verdict is planted"
        )


def places_of(config: pytest.Config, places: Places) -> Places:
    """Data and store in the session's folder; the device alone is the user's."""
    plugin = cast("_Folder | None", config.pluginmanager.getplugin("fmtransfer-stand-ins"))
    folder = plugin.path if plugin else Path(cast(Any, config).workerinput[FOLDER])
    return replace(places, store=folder / "store", data_root=folder / "data", weights=None, download=False)


def prepare(cells: Sequence[Cell], registry: Registry, places: Places) -> str | None:
    """Grow the data of these cells. Why they have no stand-ins, where they have none."""
    for cell in cells:
        dataset = registry.dataset(cell.dataset)
        if not is_generated(dataset):
            return f"{cell} has no stand-in: nothing is generated in the layout of {dataset.name}"
        if isinstance(registry.backbone(cell.backbone).weights, NoWeights):
            return f"{cell} has no stand-in: {cell.backbone} has no network"
    from pytest_fmtransfer.stand_ins.trees import grow

    assert places.data_root is not None, "places_of has named one"
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        grow(registry.dataset(dataset), places.data_root)
    return None


def compare(case: Case, reached: "Sequence[Verdict]", registry: Registry) -> None:
    """Fail where a verdict is not the one that is planted, where none is planted, and where none was reached."""
    if not reached:
        pytest.fail(f"{case.id}: its test reached no verdict that could be held to what is planted", pytrace=False)
    for verdict in reached:
        try:
            planted = planted_for(case, verdict, registry)
        except InvalidInput as error:
            pytest.fail(f"{case.id}: {error}", pytrace=False)
        if verdict.outcome not in planted:
            pytest.fail(
                f"{verdict.candidate} {verdict.kind.replace('_', ' ')} {verdict.reference} is planted to be "
                f"{' or '.join(planted)}, but is found {verdict.summary}",
                pytrace=False,
            )


def expected(case: Case, reached: "Sequence[Verdict]", registry: Registry) -> dict[str, str] | None:
    """What a report says was expected of the last verdict; None where nothing is planted, which fails the test."""
    if not reached:
        return None
    try:
        planted = planted_for(case, reached[-1], registry)
    except InvalidInput:
        return None
    found = reached[-1].outcome
    reason = "planted" if len(planted) == 1 else f"planted: {' or '.join(planted)}"
    return {"outcome": found if found in planted else planted[0], "reason": reason}


def planted_for(case: Case, verdict: "Verdict", registry: Registry) -> "Planted":
    """Any of them is as planted. Raises InvalidInput where nothing is planted."""
    from pytest_fmtransfer.stand_ins.rules import Claimed, planted_verdicts
    from pytest_fmtransfer.stand_ins.world import World

    over = {(cell.backbone, cell.regime) for cell in case.references}
    claim = Claimed(
        kind=verdict.kind,
        candidate=verdict.candidate,
        reference=verdict.reference,
        family_size=verdict.family_size,
        datasets=tuple(dict.fromkeys(cell.dataset for cell in case.cells)),
        gains_over=over.pop() if len(over) == 1 else None,
        published=verdict.published,
    )
    return planted_verdicts(claim, World(registry=registry))

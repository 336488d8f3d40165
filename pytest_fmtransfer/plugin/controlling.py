"""Control cells of an item: run where its claim asks for them, or everywhere with --fm-controls."""

from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RANDOM, SHUFFLED
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.plugin.cases import Case
from pytest_fmtransfer.plugin.claim_mark import claim_of
from pytest_fmtransfer.plugin.on_record import seed_variances
from pytest_fmtransfer.plugin.settings import Settings, settings_of

if TYPE_CHECKING:
    from pytest_fmtransfer.judge.controls import Controls
    from pytest_fmtransfer.judge.court import Verdict

SHORTCUT = "shortcut.metadata"

# What was found of each yardstick in this session, so that items share it.
_TOLD = pytest.StashKey[dict[Cell, "Verdict"]]()


def yardstick(case: Case, registry: Registry) -> Cell | None:
    """The learnt backbone that controls are held against: the first among the references, else among the candidates.

    None where all are controls themselves, or where the claim spans datasets, which are judged one by one.
    """
    datasets = {cell.dataset for cell in case.cells}
    learnt = [
        cell
        for cell in (*case.references, *case.cells)
        if not registry.backbone(cell.backbone).is_control and not registry.dataset(cell.dataset).shuffled
    ]
    return learnt[0] if learnt and len(datasets) == 1 else None


def control_cells(case: Case, registry: Registry) -> tuple[Cell, Cell, Cell, Cell]:
    """The yardstick, its random twin, the shortcut probe and the yardstick on shuffled labels.

    Raises InvalidInput where there is no yardstick.
    """
    own = yardstick(case, registry)
    if own is None:
        raise InvalidInput(
            f"{case.id} has no learnt backbone on one dataset to hold controls against; leave out `controls`"
        )
    return (
        own,
        Cell(f"{own.backbone}.{RANDOM}", own.dataset, own.regime),
        Cell(SHORTCUT, own.dataset, own.regime),
        Cell(own.backbone, f"{own.dataset}.{SHUFFLED}", own.regime),
    )


def wants_controls(item: pytest.Item, case: Case, settings: Settings) -> bool:
    """Whether the controls are run with an item."""
    if claim_of(item).controls or "controls" in getattr(item, "fixturenames", ()):
        return True
    return settings.controls and yardstick(case, settings.registry) is not None


def measure_controls(item: pytest.Item, case: Case) -> "Controls":
    """The results of an item's control cells."""
    from pytest_fmtransfer.judge.controls import Controls
    from pytest_fmtransfer.plugin.measuring import measure

    registry = settings_of(item.config).registry
    cells = control_cells(case, registry)
    own = cells[0]
    recorded = seed_variances([own], registry).get((own.dataset, own.regime))
    reference, twin, shortcut, shuffled = (measure(item, cell) for cell in cells)
    return Controls(reference=reference, twin=twin, shortcut=shortcut, shuffled=shuffled, recorded=recorded)


def tell(item: pytest.Item, case: Case) -> "Verdict":
    """Whether an item's dataset and regime can tell backbones apart, found out once a session."""
    from pytest_fmtransfer.judge.controls import tells_backbones_apart

    told = item.config.stash.setdefault(_TOLD, {})
    own = control_cells(case, settings_of(item.config).registry)[0]
    controls = measure_controls(item, case)  # also where it is known, so that the item reports the cells
    if own not in told:
        told[own] = tells_backbones_apart(controls)
    return told[own]

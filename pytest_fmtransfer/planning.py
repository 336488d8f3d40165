"""What a selection of cells would cost and what its claims could show, before anything is run.

The hashes of a dataset's images are the one thing that planning computes. They are kept in the store, and every run
begins with them.

Legend: T images of the test side.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from pytest_fmtransfer._transfer import Asked, ask, open_under
from pytest_fmtransfer.availability import adapted_from, lacks, ready
from pytest_fmtransfer.backbones.inputs import as_published
from pytest_fmtransfer.catalog.expected import Expected, expected_of
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import backbone_under, seeds_on, settings_on
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.costs import CellPlan, Plan, Walk
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.table import TEST
from pytest_fmtransfer.errors import FmTransferError, InvalidInput
from pytest_fmtransfer.expected_costs import ExpectedCost, ExpectedWalk
from pytest_fmtransfer.judge.comparison import count_patients
from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.judge.foresight import VARIANCES, Foresight, Sample, from_assumption, from_pair, weakest
from pytest_fmtransfer.judge.power import shared_power
from pytest_fmtransfer.metrics import metric_of
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.never import never_runs
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import Store
from pytest_fmtransfer.throughput import Past
from pytest_fmtransfer.training_costs import Counts


class Planner:
    """Looks cells up, and plans those that are not there. A dataset is opened once, and only where it is here.

    `baseline` gives the recorded result of a cell, None where there is none that can be used.
    """

    def __init__(
        self, *, profile: str, registry: Registry, places: Places, baseline: Callable[[Cell], Result | None]
    ) -> None:
        self._profile, self._registry, self._places = profile, registry, places
        self._store = Store(root=places.store)
        self._baseline = cache(baseline)
        self._opened = cache(self._open)
        self._found = cache(self._look_up)

    def plan(self, cells: Iterable[Cell]) -> Plan:
        """The cells in the order in which they would be measured, each once."""
        order = list(dict.fromkeys(cells))
        past = Past(self._store, (recorded for cell in order if (recorded := self._baseline(cell)) is not None))
        walk = Walk(places=self._places, past=past)
        absent = ExpectedWalk()
        lines = tuple(self._line(cell, walk, absent) for cell in order)
        return Plan(cells=lines, notes=self._notes(order))

    def _notes(self, cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
        """Of every dataset that is here and of which there is something to say."""
        opened = {cell.dataset: self._openable(cell) for cell in cells}
        return {
            name: tuple(notice.sentence for notice in dataset.table.notices)
            for name, dataset in opened.items()
            if isinstance(dataset, Dataset) and dataset.table.notices
        }

    def foresee(self, kind: str, pairs: Sequence[tuple[Cell, Cell]], court: Court) -> Foresight:
        """What a claim about candidates, each against its reference, can come to.

        From their results where both exist, else from an assumption. Several pairs must all hold, and each needs
        the power for that.
        """
        power = shared_power(len(pairs))
        return weakest([self._foresee(kind, *pair, court, power) for pair in pairs])

    def _foresee(self, kind: str, candidate: Cell, reference: Cell, court: Court, power: float) -> Foresight:
        ours, theirs = self._result(candidate), self._result(reference)
        if ours is not None and theirs is not None:
            # A margin is declared, not recorded: a baseline may be older than it.
            ours = replace(ours, margin=self._registry.dataset(candidate.dataset).margin)
            with suppress(InvalidInput):  # recorded on other images, or under another profile
                return from_pair(kind, ours, theirs, court, power=power)
        dataset = self._openable(candidate)
        try:
            if isinstance(dataset, str):
                return self._foresee_absent(kind, candidate, court, power)
            return from_assumption(kind, _sample(dataset), court, power=power)
        except InvalidInput as error:
            return Foresight(detectable=None, settled=False, answer=str(error), source="")

    def _foresee_absent(self, kind: str, candidate: Cell, court: Court, power: float) -> Foresight:
        """By the classes that the catalogue expects of the test side, where it knows them."""
        spec = self._registry.dataset(candidate.dataset)
        expected = self._expected(spec)
        unknown = "the sizes of its classes are not known"
        if spec.metric not in VARIANCES:
            unknown = f"the error of {metric_of(spec.metric, spec.classes)} is not known before a pair of results is"
        if expected is None or not expected.by_class or spec.metric not in VARIANCES:
            return Foresight(detectable=None, settled=False, answer=f"absent; {unknown}", source="")
        found = from_assumption(kind, _expected_sample(spec, expected), court, power=power)
        source = f"expected classes; {found.source}" if found.source else ""
        return replace(found, answer=f"absent; {found.answer}", source=source, expected=True)

    def _line(self, cell: Cell, walk: Walk, absent: ExpectedWalk) -> CellPlan:
        dataset = self._openable(cell)
        if isinstance(dataset, str):
            missing = tuple(str(lack) for lack in lacks(cell, self._registry, self._places))
            # A dataset that is here and cannot be opened is told by what is wrong with it, and has no cost.
            cost = self._cost_of_absent(cell, absent) if missing and not self._never_runs(cell) else None
            return CellPlan(cell=cell, lacks=dataset, missing=missing, expected=cost)
        found = self._found(cell)
        if isinstance(found, str):
            return CellPlan(cell=cell, lacks=found)
        asked, stored = found
        return CellPlan(cell=cell) if stored else walk.on(cell, asked, dataset)

    def _never_runs(self, cell: Cell) -> bool:
        return never_runs(self._registry.backbone(cell.backbone), self._registry.regime(cell.regime)) is not None

    def _cost_of_absent(self, cell: Cell, walk: ExpectedWalk) -> ExpectedCost | None:
        dataset, regime = self._registry.dataset(cell.dataset), self._registry.regime(cell.regime)
        if (expected := self._counted(dataset) or self._expected(dataset)) is None:
            return None
        profile = self._registry.profile(self._profile)
        settings = settings_on(regime, dataset, profile)
        here = replace(self._places, download=False)  # a plan asks for nothing of the network
        row = as_published(adapted_from(self._registry.backbone(cell.backbone), settings), here)
        spec = backbone_under(row, profile)
        return walk.on(cell, spec, settings, len(seeds_on(regime, dataset, profile)), dataset, expected)

    def _counted(self, spec: DatasetSpec) -> Expected | None:
        """Where the images are here and weights alone are not."""
        if not isinstance(opened := self._opened(spec.name), Dataset):
            return None
        counts = Counts.of(opened)
        return Expected(train=counts.train, validation=counts.validation, test=counts.test, source="counted")

    def _expected(self, spec: DatasetSpec) -> Expected | None:
        return expected_of(spec, self._registry.profile(self._profile).caps)

    def _openable(self, cell: Cell) -> Dataset | str:
        """The dataset of a cell that can be measured here, else what is missing and what to do about it."""
        state = ready(cell, self._registry, self._places)
        return str(state) if isinstance(state, Missing) else self._opened(cell.dataset)

    def _open(self, name: str) -> Dataset | str:
        try:
            return open_under(self._registry.profile(self._profile), self._registry.dataset(name), self._places)
        except FmTransferError as error:
            return str(error)

    def _look_up(self, cell: Cell) -> tuple[Asked, Path | None] | str:
        """Of a cell whose dataset is open: what it is asked, and the entry of its result; else why it cannot be."""
        dataset = self._opened(cell.dataset)
        assert isinstance(dataset, Dataset)
        try:
            asked = ask(cell, dataset, profile=self._profile, registry=self._registry, places=self._places)
        except FmTransferError as error:
            return str(error)
        except Exception as error:  # a function of the user's raises what it likes; its test tells it in full
            return f"{cell.backbone}: {type(error).__name__}: {error}"
        return asked, self._store.load("results", asked.key)

    def _result(self, cell: Cell) -> Result | None:
        """From the store, else as it was recorded."""
        found = self._found(cell) if isinstance(self._openable(cell), Dataset) else ""
        if not isinstance(found, str) and (entry := found[1]) is not None:
            return Result.read(entry / "result.json", entry / "scores.npz", origin="store")
        return self._baseline(cell)


def _expected_sample(spec: DatasetSpec, expected: Expected) -> Sample:
    """A test side as large as it should be, each of whose images is a patient."""
    return Sample(
        metric=spec.metric,
        margin=spec.margin,
        patients=expected.test,
        by_class=expected.by_class,
        patient_unit=spec.patient_unit,
        hidden_share=spec.hidden_share,
    )


def _sample(dataset: Dataset) -> Sample:
    """The test side of a dataset as a verdict sees it."""
    spec, test = dataset.spec, dataset.table.side(TEST)
    patients_T, labels_T = dataset.table.patients_N[test], dataset.table.labels_N[test]
    return Sample(
        metric=spec.metric,
        margin=spec.margin,
        patients=len(np.unique(patients_T)),
        by_class=count_patients(labels_T, patients_T, spec.classes),
        patient_unit=spec.patient_unit,
        hidden_share=spec.hidden_share,
    )

"""What cells would cost: forward passes, training steps, seconds and bytes of the entries that they add to the store.

Forward passes whose features are kept, and steps of training, are exact: a dataset's contents name the pictures that
are alike, and a cell that is planned before another leaves it its features. What passes through a network that learns
is in the steps. Seconds are estimates from earlier results (`throughput`); sizes follow from shapes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pytest_fmtransfer._transfer import Asked
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.specs import Framing, NoWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.audit import audit_key
from pytest_fmtransfer.data.augmentations import recipe_named
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.framing import framing_under
from pytest_fmtransfer.data.images import image_key, seconds_per_image
from pytest_fmtransfer.data.table import TEST
from pytest_fmtransfer.errors import UnreadableImage
from pytest_fmtransfer.expected_costs import ExpectedCost
from pytest_fmtransfer.features import pictures_seen
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store
from pytest_fmtransfer.throughput import Figure, Past
from pytest_fmtransfer.training_costs import Counts, passes_beside, rows_of_view, steps_of_training, stored_views
from pytest_fmtransfer.view_keys import Kept, kinds_of, view_key
from pytest_fmtransfer.words import counted

DECODED = 24  # images decoded to see how long one takes

# What a run spends besides: on starting torch and timm once, and on building each network and probing that it may be
# folded. Seen in a cold run of suites/pocket on two cores of an AMD EPYC: 7.2 s, and 0.2 to 1.2 s.
TORCH_SECONDS, NETWORK_SECONDS = 6.0, 0.5

AUDIT_BYTES = 2048  # of what an audit found, with a few examples of each

# Of a stored result: its record and its entry's list of files; of each test image, a score and the rest.
RECORD_BYTES, BYTES_OF_A_SCORE, BYTES_OF_A_ROW = 2048, 4, 8


@dataclass(frozen=True, kw_only=True)
class Step:
    """An entry that a cell would add to the store, with the seconds and bytes it takes."""

    kind: Literal["audit", "images", "features", "result"]
    seconds: Figure
    bytes: Figure


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum of figures; `at_least` where one of them is unknown."""

    amount: float
    at_least: bool


def total(figures: Iterable[Figure]) -> Total:
    """Of those that are known."""
    amounts = [figure.amount for figure in figures]
    known = [amount for amount in amounts if amount is not None]
    return Total(amount=sum(known), at_least=len(known) < len(amounts))


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """What measuring a cell takes when the cells before it in the plan are measured first.

    A cell without steps is in the store, or absent: `lacks` then says what is missing, `missing` the same one by one,
    and `expected` what it would take. `networks` is how many are built for it. `training_steps` are those of all seeds;
    0 where nothing is learnt by gradient: neighbours take none, and the convex probe is solved.
    """

    cell: Cell
    lacks: str = ""
    missing: tuple[str, ...] = ()
    expected: ExpectedCost | None = None
    forward_passes: int = 0
    training_steps: int = 0
    networks: int = 0
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a selection of cells would cost; `notes` are what the readers of its datasets say, by dataset."""

    cells: tuple[CellPlan, ...]
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def to_run(self) -> int:
        """Cells that are neither stored nor absent."""
        return sum(bool(line.steps) for line in self.cells)

    @property
    def forward_passes(self) -> int:
        return sum(line.forward_passes for line in self.cells)

    @property
    def training_steps(self) -> int:
        return sum(line.training_steps for line in self.cells)

    @property
    def networks(self) -> int:
        return sum(line.networks for line in self.cells)

    @property
    def starting(self) -> Figure:
        """Seconds for starting torch and building networks."""
        amount = (TORCH_SECONDS if self.networks else 0.0) + NETWORK_SECONDS * self.networks
        return Figure(amount=amount, source="assumed")

    @property
    def seconds(self) -> Total:
        """Of every step and of starting, for one process that has all cores."""
        return total([self.starting, *(step.seconds for line in self.cells for step in line.steps)])

    @property
    def bytes(self) -> Total:
        return total(step.bytes for line in self.cells for step in line.steps)


class Walk:
    """Goes through cells that are not in the store, and knows what the store will hold after each."""

    def __init__(self, *, places: Places, past: Past) -> None:
        self._store, self._past = Store(root=places.store), past
        self._coming: set[str] = set()
        self._pictures: dict[str, set[str]] = {}

    def on(self, cell: Cell, asked: Asked, dataset: Dataset) -> CellPlan:
        """What the next cell adds."""
        images, tested = len(dataset.table.ids_N), len(dataset.table.side(TEST))
        steps: list[Step] = []
        if self._is_new("audits", audit_key(dataset)):
            size = Figure(amount=AUDIT_BYTES, source="assumed")
            steps.append(Step(kind="audit", seconds=self._past.audit(images), bytes=size))
        settings = asked.settings
        if not isinstance(settings, TrainingSettings):
            fresh = self._plain_features(asked, dataset, steps)
            made, networks = 0, int(fresh > 0)
        else:
            fresh = self._views(asked, settings, dataset, steps)
            made = steps_of_training(settings, Counts.of(dataset)) * len(asked.seeds)
            networks = int(fresh > 0) if settings.trained == "head" else len(asked.seeds)
        row = len(asked.seeds) * len(dataset.spec.classes) * BYTES_OF_A_SCORE + BYTES_OF_A_ROW
        size = Figure(amount=RECORD_BYTES + tested * row, source="assumed")
        steps.append(Step(kind="result", seconds=self._past.adapt(asked, cell.backbone, tested), bytes=size))
        return CellPlan(cell=cell, forward_passes=fresh, training_steps=made, networks=networks, steps=tuple(steps))

    def _plain_features(self, asked: Asked, dataset: Dataset, steps: list[Step]) -> int:
        """Adds what the features of whole images take that are not there; forward passes."""
        spec, images, tested = asked.spec, len(dataset.table.ids_N), len(dataset.table.side(TEST))
        if not self._is_new("features", asked.features.whole):
            return 0
        size, fresh = self._past.feature_bytes(asked, tested, images), 0
        if isinstance(spec.weights, NoWeights):
            seconds = self._past.probe(asked, tested)
        else:
            self._decode(dataset, spec.image_size, spec.framing, steps)
            fresh = self._fresh_pictures(asked.features.backbone, dataset)
            seconds = self._past.forward(asked, fresh)
        steps.append(Step(kind="features", seconds=seconds, bytes=size))
        return fresh

    def _views(self, asked: Asked, settings: TrainingSettings, dataset: Dataset, steps: list[Step]) -> int:
        """Adds what training by gradient takes before it begins; forward passes, of those that are kept nowhere too."""
        tested, counts = len(dataset.table.side(TEST)), Counts.of(dataset)
        stored = stored_views(settings)
        fresh = sum(rows_of_view(counts, view) for view in stored if self._is_new_view(asked, settings, view))
        passed = passes_beside(settings, counts, seeds=len(asked.seeds))
        if fresh or passed or not stored:
            recipe = recipe_named(settings.recipe).at(asked.spec.image_size)
            self._decode(dataset, recipe.resize, framing_under(asked.spec, recipe), steps)
        if fresh:
            whole = self._past.view_bytes(asked, tested)
            share = fresh / sum(rows_of_view(counts, view) for view in stored)
            size = whole if whole.amount is None else replace(whole, amount=whole.amount * share)
            steps.append(Step(kind="features", seconds=self._past.forward(asked, fresh), bytes=size))
        return fresh + passed

    def _is_new_view(self, asked: Asked, settings: TrainingSettings, view: int | None) -> bool:
        """Whether no entry serves, neither in the store nor of an earlier cell; from now on one does."""
        kept, recipe = settings.head_takes, recipe_named(settings.recipe)

        def key(kind: Kept) -> str:
            return view_key(
                asked.features,
                recipe,
                size=asked.spec.image_size,
                cut_after=settings.cut_after,
                kept=kind,
                view=view,
            )

        others = [key(kind) for kind in kinds_of(kept) if kind != kept]
        if any(each in self._coming or self._store.load("features", each) is not None for each in others):
            return False
        return self._is_new("features", key(kept))

    def _decode(self, dataset: Dataset, size: int, framing: Framing, steps: list[Step]) -> None:
        if self._is_new("images", image_key(dataset, size, framing)):
            steps.append(_decoding(dataset, size, framing))

    def _is_new(self, kind: str, key: str) -> bool:
        """Whether neither the store nor an earlier cell has an entry; from now on one has."""
        known = key in self._coming or self._store.load(kind, key) is not None
        self._coming.add(key)
        return not known

    def _fresh_pictures(self, backbone_key: str, dataset: Dataset) -> int:
        """Pictures that the backbone has not seen; from now on it has."""
        if backbone_key not in self._pictures:
            self._pictures[backbone_key] = pictures_seen(self._store, backbone_key)
        seen = self._pictures[backbone_key]
        before = len(seen)
        seen.update(dataset.contents.pictures_N.tolist())
        return len(seen) - before


def _decoding(dataset: Dataset, size: int, framing: Framing) -> Step:
    images = len(dataset.table.ids_N)
    try:
        amount = images * seconds_per_image(dataset, size, sample=DECODED, framing=framing)
        seconds = Figure(amount=amount, source=f"{counted(min(DECODED, images), 'image')} just decoded")
    except UnreadableImage as error:
        seconds = Figure(amount=None, source=str(error))
    return Step(
        kind="images",
        seconds=seconds,
        bytes=Figure(amount=images * size**2 * dataset.spec.stored_channels, source="its shape"),
    )

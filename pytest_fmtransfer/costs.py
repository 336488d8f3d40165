"""What cells would cost: forward passes, seconds and bytes of the entries that they would add to the store.

Forward passes are exact: a dataset's contents name the pictures that are alike, and a cell that is planned before
another leaves it its features. Seconds are estimates from earlier results (`throughput`); sizes follow from
shapes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pytest_fmtransfer._transfer import Asked
from pytest_fmtransfer.catalog.specs import BackboneSpec, NoWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.audit import audit_key
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.images import image_key, seconds_per_image
from pytest_fmtransfer.data.table import TEST
from pytest_fmtransfer.errors import UnreadableImage
from pytest_fmtransfer.features import pictures_seen
from pytest_fmtransfer.store import Store
from pytest_fmtransfer.throughput import Figure, Past

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

    A cell without steps is in the store, or absent: `lacks` then says what is missing. `networks` is 1 where a
    network is built for it. `training_steps` is 0 for every regime of today: neighbours take none, and the convex
    probe is solved.
    """

    cell: Cell
    lacks: str = ""
    forward_passes: int = 0
    training_steps: int = 0
    networks: int = 0
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a selection of cells would cost."""

    cells: tuple[CellPlan, ...]

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

    def __init__(self, *, store: Store, past: Past) -> None:
        self._store, self._past = store, past
        self._coming: set[str] = set()
        self._pictures: dict[str, set[str]] = {}

    def on(self, cell: Cell, asked: Asked, dataset: Dataset) -> CellPlan:
        """What the next cell adds."""
        spec = asked.spec
        images, tested = len(dataset.table.ids_N), len(dataset.table.side(TEST))
        steps: list[Step] = []
        if self._is_new("audits", audit_key(dataset)):
            size = Figure(amount=AUDIT_BYTES, source="assumed")
            steps.append(Step(kind="audit", seconds=self._past.audit(images), bytes=size))
        fresh = 0
        if self._is_new("features", asked.features.whole):
            size = self._past.feature_bytes(asked, tested, images)
            if isinstance(spec.weights, NoWeights):
                seconds = self._past.probe(asked, tested)
            else:
                if self._is_new("images", image_key(dataset, spec.image_size)):
                    steps.append(_decoding(dataset, spec))
                fresh = self._fresh_pictures(asked.features.backbone, dataset)
                seconds = self._past.forward(asked, fresh)
            steps.append(Step(kind="features", seconds=seconds, bytes=size))
        row = len(asked.seeds) * len(dataset.spec.classes) * BYTES_OF_A_SCORE + BYTES_OF_A_ROW
        size = Figure(amount=RECORD_BYTES + tested * row, source="assumed")
        steps.append(Step(kind="result", seconds=self._past.adapt(asked, cell.backbone, tested), bytes=size))
        return CellPlan(cell=cell, forward_passes=fresh, networks=int(fresh > 0), steps=tuple(steps))

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


def _decoding(dataset: Dataset, spec: BackboneSpec) -> Step:
    images = len(dataset.table.ids_N)
    try:
        amount = images * seconds_per_image(dataset, spec.image_size, sample=DECODED)
        seconds = Figure(amount=amount, source=f"{min(DECODED, images)} images just decoded")
    except UnreadableImage as error:
        seconds = Figure(amount=None, source=str(error))
    return Step(
        kind="images",
        seconds=seconds,
        bytes=Figure(amount=images * spec.image_size**2 * dataset.spec.stored_channels, source="its shape"),
    )

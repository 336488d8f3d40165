"""Which verdict is planted: told from who sees what, by a rule for each kind of claim.

Nothing here is measured, and nothing of `pytest_fmtransfer.judge` decides. A cell sees its dataset or it does not;
there is nothing in between. One that sees is right about every picture but those of the mark that its stand-in misses;
one that does not is at chance. Two cells are alike when both see or neither does; nothing can then be told between
them, because a test side has too few patients to show that a difference is within a margin; it has enough to show the
difference between seeing and not seeing.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.stand_ins.world import World

Outcome = Literal["supported", "refuted", "inconclusive"]
Planted = tuple[Outcome, ...]  # any of these is as planted

SWAPPED: dict[Outcome, Outcome] = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
WITHIN = ("not_worse_than", "equivalent_to")  # claims that equal scores support
# How far a value must lie from a published one to be told from it, in a metric's unit, and within what it is not told;
# in between it is one of the two. At chance no picture differs from another, and only more is sure.
NEAR, CLEAR, CLEAR_OF_CHANCE = 0.04, 0.12, 0.25
CLEAR_GAIN, NEAR_GAIN = 20.0, 5.0  # the same of average relative gains, in percent; near is less over more datasets
FEW_SEEDS, STRICT_SIZE = 5, 5  # fewer seeds tell nothing in a family of more claims than this


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A claim that was judged, as a verdict names it: cells by id, gains as `backbone-regime`, several of them joined.

    `datasets` are those of its test, which names of gains leave out. `published` is the number that it is held against.
    """

    kind: str
    candidate: str
    reference: str
    family_size: int
    datasets: tuple[str, ...]
    gains_over: tuple[str, str] | None = None
    published: float | None = None


def planted_verdicts(claim: Claimed, world: World) -> Planted:
    """One; or two, where values are planted neither near each other, or a published number, nor far apart.

    Raises InvalidInput for a kind of claim, or for cells, of which nothing is planted.
    """
    if claim.kind in ("consistent_with", "above_published"):
        return _beside_published(claim, world, _cell(claim.candidate))
    if claim.kind == "gain_consistent_with":
        return _gain_as_published(claim, world)
    if claim.kind == "gains_in_order":
        return _order(claim, world)
    return (_one(claim, world),)


def _one(claim: Claimed, world: World) -> Outcome:
    if claim.kind in ("beats", "not_worse_than"):
        return _between(claim, world, _cell(claim.candidate), _cell(claim.reference))
    if claim.kind == "equivalent_to":
        pair = _cell(claim.candidate), _cell(claim.reference)
        found = _between(claim, world, *pair)
        return "refuted" if found != "inconclusive" and world.sees(pair[0]) != world.sees(pair[1]) else found
    if claim.kind in ("consistently_better", "not_consistently_better"):
        pairs = zip(_each(claim.candidate), _each(claim.reference), strict=True)
        found = _all([_between(claim, world, mine, other) for mine, other in pairs])
        return found if claim.kind == "consistently_better" else SWAPPED[found]
    if claim.kind == "ranks_above":
        ranked = [_cell(text) for text in claim.reference.split(" > ")]
        return _all([_between(claim, world, *pair) for pair in pairwise([_cell(claim.candidate), *ranked])])
    raise InvalidInput(f"no rule says which verdict of the kind {claim.kind!r} is planted; leave out --fm-stand-ins")


def _between(claim: Claimed, world: World, candidate: Cell, reference: Cell) -> Outcome:
    """Of better by any margin that there is, and of not worse by one.

    What learns without a seed from pictures in which there is nothing to see gives every picture of every such cell the
    same scores, to the bit. That equality is shown.
    """
    mine, other = world.sees(candidate), world.sees(reference)
    if not mine and not other and world.seeds(candidate) is None and world.seeds(reference) is None:
        return "refuted" if claim.kind not in WITHIN else "supported"
    found: Outcome = "inconclusive" if mine == other else "supported" if mine else "refuted"
    return _unless_few_seeds(claim, world, [candidate, reference], found)


def _all(parts: Collection[Outcome]) -> Outcome:
    """Of a sentence that takes each of its parts."""
    if "refuted" in parts:
        return "refuted"
    return "inconclusive" if "inconclusive" in parts else "supported"


def _beside_published(claim: Claimed, world: World, cell: Cell) -> Planted:
    off = world.value(cell) - _published(claim)
    told: Planted = _agreement(abs(off), near=NEAR, clear=CLEAR if world.sees(cell) else CLEAR_OF_CHANCE)
    if claim.kind == "above_published" and (off > 0) == world.higher_is_better(cell):
        told = tuple(SWAPPED[each] for each in told)
    return ("inconclusive",) if _few_seeds(claim, world, [cell]) else told


def _agreement(off: float, *, near: float, clear: float) -> Planted:
    """Within a margin: what is far off is refuted, and what is near cannot be told; in between, it is either."""
    if off >= clear:
        return ("refuted",)
    return ("inconclusive",) if off <= near else ("refuted", "inconclusive")


def _order(claim: Claimed, world: World) -> Planted:
    levels = [
        [_gain(claim, *part.split("-")) for part in level]
        for level in (claim.candidate.split(" = "), *(part.split(" = ") for part in claim.reference.split(" > ")))
    ]
    parts: list[Planted | None] = [
        _above(claim, world, better, worse)
        for upper, lower in pairwise(levels)
        for better, worse in product(upper, lower)
    ]
    if not any(
        world.sees(cell) or world.seeds(cell) is not None for level in levels for g in level for cell in g.cells
    ):
        raise InvalidInput(f"all gains of {claim.candidate} > {claim.reference} are of cells that score alike")
    told = [part for part in parts if part is not None]
    found: Planted = tuple(dict.fromkeys(_all([part[which] for part in told]) for which in (0, -1)))
    if len(told) < len(parts) and "supported" in found:
        raise InvalidInput(f"the order {claim.candidate} > {claim.reference} rests on gains that nothing tells apart")
    cells = [cell for level in levels for gain in level for cell in gain.cells]
    return ("inconclusive",) if _few_seeds(claim, world, cells) else found


def _above(claim: Claimed, world: World, better: "Gain", worse: "Gain") -> Planted | None:
    """Of one gain above another, what is told first; None where it hangs on what two cells that miss the same pictures
    make of them.
    """
    gap = better.value(world) - worse.value(world)
    varies = [_varies(world, (*better.terms(world, each), *worse.terms(world, each, -1))) for each in claim.datasets]
    if abs(gap) < NEAR_GAIN * min(1, math.sqrt(4 / len(claim.datasets))) or False in varies:
        return ("inconclusive",)
    if None in varies:
        return None
    sign: Outcome = "supported" if gap > 0 else "refuted"
    return (sign,) if abs(gap) >= CLEAR_GAIN else (sign, "inconclusive")


def _gain_as_published(claim: Claimed, world: World) -> Planted:
    backbone, _, regime = claim.candidate.split("-")
    gain = _gain(claim, backbone, regime)
    varies = [_varies(world, gain.terms(world, dataset)) for dataset in claim.datasets]
    told = _agreement(abs(gain.value(world) - _published(claim)), near=NEAR_GAIN, clear=CLEAR_GAIN)
    if False in varies:
        told = ("inconclusive",)
    if "refuted" in told and None in varies:
        raise InvalidInput(f"{claim.candidate} rests on a gain of which nothing tells the error")
    return ("inconclusive",) if _few_seeds(claim, world, gain.cells) else told


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Of a backbone and regime over another, averaged over datasets."""

    backbone: str
    regime: str
    over: tuple[str, str]
    datasets: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.backbone}-{self.regime}"

    @property
    def cells(self) -> list[Cell]:
        return [cell for dataset in self.datasets for cell in self._pair(dataset)]

    def value(self, world: World) -> float:
        """In percent."""
        gains = [mine / other - 1 for mine, other in (self._values(world, dataset) for dataset in self.datasets)]
        return 100 * sum(gains) / len(gains)

    def terms(self, world: World, dataset: str, sign: int = 1) -> list[tuple[Cell, float]]:
        """The cells on a dataset, and how the gain there moves with each."""
        mine, other = self._pair(dataset)
        c, r = self._values(world, dataset)
        return [(mine, sign / r), (other, -sign * c / r**2)]

    def _pair(self, dataset: str) -> tuple[Cell, Cell]:
        return Cell(self.backbone, dataset, self.regime), Cell(self.over[0], dataset, self.over[1])

    def _values(self, world: World, dataset: str) -> tuple[float, float]:
        mine, other = self._pair(dataset)
        if not (value := world.value(other)):
            raise InvalidInput(f"0 is planted for {other}, and a gain is relative to more; give its stand-in sight")
        return world.value(mine), value


def _gain(claim: Claimed, backbone: str, regime: str) -> Gain:
    if claim.gains_over is None:
        raise InvalidInput(f"{claim.kind} is planted where its test names one reference on every dataset")
    return Gain(backbone=backbone, regime=regime, over=claim.gains_over, datasets=claim.datasets)


def _varies(world: World, terms: Iterable[tuple[Cell, float]]) -> bool | None:
    """Whether what is missed shows how far an average may be off: it must not cancel. None where that is not planted.

    Of cells at chance nothing varies. What two cells miss alike cancels, but for what each makes of it.
    """
    weights: dict[Cell, float] = defaultdict(float)
    for cell, weight in terms:
        weights[cell] += weight
    of_mark: dict[int, float] = defaultdict(float)
    moving = False
    for cell, weight in weights.items():
        if world.sees(cell) and abs(weight) > 1e-9:
            moving = True
            of_mark[world.misses(cell)] += weight
    if len(weights) == 1:  # against itself: nothing to vary, and nothing that was not seen
        return True
    return (True if any(abs(weight) > 1e-9 for weight in of_mark.values()) else None) if moving else False


def _unless_few_seeds(claim: Claimed, world: World, cells: Iterable[Cell], found: Outcome) -> Outcome:
    return "inconclusive" if _few_seeds(claim, world, cells) else found


def _few_seeds(claim: Claimed, world: World, cells: Iterable[Cell]) -> bool:
    """In a large family a regime that depends on its seed must have run at more of them."""
    seeds = [world.seeds(cell) for cell in cells]
    return claim.family_size > STRICT_SIZE and any(each is not None and each < FEW_SEEDS for each in seeds)


def _published(claim: Claimed) -> float:
    if claim.published is None:
        raise InvalidInput(f"{claim.kind} of {claim.candidate} names no published number")
    return claim.published


def _cell(text: str) -> Cell:
    return Cell.parse(text)


def _each(text: str) -> list[Cell]:
    """`backbone-dataset+dataset-regime`."""
    backbone, datasets, regime = text.split("-")
    return [Cell(backbone, dataset, regime) for dataset in datasets.split("+")]

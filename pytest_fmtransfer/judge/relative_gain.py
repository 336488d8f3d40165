"""Relative gain over a reference, averaged over datasets: one figure for a backbone, with an error of its own.

On a dataset the gain is 100·(c/r − 1) percent, c the candidate's metric and r the reference's, each its mean over
seeds. The average moves by 100/(k·r) percent for a unit of c, k the datasets, and by −100·c/(k·r²) for a unit of r
(the delta method). With these weights a dataset's patients give one variance, candidate and reference on the same
patients, and each result's seeds another; datasets share neither. All are pieces of one bound, with Satterthwaite's
degrees of freedom.

Legend: N test images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Piece, combine, together
from pytest_fmtransfer.judge.comparison import (
    ROUNDING,
    Comparison,
    influence_of,
    own_piece,
    patients_by_class,
    piece_of,
    seed_piece_of,
)
from pytest_fmtransfer.judge.court import current
from pytest_fmtransfer.judge.reading import too_few_patients, too_few_seeds
from pytest_fmtransfer.judge.resampling import bootstrap_piece
from pytest_fmtransfer.judge.seeds import Weighed, seed_pieces_of
from pytest_fmtransfer.judge.verdicts import check_results
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

METRIC = "average relative gain"


@dataclass(frozen=True, kw_only=True)
class RelativeGain:
    """One backbone and regime against another, one candidate and one reference a dataset, in the same order.

    Raises InvalidInput for sides of different lengths, fewer than two datasets, one dataset twice, several backbones
    or regimes on one side, results that do not score the same images, a metric of which less is better, and a
    reference whose metric is not above 0.
    """

    candidates: tuple[Result, ...]
    references: tuple[Result, ...]

    def __post_init__(self) -> None:
        for side in (self.candidates, self.references):
            check_results(side)
        if len(self.candidates) != len(self.references):
            raise InvalidInput(
                f"{counted(len(self.candidates), 'candidate')} against {counted(len(self.references), 'reference')}; "
                "give one of each a dataset"
            )
        if len(self.candidates) < 2 or len(set(self.datasets)) != len(self.datasets):
            raise InvalidInput(
                f"a gain is averaged over two datasets or more, each once, not {', '.join(self.datasets) or 'none'}"
            )
        for side in (self.candidates, self.references):
            if len({(result.cell.backbone, result.cell.regime) for result in side}) > 1:
                cells = ", ".join(result.cell.id for result in side)
                raise InvalidInput(f"a gain is of one backbone and regime a side, not {cells}")
        for mine, other in zip(self.candidates, self.references, strict=True):
            Comparison(candidate=mine, reference=other)
            if not metric_named(other.question.metric).higher_is_better or other.mean <= 0:
                raise InvalidInput(
                    f"{other.cell} has {other.metric_of} {other.mean:.4f}, and a gain is relative to a metric "
                    "above 0 of which more is better; compare with beats()"
                )

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(result.cell.dataset for result in self.candidates)

    @property
    def name(self) -> str:
        """As a compound claim names its side: `backbone-dataset+dataset-regime`."""
        return _name(self.candidates)

    @property
    def by_dataset(self) -> tuple[float, ...]:
        """The gain on each dataset, in percent."""
        return tuple(
            100 * (mine.mean / other.mean - 1) for mine, other in zip(self.candidates, self.references, strict=True)
        )

    @property
    def value(self) -> float:
        """The average over datasets, in percent."""
        return sum(self.by_dataset) / len(self.by_dataset)

    @property
    def margin(self) -> float:
        """What the datasets' own margins come to on this scale: the average of 100·margin/r, in percent."""
        shares = [100 * other.margin / other.mean for other in self.references]
        return sum(shares) / len(shares)

    @property
    def weighed(self) -> tuple[Weighed, ...]:
        """What the average is made of; of a reference against itself nothing moves it."""
        scale = 100 / len(self.candidates)
        found: list[Weighed] = []
        for mine, other in zip(self.candidates, self.references, strict=True):
            found.append(Weighed(weight=scale / other.mean, result=mine))
            found.append(Weighed(weight=-scale * mine.mean / other.mean**2, result=other))
        return tuple(found)

    @property
    def results(self) -> tuple[Result, ...]:
        return (*self.candidates, *self.references)

    @cached_property
    def patients(self) -> int:
        """Test patients of all datasets together."""
        return sum(result.patients for result in self.candidates)

    def reason(self, kind: str, level: float) -> str:
        """Why no verdict of a kind can rest on this average, whatever its interval says; empty where one can."""
        for result in self.candidates:
            by_class, tolerable = patients_by_class(result), result.hidden_share
            if lack := too_few_patients(kind, by_class, result.patient_unit, level, tolerable):
                return f"{lack} ({result.cell.dataset})"
        for result in self.results:
            if current().seed_variance(result) is None and (lack := too_few_seeds(result, level)):
                return lack
        return ""

    def reference_reason(self, level: float) -> str:
        """Why nothing can be told relative to the reference: on some dataset its metric is not clearly above 0."""
        for other in self.references:
            pieces = (own_piece(other), seed_piece_of(other, current().seed_variance(other)))
            own = combine(other.mean, [piece for piece in pieces if piece is not None])
            if own.lower(level) <= 0:
                return f"{other.cell} is not clearly above 0, and nothing can be told relative to it"
        return ""


def relative_gains(candidates: Sequence[Result], references: Sequence[Result]) -> list[RelativeGain]:
    """The gain of each backbone and regime among the candidates, in the order in which they come.

    `references` are those of `candidates`, one each. Raises InvalidInput as RelativeGain does.
    """
    for side in (candidates, references):
        check_results(side)
    if len(candidates) != len(references):
        raise InvalidInput(
            f"{counted(len(candidates), 'candidate')} against {counted(len(references), 'reference')}; give one each"
        )
    sides: dict[tuple[str, str], list[tuple[Result, Result]]] = {}
    for mine, other in zip(candidates, references, strict=True):
        sides.setdefault((mine.cell.backbone, mine.cell.regime), []).append((mine, other))
    return [
        RelativeGain(candidates=tuple(mine for mine, _ in pairs), references=tuple(other for _, other in pairs))
        for pairs in sides.values()
    ]


def merged(terms: Iterable[Weighed]) -> list[Weighed]:
    """One term a cell: weights of the same result add, so that what cancels is no source of error."""
    found: dict[str, Weighed] = {}
    for term in terms:
        before = found.get(term.result.cell.id)
        found[term.result.cell.id] = term if before is None else replace(term, weight=before.weight + term.weight)
    return list(found.values())


def patient_pieces(terms: Sequence[Weighed]) -> list[Piece] | str:
    """The variance from drawing each dataset's patients; or the reason why one shows none.

    A piece without variance is kept only where all scores on its dataset are equal, and there is none to see.
    """
    pieces: list[Piece] = []
    for dataset in dict.fromkeys(term.result.cell.dataset for term in terms):
        here = [term for term in terms if term.result.cell.dataset == dataset]
        piece = _patient_piece(here)
        if piece is None:
            return f"a class of {dataset} has too few {plural(here[0].result.patient_unit)} to show any variance"
        first_SNC = here[0].result.scores_SNC
        equal = all(np.array_equal(term.result.scores_SNC, first_SNC) for term in here)
        if piece.variance <= (100 * ROUNDING) ** 2 and not equal:
            return (
                f"no {here[0].result.patient_unit} of {dataset} shows any variance, and what was missed is not bounded"
            )
        pieces.append(piece)
    return pieces


def seed_pieces(terms: Iterable[Weighed]) -> list[Piece]:
    """The variances from training again; those on record for a dataset and regime are one estimate, and one piece.

    The others are one piece too. On a dataset, results whose seeds are the same draws are paired.
    """
    pooled: dict[tuple[str, str], Piece] = {}
    measured: dict[str, list[Weighed]] = {}
    for term in terms:
        if (recorded := current().seed_variance(term.result)) is None:
            measured.setdefault(term.result.cell.dataset, []).append(term)
        elif (piece := seed_piece_of(term.result, recorded)) is not None:
            key = (term.result.cell.dataset, term.result.cell.regime)
            before = pooled[key].variance if key in pooled else 0.0
            pooled[key] = replace(piece, variance=before + term.weight**2 * piece.variance)
    pieces = [piece for here in measured.values() for piece in seed_pieces_of(here)]
    return [*([together(pieces)] if pieces else []), *pooled.values()]


def _patient_piece(terms: Sequence[Weighed]) -> Piece | None:
    """Of terms on one dataset, whose results are on the same patients."""
    whole_N = np.zeros(len(terms[0].result.ids_N))
    for term in terms:
        influence_N = influence_of(term.result)
        if influence_N is None:
            return bootstrap_piece([(each.weight, each.result) for each in terms])
        whole_N += term.weight * influence_N
    return piece_of(terms[0].result, whole_N)


def _name(results: Sequence[Result]) -> str:
    first = results[0].cell
    return f"{first.backbone}-{'+'.join(result.cell.dataset for result in results)}-{first.regime}"

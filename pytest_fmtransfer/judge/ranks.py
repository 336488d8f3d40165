"""Ranks of several results on one dataset, each with an interval: which places could be a backbone's?

Every two results are compared on the same patients, as `beats` compares them, and the one-sided p-values of all ordered
pairs are corrected together by Holm. What is significantly better than a result stands above it, what is significantly
worse below it, and between these its place is open (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies
91, 2024, "Inference for Ranks"). All intervals hold together at 1 − α: they are false only where some pair is told
apart that does not differ, or the wrong way round. Their paper finds the critical value by a bootstrap of the largest
difference, which takes the correlation of the pairs into account; here it is Holm's of bounds, because percentiles of
a bootstrap are too narrow so far out near the ceiling (docs/calibration.md).

Legend: N test images, P patients, K results, R replicates of a bootstrap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Bound, Piece, Strata, by_patient, combine, strata_of
from pytest_fmtransfer.judge.comparison import ROUNDING, influence_of, patients_by_class
from pytest_fmtransfer.judge.court import ALPHA, current
from pytest_fmtransfer.judge.families import holm
from pytest_fmtransfer.judge.reading import no_bound, too_few_patients, too_few_seeds
from pytest_fmtransfer.judge.resampling import piece_of_replicates, replicated
from pytest_fmtransfer.judge.score_bound import ScoreBound
from pytest_fmtransfer.judge.verdicts import check_results, compare
from pytest_fmtransfer.results import Result

PieceOf = Callable[[int, int], Piece | None]


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A result's place among others, 1 for the best; equal means share the better place.

    `best` and `worst` are the ends of its interval, both included; `rank` lies between them. `reason` says why nothing
    could be told of this result whatever its interval says; the interval then is from 1 to the number of results.
    """

    result: Result
    rank: int
    best: int
    worst: int
    reason: str = ""


def ranks(results: Sequence[Result], *, alpha: float = ALPHA) -> tuple[Rank, ...]:
    """The rank of each result among all, in the order given; the intervals hold together with confidence 1 − `alpha`.

    `alpha` lies in (0, .5). The court in session says which seed variances are on record. Raises InvalidInput for
    fewer than one result, two of the same backbone, and results that do not score the same images alike, or are of
    several regimes.
    """
    check_results(results)
    _check(results)
    level = alpha / max(1, len(results) * (len(results) - 1))  # of one pair, where Holm begins
    by_class, first = patients_by_class(results[0]), results[0]  # the same in all results
    lack = too_few_patients("beats", by_class, first.patient_unit, level, first.hidden_share)
    reasons = [lack or _seed_reason(result, level) for result in results]
    pairs = list(combinations(range(len(results)), 2))
    piece_of = _patient_pieces(results)
    strata = strata_of(results[0].estimates[0].stratum_N, results[0].patients_N)
    p_values: list[float] = []
    for one, other in pairs:
        able = not (reasons[one] or reasons[other])
        bound = _bound(results[one], results[other], piece_of(one, other), strata) if able else None
        p_values += [1.0, 1.0] if bound is None else [bound.p_above(0.0), bound.p_below(0.0)]
    adjusted = iter(holm(p_values, len(p_values)))
    above, below = [0] * len(results), [0] * len(results)
    for one, other in pairs:
        for better, worse in ((one, other), (other, one)):
            if next(adjusted) < alpha:
                above[worse] += 1
                below[better] += 1
    gain = [compare(result, results[0]).effect for result in results]
    return tuple(
        Rank(
            result=result,
            rank=1 + sum(each > gain[at] for each in gain),
            best=1 + above[at],
            worst=len(results) - below[at],
            reason=reasons[at],
        )
        for at, result in enumerate(results)
    )


def _check(results: Sequence[Result]) -> None:
    if not results:
        raise InvalidInput("ranks() needs a result or more")
    backbones = [result.cell.backbone for result in results]
    if len(set(backbones)) < len(backbones):
        raise InvalidInput(f"ranks() is about backbones, each once, not {', '.join(backbones)}")
    if len(regimes := {result.cell.regime for result in results}) > 1:
        raise InvalidInput(f"ranks() is about one regime, not {', '.join(sorted(regimes))}")
    for result in results[1:]:
        compare(result, results[0])  # raises for other images, another metric or another profile


def _seed_reason(result: Result, level: float) -> str:
    """Why a result's training tells it from no other at this level; empty where its randomness is known well enough."""
    return too_few_seeds(result, level) if current().seed_variance(result) is None else ""


def _bound(one: Result, other: Result, piece: Piece | None, strata: Strata) -> Bound | ScoreBound | None:
    """As a comparison of the two has it, from its patient piece; None where it can carry no verdict."""
    pair = compare(one, other)
    if piece is not None and piece.variance <= ROUNDING**2:
        piece = pair.patient_piece  # which knows what may have been missed
    if piece is None or no_bound(piece, one):
        return None
    bound = combine(pair.effect, [piece, *pair.seed_pieces])
    return pair.score_bound_about(bound, strata) or bound


def _patient_pieces(results: Sequence[Result]) -> PieceOf:
    """The patient variance of the difference of any two, by their numbers.

    What each pair has in common is computed once: of so many pairs, the comparisons' own way takes minutes.
    """
    influences = [influence for result in results if (influence := influence_of(result)) is not None]
    first = results[0]
    if len(influences) < len(results):
        drawn_KR = replicated(results)
        if drawn_KR is None:
            return lambda one, other: None
        return lambda one, other: piece_of_replicates(drawn_KR[one] - drawn_KR[other], first)
    strata = strata_of(first.estimates[0].stratum_N, first.patients_N)
    fewest = int(strata.patients_K.min())
    if fewest < 2:
        return lambda one, other: None
    by_patient_KP = np.array([by_patient(influence_N, strata) for influence_N in influences])

    def piece_of(one: int, other: int) -> Piece:
        apart_P = by_patient_KP[one] - by_patient_KP[other]
        return Piece(variance=float(apart_P @ apart_P), degrees=float(fewest - 1))

    return piece_of

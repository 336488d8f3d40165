"""The variance of an effect from training again: paired by seed where every side saw the same draws.

A seed of a few-shot regime draws the training images, and draws the same for every backbone. An easy draw is easy for
both sides of a comparison, so that their difference varies less than either. What varies is then measured on the
differences of each seed. Where one side ran at seeds that the other did not, those that both have are paired, and the
others are a source of variance of their own.

Legend: S seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_fmtransfer.judge.bounds import Floats, Piece, seed_piece
from pytest_fmtransfer.results import Result

# Fewer seeds in common show no variance. The sides are then taken to be independent, which errs on the safe side:
# draws that suit one backbone suit others.
FEWEST_SHARED = 2


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """A result, and by how much an effect moves for a unit of its metric."""

    weight: float
    result: Result


def shared_seeds(results: Sequence[Result]) -> tuple[int, ...]:
    """The seeds at which all results saw the same draw, in the first one's order; () where they are too few."""
    datasets = {result.cell.dataset for result in results}
    if len(results) < 2 or len(datasets) > 1 or not all(result.seeded and result.draws for result in results):
        return ()
    common = tuple(seed for seed in results[0].seeds if all(seed in result.seeds for result in results))
    return common if len(common) >= FEWEST_SHARED else ()


def seed_pieces_of(terms: Sequence[Weighed]) -> list[Piece]:
    """The variances, from training again, of a weighted sum of the means of results on one dataset.

    Args:
        terms: Each result once. Those that do not depend on their seed, or ran at one, add nothing.
    """
    drawn = [term for term in terms if term.result.seeded and term.result.draws]
    shared = shared_seeds([term.result for term in drawn])
    pieces: list[Piece] = []
    if shared:
        # The mean over S seeds is the sum over shared seeds, by S, and the sum over the others, by S.
        sum_S = sum((_shares(term, shared) for term in drawn), start=np.zeros(len(shared)))
        together = seed_piece(tuple(len(shared) * sum_S))
        pieces += [] if together is None else [together]
    for term in terms:
        result = term.result
        piece = seed_piece(result.by_seed) if result.seeded else None
        others = len(result.seeds) - (len(shared) if term in drawn else 0)
        if piece is not None and others:
            share = term.weight**2 * others / len(result.seeds)
            pieces.append(Piece(variance=share * piece.variance, degrees=piece.degrees))
    return pieces


def seed_covariance(one: Result, other: Result) -> float:
    """Of the means of two results, from training again: 0 where their seeds are not the same draws."""
    if not (shared := shared_seeds((one, other))):
        return 0.0
    one_S, other_S = (_shares(Weighed(weight=1.0, result=each), shared) for each in (one, other))
    return len(shared) * float(np.cov(one_S, other_S, ddof=1)[0, 1])


def _shares(term: Weighed, seeds: Sequence[int]) -> Floats:
    """S; what each of `seeds` adds to the effect."""
    by_seed = dict(zip(term.result.seeds, term.result.by_seed, strict=True))
    return np.array([term.weight * by_seed[seed] / len(by_seed) for seed in seeds])

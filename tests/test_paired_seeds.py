"""Seeds that are the same draws for both sides are paired. What is judged is synthetic.

Legend: S seeds.
"""

from dataclasses import replace

import numpy as np
import pytest

from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import draws_on
from pytest_fmtransfer.exports import as_declared
from pytest_fmtransfer.judge.bounds import Piece
from pytest_fmtransfer.judge.comparison import Comparison, auc_of
from pytest_fmtransfer.judge.relative_gain import merged, relative_gains, seed_pieces
from pytest_fmtransfer.judge.seeds import Weighed, seed_covariance, seed_pieces_of
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.results import Result
from tests import helpers
from tests.helpers import CANDIDATE, REFERENCE, retrained

EASY = (0.4, 1.0, 1.6, 2.2)  # by seed: how easy a draw is


def drawn(cell: str, more: float, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> Result:
    """A few-shot result: easy draws are easy for every backbone."""
    found = retrained(cell, *(EASY[seed % 4] + more + 0.02 * (-1) ** seed * more for seed in seeds))
    return replace(found, seeds=seeds, draws=True)


def comparison(candidate: Result, reference: Result) -> Comparison:
    return Comparison(candidate=candidate, reference=reference)


ONE, TWO = drawn(CANDIDATE, 0.3), drawn(REFERENCE, 0.0)


def test_what_varies_of_the_same_draws_is_their_differences() -> None:
    differences_S = np.array(ONE.by_seed) - np.array(TWO.by_seed)
    [piece] = comparison(ONE, TWO).seed_pieces
    assert piece == Piece(variance=pytest.approx(float(np.var(differences_S, ddof=1)) / 4), degrees=3)


@pytest.mark.parametrize(
    "other",
    [
        replace(TWO, draws=False),
        replace(TWO, seeds=(3, 4, 5, 6)),  # one seed in common shows no variance
        replace(TWO, seeds=(4, 5, 6, 7)),
        replace(TWO, cell=replace(TWO.cell, dataset="data.shuffled")),  # of other labels, other images are drawn
    ],
    ids=["not drawn", "one in common", "none in common", "on shuffled labels"],
)
def test_seeds_that_are_not_the_same_draws_are_independent(other: Result) -> None:
    pair = comparison(ONE, other)
    [piece] = pair.seed_pieces
    each = [float(np.var(result.by_seed, ddof=1)) / 4 for result in (ONE, other)]
    assert piece.variance == pytest.approx(sum(each))
    assert piece.degrees == pytest.approx(sum(each) ** 2 / sum(variance**2 / 3 for variance in each))
    assert seed_covariance(ONE, other) == 0
    assert pair.shared_seeds == ()
    assert "paired" not in beats(ONE, other).text


def test_seeds_are_paired_by_their_number_and_not_by_their_place() -> None:
    back = replace(TWO, seeds=TWO.seeds[::-1], scores_SNC=TWO.scores_SNC[::-1])
    [piece], [again] = comparison(ONE, TWO).seed_pieces, comparison(ONE, back).seed_pieces
    assert again.variance == pytest.approx(piece.variance)


def test_where_seeds_differ_those_in_common_are_paired_and_the_others_vary_alone() -> None:
    """Candidate at seeds 0 to 3, reference at 1 to 3 and 5 to 7: three are in common, one and three are not."""
    other = drawn(REFERENCE, 0.0, (1, 2, 3, 5, 6, 7))
    ours, theirs = dict(zip(ONE.seeds, ONE.by_seed, strict=True)), dict(zip(other.seeds, other.by_seed, strict=True))
    apart_S = np.array([ours[seed] / 4 - theirs[seed] / 6 for seed in (1, 2, 3)])
    variances = [3 * float(np.var(apart_S, ddof=1))]
    variances += [float(np.var(ONE.by_seed, ddof=1)) / 16, 3 * float(np.var(other.by_seed, ddof=1)) / 36]
    pieces = seed_pieces_of([Weighed(weight=1.0, result=ONE), Weighed(weight=-1.0, result=other)])
    assert [piece.variance for piece in pieces] == pytest.approx(variances)
    assert [piece.degrees for piece in pieces] == [2, 3, 5]
    assert "paired by seed where both ran, at seeds 1, 2, 3: both sides saw the same draws" in beats(ONE, other).text


def test_a_verdict_says_that_seeds_are_paired_and_its_interval_is_narrower() -> None:
    paired, independent = beats(ONE, TWO), beats(replace(ONE, draws=False), TWO)
    assert "of its square, paired by seed: both sides saw the same draws" in paired.text
    assert paired.effect == independent.effect
    assert None not in (paired.lower, independent.lower, paired.detectable, independent.detectable)
    assert paired.lower > independent.lower  # pyright: ignore[reportOptionalOperand]
    assert paired.detectable < independent.detectable  # pyright: ignore[reportOptionalOperand]


def test_limits_on_the_logit_scale_know_that_both_sides_move_with_the_draw() -> None:
    pair, apart = comparison(ONE, TWO).mover, comparison(replace(ONE, draws=False), TWO).mover
    assert pair is not None
    assert apart is not None
    covariance = float(np.cov(ONE.by_seed, TWO.by_seed, ddof=1)[0, 1]) / 4
    assert pair.covariance == pytest.approx(apart.covariance + covariance)
    assert pair.correlation > apart.correlation
    whole = pair.candidate.variance + pair.reference.variance - 2 * pair.covariance
    bound = comparison(ONE, TWO).bound
    assert bound is not None
    assert whole == pytest.approx(bound.standard_error**2)  # variances of the whole, either way
    assert auc_of(ONE).variance == pair.candidate.variance


def test_a_variance_on_record_stands_in_for_what_pairs_show() -> None:
    recorded = Comparison(candidate=ONE, reference=TWO, recorded=Piece(variance=1e-4, degrees=9))
    assert recorded.seed_pieces == (Piece(variance=pytest.approx(0.5e-4), degrees=9),)
    assert recorded.shared_seeds == ()


def test_the_gains_of_a_few_shot_regime_are_paired_by_seed_on_each_dataset() -> None:
    def on(result: Result, dataset: str) -> Result:
        return replace(result, cell=replace(result.cell, dataset=dataset))

    mine, theirs = ([on(each, dataset) for dataset in ("a", "b")] for each in (ONE, TWO))
    [found] = relative_gains(mine, theirs)
    [piece] = seed_pieces(merged(found.weighed))
    one_S, two_S = np.array(ONE.by_seed), np.array(TWO.by_seed)
    moved_S = 50 * (one_S / TWO.mean - ONE.mean * two_S / TWO.mean**2)
    assert piece.variance == pytest.approx(2 * float(np.var(moved_S, ddof=1)) / 4)
    assert piece.degrees == pytest.approx(6)


def test_the_catalogue_says_whose_seeds_are_draws() -> None:
    registry = Registry()

    def draws(dataset: str, regime: str) -> bool:
        return draws_on(registry.regime(regime), registry.dataset(dataset))

    assert draws("br35h", "fewshot5")
    assert not draws("br35h", "frozen_linear")
    assert draws("br35h.shuffled", "frozen_linear")  # its labels are shuffled by the seed
    assert isinstance(registry.regime("fewshot1"), RegimeSpec)
    stored = helpers.as_declared("mobilenetv2-br35h-fewshot5", 1.0)
    assert not stored.draws
    assert as_declared(stored, registry, origin="store").draws

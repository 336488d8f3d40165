"""Ranks with intervals: what they must say of cells that are equal, far apart, few, or run at few seeds.

Legend: N images, K cells.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge import ranks as module
from pytest_fmtransfer.judge.bounds import Bound, Piece, strata_of
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.ranks import Rank, ranks
from pytest_fmtransfer.judge.reading import UNBOUNDED
from pytest_fmtransfer.judge.score_bound import ScoreBound
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, labels_of, make_result, noisy_scores, retrained


def cells(
    signals: Sequence[float], *, seed: int = 0, patients: int = 60, share: float = 0.8, **more: object
) -> list[Result]:
    """One cell a signal on the same patients; their scores have `share` of the noise in common."""
    labels_N = labels_of(patients, patients)
    common_NC = noisy_scores(labels_N, 0.0, seed=seed)
    return [
        make_result(
            f"net{at}-data-knn",
            labels_N,
            share * common_NC
            + (1 - share) * noisy_scores(labels_N, 0.0, seed=1_000 * seed + at + 1)
            + signal * np.eye(2)[labels_N],
            **more,  # pyright: ignore[reportArgumentType]
        )
        for at, signal in enumerate(signals)
    ]


def told(found: Sequence[Rank]) -> list[tuple[int, int, int]]:
    return [(each.rank, each.best, each.worst) for each in found]


def bound_of(pair: list[Result]) -> Bound | ScoreBound | None:
    strata = strata_of(pair[0].estimates[0].stratum_N, pair[0].patients_N)
    return module._bound(pair[0], pair[1], module._patient_pieces(pair)(0, 1), strata)


def test_cells_far_apart_have_exact_ranks() -> None:
    assert told(ranks(cells([0.0, 3.0, 1.0, 0.4], patients=400))) == [(4, 4, 4), (1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_of_a_loss_the_smallest_is_the_best() -> None:
    found = ranks(cells([0.0, 3.0, 1.0], patients=400, metric="log_loss"))
    assert [each.rank for each in found] == [3, 1, 2]
    assert told(found) == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]


def test_identical_cells_may_have_any_place_and_share_the_first() -> None:
    one = cells([0.5])[0]
    same = [replace(one, cell=replace(one.cell, backbone=name)) for name in ("a", "b", "c")]
    assert told(ranks(same)) == [(1, 1, 3)] * 3


def test_a_cell_alone_is_the_first() -> None:
    assert told(ranks(cells([0.5]))) == [(1, 1, 1)]


SIGNALS = st.lists(st.sampled_from([0.0, 0.1, 0.4, 0.8, 2.0]), min_size=2, max_size=5)


@LAWS
@given(signals=SIGNALS, seed=st.integers(0, 50), order=st.randoms(use_true_random=False))
def test_an_interval_holds_its_rank_and_says_the_same_in_any_order(signals: list[float], seed: int, order) -> None:
    found = cells(signals, seed=seed, patients=30)
    known = {each.result.cell: each for each in ranks(found)}
    for each in known.values():
        assert 1 <= each.best <= each.rank <= each.worst <= len(found)
    order.shuffle(found)
    assert told(ranks(found)) == told([known[result.cell] for result in found])


@LAWS
@given(signals=SIGNALS, seed=st.integers(0, 50))
def test_who_stands_above_and_who_below_are_counted_alike(signals: list[float], seed: int) -> None:
    found = ranks(cells(signals, seed=seed, patients=30))
    assert sum(each.best - 1 for each in found) == sum(len(found) - each.worst for each in found)


@LAWS
@given(signals=SIGNALS, seed=st.integers(0, 50))
def test_turning_every_score_around_turns_the_ranks_around(signals: list[float], seed: int) -> None:
    found = cells(signals, seed=seed, patients=30)
    turned = [replace(each, scores_SNC=-each.scores_SNC) for each in found]
    for one, other in zip(ranks(found), ranks(turned), strict=True):
        assert (other.best, other.worst) == (len(found) + 1 - one.worst, len(found) + 1 - one.best)


def test_two_cells_are_told_apart_where_beats_is_supported_at_its_half_of_the_level() -> None:
    for signal in (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5):
        better, worse = cells([0.4 + signal, 0.4])
        with judging(Court(family_size=2)):
            supported = bool(beats(better, worse))
        assert told(ranks([better, worse]))[0] == ((1, 1, 1) if supported else (1, 1, 2))


TRAINED = [
    retrained(f"net{at}-data-knn", *(signal + step for step in (-0.3, -0.1, 0.0, 0.1, 0.3)), counts=(200, 200))
    for at, signal in enumerate((0.8, 0.5))
]


@pytest.mark.parametrize("pair", [cells([0.6, 0.4]), TRAINED], ids=["without seeds", "of five seeds"])
def test_two_cells_are_told_apart_from_twice_the_p_value_of_beats_on(pair: list[Result]) -> None:
    """Seeds that lie apart count in it."""
    p = beats(pair[0], pair[1]).p
    assert p is not None
    assert 1e-6 < p < 0.2
    assert told(ranks(pair, alpha=2.001 * p)) == [(1, 1, 1), (2, 2, 2)]
    assert told(ranks(pair, alpha=1.999 * p)) == [(1, 1, 2), (2, 1, 2)]


@pytest.mark.parametrize(
    "metric", ["roc_auc", "accuracy", "quadratic_kappa", "macro_recall", "expected_calibration_error"]
)
def test_the_variance_of_each_pair_is_that_of_its_comparison(metric: str) -> None:
    found = cells([0.0, 0.5, 1.0], metric=metric)
    patients = [f"patient{at // 2}" for at in range(len(found[0].ids_N))]
    found = [replace(each, patients_N=np.array(patients)) for each in found]
    piece_of = module._patient_pieces(found)
    for one, other in combinations(range(3), 2):
        expected = Comparison(candidate=found[one], reference=found[other]).patient_piece
        piece = piece_of(one, other)
        assert piece is not None
        assert expected is not None
        assert (piece.variance, piece.degrees) == pytest.approx((expected.variance, expected.degrees))


def test_two_perfect_cells_are_not_told_apart_and_a_poor_one_is() -> None:
    perfect = cells([40.0, 50.0, 0.3], patients=200)
    found = ranks(perfect)
    bound = bound_of(perfect)
    assert isinstance(bound, Bound)
    assert bound == Comparison(candidate=perfect[0], reference=perfect[1]).bound
    assert bound.alike == 200  # what so many patients may have missed
    assert told(found) == [(1, 1, 2), (1, 1, 2), (3, 3, 3)]


@pytest.mark.parametrize("metric", sorted(UNBOUNDED))
def test_perfect_cells_are_not_told_apart_by_what_sets_no_limit_to_what_was_missed(metric: str) -> None:
    perfect = cells([40.0, 50.0], patients=200, metric=metric)
    assert Comparison(candidate=perfect[0], reference=perfect[1]).bound is not None
    assert bound_of(perfect) is None


def test_with_few_patients_of_a_class_every_place_is_open_and_the_class_is_named() -> None:
    found = ranks(cells([0.0, 5.0], patients=19))
    assert told(found) == [(2, 1, 2), (1, 1, 2)]
    assert all("class 'class0' has 19 in the test side" in each.reason for each in found)


def test_a_class_of_one_patient_leaves_every_place_open() -> None:
    assert told(ranks(cells([0.0, 5.0], patients=1)))[1] == (1, 1, 2)


def test_one_seed_of_what_depends_on_it_tells_nothing_and_the_others_are_ranked() -> None:
    apart = cells([0.0, 2.0], patients=200)
    once = replace(retrained("net9-data-knn", 1.0, counts=(200, 200)), ids_N=apart[0].ids_N)
    found = ranks([*apart, once])
    assert told(found) == [(3, 2, 3), (1, 1, 2), (2, 1, 3)]
    assert found[2].reason == "training randomness not measured: net9-data-knn ran at one seed"
    with judging(Court(seed_variances={("data", "knn"): Piece(variance=1e-6, degrees=20)})):
        assert told(ranks([*apart, once])) == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]


def test_two_seeds_carry_a_comparison_of_two_and_not_of_four_and_three_do() -> None:
    def found(seeds: int) -> list[Result]:
        signals = [[at + 0.01 * run for run in range(seeds)] for at in range(4)]
        return [retrained(f"net{at}-data-knn", *each, counts=(200, 200)) for at, each in enumerate(signals)]

    assert told(ranks(found(2)[:2])) == [(2, 2, 2), (1, 1, 1)]
    four = ranks(found(2))
    assert told(four) == [(4 - at, 1, 4) for at in range(4)]
    assert "needs 3 seeds at this level, not 2" in four[0].reason
    assert told(ranks(found(3))) == [(4 - at, 4 - at, 4 - at) for at in range(4)]


def test_intervals_hold_together_as_often_as_they_say_and_tell_what_is_there() -> None:
    trials, alpha, false, exact = 150, 0.3, 0, 0
    for trial in range(trials):
        found = ranks(cells([0.3, 0.3, 0.3, 1.5], seed=trial, patients=40), alpha=alpha)
        false += any(each.best > 2 or each.worst < 4 for each in found[:3]) or found[3].best > 1
        exact += told(found)[3] == (1, 1, 1)
    assert 0 < false / trials < alpha  # of equal cells none is told from another more often than that
    assert exact / trials > 0.9


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "a result or more"),
        (cells([0.1]) * 2, "each once, not net0, net0"),
        (
            [
                cells([0.1])[0],
                replace(cells([0.1, 0.2])[1], cell=replace(cells([0.1])[0].cell, backbone="b", regime="ridge")),
            ],
            "one regime, not knn, ridge",
        ),
        ([cells([0.1])[0], cells([0.1, 0.2], patients=30)[1]], "not scored on the same images"),
    ],
)
def test_what_cannot_be_ranked_is_refused(found: list[Result], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ranks(found)

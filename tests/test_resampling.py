"""The paired, clustered bootstrap against variances that are known. Synthetic results.

Legend: N images, P patients, B replicates of a chunk.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.judge import resampling
from pytest_fmtransfer.judge.bounds import Piece
from pytest_fmtransfer.judge.comparison import Comparison, own_piece
from pytest_fmtransfer.judge.resampling import REPLICATES, bootstrap_piece, draws, strata_for_draws
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores

FEW = settings(LAWS, max_examples=20)


def drawn(result: Result) -> NDArray[np.int64]:
    """All replicates, N × B."""
    return np.concatenate(list(draws(result, strata_for_draws(result))), axis=1)


def pair(metric: str, *counts: int, **more: Any) -> tuple[Result, Result]:
    """Two results of the same metric; the scores of one are half the other's."""
    labels_N = labels_of(*counts)
    common_NC, own_NC = (noisy_scores(labels_N, 1.0, seed=seed, classes=len(counts)) for seed in (0, 1))
    return (
        make_result(CANDIDATE, labels_N, common_NC, metric=metric, **more),
        make_result(REFERENCE, labels_N, common_NC + own_NC, metric=metric, **more),
    )


def variance(piece: Piece | None) -> float:
    assert piece is not None
    return piece.variance


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "macro_f1"])
def test_it_agrees_with_the_variance_by_influences(metric: str) -> None:
    """2,000 replicates know a variance to about 3 %."""
    one, other = pair(metric, 250, 150)
    assert variance(bootstrap_piece([(1, one)])) == pytest.approx(variance(own_piece(one)), rel=0.1)
    by_influence = Comparison(candidate=one, reference=other).patient_piece
    assert variance(bootstrap_piece([(1, one), (-1, other)])) == pytest.approx(variance(by_influence), rel=0.1)


def test_a_variance_of_few_patients_is_not_biased() -> None:
    """Three of five right: the variance of the mean is 0.3 / 5, of which resampling itself shows four fifths."""
    result = make_result(CANDIDATE, [0, 0, 0, 1, 1], np.eye(2)[[0, 0, 0, 0, 0]], metric="accuracy")
    piece = bootstrap_piece([(1, result)])
    assert variance(piece) == pytest.approx(0.06, rel=0.1)
    assert piece is not None
    assert piece.degrees == 4


def test_degrees_of_freedom_are_those_of_the_smallest_stratum() -> None:
    pieces = [bootstrap_piece([(1, pair(metric, 30, 12)[0])]) for metric in ("roc_auc", "accuracy")]
    assert [piece and piece.degrees for piece in pieces] == [11, 41]


def test_a_difference_of_a_result_to_itself_has_no_variance() -> None:
    one, _ = pair("roc_auc", 60, 60)
    assert variance(bootstrap_piece([(1, one), (-1, one)])) == 0


def test_pairing_leaves_out_what_two_results_share() -> None:
    one, other = pair("accuracy", 100, 100)
    apart = variance(bootstrap_piece([(1, one)])) + variance(bootstrap_piece([(1, other)]))
    assert (
        variance(bootstrap_piece([(1, one), (-1, other)]))
        < 0.8 * apart
        < variance(bootstrap_piece([(1, one), (1, other)]))
    )


def test_copies_of_a_patients_images_tell_nothing_new() -> None:
    labels_N, scores_NC = labels_of(100, 60), noisy_scores(labels_of(100, 60), 1.0, seed=0)
    once = make_result(CANDIDATE, labels_N, scores_NC, metric="accuracy")
    copied_labels_N, copied_scores_NC = labels_N.repeat(4), scores_NC.repeat(4, axis=0)
    patients_N = np.arange(160).repeat(4).astype(np.str_)
    clustered = make_result(CANDIDATE, copied_labels_N, copied_scores_NC, patients_N, metric="accuracy")
    blind = make_result(CANDIDATE, copied_labels_N, copied_scores_NC, metric="accuracy")
    expected = variance(bootstrap_piece([(1, once)]))
    assert variance(bootstrap_piece([(1, clustered)])) == pytest.approx(expected, rel=0.12)
    assert variance(bootstrap_piece([(1, blind)])) == pytest.approx(expected / 4, rel=0.12)


def test_the_variance_is_that_of_the_mean_over_seeds() -> None:
    labels_N = labels_of(80, 80)
    scores_SNC = np.stack([noisy_scores(labels_N, 1.0, seed=seed) for seed in range(4)])
    four = make_result(CANDIDATE, labels_N, scores_SNC, metric="accuracy", seeded=True)
    same = replace(four, scores_SNC=np.repeat(four.scores_SNC[:1], 4, axis=0))
    one = make_result(CANDIDATE, labels_N, scores_SNC[0], metric="accuracy")
    assert variance(bootstrap_piece([(1, same)])) == pytest.approx(variance(bootstrap_piece([(1, one)])))
    assert variance(bootstrap_piece([(1, four)])) == pytest.approx(variance(own_piece(four)), rel=0.1)
    assert variance(bootstrap_piece([(1, four)])) < 0.5 * variance(bootstrap_piece([(1, one)]))


def test_draws_are_fixed_by_the_datasets_fingerprint() -> None:
    one, other = pair("roc_auc", 30, 30)
    assert (drawn(one) == drawn(other)).all()
    elsewhere = replace(one, question=replace(one.question, dataset_fingerprint="4567abcd"))
    assert (drawn(one) != drawn(elsewhere)).any()


@FEW
@given(st.lists(st.integers(2, 12), min_size=2, max_size=4), st.integers(1, 3))
def test_as_many_patients_are_drawn_of_each_class_as_it_has(counts: list[int], images: int) -> None:
    labels_N = labels_of(*counts).repeat(images)
    patients_N = np.arange(sum(counts)).repeat(images).astype(np.str_)
    scores_NC = np.zeros((len(labels_N), len(counts)))
    counts_NB = drawn(make_result(CANDIDATE, labels_N, scores_NC, patients_N, metric="balanced_accuracy"))
    assert counts_NB.shape == (len(labels_N), REPLICATES)
    for label, patients in enumerate(counts):
        assert (counts_NB[labels_N == label].sum(axis=0) == patients * images).all()
    by_patient_PIB = counts_NB.reshape(sum(counts), images, -1)
    assert (by_patient_PIB == by_patient_PIB[:, :1]).all()


def test_every_patient_is_drawn_about_as_often() -> None:
    """A patient's count in a replicate is about Poisson's of mean 1."""
    counts_NB = drawn(pair("accuracy", 20, 20)[0])
    assert counts_NB.mean(axis=1) == pytest.approx(1, abs=0.12)
    assert counts_NB.var(axis=1) == pytest.approx(1, abs=0.25)
    assert len(np.unique(counts_NB, axis=1).T) == REPLICATES


def test_patients_with_images_in_two_classes_are_drawn_from_one_stratum() -> None:
    """Replicates that lose a class are undefined and left out."""
    labels_N, patients_N = labels_of(30, 3), np.array(["shared", *map(str, range(30)), "shared", "shared"])
    result = make_result(CANDIDATE, labels_N, noisy_scores(labels_N, 1.0, seed=0), patients_N)
    assert (strata_for_draws(result) == 0).all()
    counts_NB = drawn(result)
    assert (counts_NB[labels_N == 1].sum(axis=0) == 0).any()
    piece = bootstrap_piece([(1, result)])
    assert 0 < variance(piece) < 1
    assert piece is not None
    assert piece.degrees == 30


@pytest.mark.parametrize("counts", [(30, 1), (1, 30)])
def test_a_class_of_one_patient_has_no_variance(counts: tuple[int, int]) -> None:
    assert bootstrap_piece([(1, pair("roc_auc", *counts)[0])]) is None
    assert bootstrap_piece([(1, pair("accuracy", *counts)[0])]) is not None


@pytest.mark.parametrize("at_once", [1, 800, 40 * 999, 40 * REPLICATES])
def test_memory_is_bounded_and_the_number_of_replicates_is_not_changed(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(resampling, "_COUNTS_AT_ONCE", at_once)
    result = pair("accuracy", 20, 20)[0]
    chunks = [counts_NB.shape for counts_NB in draws(result, strata_for_draws(result))]
    assert sum(replicates for _, replicates in chunks) == REPLICATES
    assert all(images == 40 and (replicates == 1 or images * replicates <= at_once) for images, replicates in chunks)
    assert variance(bootstrap_piece([(1, result)])) == pytest.approx(variance(own_piece(result)), rel=0.12)

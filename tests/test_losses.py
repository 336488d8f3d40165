"""Metrics of which less is better, and the one that has no influence values. Synthetic results. Legend: N images."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax

from pytest_fmtransfer.judge.comparison import Comparison, influence_of, own_piece
from pytest_fmtransfer.judge.court import Court, judging
from pytest_fmtransfer.judge.intervals import interval
from pytest_fmtransfer.judge.resampling import bootstrap_piece
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.metrics import METRICS
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores
from tests.strategies import levels, margins

LOSSES = ("log_loss", "brier")
LABELS_N = labels_of(80, 60)


def told(cell: str, signal: float, metric: str, *, seed: int = 0, sharpness: float = 1.0, **more: Any) -> Result:
    """Scores that tell the classes apart by `signal`, and are as sure of it as `sharpness` says."""
    return make_result(
        cell, LABELS_N, sharpness * noisy_scores(LABELS_N, signal, seed=seed), metric=metric, margin=0.1, **more
    )


def losses_of(result: Result) -> NDArray[np.float64]:
    """Each image's log loss."""
    return -log_softmax(result.scores_SNC[0].astype(np.float64), axis=1)[np.arange(len(LABELS_N)), LABELS_N]


def test_the_losses_are_those_of_the_table() -> None:
    assert {name for name, metric in METRICS.items() if not metric.higher_is_better} == {
        *LOSSES,
        "expected_calibration_error",
    }


@pytest.mark.parametrize("metric", LOSSES)
def test_less_loss_is_an_improvement(metric: str) -> None:
    better, worse = told(CANDIDATE, 2.0, metric), told(REFERENCE, 0.2, metric)
    there, back = beats(better, worse), beats(worse, better)
    assert better.mean < worse.mean
    assert there.effect == pytest.approx(worse.mean - better.mean)
    assert (there.outcome, back.outcome) == ("supported", "refuted")
    assert not_worse_than(better, worse)
    assert not_worse_than(worse, better).outcome == "refuted"


@LAWS
@given(
    st.sampled_from(LOSSES), st.floats(0, 2), st.floats(0, 2), st.integers(0, 2**32 - 1), levels, margins, st.booleans()
)
def test_exchanging_the_two_mirrors_everything(
    metric: str, one: float, other: float, seed: int, court: Court, margin: float, calibrated: bool
) -> None:
    mine = told(CANDIDATE, one, metric, seed=seed, sharpness=1.0 if calibrated else 3.0)
    theirs = told(REFERENCE, other, metric, seed=seed // 2)
    with judging(court):
        there, back = beats(mine, theirs), beats(theirs, mine)
        same, reverse = equivalent_to(mine, theirs, margin), equivalent_to(theirs, mine, margin)
    assert there.effect is not None
    assert back.lower is not None
    assert there.effect == pytest.approx(theirs.mean - mine.mean)
    assert (there.effect, there.upper) == pytest.approx((-(back.effect or 0.0), -back.lower))
    assert not (there and back)
    assert same.outcome == reverse.outcome


def test_the_error_of_a_difference_of_losses_is_that_of_a_paired_mean() -> None:
    one, other = told(CANDIDATE, 1.5, "log_loss"), told(REFERENCE, 1.0, "log_loss", seed=1)
    difference_N = losses_of(other) - losses_of(one)
    bound = Comparison(candidate=one, reference=other).bound
    assert bound is not None
    assert bound.effect == pytest.approx(difference_N.mean())
    assert bound.standard_error == pytest.approx(np.std(difference_N, ddof=1) / np.sqrt(len(LABELS_N)))
    assert bound.degrees == len(LABELS_N) - 1


def test_an_interval_of_a_loss_holds_its_mean() -> None:
    result = told(CANDIDATE, 1.0, "log_loss")
    limits = interval(result)
    assert limits is not None
    assert limits[0] < result.mean < limits[1]


@pytest.mark.parametrize("metric", METRICS)
def test_only_the_calibration_error_needs_the_bootstrap(metric: str) -> None:
    labels: Any = LABELS_N if METRICS[metric].task != "multilabel" else np.eye(2, dtype=np.int64)[LABELS_N]
    result = make_result(CANDIDATE, labels, noisy_scores(LABELS_N, 1.0, seed=0), metric=metric)
    assert (influence_of(result) is None) == (metric == "expected_calibration_error")


def test_the_error_of_a_calibration_error_is_bootstrapped() -> None:
    calibrated = told(CANDIDATE, 0.5, "expected_calibration_error", sharpness=0.5)
    boastful = told(REFERENCE, 0.5, "expected_calibration_error", sharpness=6.0)
    comparison = Comparison(candidate=calibrated, reference=boastful)
    assert comparison.patient_piece == bootstrap_piece([(1, calibrated), (-1, boastful)])
    assert own_piece(calibrated) == bootstrap_piece([(1, calibrated)])
    assert comparison.bound is not None
    assert comparison.bound.degrees == len(LABELS_N) - 1
    assert comparison.mover is None


def test_a_verdict_on_calibration_is_the_same_when_it_is_repeated() -> None:
    def verdict() -> Any:
        calibrated = told(CANDIDATE, 0.5, "expected_calibration_error", sharpness=0.5)
        return beats(calibrated, told(REFERENCE, 0.5, "expected_calibration_error", sharpness=6.0))

    assert verdict()
    assert verdict() == verdict()

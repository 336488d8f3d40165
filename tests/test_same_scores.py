"""Equal is equal: the same scores, or the same but for rounding, are as good at every level and family size.

Legend: S seeds, N images, C classes.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.rounding import ROUNDED, within_rounding
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.metrics import METRICS
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, make_result, noisy_scores, retrained, two_columns
from tests.strategies import levels

AS_GOOD = pytest.mark.parametrize("judge", [not_worse_than, equivalent_to])
FAMILIES = (1, 5, 20, 1000)

# The test side of br35h: patients without a tumour, and with one.
BR35H = (74, 54)

# Of scores whose standard deviation within a class is 1: what float32, float16 and int8 exports change.
EXPORTS = {"float32": 1e-6, "float16": 1e-3, "int8": 0.03}


def twins(labels_N: NDArray[np.int64], scores: NDArray[np.floating], metric: str = "roc_auc") -> tuple[Result, Result]:
    """Two cells with the same scores, byte for byte."""
    one = make_result(CANDIDATE, labels_N, scores, metric=metric)
    return one, replace(one, cell=make_result(REFERENCE, labels_N, scores).cell)


def export(signal: float, noise: float, rng: np.random.Generator) -> tuple[Result, Result]:
    """A model on br35h's test side, and its scores again with rounding; `signal` is how far apart the classes lie."""
    labels_N = labels_of(*BR35H)
    score_N = rng.normal(size=len(labels_N)) + signal * labels_N
    rounded_N = score_N + noise * rng.normal(size=len(labels_N))
    return (
        make_result(CANDIDATE, labels_N, two_columns(rounded_N)),
        make_result(REFERENCE, labels_N, two_columns(score_N)),
    )


@AS_GOOD
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("signal", [0.0, 1.0, 2.5, 9.0])
def test_the_same_scores_are_as_good_in_every_family(judge: Callable[..., Verdict], family: int, signal: float) -> None:
    labels_N = labels_of(*BR35H)
    with judging(Court(family_size=family)):
        verdict = judge(*twins(labels_N, noisy_scores(labels_N, signal, seed=0)))
    assert (verdict.outcome, verdict.lower, verdict.upper, verdict.p) == ("supported", 0, 0, 0)


@AS_GOOD
@pytest.mark.parametrize("metric", [name for name in sorted(METRICS) if not name.startswith("mean_")])
def test_they_are_so_in_every_metric(judge: Callable[..., Verdict], metric: str) -> None:
    labels_N = labels_of(*BR35H)
    with judging(Court(family_size=1000)):
        assert judge(*twins(labels_N, noisy_scores(labels_N, 1.0, seed=0), metric))


@AS_GOOD
@pytest.mark.parametrize("signals", [(1.0,), (1.0, 2.0), (1.0, 1.5, 2.0, 2.5, 3.0)])
def test_they_are_so_of_whatever_seeds(judge: Callable[..., Verdict], signals: tuple[float, ...]) -> None:
    """Every training came to the same scores on both sides, so that training again says nothing of a difference."""
    one, other = (retrained(cell, *signals, counts=BR35H) for cell in (CANDIDATE, REFERENCE))
    with judging(Court(family_size=20)):
        assert judge(one, other)


def test_few_patients_remain_few() -> None:
    labels_N = labels_of(49, 74)
    verdict = equivalent_to(*twins(labels_N, noisy_scores(labels_N, 1.0, seed=0)))
    assert "class 'class0' has 49 in the test side" in verdict.reason


@AS_GOOD
@pytest.mark.parametrize("kind", EXPORTS)
@pytest.mark.parametrize("signal", [1.5, 2.7, 3.3, 6.0], ids=["AUC .86", "AUC .97", "AUC .99", "perfect"])
def test_an_export_that_rounds_is_as_good_in_a_family_of_twenty(
    judge: Callable[..., Verdict], kind: str, signal: float
) -> None:
    rng = np.random.default_rng(0)
    with judging(Court(family_size=20)):
        supported = [bool(judge(*export(signal, EXPORTS[kind], rng))) for _ in range(40)]
    assert np.mean(supported) >= 0.95


@AS_GOOD
def test_two_perfect_models_are_not_taken_for_one(judge: Callable[..., Verdict]) -> None:
    """Their scores agree about as much as those of two trainings do."""
    assert judge(*export(9.0, 0.5, np.random.default_rng(0))).outcome == "inconclusive"


@LAWS
@given(st.integers(0, 127), st.sampled_from([-1, 1]))
def test_one_image_beyond_the_others_is_no_rounding(image: int, way: int) -> None:
    one, other = export(2.0, 1e-6, np.random.default_rng(0))
    assert within_rounding(one, other)
    moved_SNC = one.scores_SNC.copy()
    moved_SNC[0, image, 1] += way * 2 * ROUNDED
    assert not within_rounding(replace(one, scores_SNC=moved_SNC), other)


def test_the_scale_is_that_within_a_class_and_of_the_typical_image() -> None:
    """Classes that lie far apart, and an outlier, do not make a difference small."""
    labels_N = labels_of(60, 60)
    for far in (0.0, 1000.0):
        score_N = np.random.default_rng(0).normal(size=120) + far * labels_N
        score_N[0] -= far
        one, other = (
            make_result(cell, labels_N, two_columns(score_N + shift))
            for cell, shift in ((CANDIDATE, np.tile([0.0, 0.5], 60)), (REFERENCE, 0.0))
        )
        assert not within_rounding(one, other)


def test_scores_that_are_mostly_equal_have_no_scale() -> None:
    """Where more than half of the images of a class have one score, whatever differs is no rounding."""
    labels_N = labels_of(60, 60)
    score_N = np.where(np.arange(120) % 5 == 0, 1.0, 0.0)
    one, other = (make_result(cell, labels_N, two_columns(score_N)) for cell in (CANDIDATE, REFERENCE))
    assert within_rounding(one, other)
    moved_SNC = one.scores_SNC.copy()
    moved_SNC[0, 0, 1] += 1e-3
    assert not within_rounding(replace(one, scores_SNC=moved_SNC), other)


def test_several_labels_have_a_scale_each() -> None:
    rng = np.random.default_rng(0)
    labels_NC = rng.integers(0, 2, (200, 2))
    scores_NC = (rng.normal(size=(200, 2)) + 5 * labels_NC) * np.array([1.0, 100.0])
    fields = {"metric": "mean_roc_auc", "classes": ("edema", "fracture")}
    one, other = (
        make_result(cell, labels_NC, scores_NC + np.tile([[shift], [0.0]], (100, 2)), **fields)
        for cell, shift in ((CANDIDATE, 0.5), (REFERENCE, 0.0))
    )
    assert not within_rounding(one, other)
    with judging(Court(family_size=20)):
        assert equivalent_to(replace(other, cell=one.cell), other)


def test_other_seeds_are_no_rounding() -> None:
    assert not within_rounding(retrained(CANDIDATE, 1.0), retrained(REFERENCE, 1.0, 1.0))


@LAWS
@given(levels)
def test_the_text_says_that_only_rounding_differs(court: Court) -> None:
    pair = export(6.0, 1e-3, np.random.default_rng(0))
    with judging(court):
        assert "scores differ by rounding alone" in equivalent_to(*pair).text
        assert "scores are the same, byte for byte" in not_worse_than(replace(pair[0], cell=pair[1].cell), pair[0]).text
        assert "rounding alone" not in beats(*export(2.0, 0.5, np.random.default_rng(0))).text


def test_limits_of_nearly_equal_scores_shrink_with_the_difference() -> None:
    """Beyond rounding too: two AUCs of .97 whose errors are nearly the same patients'."""
    rng = np.random.default_rng(0)
    labels_N = labels_of(200, 200)
    score_N, own_N = rng.normal(size=400) + 2.7 * labels_N, rng.normal(size=400)
    widths: list[float] = []
    for noise in (0.8, 0.4, 0.2, 0.1):
        pair = (make_result(CANDIDATE, labels_N, two_columns(score_N + noise * own_N)),)
        comparison = Comparison(candidate=pair[0], reference=make_result(REFERENCE, labels_N, two_columns(score_N)))
        assert comparison.mover is not None
        assert comparison.bound is not None
        widths.append(comparison.mover.upper(0.0025) - comparison.mover.lower(0.0025))
        plain = comparison.bound.upper(0.0025) - comparison.bound.lower(0.0025)
        assert widths[-1] < 1.6 * plain
    assert widths == sorted(widths, reverse=True)

"""The interval of a single metric, and what a sample can show."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from pytest_fmtransfer.judge.bounds import Bound
from pytest_fmtransfer.judge.comparison import auc_of
from pytest_fmtransfer.judge.intervals import interval
from pytest_fmtransfer.judge.power import smallest_detectable
from pytest_fmtransfer.margins import RANGES
from pytest_fmtransfer.metrics import METRICS
from tests.helpers import LAWS, labels_of, make_result, noisy_scores, two_columns


@LAWS
@given(st.integers(2, 60), st.integers(2, 60), st.floats(-1, 4), st.integers(0, 2**32 - 1))
def test_the_interval_of_an_auc_stays_between_0_and_1(negatives: int, positives: int, signal: float, seed: int) -> None:
    labels_N = labels_of(negatives, positives)
    result = make_result("a-b-c", labels_N, noisy_scores(labels_N, signal, seed=seed))
    lower, upper = interval(result)
    assert 0 <= lower <= result.mean <= upper <= 1
    if 0 < result.mean < 1 and min(negatives, positives) >= 20:
        assert lower < result.mean < upper


def test_a_perfect_auc_is_as_uncertain_as_its_pairs() -> None:
    """Twenty disjoint pairs, all in order: Clopper and Pearson's lower limit is alpha ** (1 / 20)."""
    result = make_result("a-b-c", labels_of(20, 20), two_columns(np.arange(40.0)))
    limits = interval(result)
    assert limits is not None
    assert limits == pytest.approx((0.025 ** (1 / 20), 1.0))


def test_one_patient_in_a_class_has_no_interval() -> None:
    assert interval(make_result("a-b-c", labels_of(20, 1), two_columns(np.arange(21.0)))) is None


def test_the_interval_of_an_accuracy_is_wilsons_with_a_patient_added() -> None:
    """Its rate: the third moment by the second of 40 patients, ten of whom are wrong, and of one who counts as they."""
    labels_N = labels_of(30, 10)
    result = make_result("a-b-c", labels_N, np.eye(2)[[0] * 40], metric="accuracy")
    variance, q = 0.75 * 0.25 / 39, student.ppf(0.975, 39)
    scale = math.sqrt(40 / 39) / 40
    seen = np.array([-0.75] * 10 + [0.25] * 30) * scale
    added = (np.abs(seen) ** 3).sum() / (seen**2).sum()
    reaches: list[float] = []
    for sign in (-1, 1):
        rate = (max(0.0, sign * (seen**3).sum()) + added**3) / (variance + added**2)
        reaches.append(q**2 * rate / 2 + q * math.sqrt(variance + (q * rate / 2) ** 2))
    assert interval(result) == (pytest.approx(0.75 - reaches[0]), pytest.approx(0.75 + reaches[1]))


def test_an_interval_holds_a_rare_class_of_which_nobody_was_seen_wrong() -> None:
    """Twenty of twenty are right, which a class of recall .95 shows in one sample of three."""
    labels_N, wrong = labels_of(1000, 20), [1] * 200 + [0] * 800
    result = make_result("a-b-c", labels_N, np.eye(2)[[*wrong, *[1] * 20]], metric="macro_recall")
    found = interval(result)
    assert found is not None
    assert found[0] < (0.8 + 0.9) / 2
    assert interval(result, 0.5)[0] > 0.85


def test_an_aucs_interval_is_no_narrower_than_on_the_logit_scale() -> None:
    labels_N = labels_of(60, 60)
    result = make_result("a-b-c", labels_N, noisy_scores(labels_N, 2.0, seed=0))
    lower, upper = auc_of(result).limits(0.025)
    found = interval(result)
    assert found is not None
    assert found[0] <= lower
    assert upper <= found[1]


@LAWS
@given(
    st.sampled_from([name for name in sorted(METRICS) if METRICS[name].task != "multilabel"]),
    st.integers(2, 12),
    st.floats(-1, 6),
    st.integers(0, 2**32 - 3),
    st.sampled_from([0.5, 0.95, 0.9999]),
)
def test_an_interval_stays_inside_the_metrics_range(
    metric: str, fewest: int, signal: float, seed: int, confidence: float
) -> None:
    """However few patients there are, and however much three trainings differ."""
    labels_N = labels_of(fewest, fewest + 3)
    scores_SNC = np.stack([noisy_scores(labels_N, signal, seed=seed + more) for more in range(3)])
    result = make_result("a-b-c", labels_N, scores_SNC, seeded=True, metric=metric)
    found = interval(result, confidence)
    if found is not None:
        lowest, highest = RANGES[metric]
        assert lowest <= found[0] <= result.mean <= found[1] <= highest


def test_an_interval_ends_at_the_best_value() -> None:
    """Of 30 right of 31, plain limits would end at 1.034."""
    result = make_result("a-b-c", labels_of(30, 30), np.eye(2)[[0] * 29 + [1] * 31], metric="accuracy")
    found = interval(result)
    assert found is not None
    assert (found[0] < 0.96, found[1]) == (True, 1.0)


def test_seeds_widen_the_interval_of_a_seeded_regime_only() -> None:
    labels_N = labels_of(60, 60)
    scores_SNC = np.stack([noisy_scores(labels_N, signal, seed=0) for signal in (0.5, 1.0, 1.5)])
    widths = [
        np.diff(interval(make_result("a-b-c", labels_N, scores_SNC, seeded=seeded))).item() for seeded in (False, True)
    ]
    assert widths[0] < widths[1]


def test_the_smallest_detectable_effect_is_supported_with_power_80_percent() -> None:
    bound = Bound(effect=0.0, standard_error=0.01, degrees=1e6)
    effect_T = np.random.default_rng(0).normal(smallest_detectable(bound, 0.05), 0.01, size=20_000)
    power = np.mean(effect_T - bound.quantile(0.95) * 0.01 > 0)
    assert power == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("degrees", [2, 4, 12])
@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_the_effect_stated_on_average_is_supported_with_power_80_percent(degrees: int, alpha: float) -> None:
    """Standard errors are estimated with few degrees of freedom, and so are the effects that are stated."""
    rng, trials = np.random.default_rng(1), 40_000
    errors_T = np.sqrt(rng.chisquare(degrees, trials) / degrees)
    one = smallest_detectable(Bound(effect=0.0, standard_error=1.0, degrees=degrees), alpha)
    effects_T = rng.normal(one * errors_T.mean(), 1, trials)
    supported = np.mean(
        effects_T > Bound(effect=0.0, standard_error=1.0, degrees=degrees).quantile(1 - alpha) * errors_T
    )
    assert supported == pytest.approx(0.8, abs=0.007)

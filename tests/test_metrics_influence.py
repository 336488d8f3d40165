"""Influences are derivatives of the weighted metric. Legend: N images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.metrics import METRICS, evaluate
from tests.metric_samples import FEWER, GRID, TIED, perfect, samples

WITHOUT = {"expected_calibration_error"}
with_influences = pytest.mark.parametrize("metric", sorted(METRICS.keys() - WITHOUT))

# Metrics that are linear in the images of each stratum, the other strata held: means, and means of pairs of two strata.
LINEAR = ("accuracy", "balanced_accuracy", "macro_recall", "roc_auc", "roc_auc_ovo", "log_loss", "brier")
STEP = 1e-4


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_but_the_calibration_error_has_influences(metric: str) -> None:
    sample = perfect(metric)
    assert (evaluate(metric, sample.labels, sample.scores_NC).influence_N is None) == (metric in WITHOUT)


@with_influences
@FEWER
@given(data=st.data())
def test_influences_sum_to_zero_in_each_stratum(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric, values=data.draw(st.sampled_from([TIED, GRID]))))
    estimate = evaluate(metric, sample.labels, sample.scores_NC)
    for stratum in np.unique(estimate.stratum_N):
        assert estimate.influence_N[estimate.stratum_N == stratum].sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_strata_are_the_classes_where_a_metric_averages_over_them(metric: str) -> None:
    sample = perfect(metric)
    stratum_N = evaluate(metric, sample.labels, sample.scores_NC).stratum_N
    expected = sample.labels if METRICS[metric].by_class else np.zeros(len(sample))
    np.testing.assert_array_equal(stratum_N, expected)


@with_influences
@FEWER
@given(data=st.data())
def test_an_influence_is_the_derivative_by_the_weight_of_the_image(metric: str, data: st.DataObject) -> None:
    """The infinitesimal jackknife, about the mean of the stratum, whose images together keep their weight."""
    sample = data.draw(samples(metric, values=data.draw(st.sampled_from([TIED, GRID]))))
    estimate = evaluate(metric, sample.labels, sample.scores_NC)
    images = len(sample)
    derivative_N = np.empty(images)
    for image, nudge_N in enumerate(np.eye(images) * STEP):
        up, down = (evaluate(metric, sample.labels, sample.scores_NC, 1 + sign * nudge_N).value for sign in (1, -1))
        derivative_N[image] = (up - down) / (2 * STEP)
    for stratum in np.unique(estimate.stratum_N):
        inside = estimate.stratum_N == stratum
        expected = derivative_N[inside] - derivative_N[inside].mean()
        np.testing.assert_allclose(estimate.influence_N[inside], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("metric", LINEAR)
@FEWER
@given(data=st.data())
def test_an_influence_is_what_leaving_the_image_out_costs(metric: str, data: st.DataObject) -> None:
    """Exactly, for a mean over the n images of a stratum: (metric − metric without it) × (n − 1) / n."""
    sample = data.draw(samples(metric, fewest=2, values=data.draw(st.sampled_from([TIED, GRID]))))
    estimate = evaluate(metric, sample.labels, sample.scores_NC)
    image = data.draw(st.integers(0, len(sample) - 1))
    n = int((estimate.stratum_N == estimate.stratum_N[image]).sum())
    rest = sample.at(np.delete(np.arange(len(sample)), image))
    left_out = evaluate(metric, rest.labels, rest.scores_NC).value
    assert estimate.influence_N[image] == pytest.approx((estimate.value - left_out) * (n - 1) / n, abs=1e-12)

"""Metrics in many resamples at once: whatever the type and layout of the counts, exact, and in bounded memory.

Legend: N images, B replicates.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.metrics import METRICS, evaluate, evaluation, replicates
from tests.helpers import two_columns
from tests.metric_samples import FEWER, Sample, every_metric, perfect, samples


def noisy(metric: str, images: int) -> Sample:
    """With ties, and with mistakes."""
    sample = perfect(metric, images)
    noise_NC = np.random.default_rng(2).integers(-80, 80, sample.scores_NC.shape)
    return Sample(sample.labels, (sample.scores_NC + noise_NC).round(-1) / 20)


def drawn(images: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(3).multinomial(images, np.full(images, 1 / images), size=count).T


@every_metric
@FEWER
@given(data=st.data())
def test_a_replicate_of_every_image_once_is_the_metric(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric))
    value = evaluate(metric, sample.labels, sample.scores_NC).value
    (replicate,) = replicates(metric, sample.labels, sample.scores_NC, np.ones((len(sample), 1), dtype=int))
    assert replicate == pytest.approx(value, rel=1e-12, abs=1e-12)


@every_metric
def test_counts_of_any_type_and_layout_mean_the_same(metric: str) -> None:
    sample, counts_NB = noisy(metric, 40), drawn(40, 30)
    expected = replicates(metric, sample.labels, sample.scores_NC, counts_NB)
    kinds = [counts_NB.astype(kind) for kind in ("i1", "u1", "u2", "i4", "u8")]
    for counts in (*kinds, np.asfortranarray(counts_NB), np.repeat(counts_NB, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(replicates(metric, sample.labels, sample.scores_NC, counts), expected)


@every_metric
def test_parts_of_the_replicates_make_the_whole(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, counts_NB = noisy(metric, 40), drawn(40, 30)
    whole = replicates(metric, sample.labels, sample.scores_NC, counts_NB)
    widths: list[int] = []
    prepared = type(METRICS[metric].prepare(sample.labels, sample.scores_NC))
    weighed = prepared.weighed
    monkeypatch.setattr(prepared, "weighed", lambda self, some: widths.append(some.shape[1]) or weighed(self, some))
    monkeypatch.setattr(evaluation, "COUNTS_BYTES", 40 * 30)
    parts = replicates(metric, sample.labels, sample.scores_NC, counts_NB)
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)  # float64; few are added up otherwise than many
    assert sum(widths) == 30
    assert len(widths) > 1


@every_metric
def test_no_replicates_have_no_values(metric: str) -> None:
    sample = noisy(metric, 40)
    assert replicates(metric, sample.labels, sample.scores_NC, np.ones((40, 0), dtype=int)).shape == (0,)


@every_metric
def test_a_replicate_without_images_is_undefined(metric: str) -> None:
    sample = noisy(metric, 40)
    values_B = replicates(metric, sample.labels, sample.scores_NC, np.array([[0, 1]] * 40))
    assert np.isnan(values_B).tolist() == [True, False]


@pytest.mark.parametrize("total", [127, 128, 255, 32768, 65535, 2**31])
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "quadratic_kappa"])
def test_sums_do_not_overflow_where_a_wider_type_begins(metric: str, total: int) -> None:
    """Three images, one of them drawn nearly always."""
    labels_N, scores_NC = np.array([0, 1, 1]), two_columns(np.array([0.0, 1.0, 0.0]))
    counts_N = np.array([total - 2, 1, 1])
    (value,) = replicates(metric, labels_N, scores_NC, counts_N[:, None])
    assert value == pytest.approx(evaluate(metric, labels_N, scores_NC, counts_N).value, rel=1e-12)
    if metric == "roc_auc":
        assert value == 0.75


@every_metric
def test_memory_is_bounded_whatever_the_number_of_replicates(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the bound and 16 bytes a replicate; a mebibyte for labels, scores and what is sorted of them."""
    images, count, bound = 1000, 20000, 2**19
    monkeypatch.setattr(evaluation, "COUNTS_BYTES", bound)
    sample = noisy(metric, images)
    counts_NB = np.ones((images, count), dtype=np.int8)
    tracemalloc.start()
    try:
        replicates(metric, sample.labels, sample.scores_NC, counts_NB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * bound + 16 * count + 2**20
    assert counts_NB.nbytes > 4 * peak

"""Laws of the metrics and of their influences. Legend: N images, C classes."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from pytest_fmtransfer.errors import InvalidInput, UnknownName
from pytest_fmtransfer.metrics import METRICS, evaluate
from tests.helpers import LAWS, labels_of, noisy_scores, two_columns


@dataclass(frozen=True)
class Sample:
    labels_N: NDArray[np.int64]
    scores_NC: NDArray[np.float64]

    def without(self, image: int) -> "Sample":
        return Sample(np.delete(self.labels_N, image), np.delete(self.scores_NC, image, axis=0))


# Either few distinct values, so that ties are common, or any finite ones that float32 holds.
tied = st.integers(-2, 2).map(float)
anything = st.floats(-1e6, 1e6, width=32)


@st.composite
def samples(draw: st.DrawFn, metric: str, fewest: int = 1) -> Sample:
    """Labels and scores that are valid for `metric`, of `fewest` images upwards in each class present."""
    classes = 2 if metric == "roc_auc" else draw(st.integers(2, 4))
    label = st.integers(0, classes - 1)
    first = range(classes) if metric == "roc_auc" else draw(st.sets(label, min_size=1))
    others = draw(st.lists(st.sampled_from(sorted(first)), max_size=12))
    labels_N = np.array(draw(st.permutations([*sorted(first) * fewest, *others])), dtype=np.int64)
    values = draw(st.sampled_from([tied, anything]))
    return Sample(labels_N, draw(arrays(np.float64, (len(labels_N), classes), elements=values)))


every_metric = pytest.mark.parametrize("metric", sorted(METRICS))


@LAWS
@given(samples("accuracy"))
def test_accuracy_is_that_of_scikit_learn(sample: Sample) -> None:
    expected = accuracy_score(sample.labels_N, sample.scores_NC.argmax(axis=1))
    assert evaluate("accuracy", sample.labels_N, sample.scores_NC).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
@LAWS
@given(samples("balanced_accuracy"))
def test_balanced_accuracy_is_that_of_scikit_learn(sample: Sample) -> None:
    expected = balanced_accuracy_score(sample.labels_N, sample.scores_NC.argmax(axis=1))
    ours = evaluate("balanced_accuracy", sample.labels_N, sample.scores_NC).value
    assert ours == pytest.approx(expected, abs=1e-12)


@LAWS
@given(samples("roc_auc"))
def test_roc_auc_is_that_of_scikit_learn(sample: Sample) -> None:
    expected = roc_auc_score(sample.labels_N, sample.scores_NC[:, 1] - sample.scores_NC[:, 0])
    assert evaluate("roc_auc", sample.labels_N, sample.scores_NC).value == pytest.approx(expected, abs=1e-12)


@LAWS
@given(samples("roc_auc"))
def test_swapping_the_classes_leaves_the_roc_auc(sample: Sample) -> None:
    swapped = evaluate("roc_auc", 1 - sample.labels_N, sample.scores_NC[:, ::-1])
    here = evaluate("roc_auc", sample.labels_N, sample.scores_NC)
    assert swapped.value == pytest.approx(here.value, abs=1e-12)
    np.testing.assert_allclose(swapped.influence_N, here.influence_N, atol=1e-12)


@every_metric
@LAWS
@given(data=st.data())
def test_influences_sum_to_zero_in_each_stratum(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric))
    estimate = evaluate(metric, sample.labels_N, sample.scores_NC)
    for stratum in np.unique(estimate.stratum_N):
        assert estimate.influence_N[estimate.stratum_N == stratum].sum() == pytest.approx(0, abs=1e-12)


@every_metric
@LAWS
@given(data=st.data())
def test_an_influence_is_what_leaving_the_image_out_costs(metric: str, data: st.DataObject) -> None:
    """Exactly, for a mean over the n images of a stratum: (metric − metric without it) × (n − 1) / n."""
    sample = data.draw(samples(metric, fewest=2))
    estimate = evaluate(metric, sample.labels_N, sample.scores_NC)
    image = data.draw(st.integers(0, len(sample.labels_N) - 1))
    n = int((estimate.stratum_N == estimate.stratum_N[image]).sum())
    rest = sample.without(image)
    left_out = evaluate(metric, rest.labels_N, rest.scores_NC).value
    assert estimate.influence_N[image] == pytest.approx((estimate.value - left_out) * (n - 1) / n, abs=1e-12)


@every_metric
@LAWS
@given(data=st.data())
def test_the_order_of_the_images_does_not_matter(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric))
    order_N = np.array(data.draw(st.permutations(range(len(sample.labels_N)))))
    here = evaluate(metric, sample.labels_N, sample.scores_NC)
    there = evaluate(metric, sample.labels_N[order_N], sample.scores_NC[order_N])
    assert there.value == pytest.approx(here.value, abs=1e-12)
    np.testing.assert_allclose(there.influence_N, here.influence_N[order_N], atol=1e-12)


def test_a_tie_of_highest_scores_goes_to_the_first_class() -> None:
    assert evaluate("accuracy", np.array([0, 1]), np.zeros((2, 2))).influence_N.tolist() == [0.25, -0.25]


def test_a_class_without_images_does_not_count_in_balanced_accuracy() -> None:
    labels_N = np.array([0, 0, 2])
    assert evaluate("balanced_accuracy", labels_N, np.eye(4)[[0, 1, 2]]).value == 0.75


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown metric 'roc_acu'; did you mean roc_auc\?"):
        evaluate("roc_acu", labels_of(1, 1), np.zeros((2, 2)))


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_counted_by_row(metric: str, bad: float) -> None:
    scores_NC = noisy_scores(labels_of(3, 3), 1.0, seed=0)
    scores_NC[1] = bad
    scores_NC[4, 0] = bad
    with pytest.raises(InvalidInput, match="2 rows of scores are not finite"):
        evaluate(metric, labels_of(3, 3), scores_NC)


@pytest.mark.parametrize("counts", [(3, 0), (0, 3)])
def test_roc_auc_of_one_class_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="images of both classes"):
        evaluate("roc_auc", labels_of(*counts), two_columns(np.arange(3.0)))


def test_roc_auc_of_three_columns_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two columns of scores"):
        evaluate("roc_auc", labels_of(2, 2), np.zeros((4, 3)))


@every_metric
@pytest.mark.parametrize("shape", [(4,), (3, 2), (5, 2), (1, 4, 2)])
def test_scores_that_are_not_one_row_per_label_are_refused(metric: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="give one row per label"):
        evaluate(metric, labels_of(2, 2), np.zeros(shape))


@every_metric
def test_no_images_at_all_are_refused(metric: str) -> None:
    with pytest.raises(InvalidInput, match="for 0 labels"):
        evaluate(metric, labels_of(), np.zeros((0, 2)))


@every_metric
@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_column_is_refused(metric: str, label: int) -> None:
    with pytest.raises(InvalidInput, match="for 2 columns of scores"):
        evaluate(metric, np.array([0, 1, label]), np.zeros((3, 2)))

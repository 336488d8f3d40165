"""Laws of the metrics, and what they refuse. Legend: N images, C classes or labels."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.catalog import specs
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from pytest_fmtransfer.metrics import (
    METRICS,
    UNKNOWN,
    absent_labels,
    evaluate,
    images_by_class,
    metric_named,
    replicates,
)
from tests.helpers import LAWS, labels_of, noisy_scores, two_columns
from tests.metric_samples import ANYTHING, EVERY_CLASS, FEWER, TIED, Sample, every_metric, perfect, samples

of_classes = pytest.mark.parametrize("metric", sorted(name for name in METRICS if METRICS[name].task != "multilabel"))


def value_of(metric: str, sample: Sample) -> float:
    return evaluate(metric, sample.labels, sample.scores_NC).value


@every_metric
@FEWER
@given(data=st.data())
def test_the_order_of_the_images_does_not_matter(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric))
    order_N = np.array(data.draw(st.permutations(range(len(sample)))))
    here = evaluate(metric, sample.labels, sample.scores_NC)
    there = evaluate(metric, sample.labels[order_N], sample.scores_NC[order_N])
    assert there.value == pytest.approx(here.value, rel=1e-12, abs=1e-12)
    if here.influence_N is not None:
        np.testing.assert_allclose(there.influence_N, here.influence_N[order_N], rtol=1e-12, atol=1e-12)


@of_classes
@FEWER
@given(data=st.data())
def test_what_is_added_to_all_scores_of_an_image_does_not_matter(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric, values=TIED))
    shift_N = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=len(sample), max_size=len(sample))))
    shifted = Sample(sample.labels, sample.scores_NC + shift_N[:, None])
    assert value_of(metric, shifted) == pytest.approx(value_of(metric, sample), abs=1e-12)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "mean_roc_auc"])
@LAWS
@given(data=st.data())
def test_only_the_order_of_the_scores_matters_to_a_metric_of_ranks(metric: str, data: st.DataObject) -> None:
    sample = data.draw(samples(metric, values=TIED))
    scores_NC = sample.scores_NC
    if metric != "mean_roc_auc":
        scores_NC = two_columns(scores_NC[:, 1] - scores_NC[:, 0])
    stretched = Sample(sample.labels, scores_NC**3)
    assert value_of(metric, stretched) == value_of(metric, Sample(sample.labels, scores_NC))


@LAWS
@given(samples("roc_auc"))
def test_swapping_the_classes_leaves_the_roc_auc(sample: Sample) -> None:
    swapped = evaluate("roc_auc", 1 - sample.labels, sample.scores_NC[:, ::-1])
    here = evaluate("roc_auc", sample.labels, sample.scores_NC)
    assert swapped.value == pytest.approx(here.value, abs=1e-12)
    np.testing.assert_allclose(swapped.influence_N, here.influence_N, atol=1e-12)


@pytest.mark.parametrize("metric", ["roc_auc_ovo", "roc_auc_ovr"])
@LAWS
@given(samples("roc_auc", values=ANYTHING))
def test_of_two_classes_every_roc_auc_is_the_binary_one(metric: str, sample: Sample) -> None:
    """Of scores so large, too, that their probabilities are all 0 or 1."""
    many, binary = (evaluate(name, sample.labels, sample.scores_NC) for name in (metric, "roc_auc"))
    assert many.value == pytest.approx(binary.value, abs=1e-12)
    np.testing.assert_allclose(many.influence_N, binary.influence_N, atol=1e-12)


@every_metric
def test_the_best_value_is_that_of_perfect_scores_and_noise_is_worse(metric: str) -> None:
    row, sample = metric_named(metric), perfect(metric)
    assert value_of(metric, sample) == pytest.approx(row.best, abs=1e-12)
    noise = Sample(sample.labels, np.random.default_rng(1).normal(size=sample.scores_NC.shape))
    assert (value_of(metric, noise) < row.best) == row.higher_is_better
    assert value_of(metric, noise) != row.best


@every_metric
def test_a_metric_is_kept_under_its_name(metric: str) -> None:
    assert metric_named(metric).name == metric


def test_a_dataset_may_declare_every_metric_and_no_other() -> None:
    assert get_args(specs.Metric) == tuple(METRICS)


def test_a_tie_of_highest_scores_goes_to_the_first_class() -> None:
    assert evaluate("accuracy", np.array([0, 1]), np.zeros((2, 2))).influence_N.tolist() == [0.25, -0.25]


@pytest.mark.parametrize(("metric", "expected"), [("balanced_accuracy", 0.75), ("macro_recall", 0.375)])
def test_a_class_without_images_counts_as_nothing_or_not_at_all(metric: str, expected: float) -> None:
    assert evaluate(metric, np.array([0, 0, 2]), np.eye(4)[[0, 1, 2]]).value == expected


def test_an_image_of_which_a_label_is_unknown_is_as_if_it_were_not_there_for_that_label() -> None:
    labels_NC = np.array([[0, 1], [1, 0], [UNKNOWN, 1], [1, UNKNOWN]])
    scores_NC = np.array([[0.0, 3.0], [2.0, 2.0], [9.0, 1.0], [-1.0, 9.0]])
    estimate = evaluate("mean_roc_auc", labels_NC, scores_NC)
    assert estimate.value == (1 / 2 + 1 / 2) / 2  # of each label one of the two pairs that are known is in order
    assert estimate.influence_N.tolist() == [0.125, 0.125, -0.125, -0.125]
    # Moving a score that is about a label nobody knows moves nothing.
    scores_NC[2, 0], scores_NC[3, 1] = -50.0, -50.0
    assert evaluate("mean_roc_auc", labels_NC, scores_NC).value == estimate.value
    assert estimate.stratum_N.tolist() == [0, 0, 0, 0]


def test_a_label_known_of_one_kind_of_image_only_counts_half() -> None:
    labels_NC = np.array([[0, 1, UNKNOWN], [1, UNKNOWN, UNKNOWN]])
    estimate = evaluate("mean_roc_auc", labels_NC, np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    assert estimate.value == (1 + 0.5 + 0.5) / 3
    assert absent_labels(labels_NC, ("edema", "fracture", "lesion")) == ("fracture", "lesion")


def test_the_images_of_a_label_are_those_known_to_bear_it_and_those_known_not_to() -> None:
    labels_NC = np.array([[0, 1], [1, UNKNOWN], [UNKNOWN, 1]])
    found = {name: of_class_N.tolist() for name, of_class_N in images_by_class(labels_NC, ("a", "b")).items()}
    assert found == {
        "a": [False, True, False],
        "no a": [True, False, False],
        "b": [True, False, True],
        "no b": [False, False, False],
    }


def test_the_images_of_a_class_are_those_with_its_index() -> None:
    found = images_by_class(np.array([0, 2, 2]), ("a", "b", "c"))
    assert {name: np.flatnonzero(of_class_N).tolist() for name, of_class_N in found.items()} == {
        "a": [0],
        "b": [],
        "c": [1, 2],
    }


@pytest.mark.parametrize("positive", [0, 1])
def test_a_label_that_all_or_no_images_have_counts_half(positive: int) -> None:
    labels_NC = np.array([[0, positive], [1, positive]])
    estimate = evaluate("mean_roc_auc", labels_NC, np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert estimate.value == 0.75
    assert estimate.influence_N.tolist() == [0, 0]
    assert absent_labels(labels_NC, ("edema", "fracture")) == ("fracture",)


def test_classes_without_images_are_named() -> None:
    assert absent_labels(np.array([0, 2, 2]), ("a", "b", "c", "d")) == ("b", "d")


def test_probabilities_that_round_to_one_are_still_told_apart() -> None:
    scores_NC = np.array([[0.0, 50.0, 0.0], [0.0, 60.0, 0.0], [0.0, 70.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    # Of class 1 the first three have probability 1 in double precision; the one that is not of it scores lowest.
    labels_N = np.array([2, 1, 1, 0, 2])
    assert evaluate("roc_auc_ovr", labels_N, scores_NC).value == pytest.approx((1 + 1 + 5 / 6) / 3)
    assert evaluate("log_loss", labels_N[:1], scores_NC[:1]).value == pytest.approx(50)


def test_the_last_bin_of_the_calibration_error_holds_probability_one() -> None:
    scores_NC = two_columns(np.array([100.0, np.log(0.98 / 0.02)]))
    # Too sure by 1 and too unsure by 0.02, in one bin: half of the difference, not half of the sum.
    assert evaluate("expected_calibration_error", np.array([0, 1]), scores_NC).value == pytest.approx(0.98 / 2)


@pytest.mark.parametrize(("beside", "together"), [(0.01, True), (-0.01, False)])
def test_a_bin_of_the_calibration_error_holds_its_lower_edge(beside: float, together: bool) -> None:
    """Three scores that are equal have probability 1/3, where the sixth of fifteen bins begins.

    Another image is right with a little more, or of two classes with a little less. In one bin what the first is too
    sure and the second too unsure is set off, and in two it is added.
    """
    confidence = 1 / 3 + beside
    rest = (1 - confidence) / 3  # of four classes, so that less than 1/3 can be the most probable
    scores_NC = np.log([[1 / 3, 1 / 3, 1 / 3, 1e-300], [rest, rest, rest, confidence]])
    first, second = 1 / 3, confidence - 1  # the first is wrong, the second right
    expected = abs(first + second) if together else abs(first) + abs(second)
    found = evaluate("expected_calibration_error", np.array([1, 3]), scores_NC).value
    assert found == pytest.approx(expected / 2)


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown metric 'roc_acu'; did you mean roc_auc"):
        evaluate("roc_acu", labels_of(1, 1), np.zeros((2, 2)))


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_counted_by_row(metric: str, bad: float) -> None:
    sample = perfect(metric)
    sample.scores_NC[1] = bad
    sample.scores_NC[4, 0] = bad
    with pytest.raises(InvalidInput, match="2 rows of scores are not finite"):
        value_of(metric, sample)


@pytest.mark.parametrize("metric", sorted(EVERY_CLASS - {"average_precision"}))
@pytest.mark.parametrize("counts", [(3, 0), (0, 3)])
def test_a_roc_auc_without_one_of_the_classes_is_refused(metric: str, counts: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=r"images of (both classes|each)"):
        evaluate(metric, labels_of(*counts), two_columns(np.arange(3.0)))


def test_average_precision_without_positive_images_is_refused() -> None:
    with pytest.raises(InvalidInput, match="images of class 1"):
        evaluate("average_precision", labels_of(3, 0), two_columns(np.arange(3.0)))


@pytest.mark.parametrize("metric", sorted(name for name in METRICS if METRICS[name].task == "binary"))
def test_a_binary_metric_of_three_columns_is_refused(metric: str) -> None:
    with pytest.raises(InvalidInput, match="two columns of scores"):
        evaluate(metric, labels_of(2, 2), np.zeros((4, 3)))


@pytest.mark.parametrize("metric", ["quadratic_kappa", "linear_kappa"])
def test_a_kappa_of_one_class_taken_for_itself_is_refused(metric: str) -> None:
    with pytest.raises(InvalidInput, match="0/0"):
        evaluate(metric, np.array([1, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))


@of_classes
@pytest.mark.parametrize("shape", [(4,), (3, 2), (5, 2), (1, 4, 2)])
def test_scores_that_are_not_one_row_per_label_are_refused(metric: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="give one row per label"):
        evaluate(metric, labels_of(2, 2), np.zeros(shape))


@of_classes
def test_no_images_at_all_are_refused(metric: str) -> None:
    with pytest.raises(InvalidInput, match="for 0 labels"):
        evaluate(metric, labels_of(), np.zeros((0, 2)))


@of_classes
@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_column_is_refused(metric: str, label: int) -> None:
    with pytest.raises(InvalidInput, match="for 2 columns of scores"):
        evaluate(metric, np.array([0, 1, label]), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 1], "per image and label"),
        ([[0, 1, 1]] * 3, "for 2 columns"),
        ([[0, 2]] * 3, "give 0 or 1 each, or -1 where a label is not known"),
        ([[0, -2]] * 3, "give 0 or 1 each, or -1 where a label is not known"),
        ([[0, 0.5]] * 3, "whole number"),
    ],
)
def test_labels_that_are_not_zero_or_one_per_score_are_refused(labels: list[object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        evaluate("mean_roc_auc", np.array(labels), np.zeros((3, 2)))


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, -1, 1, 1], [1, np.nan, 1, 1], [0, 0, 0, 0], [[1, 1, 1, 1]]])
def test_weights_that_weigh_nothing_sensible_are_refused(weights: list[float]) -> None:
    with pytest.raises(InvalidInput, match="give one finite number ≥ 0 each"):
        evaluate("accuracy", labels_of(2, 2), noisy_scores(labels_of(2, 2), 1.0, seed=0), np.array(weights))


@pytest.mark.parametrize("counts", [np.ones(4, int), np.ones((3, 2), int), np.ones((4, 2)), -np.ones((4, 2), int)])
def test_counts_that_are_not_whole_numbers_per_image_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="give whole numbers ≥ 0"):
        replicates("accuracy", labels_of(2, 2), noisy_scores(labels_of(2, 2), 1.0, seed=0), counts)

"""A margin lies inside the range of its metric, and one beyond a tenth of it is a warning in the verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.published import Published, consistent_with
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.margins import RANGES, check_margin, range_of, unusual
from pytest_fmtransfer.metrics import METRICS, evaluate
from tests.helpers import CANDIDATE, LAWS, REFERENCE, labels_of, result

GOOD, GUESS = result(CANDIDATE, 3.0), result(REFERENCE, 0.0, seed=1)
VERBS = {
    "beats": lambda margin: beats(GOOD, GUESS, margin),
    "not_worse_than": lambda margin: not_worse_than(GUESS, GOOD, margin),
    "equivalent_to": lambda margin: equivalent_to(GUESS, GOOD, margin),
    "consistent_with": lambda margin: consistent_with(GUESS, Published(value=0.9, source="us"), margin),
}


def test_every_metric_has_a_range_and_no_other_has() -> None:
    assert RANGES.keys() == METRICS.keys()
    for metric in METRICS.values():
        assert metric.lowest < metric.highest
        assert metric.best == (metric.highest if metric.higher_is_better else metric.lowest)


@LAWS
@given(
    name=st.sampled_from(sorted(METRICS)), classes=st.integers(2, 4), seed=st.integers(0, 99), scale=st.floats(0, 50)
)
def test_values_lie_in_the_range(name: str, classes: int, seed: int, scale: float) -> None:
    metric, random = METRICS[name], np.random.default_rng(seed)
    classes = 2 if metric.task == "binary" else classes
    labels = labels_of(*(6 for _ in range(classes)))
    if metric.task == "multilabel":
        labels = np.eye(classes, dtype=np.int64)[labels]
    scores_NC = scale * random.normal(size=(6 * classes, classes))
    lowest, highest = metric.lowest, metric.highest
    if not math.isinf(highest):
        lowest, highest = range_of(name, classes)
    assert lowest - 1e-9 <= evaluate(name, labels, scores_NC).value <= highest + 1e-9


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
@pytest.mark.parametrize("margin", [1.0, 5, 20.0, -0.02, math.nan, math.inf])
def test_a_margin_outside_the_metrics_range_is_refused(verb, margin: float) -> None:
    with pytest.raises(InvalidInput, match=r"margin"):
        verb(margin)


def test_percent_is_told_what_to_write() -> None:
    with pytest.raises(InvalidInput, match=r"below 1, in the unit of roc_auc \(0 to 1\), not 5; for 5 % write 0.05"):
        not_worse_than(GUESS, GOOD, 5)


def test_random_weights_are_not_supported_to_be_not_worse_by_a_margin_that_allows_everything() -> None:
    assert not_worse_than(GUESS, GOOD, 0.1).outcome == "refuted"
    with pytest.raises(InvalidInput):
        not_worse_than(GUESS, GOOD, 1.0)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_one_beyond_a_tenth_of_it_is_a_warning_in_the_verdict(verb) -> None:
    said = "the margin 0.2 is more than a tenth of the range of roc_auc (0 to 1)"
    wide, usual = verb(0.2), verb(0.1)
    assert (wide.mark, usual.mark) == (said, "")
    assert f"\n  {said}" in wide.text
    assert said not in usual.text


def test_beating_by_anything_needs_no_margin() -> None:
    verdict = beats(GOOD, GUESS, 0)
    assert (verdict.outcome, verdict.mark) == ("supported", "")


def test_a_datasets_margin_is_held_to_the_same() -> None:
    row = Registry().dataset("br35h")
    for margin in (0.0, -0.02, 1.0, 5, math.nan):
        with pytest.raises(InvalidInput, match="dataset mine needs a margin above 0 and below 1"):
            Registry(rows=()).register(replace(row, name="mine", margin=margin))
    Registry(rows=()).register(replace(row, name="mine", margin=0.2))
    wide = result(CANDIDATE, 1.0, margin=0.2)
    assert "more than a tenth" in not_worse_than(wide, result(REFERENCE, 1.0, seed=1, margin=0.2)).mark


def test_no_row_of_ours_deserves_the_warning() -> None:
    for row in Registry().rows(DatasetSpec):
        assert unusual(row.margin, row.metric, len(row.classes)) == ""


@pytest.mark.parametrize(
    ("metric", "classes", "highest"),
    [("log_loss", 2, math.log(2)), ("log_loss", 8, math.log(8)), ("brier", 2, 1.0), ("brier", 3, 2.0)],
)
def test_a_losss_range_ends_at_its_highest_value_or_at_what_guessing_costs(
    metric: str, classes: int, highest: float
) -> None:
    check_margin(0.99 * highest, metric, classes, "it")
    with pytest.raises(InvalidInput):
        check_margin(highest, metric, classes, "it")
    assert unusual(0.11 * highest, metric, classes)
    assert not unusual(0.09 * highest, metric, classes)

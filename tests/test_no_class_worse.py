"""No class is worse: what the whole says against what each class says, and what other verdicts tell of classes.

Legend: N images, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.bounds import Piece
from pytest_fmtransfer.judge.comparison import Comparison
from pytest_fmtransfer.judge.compound import consistently_better
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.foresight import Sample, from_assumption, from_pair
from pytest_fmtransfer.judge.hidden import hidden_shares
from pytest_fmtransfer.judge.no_class_worse import no_class_worse_than
from pytest_fmtransfer.judge.per_class import KIND, OWN_METRIC, class_comparisons, class_line, class_reading
from pytest_fmtransfer.judge.verdicts import beats, equivalent_to, not_worse_than
from pytest_fmtransfer.metrics import UNKNOWN
from pytest_fmtransfer.reports.rows import verdict_row
from pytest_fmtransfer.reports.sentences import in_words
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, LAWS, REFERENCE, make_result
from tests.strategies import levels

MULTILABEL = "mean_roc_auc"
AVERAGES = sorted(OWN_METRIC)


def pair(
    metric: str = "macro_recall",
    counts: Sequence[int] = (120, 90, 60),
    moved: Sequence[float] = (),
    *,
    seed: int = 0,
    apart: float = 0.5,
    **more: Any,
) -> tuple[Result, Result]:
    """Candidate and reference; the candidate's own score of an image of a class is `moved` by so much."""
    labels_N = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(seed)
    images, classes = len(labels_N), len(counts)
    truth_NC = np.eye(classes)[labels_N]
    common_NC = rng.normal(size=(images, classes)) + 1.5 * truth_NC
    by_C = np.zeros(classes)
    by_C[: len(moved)] = moved
    scores = [common_NC + apart * rng.normal(size=(images, classes)) for _ in range(2)]
    labels: NDArray[np.int64] = truth_NC.astype(np.int64) if metric == MULTILABEL else labels_N
    return (
        make_result(CANDIDATE, labels, scores[0] + truth_NC * by_C, metric=metric, **more),
        make_result(REFERENCE, labels, scores[1], metric=metric, **more),
    )


def rows_of(verdict: Verdict) -> dict[str, tuple[float, float | None, float | None]]:
    return {each.name: (each.effect, each.lower, each.upper) for each in verdict.classes}


@st.composite
def some_pair(draw: st.DrawFn) -> tuple[Result, Result]:
    counts = draw(st.lists(st.sampled_from([20, 55, 120, 300]), min_size=2, max_size=4))
    moved = draw(st.lists(st.sampled_from([-2.0, -0.4, 0.0, 0.6]), min_size=len(counts), max_size=len(counts)))
    return pair(draw(st.sampled_from(AVERAGES)), counts, moved, seed=draw(st.integers(0, 99)))


@LAWS
@given(some_pair(), levels, st.sampled_from([0.02, 0.1, 0.3]))
def test_the_whole_is_supported_where_each_class_is_and_refuted_by_one_at_its_share_of_the_level(
    both: tuple[Result, Result], court: Court, margin: float
) -> None:
    with judging(court):
        verdict = no_class_worse_than(*both, margin)
    parts = class_comparisons(Comparison(candidate=both[0], reference=both[1]))
    readings = [class_reading(part, court.level, margin) for part in parts]
    assert bool(verdict) == all(reading.outcome == "supported" for reading in readings)
    one = [class_reading(part, court.level / len(parts), margin) for part in parts]
    refuted = [each.limits is not None and not each.reason and each.limits[1] <= -margin for each in one]
    assert (verdict.outcome == "refuted") == any(refuted)
    assert verdict.p is None or (verdict.p < court.level) == bool(verdict) or verdict.p == pytest.approx(court.level)


@LAWS
@given(some_pair(), levels)
def test_each_class_is_told_the_worst_first_and_the_weakest_speaks(both: tuple[Result, Result], court: Court) -> None:
    with judging(court):
        verdict, other = no_class_worse_than(*both), not_worse_than(*both)
    effects = [each.effect for each in verdict.classes]
    assert effects == sorted(effects)
    assert rows_of(verdict) == rows_of(other)
    assert (verdict.effect, verdict.lower, verdict.upper) in rows_of(verdict).values()
    for each in verdict.classes:
        assert f"'{each.name}', {each.patients} patient" in verdict.text


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_recall", "roc_auc_ovr", MULTILABEL])
def test_the_classes_own_metrics_are_what_the_average_is_made_of(metric: str) -> None:
    one, other = pair(metric, moved=(-0.5, 0.2, 0.4))
    parts = class_comparisons(Comparison(candidate=one, reference=other))
    assert np.mean([part.candidate.mean for part in parts]) == pytest.approx(one.mean, abs=1e-6)
    assert np.mean([part.effect for part in parts]) == pytest.approx(one.mean - other.mean, abs=1e-6)


def test_the_recalls_behind_an_accuracy_are_those_of_its_images() -> None:
    one, other = pair("accuracy", counts=(120, 90, 60))
    recalls = [part.candidate.mean for part in class_comparisons(Comparison(candidate=one, reference=other))]
    assert np.average(recalls, weights=(120, 90, 60)) == pytest.approx(one.mean)


def test_an_average_that_holds_hides_what_one_class_loses() -> None:
    both = pair(counts=(400, 400, 100), moved=(1.5, 1.5, -1.5))
    assert not_worse_than(*both, 0.05)
    verdict = no_class_worse_than(*both, 0.05)
    assert verdict.outcome == "refuted"
    assert verdict.summary.startswith("refuted: weakest in 'class2': Δ -0.")
    assert verdict.metric_of == "recall of class2"
    assert in_words(verdict_row(verdict)).startswith("a class is worse: recall of class2 -0.")


def test_equal_scores_lose_in_no_class() -> None:
    one, other = pair(counts=(60, 60, 60))
    with judging(Court(family_size=20)):
        verdict = no_class_worse_than(one, replace(other, scores_SNC=one.scores_SNC))
    assert verdict
    assert in_words(verdict_row(verdict)).startswith("no class is worse; the weakest recall of class0 +0.000")


def test_a_class_with_too_few_patients_is_named_and_what_would_settle_it_too() -> None:
    verdict = no_class_worse_than(*pair(counts=(300, 49, 300), moved=(2.0, 2.0, 2.0)), 0.1)
    lack = "not enough patients to tell: class 'class1' has 49 in the test side, no_class_worse_than needs 50"
    assert (verdict.outcome, verdict.reason, verdict.p) == ("inconclusive", lack, None)
    assert verdict.settle.startswith("would settle it: 50 patients or more of each class")
    assert "'class1', 49 patients: recall" in verdict.text
    assert "'class0', 300 patients" in verdict.text
    assert no_class_worse_than(*pair(counts=(300, 50, 300), moved=(2.0, 2.0, 2.0)), 0.1)


def test_another_class_that_is_worse_refutes_whatever_cannot_be_judged() -> None:
    verdict = no_class_worse_than(*pair(counts=(300, 20, 300), moved=(-2.0,)), 0.1)
    assert (verdict.outcome, verdict.reason) == ("refuted", "")


def test_a_class_without_a_test_image_is_no_class_that_holds() -> None:
    verdict = no_class_worse_than(*pair(counts=(300, 0, 300), moved=(1.0, 0.0, 1.0)), 0.1)
    assert verdict.outcome == "inconclusive"
    assert "class 'class1' has 0 in the test side" in verdict.reason
    assert sorted(each.name for each in verdict.classes) == ["class0", "class2"]


def test_of_a_label_the_images_count_of_which_it_is_known_and_a_label_that_nobody_bears_is_said() -> None:
    one, other = pair(MULTILABEL, counts=(200, 200, 200))
    labels_NC = one.labels_N.copy()
    labels_NC[:, 2] = 0
    labels_NC[:100, 0] = UNKNOWN
    verdict = no_class_worse_than(replace(one, labels_N=labels_NC), replace(other, labels_N=labels_NC), 0.2)
    assert {each.name: each.patients for each in verdict.classes} == {"class0": 100, "class1": 200}
    whole = Comparison(candidate=replace(one, labels_N=labels_NC), reference=replace(other, labels_N=labels_NC))
    assert [len(part.candidate.ids_N) for part in class_comparisons(whole)] == [500, 600]
    assert "counts 0.5 in every cell" in verdict.text
    assert verdict


def test_how_much_of_each_class_could_be_hidden_is_said_and_held_to_what_is_tolerable() -> None:
    both = pair(counts=(400, 60, 400), moved=(1.0, 1.0, 1.0))
    verdict = no_class_worse_than(*both, 0.1)
    assert dict(verdict.hidden) == hidden_shares({"class0": 400, "class1": 60, "class2": 400}, 0.05)
    strict = no_class_worse_than(replace(both[0], hidden_share=0.03), replace(both[1], hidden_share=0.03), 0.1)
    assert (bool(verdict), strict.outcome) == (True, "inconclusive")
    assert "of class 'class1' could be lost without having shown" in strict.reason


def test_what_is_recorded_of_the_average_over_seeds_says_nothing_of_a_class() -> None:
    both = pair(counts=(300, 300), moved=(1.0, 1.0), seeded=True)
    with judging(Court(seed_variances={("data", "knn"): Piece(variance=1e-6, degrees=20)})):
        verdict, average = no_class_worse_than(*both, 0.1), not_worse_than(*both, 0.1)
    assert average
    assert verdict.reason.startswith("training randomness not measured")


def test_where_nothing_can_be_told_apart_no_class_is_not_worse_either() -> None:
    telling = Verdict(
        kind="tells_backbones_apart", candidate="a", reference="", outcome="refuted", summary="refuted: x"
    )
    with judging(Court(telling=telling)):
        verdict = no_class_worse_than(*pair(counts=(300, 300), moved=(1.0, 1.0)), 0.1)
    assert (verdict.outcome, verdict.reason, verdict.p) == ("inconclusive", "x", None)


@pytest.mark.parametrize("metric", ["macro_f1", "quadratic_kappa", "log_loss", "brier", "expected_calibration_error"])
def test_a_metric_that_is_no_average_over_classes_is_refused_with_the_verb_that_takes_it(metric: str) -> None:
    both = pair(metric)
    with pytest.raises(InvalidInput, match=f"{metric}, which is no average over classes; not_worse_than"):
        no_class_worse_than(*both, 0.02)
    assert beats(*both).classes == ()


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.5])
def test_a_margin_is_above_0_and_in_the_metrics_range(margin: float) -> None:
    with pytest.raises(InvalidInput, match=r"no_class_worse_than needs a margin above 0"):
        no_class_worse_than(*pair(), margin)


def test_other_verdicts_tell_at_most_five_classes_and_how_many_more_there_are() -> None:
    both = pair(counts=(60,) * 7, moved=(0, 0, 0, -3.0))
    for verdict in (beats(*both), not_worse_than(*both, 0.2), equivalent_to(*both, 0.2)):
        assert "Δ recall by class, each alone and deciding nothing, the worst first: 'class3' -0." in verdict.text
        assert ", and 2 more" in verdict.text
    assert ", and" not in class_line(beats(*pair(counts=(60,) * 5)).classes)[0]


def test_a_compound_verdict_tells_the_classes_of_each_dataset() -> None:
    pairs = [pair(moved=(1.0, 1.0, 1.0), dataset_fingerprint=f"{at:08}") for at in range(2)]
    named = [
        [replace(each, cell=replace(each.cell, dataset=f"data{at}")) for each in both] for at, both in enumerate(pairs)
    ]
    verdict = consistently_better([one for one, _ in named], [other for _, other in named])
    assert verdict.text.count("Δ recall by class") == 2


def test_reports_have_each_class_and_tables_a_line_of_them() -> None:
    verdict = no_class_worse_than(*pair(counts=(300, 300), moved=(1.0, 1.0)), 0.1)
    row = verdict_row(verdict)
    assert row["classes"][0] | {"lower": 0, "upper": 0, "effect": 0} == {
        "name": verdict.classes[0].name,
        "metric": "recall",
        "patients": 300,
        "effect": 0,
        "lower": 0,
        "upper": 0,
    }


@pytest.mark.parametrize("metric", ["macro_recall", "roc_auc_ovr", MULTILABEL])
def test_a_plan_names_the_class_that_is_least_likely_to_be_shown(metric: str) -> None:
    both = pair(metric, counts=(300, 60, 300), margin=0.01)
    foreseen = from_pair(KIND, *both, Court())
    assert foreseen.answer.endswith("would settle 0.01 in class 'class1'")
    sample = Sample(
        metric=metric,
        margin=0.01,
        patients=660,
        by_class=Comparison(candidate=both[0], reference=both[1]).patients_by_class,
        patient_unit="patient",
    )
    assert from_assumption(KIND, sample, Court()).answer.endswith("would settle 0.01 in class 'class1'")
    small = replace(sample, by_class={**sample.by_class, "class1": 49})
    assert from_assumption(KIND, small, Court()).answer.startswith("not enough patients to tell: class 'class1' has 49")


def test_a_plan_says_where_a_metric_has_no_classes() -> None:
    with pytest.raises(InvalidInput, match="macro_f1 is no average over classes"):
        from_pair(KIND, *pair("macro_f1"), Court())
    sample = Sample(metric="roc_auc", margin=0.02, patients=200, by_class={"a": 100, "b": 100}, patient_unit="patient")
    with pytest.raises(InvalidInput, match="roc_auc is no average over classes"):
        from_assumption(KIND, sample, Court())

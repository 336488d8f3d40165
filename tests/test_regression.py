"""The gate that holds a result against its own baseline. Legend: S seeds, N images, C classes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.judge.court import Court, Verdict, judging
from pytest_fmtransfer.judge.regression import MAD_SCALE, Tolerance, accept, relative_move, scale_of, unchanged_from
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, image, labels_of, make_result, noisy_scores, two_columns

CELL = "some.model-data-knn"
TOLERANCE = Tolerance(score=0.01, metric=0.001)  # scores in standard deviations of the stored ones
LABELS_N = labels_of(40, 40)
OLD: Mapping[str, Any] = {"forward_dtype": "float32", "versions": {"timm": "1.0.20", "numpy": "2.4"}}
NEW: Mapping[str, Any] = {"forward_dtype": "float32", "versions": {"timm": "1.0.21", "numpy": "2.4"}}


def baseline(**more: Any) -> Result:
    return replace(make_result(CELL, LABELS_N, noisy_scores(LABELS_N, 1.0, seed=0), **more), subject=OLD)


def moved(by: float, *, image: int = 3, subject: Mapping[str, Any] = OLD) -> Result:
    """The baseline, with class 1's score of one image higher by so many (robust) standard deviations."""
    scores_SNC = baseline().scores_SNC.copy()
    scores_SNC[0, image, 1] += by * scale_of(scores_SNC)[0, 0, 1]
    return replace(baseline(), scores_SNC=scores_SNC, subject=subject)


def test_identical_scores_are_unchanged_whatever_changed_under_them() -> None:
    verdict = unchanged_from(replace(baseline(), subject=NEW), baseline(), TOLERANCE)
    assert (verdict.outcome, repr(verdict), verdict.effect) == ("supported", "unchanged: scores identical", 0.0)
    assert accept(CELL) not in verdict.text


@pytest.mark.parametrize("by", [0.009, -0.009])
def test_a_move_within_the_tolerance_is_rounding(by: float) -> None:
    verdict = unchanged_from(moved(by), baseline(), TOLERANCE)
    assert verdict.outcome == "supported"
    assert repr(verdict).startswith("unchanged within rounding: largest score change 0.009 sd, roc_auc")
    assert "(allowed 0.01) at image 000000030000" in verdict.text


def test_a_move_beyond_the_tolerance_is_drift_and_all_of_it_is_told() -> None:
    candidate = moved(3.0, subject=NEW)
    verdict = unchanged_from(candidate, baseline(), TOLERANCE)
    assert verdict.outcome == "refuted"
    metric = f"roc_auc {baseline().mean:.4f} → {candidate.mean:.4f}"
    assert repr(verdict) == f"drifted: {metric}, largest score change 3 sd"
    for part in (
        f"{CELL} unchanged from its baseline: drifted",
        "largest score change 3 standard deviations (allowed 0.01) at image 000000030000",
        "rank correlation 0.9",
        f"{metric} ({candidate.mean - baseline().mean:+.4f})",
        "changed since the baseline: timm 1.0.20 → 1.0.21",
        accept(CELL),
    ):
        assert part in verdict.text
    assert "numpy" not in verdict.text


def test_a_drift_that_nothing_explains_says_so() -> None:
    assert "nothing known changed since the baseline" in unchanged_from(moved(1.0), baseline(), TOLERANCE).text


@pytest.mark.parametrize(("image", "gains"), [(3, False), (77, True)])
def test_a_gain_fails_like_a_loss(image: int, gains: bool) -> None:
    """Class 1's score rises, on an image of class 0 and on one of class 1."""
    verdict = unchanged_from(moved(3.0, image=image), baseline(), TOLERANCE)
    assert verdict.outcome == "refuted"
    assert verdict.effect is not None
    assert (verdict.effect > 0) == gains
    assert verdict.effect != 0


def test_a_drift_that_leaves_the_metric_is_drift() -> None:
    doubled = replace(baseline(), scores_SNC=baseline().scores_SNC * 2)
    verdict = unchanged_from(doubled, baseline(), TOLERANCE)
    assert (verdict.outcome, verdict.effect) == ("refuted", 0.0)


def test_another_machine_is_told_with_what_its_rounding_may_do_to_the_metric() -> None:
    elsewhere = moved(1.0, subject={**OLD, "processor": "new"})
    assert (
        f"its rounding may move roc_auc by {TOLERANCE.metric:g}"
        in unchanged_from(elsewhere, baseline(), TOLERANCE).text
    )


@pytest.mark.parametrize("name", ["processor", "device"])
def test_what_only_one_of_the_two_records_is_a_change_too(name: str) -> None:
    verdict = unchanged_from(moved(1.0, subject={**OLD, name: "new"}), baseline(), TOLERANCE)
    assert f"changed since the baseline: {name} not recorded → new" in verdict.text


def test_scores_that_were_constant_are_compared_in_their_own_unit() -> None:
    constant = replace(baseline(), scores_SNC=np.zeros_like(baseline().scores_SNC))
    verdict = unchanged_from(moved(1.0), constant, TOLERANCE)
    assert verdict.outcome == "refuted"
    assert "rank correlation 0.0000" in verdict.text


@LAWS
@given(st.floats(-0.5, 0.5), st.integers(0, 79))
def test_the_outcome_follows_the_largest_move(by: float, image: int) -> None:
    candidate = moved(by, image=image)
    largest = relative_move(candidate.scores_SNC, baseline().scores_SNC)
    assert largest == pytest.approx(abs(by), abs=1e-5)
    supported = bool(unchanged_from(candidate, baseline(), TOLERANCE))
    assert supported == (largest <= TOLERANCE.score)


def shuffled_but_for(outlier: float) -> tuple[Result, Result]:
    """A baseline one of whose scores lies far out, and a candidate whose other scores are another image's."""
    scores_SNC = baseline().scores_SNC.copy()
    scores_SNC[0, 40, 1] = outlier
    others = np.delete(np.arange(80), 40)
    shuffled_SNC = scores_SNC.copy()
    shuffled_SNC[:, others] = scores_SNC[:, np.random.default_rng(0).permutation(others)]
    return replace(baseline(), scores_SNC=shuffled_SNC), replace(baseline(), scores_SNC=scores_SNC)


@pytest.mark.parametrize("outlier", [1e2, 1e4, 1e6])
def test_an_outlier_does_not_pass_shuffled_scores_for_rounding(outlier: float) -> None:
    candidate, stored = shuffled_but_for(outlier)
    verdict = unchanged_from(candidate, stored, TOLERANCE)
    assert verdict.outcome == "refuted"
    assert verdict.effect is not None
    assert verdict.effect < -0.2
    assert relative_move(candidate.scores_SNC, stored.scores_SNC) > 1


@LAWS
@given(st.floats(1, 1e6), st.integers(0, 79))
def test_an_outlier_hardly_moves_the_scale(outlier: float, image: int) -> None:
    scores_SNC = baseline().scores_SNC.copy()
    scores_SNC[0, image, 1] = outlier
    assert scale_of(scores_SNC) == pytest.approx(scale_of(baseline().scores_SNC), rel=0.1)


def test_the_scale_is_the_standard_deviation_of_normal_scores() -> None:
    scores_SNC = np.random.default_rng(0).normal(size=(1, 100_000, 2)) * [1.0, 50.0] + [7.0, 0.0]
    assert scale_of(scores_SNC)[0, 0] == pytest.approx([1.0, 50.0], rel=0.01)


def test_where_more_than_half_of_the_scores_are_equal_the_scale_is_that_of_the_others() -> None:
    scores_SNC = np.zeros((1, 100, 2))
    scores_SNC[0, :20, 1] = np.linspace(1, 3, 20)
    assert scale_of(scores_SNC)[0, 0] == pytest.approx([1.0, MAD_SCALE * 2.0])  # the first column is constant


def test_a_column_is_held_to_its_own_scale() -> None:
    """Scores of one class that are large do not hide what those of another did."""
    scores_SNC = baseline().scores_SNC * [1000.0, 1.0]
    expected = 0.5 / scale_of(scores_SNC)[0, 0, 1]
    assert relative_move(scores_SNC + np.array([0.0, 0.5]), scores_SNC) == pytest.approx(expected)


def test_a_metric_that_moved_beyond_its_own_tolerance_is_drift_though_no_score_did() -> None:
    """Ranks that hang on little: half of the positives lie above all others by less than a score's tolerance."""
    score_N = np.concatenate([np.linspace(-1, 0, 40), np.full(20, 1e-4), np.linspace(1, 2, 20)])
    stored = replace(baseline(), scores_SNC=two_columns(score_N)[None])
    candidate = replace(baseline(), scores_SNC=two_columns(np.where(score_N == 1e-4, -1e-4, score_N))[None])
    assert relative_move(candidate.scores_SNC, stored.scores_SNC) < TOLERANCE.score
    verdict = unchanged_from(candidate, stored, TOLERANCE)
    assert verdict.outcome == "refuted"
    assert repr(verdict).startswith("drifted: roc_auc 1.0000 → 0.9875")
    assert "roc_auc moved by 0.0125, and rounding moves it by 0.001 at most" in verdict.text
    assert unchanged_from(candidate, stored, replace(TOLERANCE, metric=0.013))


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("dataset_fingerprint", "0123abcd", "ffff"),
        ("settings", {"neighbours": [1, 2, 5]}, {"neighbours": [1]}),
        ("metric", "roc_auc", "accuracy"),
        ("profile", "ci", "full"),
        ("forward_dtype", "float32", "bfloat16_where_native"),
    ],
)
def test_another_question_makes_the_baseline_stale(field: str, before: Any, after: Any) -> None:
    candidate = baseline(**{field: after})
    verdict = unchanged_from(candidate, baseline(), TOLERANCE)
    assert verdict.outcome == "inconclusive"
    told = f"{field}: {before} → {after}"
    if field == "dataset_fingerprint":
        told = f"not the test side, but the training or validation side, or the files' contents; {told}"
    assert f"stale baseline, the question changed: {told}" in verdict.text
    assert repr(verdict).startswith("stale baseline, the question changed: ")
    assert len(repr(verdict)) <= 120
    assert accept(CELL) in verdict.text


def test_every_field_of_the_question_that_changed_is_named() -> None:
    verdict = unchanged_from(baseline(metric="accuracy", profile="full"), baseline(), TOLERANCE)
    assert "metric: roc_auc → accuracy; profile: ci → full" in verdict.text


def test_a_long_change_is_cut_in_the_line_and_whole_in_the_text() -> None:
    settings = {"neighbours": list(range(100))}
    verdict = unchanged_from(baseline(settings=settings), baseline(), TOLERANCE)
    assert len(repr(verdict)) == 120
    assert repr(verdict).endswith("…")


def test_other_images_make_the_baseline_stale() -> None:
    verdict = unchanged_from(baseline(ids_N=[image(number) for number in range(100, 180)]), baseline(), TOLERANCE)
    told = "the test side: 80 of 80 images are new, 80 of the baseline's 80 are gone"
    assert repr(verdict) == f"stale baseline, the question changed: {told}"


def test_the_baseline_of_another_cell_is_refused() -> None:
    other = make_result("other.model-data-knn", LABELS_N, noisy_scores(LABELS_N, 1.0, seed=0))
    with pytest.raises(InvalidInput, match=r"held against the baseline of other\.model-data-knn; use its own"):
        unchanged_from(baseline(), other, TOLERANCE)


def test_identical_scores_of_a_seeded_regime_are_unchanged() -> None:
    seeded = baseline(seeded=True)
    assert unchanged_from(seeded, seeded, TOLERANCE)


def test_the_court_records_it() -> None:
    recorded: list[Verdict] = []
    with judging(Court(record=recorded.append)):
        reached = [unchanged_from(moved(by), baseline(), TOLERANCE) for by in (0.0, 0.001, 1.0)]
    assert recorded == reached
    assert {(verdict.kind, verdict.candidate, verdict.reference) for verdict in recorded} == {
        ("unchanged_from", CELL, "baseline")
    }

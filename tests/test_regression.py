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
from pytest_fmtransfer.judge.regression import Tolerance, accept, relative_move, unchanged_from
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, image, labels_of, make_result, noisy_scores

CELL = "some.model-data-knn"
TOLERANCE = Tolerance(score=0.01, metric=0.001)  # scores in standard deviations of the stored ones
LABELS_N = labels_of(40, 40)
OLD: Mapping[str, Any] = {"forward_dtype": "float32", "versions": {"timm": "1.0.20", "numpy": "2.4"}}
NEW: Mapping[str, Any] = {"forward_dtype": "float32", "versions": {"timm": "1.0.21", "numpy": "2.4"}}


def baseline(**more: Any) -> Result:
    return replace(make_result(CELL, LABELS_N, noisy_scores(LABELS_N, 1.0, seed=0), **more), subject=OLD)


def moved(by: float, *, image: int = 3, subject: Mapping[str, Any] = OLD) -> Result:
    """The baseline, with class 1's score of one image higher by so many standard deviations."""
    scores_SNC = baseline().scores_SNC.copy()
    scores_SNC[0, image, 1] += by * np.sqrt(scores_SNC.var(axis=1).mean())
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

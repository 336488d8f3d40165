"""What the gate says of why a number moved. Synthetic results. Legend: N images, C classes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.judge.regression import Tolerance, unchanged_from
from pytest_fmtransfer.results import Result
from tests.helpers import image, labels_of, make_result, noisy_scores

CELL = "some.model-data-knn"
LABELS_N = labels_of(40, 30, 30)
TOLERANCE = Tolerance(score=0.01, metric=0.001)


def stored(**more: Any) -> Result:
    scores = noisy_scores(LABELS_N, 1.0, seed=0, classes=3)
    fields: dict[str, Any] = {"metric": "balanced_accuracy", "classes": ("no tumour", "benign", "malign")}
    return make_result(CELL, LABELS_N, scores, **fields | more)


def told(candidate: Result) -> str:
    verdict = unchanged_from(candidate, stored(), TOLERANCE)
    assert verdict.outcome != "supported"
    return verdict.text


def test_columns_in_another_order_are_told_as_that() -> None:
    swapped = replace(stored(), scores_SNC=stored().scores_SNC[:, :, [0, 2, 1]])
    assert "with the classes in another order, 'malign' for 'benign', 'benign' for 'malign'" in told(swapped)


def test_other_scores_are_not_taken_for_another_order() -> None:
    assert "another order" not in told(replace(stored(), scores_SNC=stored().scores_SNC * 2))


def test_classes_listed_in_another_order_make_the_question_another_one() -> None:
    renamed = replace(stored(dataset_fingerprint="ffff"), labels_N=np.array([0, 2, 1])[LABELS_N])
    assert "the labels of 60 of 100 test images, as if the classes were listed in another order" in told(renamed)


def test_labels_that_are_not_renamed_are_only_counted() -> None:
    labels_N = LABELS_N.copy()
    labels_N[0] = 2
    changed = told(replace(stored(dataset_fingerprint="ffff"), labels_N=labels_N))
    assert "the labels of 1 of 100 test images" in changed
    assert "another order" not in changed


def test_a_split_that_is_off_by_one_says_which_images_came_and_went() -> None:
    ids_N = [image(number) for number in range(1, 101)]
    changed = told(stored(dataset_fingerprint="ffff", ids_N=ids_N))
    assert "the test side: 1 of 100 images are new, 1 of the baseline's 100 are gone" in changed


def test_other_patients_are_told() -> None:
    patients_N = ["patient00001", *(f"patient{i:05}" for i in range(1, 100))]
    assert "the patient of 1 test images" in told(stored(dataset_fingerprint="ffff", patients_N=patients_N))


def test_a_change_elsewhere_than_in_the_test_side_is_told_as_that() -> None:
    changed = told(stored(dataset_fingerprint="ffff"))
    assert "not the test side, but the training or validation side, or the files' contents" in changed


@pytest.mark.parametrize("field", ["settings", "profile"])
def test_the_test_side_is_not_spoken_of_when_it_is_the_same(field: str) -> None:
    value: Any = {"k": 3} if field == "settings" else "smoke"
    assert "test side" not in told(stored(**{field: value}))


def test_what_a_forged_result_could_change_is_compared_though_the_fingerprint_is_the_same() -> None:
    """Scores are the same throughout, byte for byte."""
    flipped = replace(stored(), labels_N=np.array([1, 0, 2])[LABELS_N])
    assert "the labels of 70 of 100 test images" in told(flipped)
    merged_N = stored().patients_N.copy()
    merged_N[1] = merged_N[0]
    assert "the patient of 1 test images" in told(replace(stored(), patients_N=merged_N))
    names = ("no tumour", "malign", "benign")
    assert "classes: no tumour, benign, malign → no tumour, malign, benign" in told(replace(stored(), classes=names))
    assert "margin: 0.02 → 0.03" in told(replace(stored(), margin=0.03))


def test_patients_under_other_names_are_the_same_patients() -> None:
    renamed_N = np.array([f"other{number}" for number in range(100, 0, -1)])
    assert unchanged_from(replace(stored(), patients_N=renamed_N), stored(), TOLERANCE)

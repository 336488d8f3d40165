"""The false-positive rate of the one-sided bound of a difference, by simulation.

Legend: N images, P patients.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from pytest_fmtransfer.judge.bounds import combine, patient_piece
from pytest_fmtransfer.metrics import evaluate
from tests.helpers import labels_of, two_columns

TRIALS = 2_000


def false_positives(images: int, patients_of: Callable[[NDArray[np.int64]], NDArray[np.int64]], seed: int) -> float:
    """Share of trials in which one of two equal AUCs of .90, correlated by .8, is found to be higher.

    80 positive and 120 negative patients with so many `images` each; `patients_of` maps the true patient
    of each image to the one that the variance is told.
    """
    rng = np.random.default_rng(seed)
    label_P = labels_of(120, 80)
    patient_N = np.arange(200).repeat(images)
    label_N, told_N = label_P[patient_N], patients_of(patient_N).astype(np.str_)
    shift = math.sqrt(2) * norm.ppf(0.90)
    found = 0
    for _ in range(TRIALS):
        common_P = math.sqrt(0.8) * rng.normal(size=200) + shift * label_P
        score_2P = common_P + math.sqrt(0.2) * rng.normal(size=(2, 200))
        score_2N = score_2P[:, patient_N] + (0.1 * rng.normal(size=(2, len(patient_N))) if images > 1 else 0)
        one, other = (evaluate("roc_auc", label_N, two_columns(score_N)) for score_N in score_2N)
        piece = patient_piece(one.influence_N - other.influence_N, one.stratum_N, told_N)
        found += combine(one.value - other.value, [piece]).lower(0.05) > 0
    return found / TRIALS


def the_patient(patient_N: NDArray[np.int64]) -> NDArray[np.int64]:
    return patient_N


def the_image(patient_N: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.arange(len(patient_N))


@pytest.mark.parametrize("images", [1, 4])
def test_the_false_positive_rate_is_at_its_level(images: int) -> None:
    assert 0.02 <= false_positives(images, the_patient, seed=images) <= 0.06


def test_images_taken_for_patients_leave_the_band() -> None:
    """The check is not blind: on four near-identical images a patient, the wrong variance is found out."""
    assert false_positives(4, the_image, seed=4) > 0.10

"""Splits that the paper's rule or the patients decide.

Legend: N images, C labels.
"""

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.data.splits import grouped_split, shuffled_split
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS

SEEDS = st.integers(0, 2**31)
FRACTIONS = st.tuples(st.floats(0, 0.45), st.floats(0, 0.45))
IMAGES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80)


def sizes(split_N: np.ndarray) -> tuple[int, ...]:
    return tuple(int((split_N == side).sum()) for side in SIDES)


@pytest.mark.parametrize(
    ("images", "held_out", "expected"), [(3662, 0.3, (2564, 549, 549)), (25331, 0.2, (20265, 2533, 2533))]
)
def test_the_papers_shuffle_gives_the_papers_sizes(
    images: int, held_out: float, expected: tuple[int, int, int]
) -> None:
    assert sizes(shuffled_split(images, held_out=held_out)) == expected


def test_the_papers_shuffle_holds_out_its_first_rows_validation_before_test() -> None:
    rows = list(range(3662))
    random.Random(42).shuffle(rows)
    split_N = shuffled_split(3662, held_out=0.3)
    assert set(split_N[rows[:549]]) == {VALIDATION}
    assert set(split_N[rows[549:1098]]) == {TEST}
    assert set(split_N[rows[1098:]]) == {TRAIN}


@given(IMAGES, FRACTIONS, SEEDS)
@LAWS
def test_no_patient_stands_on_two_sides(
    images: list[tuple[int, int]], fractions: tuple[float, float], seed: int
) -> None:
    labels_N, patients_N = (np.array(column) for column in zip(*images, strict=True))
    split_N = grouped_split(labels_N, patients_N, validation=fractions[0], test=fractions[1], seed=seed)
    assert set(split_N.tolist()) <= set(SIDES)
    assert all(len(set(split_N[patients_N == patient])) == 1 for patient in np.unique(patients_N))


@given(IMAGES, FRACTIONS, SEEDS, st.randoms(use_true_random=False))
@LAWS
def test_the_order_of_the_rows_does_not_matter(
    images: list[tuple[int, int]], fractions: tuple[float, float], seed: int, shuffler: random.Random
) -> None:
    def split(rows: list[tuple[int, int]]) -> dict[int, str]:
        labels_N, patients_N = (np.array(column) for column in zip(*rows, strict=True))
        split_N = grouped_split(labels_N, patients_N, validation=fractions[0], test=fractions[1], seed=seed)
        return dict(zip(patients_N.tolist(), split_N.tolist(), strict=True))

    shuffled = list(images)
    shuffler.shuffle(shuffled)
    assert split(images) == split(shuffled)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), FRACTIONS, SEEDS)
@LAWS
def test_where_every_image_is_a_patient_each_class_has_its_proportions_to_an_image(
    labels: list[int], fractions: tuple[float, float], seed: int
) -> None:
    labels_N = np.array(labels)
    split_N = grouped_split(labels_N, np.arange(len(labels)), validation=fractions[0], test=fractions[1], seed=seed)
    shares = {TRAIN: 1 - sum(fractions), VALIDATION: fractions[0], TEST: fractions[1]}
    for label in set(labels):
        for side, share in shares.items():
            members = labels_N == label
            assert abs((split_N[members] == side).sum() - share * members.sum()) < 1 + 1e-9


@pytest.mark.parametrize("labels", ["classes", "several"])
def test_proportions_are_near_what_was_asked_with_patients_of_many_images(labels: str) -> None:
    chance = np.random.default_rng(0)
    patients_N = chance.integers(0, 700, 3000)
    if labels == "classes":
        labels_N = chance.choice(4, 3000, p=(0.6, 0.25, 0.1, 0.05))
        members_CN = [labels_N == label for label in range(4)]
    else:
        labels_N = (chance.random((3000, 3)) < (0.5, 0.1, 0.04)).astype(np.int64)
        labels_N[chance.random((3000, 3)) < 0.1] = -1
        members_CN = [labels_N[:, label] == 1 for label in range(3)]
    split_N = grouped_split(labels_N, patients_N, validation=0.15, test=0.25, seed=42)
    for members_N in [np.ones(3000, dtype=bool), *members_CN]:
        shares = [(split_N[members_N] == side).mean() for side in SIDES]
        np.testing.assert_allclose(shares, (0.6, 0.15, 0.25), atol=0.02)


def test_a_split_by_patient_is_the_same_on_every_machine_and_moves_with_its_seed() -> None:
    def tested(seed: int) -> list[int]:
        split_N = grouped_split(np.arange(24) % 2, np.arange(24) // 2, validation=0.2, test=0.3, seed=seed)
        return np.flatnonzero(split_N == TEST).tolist()

    assert tested(42) == [8, 9, 12, 13, 16, 17, 20, 21]
    assert tested(43) != tested(42)


def test_a_side_of_no_share_gets_no_image() -> None:
    split_N = grouped_split(np.arange(50) % 3, np.arange(50) // 3, validation=0, test=0.3, seed=0)
    assert set(split_N.tolist()) == {TRAIN, TEST}


@pytest.mark.parametrize("fractions", [(-0.1, 0.2), (0.5, 0.5), (float("nan"), 0.1)])
def test_fractions_that_leave_nothing_to_learn_from_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="whose sum is below 1"):
        grouped_split(np.zeros(4), np.arange(4), validation=fractions[0], test=fractions[1], seed=0)


def test_a_large_table_of_several_labels_is_split_in_seconds() -> None:
    chance = np.random.default_rng(0)
    labels_N, patients_N = (chance.random((100_000, 14)) < 0.2).astype(np.int64), chance.integers(0, 30_000, 100_000)
    started = time.perf_counter()
    grouped_split(labels_N, patients_N, validation=0.1, test=0.1, seed=0)
    assert time.perf_counter() - started < 10

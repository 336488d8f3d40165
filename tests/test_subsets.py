"""Few-shot subsets are nested, balanced, drawn by a seed, and take a patient once while there are others."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.data.subsets import few_shot
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS

CLASSES = ("well", "ill", "worse")
draws = st.integers(0, 5)


@st.composite
def tables(draw: st.DrawFn, *, multilabel: bool = False, fewest: int = 3) -> Table:
    """At least `fewest` training images of each class; few patients, so that most have several images."""
    count = 3 * fewest + draw(st.integers(0, 20))
    labels = np.array([*np.tile(np.arange(3), fewest), *(draw(st.integers(0, 2)) for _ in range(count - 3 * fewest))])
    sides = [TRAIN] * (3 * fewest) + [draw(st.sampled_from(SIDES)) for _ in range(count - 3 * fewest)]
    if multilabel:
        more = [[draw(st.sampled_from([0, 1, UNKNOWN])) for _ in CLASSES] for _ in range(count)]
        labels = np.where(np.eye(3, dtype=np.int64)[labels] == 1, 1, np.array(more))
    return Table(
        ids_N=np.array([f"{n:03}.png" for n in range(count)]),
        labels_N=labels,
        patients_N=np.array([f"p{draw(st.integers(0, count // 2))}" for _ in range(count)]),
        split_N=np.array(sides),
        found=count,
    )


def some_of(table: Table, rows: np.ndarray) -> Table:
    return replace(
        table,
        ids_N=table.ids_N[rows],
        labels_N=table.labels_N[rows],
        patients_N=table.patients_N[rows],
        split_N=table.split_N[rows],
    )


def chosen_ids(table: Table, k: int, draw: int) -> set[str]:
    return set(table.ids_N[few_shot(table, CLASSES, k, draw=draw)].tolist())


@LAWS
@given(tables(), draws, st.integers(1, 3))
def test_a_subset_holds_k_training_images_of_each_class_once(table: Table, draw: int, k: int) -> None:
    rows = few_shot(table, CLASSES, k, draw=draw)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(table.split_N[rows]) == {TRAIN}
    assert Counter(table.labels_N[rows].tolist()) == dict.fromkeys(range(3), k)


@LAWS
@given(st.booleans().flatmap(lambda multilabel: tables(multilabel=multilabel)), draws)
def test_smaller_subsets_lie_inside_larger_ones(table: Table, draw: int) -> None:
    one, two, three = (chosen_ids(table, k, draw) for k in (1, 2, 3))
    assert one <= two <= three


@LAWS
@given(tables(), draws, st.integers(1, 3))
def test_no_patient_is_in_a_class_twice_while_another_is_not_in_it(table: Table, draw: int, k: int) -> None:
    rows = few_shot(table, CLASSES, k, draw=draw)
    for label in range(3):
        has = Counter(table.patients_N[(table.labels_N == label) & (table.split_N == TRAIN)].tolist())
        taken = Counter(table.patients_N[rows[table.labels_N[rows] == label]].tolist())
        most = max(taken.values())
        assert all(taken[patient] >= min(images, most - 1) for patient, images in has.items())


@LAWS
@given(st.booleans().flatmap(lambda multilabel: tables(multilabel=multilabel)), draws, st.randoms())
def test_the_order_of_the_rows_and_the_other_sides_change_nothing(table: Table, draw: int, order) -> None:
    rows = np.flatnonzero(table.split_N == TRAIN).tolist()
    order.shuffle(rows)
    assert chosen_ids(some_of(table, np.array(rows)), 2, draw) == chosen_ids(table, 2, draw)


@LAWS
@given(tables(), draws)
def test_what_another_class_holds_changes_nothing(table: Table, draw: int) -> None:
    extra = np.flatnonzero((table.labels_N == 2) & (table.split_N == TRAIN))[3:]
    fewer = some_of(table, np.setdiff1d(np.arange(len(table.ids_N)), extra))
    for label in (0, 1):
        of_class = set(table.ids_N[table.labels_N == label].tolist())
        assert chosen_ids(fewer, 2, draw) & of_class == chosen_ids(table, 2, draw) & of_class


def many(patients: int = 60) -> Table:
    return Table(
        ids_N=np.array([f"{n:03}.png" for n in range(180)]),
        labels_N=np.arange(180) % 3,
        patients_N=np.array([f"p{n % patients}" for n in range(180)]),
        split_N=np.full(180, TRAIN),
        found=180,
    )


def test_another_draw_is_another_subset_and_every_image_has_its_chance() -> None:
    table = many(180)
    subsets = [frozenset(chosen_ids(table, 5, draw)) for draw in range(100)]
    assert len(set(subsets)) == 100
    counts = Counter(image for subset in subsets for image in subset)
    assert len(counts) == 180  # each is drawn 100 × 5 / 60 times, give or take
    assert max(counts.values()) < 25


def test_a_draw_does_not_change_from_one_version_of_ours_to_the_next() -> None:
    assert sorted(chosen_ids(many(), 1, 0)) == ["064.png", "078.png", "167.png"]


@LAWS
@given(tables(multilabel=True), draws, st.integers(1, 3))
def test_of_several_labels_at_least_k_images_are_known_to_bear_each(table: Table, draw: int, k: int) -> None:
    rows = few_shot(table, CLASSES, k, draw=draw)
    bearing = (table.labels_N[rows] == 1).sum(axis=0)
    assert (bearing >= k).all()
    assert len(rows) <= 3 * k
    assert set(table.split_N[rows]) == {TRAIN}


def test_a_class_with_too_few_training_images_is_named() -> None:
    table = replace(many(), split_N=np.where(np.arange(180) % 3 == 1, TEST, TRAIN))
    with pytest.raises(InvalidInput, match="class 'ill' has 0 training images, not 1"):
        few_shot(table, CLASSES, 1, draw=0)
    assert len(few_shot(many(), CLASSES, 60, draw=0)) == 180
    with pytest.raises(InvalidInput, match="has 60 training images, not 61; write fewshot<k> with k from 1 to 60"):
        few_shot(many(), CLASSES, 61, draw=0)


def test_validation_images_are_never_taken() -> None:
    table = replace(many(), split_N=np.where(np.arange(180) < 90, VALIDATION, TRAIN))
    assert few_shot(table, CLASSES, 30, draw=0).tolist() == list(range(90, 180))


@pytest.mark.parametrize("k", [0, -3])
def test_no_images_at_all_are_refused(k: int) -> None:
    with pytest.raises(InvalidInput, match="give 1 or more"):
        few_shot(many(), CLASSES, k, draw=0)

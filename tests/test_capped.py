"""What a profile leaves of a dataset: at most so many images of a side, classes in their shares, the rare ones whole.

Legend: N images of a dataset.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.regime_specs import Caps
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.capped import FEWEST, capped
from pytest_fmtransfer.data.contents import Contents
from pytest_fmtransfer.data.dataset import Dataset, pictures_of
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, VALIDATION, Table
from tests.helpers import LAWS

CLASSES = ("well", "ill", "worse")
SPEC = replace(Registry().dataset("br35h"), name="made", classes=CLASSES)
sizes = st.lists(st.integers(0, 90), min_size=3, max_size=3).filter(any)
caps = st.integers(3, 150)


def dataset(
    sizes: list[int], *, side: str = TRAIN, patients: int = 1000, seed: int = 0, labels_N: np.ndarray | None = None
) -> Dataset:
    """So many images of each class on one side, in an order by chance, and two of each class on the others."""
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    sides = [side] * len(labels)
    for other in {TRAIN, VALIDATION, TEST} - {side}:
        labels += [0, 1, 2] * 2
        sides += [other] * 6
    order_N = np.random.default_rng(seed).permutation(len(labels))
    table = Table(
        ids_N=np.array([f"{n:04}.png" for n in range(len(labels))]),
        labels_N=np.array(labels) if labels_N is None else labels_N,
        patients_N=np.array([f"p{n % patients}" for n in range(len(labels))]),
        split_N=np.array(sides),
        found=len(labels),
    ).rows(order_N)
    names_N = np.array([f"bytes of {name}" for name in table.ids_N])
    return Dataset(
        spec=SPEC,
        folder=Path("nowhere"),
        table=table,
        pictures=pictures_of(SPEC, Path("nowhere"), table),
        contents=Contents(digests_N=names_N, pictures_N=names_N),
        fingerprint="0123",
    )


def kept(whole: Dataset, cap: int, side: str = TRAIN) -> Dataset:
    other = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}
    return capped(whole, replace(Caps(train=10**6, validation=10**6, test=10**6), **{other[side]: cap}))


def counts(some: Dataset, side: str = TRAIN) -> Counter[int]:
    return Counter(some.table.labels_N[some.table.side(side)].tolist())


def ids(some: Dataset, side: str = TRAIN) -> set[str]:
    return set(some.table.ids_N[some.table.side(side)].tolist())


@LAWS
@given(sizes)
def test_below_the_cap_nothing_happens(sizes: list[int]) -> None:
    whole = dataset(sizes)
    assert capped(whole, None) is whole
    assert kept(whole, sum(sizes)) is whole


@LAWS
@given(sizes, caps, st.sampled_from([TRAIN, VALIDATION, TEST]))
def test_a_side_is_cut_to_the_cap_and_no_other_is_touched(sizes: list[int], cap: int, side: str) -> None:
    whole = dataset(sizes, side=side)
    some = kept(whole, cap, side)
    images, before = len(some.table.side(side)), len(whole.table.side(side))
    # Shares are rounded down: as many images fewer than the cap as there are classes, less one, at most.
    assert images == before if before <= cap else cap - len(CLASSES) < images <= cap
    assert ids(some, side) <= ids(whole, side)
    for other in {TRAIN, VALIDATION, TEST} - {side}:
        assert ids(some, other) == ids(whole, other)


@LAWS
@given(sizes, caps)
def test_classes_keep_their_shares_and_a_rare_one_what_it_has_up_to_twenty(sizes: list[int], cap: int) -> None:
    some = counts(kept(dataset(sizes), cap))
    if sum(sizes) <= cap or cap < FEWEST * len(CLASSES):
        return
    taken = sum(max(min(size, FEWEST) - cap * size // sum(sizes), 0) for size in sizes)
    for label, size in enumerate(sizes):
        assert some[label] >= min(size, FEWEST)
        # Its share, what a rare class was given besides, less what a large one gave for that.
        share = cap * size / sum(sizes)
        assert share - 1 - taken < some[label] <= max(share, min(size, FEWEST))


def test_of_a_class_of_five_in_a_thousand_all_are_kept() -> None:
    assert counts(kept(dataset([700, 300, 5]), 100)) == {0: 66, 1: 29, 2: 5}
    assert counts(kept(dataset([700, 300, 50]), 100)) == {0: 52, 1: 28, 2: 20}


@LAWS
@given(sizes, caps, st.integers(1, 50))
def test_images_are_the_same_whatever_the_order_of_the_rows(sizes: list[int], cap: int, seed: int) -> None:
    one, other = (kept(dataset(sizes, seed=each), cap) for each in (0, seed))
    assert ids(one) == ids(other)


@LAWS
@given(sizes, caps)
def test_what_is_known_of_an_image_stays_with_it(sizes: list[int], cap: int) -> None:
    whole = dataset(sizes)
    some = kept(whole, cap)
    label_of = dict(zip(whole.table.ids_N.tolist(), whole.table.labels_N.tolist(), strict=True))
    for row, name in enumerate(some.table.ids_N.tolist()):
        assert some.table.labels_N[row] == label_of[name]
        assert some.contents.digests_N[row] == some.contents.pictures_N[row] == f"bytes of {name}"
    # In the table's order, in which the pictures are looked up too.
    position = {name: row for row, name in enumerate(whole.table.ids_N.tolist())}
    rows = [position[name] for name in some.table.ids_N.tolist()]
    assert rows == sorted(rows)
    if some is not whole:
        assert getattr(some.pictures, "rows") == tuple(rows)  # noqa: B009 (its kind is the module's own matter)


@LAWS
@given(sizes, caps, st.integers(1, 40))
def test_a_smaller_cap_leaves_some_of_what_a_larger_one_leaves(sizes: list[int], cap: int, more: int) -> None:
    whole = dataset(sizes)
    assert ids(kept(whole, cap)) <= ids(kept(whole, cap + more))


def test_a_patient_is_taken_twice_only_where_nobody_is_left_once() -> None:
    some = kept(dataset([300, 0, 0], patients=100), 60)
    patients = some.table.patients_N[some.table.side(TRAIN)]
    assert len(set(patients.tolist())) == 60


@pytest.mark.parametrize("cap", [10, 59])
def test_of_images_that_bear_several_labels_chance_takes_exactly_the_cap(cap: int) -> None:
    generator = np.random.default_rng(0)
    labels_NC = generator.choice([0, 1, UNKNOWN], size=(72, 3))
    one, other = (kept(dataset([20, 20, 20], seed=seed, labels_N=labels_NC), cap) for seed in (0, 1))
    assert len(one.table.side(TRAIN)) == cap
    assert ids(one) == ids(other)


def test_the_fingerprint_follows_the_images_that_are_left() -> None:
    whole = dataset([60, 60, 60])
    prints = {some.fingerprint for some in (whole, kept(whole, 100), kept(whole, 103), kept(whole, 100, TEST))}
    assert len(prints) == 3  # the test side has six images: under a cap of 100 nothing happens
    assert kept(whole, 100).fingerprint == kept(dataset([60, 60, 60]), 100).fingerprint

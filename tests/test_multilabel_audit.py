"""How images of several labels are audited: rows of labels contradict, and each label has two classes.

Legend: N images, C labels.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_fmtransfer.data.copies import Copy, contradict, exact_copies, kinds
from pytest_fmtransfer.data.findings import conflicting_labels, small_classes
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, Table
from tests.helpers import LAWS

CLASSES = ("edema", "fracture")
rows_of_labels = arrays(np.int64, st.tuples(st.integers(2, 12), st.just(2)), elements=st.integers(-1, 1))


def table_with(labels_NC: np.ndarray, sides: list[str] | None = None, patients: list[str] | None = None) -> Table:
    images = len(labels_NC)
    ids = [f"{n:03}.png" for n in range(images)]
    return Table(
        ids_N=np.array(ids),
        labels_N=np.asarray(labels_NC, dtype=np.int64),
        patients_N=np.array(patients or ids),
        split_N=np.array(sides or [TRAIN if n % 2 else TEST for n in range(images)]),
        found=images,
    )


def at_odds(one_C: np.ndarray, other_C: np.ndarray) -> bool:
    return any({a, b} == {0, 1} for a, b in zip(one_C.tolist(), other_C.tolist(), strict=True))


@LAWS
@given(rows_of_labels)
def test_rows_of_labels_contradict_where_one_says_yes_and_the_other_no(labels_NC: np.ndarray) -> None:
    table, rows_N = table_with(labels_NC), np.arange(len(labels_NC))
    found_NN = contradict(table, rows_N[:, None], rows_N)
    assert found_NN.tolist() == [[at_odds(one, other) for other in labels_NC] for one in labels_NC]
    for row in rows_N:
        assert contradict(table, np.array(row), rows_N).tolist() == found_NN[row].tolist()
    np.testing.assert_array_equal(kinds(table, rows_N[:, None], rows_N)[2], found_NN)


@LAWS
@given(rows_of_labels, st.data())
def test_every_image_that_has_a_contradicting_exact_copy_gets_one(labels_NC: np.ndarray, data: st.DataObject) -> None:
    images = len(labels_NC)
    table = table_with(labels_NC)
    contents_N = np.array(data.draw(st.lists(st.integers(0, 2), min_size=images, max_size=images)))
    pairs = [(copy.first, copy.second) for copy in exact_copies(contents_N, table)]
    for kind in range(3):

        def of_kind(one: int, other: int, kind: int = kind) -> bool:
            return bool(kinds(table, np.array(one), np.array(other))[kind])

        told = {row for pair in pairs if of_kind(*pair) for row in pair}
        there = {
            one
            for one in range(images)
            for other in range(images)
            if one != other and contents_N[one] == contents_N[other] and of_kind(one, other)
        }
        assert told == there


def test_two_single_images_are_of_one_kind_as_they_are_among_many() -> None:
    table = table_with(np.array([[0, 1], [0, 1], [1, 0]]), sides=[TRAIN, TRAIN, TEST])
    told = [kinds(table, np.array(0), np.array(other)).tolist() for other in (1, 2)]
    assert told == [[True, False, False], [False, True, True]]


def copy(first: int, second: int) -> Copy:
    return Copy(first=first, second=second, orientation="as it is", likeness=1.0)


def test_a_contradiction_is_told_by_the_labels_that_it_is_about() -> None:
    table = table_with(np.array([[1, 0], [0, 0], [UNKNOWN, 0], [0, 1]]))
    finding = conflicting_labels(table, CLASSES, [copy(0, 1), copy(0, 2), copy(0, 3)], "exact")
    assert finding is not None
    assert (finding.kind, finding.severity, finding.count) == ("conflicting_labels_of_exact_copies", "severe", 3)
    assert finding.examples == (
        "000.png (test, edema) and 001.png (train, no edema)",
        "000.png (test, edema, no fracture) and 003.png (train, no edema, fracture)",
    )
    assert conflicting_labels(table, CLASSES, [copy(0, 2), copy(1, 2)], "exact") is None


def test_of_many_contradictions_three_are_told() -> None:
    table = table_with(np.array([[1] * 5, [0] * 5]))
    finding = conflicting_labels(table, tuple("abcde"), [copy(0, 1)], "exact")
    assert finding is not None
    assert finding.examples == ("000.png (test, a, b, c and 2 more) and 001.png (train, no a, no b, no c and 2 more)",)


def test_those_who_bear_a_label_and_those_who_do_not_are_classes_that_may_be_too_small() -> None:
    """Of 70 test patients with two images each, 60 are known not to have a fracture and 10 to have one."""
    labels_NC = np.array([[n % 2, 1 if n < 20 else 0] for n in range(140)] + [[1, 1], [0, UNKNOWN]])
    sides = [TEST] * 140 + [TRAIN] * 2
    patients = [f"p{n // 2}" for n in range(142)]
    findings = small_classes(table_with(labels_NC, sides, patients), CLASSES)
    assert [(finding.kind, finding.count, finding.examples) for finding in findings] == [
        ("class_absent", 1, ("no fracture: 0 training images, 60 test patients",)),
        ("class_too_small", 1, ("fracture: 1 training image, 10 test patients",)),
    ]
    assert findings[0].sentence.startswith("1 of 4 classes, two for each label, is absent from training or testing")

"""Each kind of finding is told with its count, its severity and an example, and is gone without its cause."""

import numpy as np
import pytest

from pytest_fmtransfer.catalog.specs import FINDING_KINDS
from pytest_fmtransfer.data.copies import Copy
from pytest_fmtransfer.data.findings import (
    Finding,
    brought_to_eight_bits,
    conflicting_labels,
    copies_across_sides,
    copies_on_one_side,
    lookalikes,
    patients_on_two_sides,
    small_classes,
)
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.words import counted
from tests.datasets import Row, table_of

CLASSES = ("well", "ill")
FOUR = table_of([Row("a.png", TRAIN, 0), Row("b.png", TRAIN, 1), Row("c.png", VALIDATION, 0), Row("d.png", TEST, 1)])


def copy(first: int, second: int, *, near: bool = False) -> Copy:
    return Copy(first=first, second=second, orientation="mirrored", likeness=0.9 if near else 1.0)


def told(finding: Finding | None) -> tuple[str, str, int, tuple[str, ...]]:
    assert finding is not None
    assert finding.kind in FINDING_KINDS
    assert finding.remedy
    return finding.kind, finding.severity, finding.count, finding.examples


def test_copies_across_sides_are_severe_and_name_files_sides_and_orientation() -> None:
    finding = copies_across_sides(FOUR, [copy(0, 2, near=True), copy(1, 3, near=True), copy(0, 1)], "near")
    assert told(finding) == (
        "near_copies_across_sides",
        "severe",
        4,
        (
            "a.png (train) and c.png (validation), mirrored, likeness 0.900",
            "b.png (train) and d.png (test), mirrored, likeness 0.900",
        ),
    )
    assert finding is not None
    assert finding.sentence == (
        "4 of 4 images have a near copy on another side of the split, 1 of them among the 1 test images: "
        "a.png (train) and c.png (validation), mirrored, likeness 0.900"
    )


def test_an_image_with_many_copies_is_counted_once() -> None:
    finding = copies_across_sides(FOUR, [copy(0, 2), copy(0, 3)], "exact")
    assert told(finding)[:3] == ("exact_copies_across_sides", "severe", 3)


def test_copies_on_one_side_are_a_note() -> None:
    finding = copies_on_one_side(FOUR, [copy(0, 1), copy(0, 2)], "exact")
    assert told(finding) == ("exact_copies_on_one_side", "note", 2, ("a.png (train) and b.png (train)",))


@pytest.mark.parametrize("degree", ["exact", "near"])
def test_without_copies_nothing_is_said_of_them(degree: str) -> None:
    assert degree in ("exact", "near")
    assert copies_across_sides(FOUR, [copy(0, 1)], degree) is None
    assert copies_on_one_side(FOUR, [copy(0, 2)], degree) is None
    assert conflicting_labels(FOUR, CLASSES, [copy(0, 2)], degree) is None


@pytest.mark.parametrize(
    ("pair", "degree", "severity"),
    [((0, 3), "exact", "severe"), ((0, 1), "exact", "note"), ((0, 3), "near", "note")],
    ids=["exact across", "exact beside", "near across"],
)
def test_contradicting_labels_are_severe_between_exact_copies_on_two_sides(
    pair: tuple[int, int], degree: str, severity: str
) -> None:
    assert degree in ("exact", "near")
    finding = conflicting_labels(FOUR, CLASSES, [copy(*pair, near=degree == "near")], degree)
    kind, said, count, examples = told(finding)
    assert (kind, said, count) == (f"conflicting_labels_of_{degree}_copies", severity, 2)
    assert "a.png (train, well)" in examples[0]
    assert ", ill)" in examples[0]


def test_a_patient_on_two_sides_is_severe() -> None:
    rows = [
        Row("a.png", TRAIN, 0, "p"),
        Row("b.png", TEST, 0, "p"),
        Row("c.png", TRAIN, 0, "q"),
        Row("d.png", TRAIN, 0, "q"),
    ]
    assert told(patients_on_two_sides(table_of(rows))) == (
        "patients_on_two_sides",
        "severe",
        1,
        ("p: b.png (test), a.png (train)",),
    )
    assert patients_on_two_sides(table_of([rows[0], *rows[2:]])) is None


def classes_with(ill: int, *, images_each: int = 1, trained: bool = True) -> Table:
    """Sixty well and so many ill test patients, with a training image of each class."""
    well = [Row(f"well{n}", TEST, 0) for n in range(60)]
    sick = [Row(f"ill{n}-{image}", TEST, 1, f"ill{n}") for n in range(ill) for image in range(images_each)]
    return table_of([*well, *sick, Row("trained", TRAIN, 0), *([Row("trained-ill", TRAIN, 1)] if trained else [])])


@pytest.mark.parametrize(
    ("ill", "kind", "severity"),
    [
        (0, "class_absent", "severe"),
        (1, "class_too_small", "severe"),
        (19, "class_too_small", "severe"),
        (20, "class_small", "note"),
        (49, "class_small", "note"),
    ],
)
def test_a_class_is_judged_by_its_test_patients(ill: int, kind: str, severity: str) -> None:
    for images_each in (1, 3):
        findings = small_classes(classes_with(ill, images_each=images_each), CLASSES)
        assert [told(finding) for finding in findings] == [
            (kind, severity, 1, (f"ill: 1 training image, {counted(ill, 'test patient')}",))
        ]


@pytest.mark.parametrize(("count", "verb"), [(1, "was"), (2, "were")])
def test_one_image_was_brought_to_eight_bits(count: int, verb: str) -> None:
    finding = brought_to_eight_bits(FOUR, range(count), "dtype")
    assert finding is not None
    assert finding.sentence.startswith(f"{count} of 4 images {verb} brought to eight bits")


def test_one_class_has_and_one_patient_is() -> None:
    (finding,) = small_classes(classes_with(1), CLASSES)
    assert finding.sentence.startswith("1 of 2 classes has fewer than 20 test patients")
    (finding,) = small_classes(classes_with(0), CLASSES)
    assert finding.sentence.startswith("1 of 2 classes is absent from")


def test_large_classes_are_not_mentioned() -> None:
    assert small_classes(classes_with(50), CLASSES) == []


def test_a_class_that_nobody_can_learn_is_absent() -> None:
    findings = small_classes(classes_with(50, trained=False), CLASSES)
    assert [told(finding)[:2] for finding in findings] == [("class_absent", "severe")]


def test_a_dataset_whose_pictures_are_all_alike_says_that_it_is() -> None:
    assert told(lookalikes(FOUR, 0.995))[:3] == ("near_copies_cannot_be_told", "note", 4)
    assert lookalikes(FOUR, 0.95) is None


def test_counts_are_plain_numbers() -> None:
    """They go into JSON."""
    finding = copies_across_sides(FOUR, [copy(0, 3)], "exact")
    assert finding is not None
    assert not isinstance(finding.count, np.generic)

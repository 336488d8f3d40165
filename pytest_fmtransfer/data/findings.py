"""What copies, patients, labels and classes say against a dataset, in sentences.

Each function looks for one kind of thing and gives at most one finding.

Legend: N images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_fmtransfer.catalog.specs import FindingKind, Intensity
from pytest_fmtransfer.data.copies import Copy, contradict
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, Table
from pytest_fmtransfer.metrics import images_by_class
from pytest_fmtransfer.words import counted

# Fewest test patients of a class for `beats`, and for `not_worse_than`, to be settled: judge/reading.py.
TOO_FEW, FEW = 20, 50

# A limit of likeness that only a recompressed copy would pass.
ALL_ALIKE = 0.99

Degree = Literal["exact", "near"]
Severity = Literal["severe", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of thing that is wrong with a dataset.

    `count` is of images, patients or classes, as the sentence says. `examples` are all there are; the sentence has
    the first of them.
    """

    kind: FindingKind
    severity: Severity
    count: int
    sentence: str
    remedy: str
    examples: tuple[str, ...]


def copies_across_sides(table: Table, copies: list[Copy], degree: Degree) -> Finding | None:
    """Severe: what is tested on, or chosen by, was learnt."""
    across = [copy for copy in copies if table.split_N[copy.first] != table.split_N[copy.second]]
    if not across:
        return None
    rows, tested = _rows(across), table.side(TEST)
    examples = _told(table, across)
    return Finding(
        kind="exact_copies_across_sides" if degree == "exact" else "near_copies_across_sides",
        severity="severe",
        count=len(rows),
        sentence=f"{len(rows)} of {len(table.ids_N)} images have {_article(degree)} copy on another side of the split, "
        f"{np.isin(tested, rows).sum()} of them among the {len(tested)} test images: {examples[0]}",
        remedy="put all copies of a picture on one side, or keep one of them",
        examples=examples,
    )


def copies_on_one_side(table: Table, copies: list[Copy], degree: Degree) -> Finding | None:
    """A note: pictures that count more than once."""
    beside = [copy for copy in copies if table.split_N[copy.first] == table.split_N[copy.second]]
    if not beside:
        return None
    rows, examples = _rows(beside), _told(table, beside)
    return Finding(
        kind="exact_copies_on_one_side" if degree == "exact" else "near_copies_on_one_side",
        severity="note",
        count=len(rows),
        sentence=f"{len(rows)} of {len(table.ids_N)} images have {_article(degree)} copy on their own side of the "
        f"split: {examples[0]}",
        remedy="keep one copy of a picture, or give all of them one patient, so that it counts once",
        examples=examples,
    )


def conflicting_labels(table: Table, classes: tuple[str, ...], copies: list[Copy], degree: Degree) -> Finding | None:
    """Severe where exact copies on two sides contradict each other, else a note.

    Of images that may bear several labels the examples name those that contradict.
    """
    firsts, seconds = (
        np.array([getattr(copy, which) for copy in copies], dtype=np.int64) for which in ("first", "second")
    )
    at_odds = [copy for copy, is_at_odds in zip(copies, contradict(table, firsts, seconds), strict=True) if is_at_odds]
    if not at_odds:
        return None
    across = any(table.split_N[copy.first] != table.split_N[copy.second] for copy in at_odds)
    rows = _rows(at_odds)
    examples = _told(table, at_odds, lambda row, other: f", {_labels(table, classes, row, other)}")
    return Finding(
        kind="conflicting_labels_of_exact_copies" if degree == "exact" else "conflicting_labels_of_near_copies",
        severity="severe" if across and degree == "exact" else "note",
        count=len(rows),
        sentence=f"{len(rows)} of {len(table.ids_N)} images have {_article(degree)} copy under another label: "
        f"{examples[0]}",
        remedy="find out which label is right, or leave out every copy",
        examples=examples,
    )


def patients_on_two_sides(table: Table) -> Finding | None:
    """Severe: what was learnt of a patient helps with the same patient's other images."""
    order_N = np.argsort(table.patients_N, kind="stable")
    patients, starts = np.unique(table.patients_N[order_N], return_index=True)
    examples: list[str] = []
    for patient, rows in zip(patients.tolist(), np.split(order_N, starts[1:]), strict=True):
        _, first_of_side = np.unique(table.split_N[rows], return_index=True)
        if len(first_of_side) > 1:
            examples.append(f"{patient}: " + ", ".join(_place(table, int(row)) for row in rows[first_of_side]))
    if not examples:
        return None
    return Finding(
        kind="patients_on_two_sides",
        severity="severe",
        count=len(examples),
        sentence=f"{len(examples)} of {len(patients)} patients {_be(examples)} on more than one side of the split: "
        f"{examples[0]}",
        remedy="split by patient",
        examples=tuple(examples),
    )


def small_classes(table: Table, classes: tuple[str, ...]) -> list[Finding]:
    """Severe for a class that is absent from training or testing, or too small to judge; a note for a small one.

    Where an image may bear several labels, the images known to bear one are a class, and those known not to another.
    """
    trained, tested = table.side(TRAIN), table.side(TEST)
    of_class = images_by_class(table.labels_N, classes)
    absent: list[str] = []
    too_few: list[str] = []
    few: list[str] = []
    for name, of_class_N in of_class.items():
        images = int(of_class_N[trained].sum())
        patients = len(np.unique(table.patients_N[tested][of_class_N[tested]]))
        told = f"{name}: {counted(images, 'training image')}, {counted(patients, 'test patient')}"
        if not images or not patients:
            absent.append(told)
        elif patients < FEW:
            (too_few if patients < TOO_FEW else few).append(told)
    among = f"{len(of_class)} classes" if table.labels_N.ndim == 1 else f"{len(of_class)} classes, two for each label,"
    hold_out = "hold out more patients for testing, or join classes"
    groups: list[tuple[FindingKind, Severity, list[str], str, str]] = [
        (
            "class_absent",
            "severe",
            absent,
            f"{_be(absent)} absent from training or testing",
            "split within each class, or leave the class out of the dataset's row",
        ),
        (
            "class_too_small",
            "severe",
            too_few,
            f"{_have(too_few)} fewer than {TOO_FEW} test patients, so that every verdict is inconclusive",
            hold_out,
        ),
        (
            "class_small",
            "note",
            few,
            f"{_have(few)} fewer than {FEW} test patients, so that `not_worse_than` is inconclusive",
            hold_out,
        ),
    ]
    return [
        Finding(
            kind=kind,
            severity=severity,
            count=len(named),
            sentence=f"{len(named)} of {among} {what}: {named[0]}",
            remedy=remedy,
            examples=tuple(named),
        )
        for kind, severity, named, what, remedy in groups
        if named
    ]


def share_to_test(table: Table, classes: tuple[str, ...], fewest: int, *, now: float, most: float) -> float | None:
    """How much of each class, in tenths and more than `now`, is to be tested so that each has `fewest` test patients.

    None where that would be `most` or more: it would leave nothing to learn from.
    """
    patients = [len(np.unique(table.patients_N[of_N])) for of_N in images_by_class(table.labels_N, classes).values()]
    for tenths in range(1, 10):
        if tenths / 10 >= most - 1e-9:
            break
        if tenths / 10 > now and min(patients) * tenths >= 10 * fewest:
            return tenths / 10
    return None


def lookalikes(table: Table, limit: float) -> Finding | None:
    """A note where pictures are so alike that a copy does not stand out; `limit` is the lowest of the `limits`."""
    if limit < ALL_ALIKE:
        return None
    return Finding(
        kind="near_copies_cannot_be_told",
        severity="note",
        count=len(table.ids_N),
        sentence=f"the {len(table.ids_N)} images resemble one another so much that near copies do not stand out; only "
        "exact ones were looked for in earnest",
        remedy="look for near copies in the images' sources, or trust the patients that the dataset names",
        examples=(),
    )


def brought_to_eight_bits(table: Table, rows: Sequence[int], intensity: Intensity) -> Finding | None:
    """A note of images that were brought to eight bits, and by which rule."""
    if not rows:
        return None
    how = {
        "image": "each from its own lowest to its own highest value, or through the window of its DICOM file",
        "dtype": "from the lowest to the highest value that their type can hold",
    }
    told = how[intensity] if isinstance(intensity, str) else f"from {intensity[0]:g} to {intensity[1]:g}"
    name = intensity if isinstance(intensity, str) else f"{intensity[0]:g}/{intensity[1]:g}"
    examples = tuple(_place(table, row) for row in rows)
    return Finding(
        kind="brought_to_eight_bits",
        severity="note",
        count=len(rows),
        sentence=f"{len(rows)} of {len(table.ids_N)} images {'was' if len(rows) == 1 else 'were'} brought to eight "
        f"bits, {told} (intensity={name}): "
        f"{examples[0]}",
        remedy="say intensity=LOW/HIGH where a value means the same in all images"
        if intensity == "image"
        else "look whether this is the range that should be seen",
        examples=examples,
    )


def _be(things: Sequence[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _have(things: Sequence[str]) -> str:
    return "has" if len(things) == 1 else "have"


def _article(degree: Degree) -> str:
    return "an exact" if degree == "exact" else "a near"


def _rows(copies: list[Copy]) -> list[int]:
    return sorted({row for copy in copies for row in (copy.first, copy.second)})


def _place(table: Table, row: int) -> str:
    return f"{table.ids_N[row]} ({table.split_N[row]})"


def _labels(table: Table, classes: tuple[str, ...], row: int, other: int) -> str:
    """The class of an image, or what is known of it that another contradicts, up to three labels of it."""
    if table.labels_N.ndim == 1:
        return classes[int(table.labels_N[row])]
    labels_C, others_C = table.labels_N[row], table.labels_N[other]
    names = [
        f"{'' if labels_C[label] else 'no '}{classes[label]}"
        for label in np.flatnonzero((labels_C != others_C) & (labels_C != UNKNOWN) & (others_C != UNKNOWN))
    ]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _told(table: Table, copies: list[Copy], more: Callable[[int, int], str] = lambda row, other: "") -> tuple[str, ...]:
    """A line for each pair: both files, their sides, and how the second lies over the first.

    `more` is what else is said of an image, given its row and its copy's.
    """
    lines: list[str] = []
    for copy in copies:
        pairs = ((copy.first, copy.second), (copy.second, copy.first))
        one, other = (f"{table.ids_N[row]} ({table.split_N[row]}{more(row, its_copy)})" for row, its_copy in pairs)
        how = "" if copy.likeness == 1 else f", {copy.orientation}, likeness {copy.likeness:.3f}"
        lines.append(f"{one} and {other}{how}")
    return tuple(lines)

"""Why a number moved, as far as two results can tell: what they ask, what lies under them, how scores moved.

Legend: S seeds, N test images, C classes.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.results import Result

_TOLD_SINCE = ("activation", "given")  # baselines that are older do not hold it, and say nothing by that
_MOST_CLASSES = 6  # beyond, permutations are too many to try
_MACHINE = ("device", "processor")  # what a subject says of the machine that computed


def question_changes(candidate: Result, baseline: Result) -> list[str]:
    """What makes a baseline stale; empty when both answer the same question.

    Labels, patients, class names and the margin are compared themselves: a fingerprint is only what a file says.
    """
    changes = candidate.question.differences(baseline.question)
    if candidate.classes != baseline.classes:
        changes.append(f"classes: {', '.join(baseline.classes)} → {', '.join(candidate.classes)}")
    if candidate.margin != baseline.margin:
        changes.append(f"margin: {baseline.margin:g} → {candidate.margin:g}")
    told = _test_side_changes(candidate, baseline)
    other_data = candidate.question.dataset_fingerprint != baseline.question.dataset_fingerprint
    if not told and (other_data or not np.array_equal(candidate.ids_N, baseline.ids_N)):
        told = ["not the test side, but the training or validation side, or the files' contents"]
    return [*told, *changes]


def subject_changes(subject: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """'changed since the baseline: timm 1.0.20 → 1.0.21, …'."""
    moved = what_changed(subject, stored)
    return f"changed since the baseline: {', '.join(moved)}" if moved else "nothing known changed since the baseline"


def what_changed(subject: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """'timm 1.0.20 → 1.0.21', flattened one level; what one of the two does not record is said to be that."""
    mine, theirs = _flat(subject), _flat(stored)
    mine = {name: value for name, value in mine.items() if name in theirs or name not in _TOLD_SINCE}
    return [
        f"{name} {theirs.get(name, 'not recorded')} → {mine.get(name, 'not recorded')}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]


def machine_allowed(candidate: Result, baseline: Result, tolerance: float) -> list[str]:
    """On another machine than the baseline's, what its rounding is allowed to do to the metric, and what to do where it
    does more; nothing on the same machine.
    """
    if all(candidate.subject.get(name) == baseline.subject.get(name) for name in _MACHINE):
        return []
    return [
        f"another machine than the baseline's: its rounding may move {candidate.metric_of} by {tolerance:g}, the "
        "regime's metric_tolerance; for one that moves it further keep baselines of its own: -o fm_baselines=DIR "
        "--fm-update=new"
    ]


def looks_like(candidate: Result, baseline: Result, tolerance_S1C: NDArray[np.float64]) -> str:
    """A fault that leaves the marks found in the scores; empty when none is recognised.

    `tolerance_S1C` is that of each column's scores, in the scores' unit.
    """
    mine_SNC, stored_SNC = candidate.scores_SNC, baseline.scores_SNC
    classes = mine_SNC.shape[2]
    for order in permutations(range(classes)) if classes <= _MOST_CLASSES else ():
        if order != tuple(range(classes)) and (np.abs(mine_SNC[:, :, order] - stored_SNC) <= tolerance_S1C).all():
            return f"the scores are the baseline's with the classes in another order, {_order(candidate, order)}"
    return ""


def _test_side_changes(candidate: Result, baseline: Result) -> list[str]:
    """How two test sides differ, which a fingerprint does not say."""
    mine = {name: row for row, name in enumerate(candidate.ids_N.tolist())}
    stored = {name: row for row, name in enumerate(baseline.ids_N.tolist())}
    shared = sorted(mine.keys() & stored.keys())
    told: list[str] = []
    if len(shared) < max(len(mine), len(stored)):
        told.append(
            f"the test side: {len(mine) - len(shared)} of {len(mine)} images are new, {len(stored) - len(shared)} of "
            f"the baseline's {len(stored)} are gone"
        )
    if not shared:
        return told
    here, there = [mine[name] for name in shared], [stored[name] for name in shared]
    labels, old_labels = candidate.labels_N[here], baseline.labels_N[there]
    if labels.shape != old_labels.shape or not np.array_equal(labels, old_labels):
        told.append(_label_change(labels, old_labels))
    if moved := other_patients(candidate.patients_N[here], baseline.patients_N[there]):
        told.append(f"the {candidate.patient_unit} of {moved} test images")
    return told


def other_patients(patients_N: np.ndarray, stored_N: np.ndarray) -> int:
    """Of how many images the patient is another, whatever patients are called: who shares one with whom counts."""
    firsts = [np.unique(each_N, return_index=True, return_inverse=True) for each_N in (patients_N, stored_N)]
    mine_N, theirs_N = (first_P[patient_of_N] for _, first_P, patient_of_N in firsts)
    return int((mine_N != theirs_N).sum())


def _label_change(labels: np.ndarray, old_labels: np.ndarray) -> str:
    if labels.shape != old_labels.shape:
        return "the shape of the labels"
    moved = int((labels != old_labels).reshape(len(labels), -1).any(axis=1).sum())
    pairs = set(zip(old_labels.ravel().tolist(), labels.ravel().tolist(), strict=True))
    renamed = labels.ndim == 1 and len(pairs) == len(np.unique(labels)) == len(np.unique(old_labels))
    how = ", as if the classes were listed in another order" if renamed else ""
    return f"the labels of {moved} of {len(labels)} test images{how}"


def _order(result: Result, order: tuple[int, ...]) -> str:
    return ", ".join(
        f"'{result.classes[new]}' for '{result.classes[old]}'" for old, new in enumerate(order) if old != new
    )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, value in record.items():
        rows |= value if isinstance(value, Mapping) else {name: value}
    return rows

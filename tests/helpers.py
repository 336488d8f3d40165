"""Results made of plain arrays, for tests of whatever judges them.

Legend: S seeds, N test images, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from pytest_fmtransfer.catalog.regime_settings import plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import settings_on
from pytest_fmtransfer.catalog.specs import SHUFFLES
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.pseudonyms import DIGITS, patients_called
from pytest_fmtransfer.results import Cost, Question, Result

# The same examples on every run, and none kept on disk.
LAWS = settings(deadline=None, derandomize=True, max_examples=60)

# What the subject of every result has.
SUBJECT: dict[str, Any] = {
    "weights": "0123",
    "architecture": "some_net",
    "forward_dtype": "float32",
    "device": "cpu",
    "processor": "some",
    "versions": {"timm": "1.0.20"},
}

Sides = tuple[list[Result], list[Result]]

CANDIDATE, REFERENCE = "new.model-data-knn", "old.model-data-knn"


def image(number: int) -> str:
    """A pseudonym; they are in the order of their numbers."""
    return f"{number:08x}".ljust(DIGITS, "0")


def make_result(
    cell_id: str,
    labels_N: Sequence[int] | NDArray[np.integer],
    scores: NDArray[np.floating],
    patients_N: Sequence[str] | NDArray[np.str_] | None = None,
    seeded: bool = False,
    metric: str = "roc_auc",
    *,
    classes: tuple[str, ...] | None = None,
    patient_unit: str = "patient",
    margin: float = 0.02,
    subject: Mapping[str, Any] | None = None,
    ids_N: Sequence[str] | None = None,
    **question: Any,
) -> Result:
    """A result of `scores_NC` (one seed) or `scores_SNC`. Without `patients_N`, which say who shares one, each image is
    a patient. `ids_N` are pseudonyms in their order.

    `subject` replaces and adds fields of the subject, `question` fields of the Question, such as
    `dataset_fingerprint`.
    """
    cell = Cell.parse(cell_id)
    scores_SNC = np.asarray(scores, dtype=np.float32)
    if scores_SNC.ndim == 2:
        scores_SNC = scores_SNC[None]
    seeds, images, columns = scores_SNC.shape
    images_N = np.array(ids_N if ids_N is not None else [image(number) for number in range(images)], dtype=np.str_)
    fields: dict[str, Any] = {
        "dataset": cell.dataset,
        "dataset_fingerprint": "0123abcd",
        "regime": cell.regime,
        "settings": {"neighbours": [1, 2, 5]},
        "metric": metric,
        "profile": "ci",
        "forward_dtype": "float32",
    }
    return Result(
        cell=cell,
        question=Question(**fields | question),
        subject=SUBJECT | (subject or {}),
        ids_N=images_N,
        patients_N=images_N if patients_N is None else patients_called(images_N, np.array(patients_N, dtype=np.str_)),
        labels_N=np.asarray(labels_N, dtype=np.int64),
        scores_SNC=scores_SNC,
        seeds=tuple(range(seeds)),
        seeded=seeded,
        classes=classes or tuple(f"class{label}" for label in range(columns)),
        patient_unit=patient_unit,
        margin=margin,
        chosen=tuple({"k": 5} for _ in range(seeds)),
        cost=Cost(forward_passes=images, forward_seconds=2.0, adapt_seconds=0.5, feature_bytes=5120 * images),
    )


def two_columns(margin_N: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scores of two classes whose difference is `margin_N`: class 1's column less class 0's."""
    return np.stack([np.zeros_like(margin_N), margin_N], axis=-1)


def labels_of(*counts: int) -> NDArray[np.int64]:
    """So many images of class 0, of class 1, …"""
    return np.repeat(np.arange(len(counts)), counts)


def noisy_scores(labels_N: NDArray[np.int64], signal: float, *, seed: int, classes: int = 2) -> NDArray[np.floating]:
    """Normal noise of standard deviation 1, and `signal` added at each image's own class."""
    noise_NC = np.random.default_rng(seed).normal(size=(len(labels_N), classes))
    return noise_NC + signal * np.eye(classes)[labels_N]


def result(cell: str, signal: float, *, seed: int = 0, counts: tuple[int, ...] = (60, 60), **more: Any) -> Result:
    """One seed of a regime that does not depend on it; `signal` is how far apart the classes' scores lie."""
    labels_N = labels_of(*counts)
    return make_result(cell, labels_N, noisy_scores(labels_N, signal, seed=seed, classes=len(counts)), **more)


def retrained(cell: str, *signals: float, counts: tuple[int, int] = (60, 60)) -> Result:
    """A seeded regime; each seed's classes lie as far apart as its signal says."""
    labels_N = labels_of(*counts)
    scores_SNC = np.stack([noisy_scores(labels_N, signal, seed=0) for signal in signals])
    return make_result(cell, labels_N, scores_SNC, seeded=True)


def as_declared(cell_id: str, signal: float, *, seed: int = 0, **more: Any) -> Result:
    """Synthetic scores of 60 images a class under a cell of the catalogue, with all that its rows declare.

    On shuffled labels, one draw for each of their seeds.
    """
    cell, registry = Cell.parse(cell_id), Registry()
    dataset, regime = registry.dataset(cell.dataset), registry.regime(cell.regime)
    labels_N = labels_of(*(60 for _ in dataset.classes))
    fields: dict[str, Any] = {
        "seeded": regime.seeded or dataset.shuffled,
        "metric": dataset.metric,
        "classes": dataset.classes,
        "patient_unit": dataset.patient_unit,
        "margin": dataset.margin,
        "settings": plain(settings_on(regime, dataset, registry.profile("ci"))),
        # Of a backbone that is not told: one that is would have to be the row's, whose weights may be here.
        "subject": {"weights": "", "architecture": ""} | more.pop("subject", {}),
    }
    draws = range(seed, seed + (SHUFFLES if dataset.shuffled else 1))
    classes = len(dataset.classes)
    scores_SNC = np.stack([noisy_scores(labels_N, signal, seed=draw, classes=classes) for draw in draws])
    return make_result(cell_id, labels_N, scores_SNC, **fields | more)


def pair_on(dataset: int, gain: float, *, patients: int = 60, seed: int = 0, **more: Any) -> tuple[Result, Result]:
    """Candidate and reference on a dataset; the classes lie further apart by `gain` for the candidate."""
    labels_N = labels_of(patients, patients)
    common_NC, own_NC = noisy_scores(labels_N, 0.5, seed=seed), noisy_scores(labels_N, 0.0, seed=seed + 1)
    better_NC = common_NC + 0.3 * own_NC + gain * np.eye(2)[labels_N]
    fields: dict[str, Any] = {"dataset_fingerprint": f"{dataset:08}", **more}
    return (
        make_result(f"new.model-data{dataset}-knn", labels_N, better_NC, **fields),
        make_result(f"old.model-data{dataset}-knn", labels_N, common_NC, **fields),
    )


def sides(*pairs: tuple[Result, Result]) -> Sides:
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]


def collected(pytester: pytest.Pytester, *options: str) -> list[str]:
    """The items that a run would have, without their files."""
    result = pytester.runpytest("--co", "-q", *options)
    assert result.ret == pytest.ExitCode.OK
    return [line.partition("::")[2] for line in result.outlines if "::" in line]

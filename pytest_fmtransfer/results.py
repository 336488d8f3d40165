"""A result: what a cell yields. The one schema of store, baseline and report row.

On disk a result is two files: a JSON record, and beside it the scores by sorted image id.

Legend: S seeds, N test images sorted by id, C classes.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.metrics import Estimate, evaluate

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a result is about; two results with different questions cannot be compared.

    `dataset_fingerprint` is over ids, labels, patients, split and contents; `forward_dtype` is the
    profile's rule, not what a processor made of it.
    """

    dataset: str
    dataset_fingerprint: str
    regime: str
    settings: Mapping[str, Any]
    metric: str
    profile: str
    forward_dtype: str

    def differences(self, other: "Question") -> list[str]:
        """Names of the fields that differ, with both values."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {theirs[name]} → {mine[name]}" for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a result cost when it was computed. `forward_passes` are those of its features' entry."""

    forward_passes: int
    forward_seconds: float
    adapt_seconds: float

    @property
    def seconds(self) -> float:
        return self.forward_seconds + self.adapt_seconds

    @property
    def images_per_second(self) -> float | None:
        """Of the forward passes alone; None where there were none."""
        return self.forward_passes / self.forward_seconds if self.forward_passes else None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Scores per seed and test image, and everything needed to judge them again.

    `scores_SNC` are float32 decision values, never probabilities; `chosen` holds the hyperparameters that
    validation chose, one mapping per seed; `subject` is what may change under the question (weights,
    transform, versions, processor); `patient_unit` is what `patients_N` are; `seeded` is True where the
    regime depends on its seed.
    """

    cell: Cell
    question: Question
    subject: Mapping[str, Any]
    ids_N: NDArray[np.str_]
    patients_N: NDArray[np.str_]
    labels_N: NDArray[np.int64]
    scores_SNC: NDArray[np.float32]
    seeds: tuple[int, ...]
    seeded: bool
    classes: tuple[str, ...]
    patient_unit: str
    margin: float
    chosen: tuple[Mapping[str, Any], ...]
    cost: Cost
    origin: str = "computed"

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """The headline metric of each seed."""
        return tuple(evaluate(self.question.metric, self.labels_N, scores_NC) for scores_NC in self.scores_SNC)

    @property
    def by_seed(self) -> tuple[float, ...]:
        return tuple(estimate.value for estimate in self.estimates)

    @property
    def mean(self) -> float:
        return float(np.mean(self.by_seed))

    def __repr__(self) -> str:
        return f"<{self.cell}: {self.question.metric} {self.mean:.4f}>"

    def scores_file(self) -> bytes:
        """The second file: ids, patients, labels and scores, the same bytes for the same values."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            allow_pickle=False,
            ids_N=self.ids_N,
            patients_N=self.patients_N,
            labels_N=self.labels_N,
            scores_SNC=self.scores_SNC,
        )
        return stream.getvalue()

    def record(self) -> dict[str, Any]:
        """The first file, as plain JSON values."""
        return {
            "schema": SCHEMA,
            "cell": self.cell.id,
            "question": asdict(self.question),
            "subject": dict(self.subject),
            "metric": {"name": self.question.metric, "mean": self.mean, "by_seed": list(self.by_seed)},
            "seeds": list(self.seeds),
            "seeded": self.seeded,
            "classes": list(self.classes),
            "patient_unit": self.patient_unit,
            "margin": self.margin,
            "chosen": [dict(choice) for choice in self.chosen],
            "images": len(self.ids_N),
            "patients": len(np.unique(self.patients_N)),
            "cost": asdict(self.cost),
            "scores": scores_checksum(self.ids_N, self.patients_N, self.labels_N, self.scores_SNC),
        }

    @classmethod
    def restore(cls, record: Mapping[str, Any], scores_file: bytes, *, origin: str, **more: Any) -> Self:
        """A result from its two files; `more` are the fields that a subclass adds.

        Raises BaselineError when they do not belong together: the scores are not the ones the record was
        written with, or the metric in the record is not the metric of the scores.
        """
        if record.get("schema") != SCHEMA:
            raise BaselineError(f"schema {record.get('schema')!r}; this version reads schema {SCHEMA}")
        with np.load(io.BytesIO(scores_file), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("ids_N", "patients_N", "labels_N", "scores_SNC")}
        if scores_checksum(**arrays) != record["scores"]:
            raise BaselineError("the scores are not the ones that the record was written with")
        result = cls(
            cell=Cell.parse(record["cell"]),
            question=Question(**record["question"]),
            subject=record["subject"],
            seeds=tuple(record["seeds"]),
            seeded=record["seeded"],
            classes=tuple(record["classes"]),
            patient_unit=record["patient_unit"],
            margin=record["margin"],
            chosen=tuple(record["chosen"]),
            cost=Cost(**record["cost"]),
            origin=origin,
            **arrays,
            **more,
        )
        if not np.allclose(result.by_seed, record["metric"]["by_seed"], rtol=0, atol=1e-9):
            raise BaselineError("the metric in the record is not the metric of its scores")
        return result


def scores_checksum(
    ids_N: NDArray[np.str_],
    patients_N: NDArray[np.str_],
    labels_N: NDArray[np.int64],
    scores_SNC: NDArray[np.float32],
) -> str:
    """32 hex digits over the values, whatever file they are in."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([ids_N.tolist(), patients_N.tolist(), labels_N.tolist()]).encode())
    digest.update(repr(scores_SNC.shape).encode())
    digest.update(np.ascontiguousarray(scores_SNC, dtype="<f4").tobytes())
    return digest.hexdigest()

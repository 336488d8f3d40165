"""A result: what a cell yields. The one schema of store, baseline and report row.

On disk a result is two files: a JSON record, which `result.schema.json` describes, and beside it the scores by
image. Images and patients bear pseudonyms there (`pseudonyms`).

Legend: S seeds, N test images in the order of their pseudonyms, C classes or labels.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError, InvalidInput, OldBaseline, shown
from pytest_fmtransfer.metrics import Estimate, evaluate, metric_of
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.pseudonyms import check_pseudonyms
from pytest_fmtransfer.result_files import check_plain, check_schema, read_arrays, read_record

SCHEMA = 3
OLD_SCHEMA = 2  # which `migration` reads: images and patients bear their own ids there


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a result is about; a baseline with another question than the result's is stale.

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

    @property
    def fingerprint(self) -> str:
        """32 hex digits over every field."""
        return _digest(asdict(self))

    def differences(self, other: "Question") -> list[str]:
        """Names of the fields that differ, with both values."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {theirs[name]} → {mine[name]}" for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a result cost when it was computed.

    `adapt_seconds` are of every leg of a training that was killed and gone on with, as far as each had saved it.
    `forward_passes` are those of its features' entry; `feature_bytes` is what that entry takes on disk.
    """

    forward_passes: int
    forward_seconds: float
    adapt_seconds: float
    feature_bytes: int

    @property
    def seconds(self) -> float:
        return self.forward_seconds + self.adapt_seconds

    @property
    def images_per_second(self) -> float | None:
        """Of the forward passes alone; None where there were none."""
        return self.forward_passes / self.forward_seconds if self.forward_passes and self.forward_seconds else None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """When a result was written as a baseline, by which version of ours, at which commit of the repository there.

    `date` is an ISO date in UTC; `commit` is None outside a repository.
    """

    date: str
    commit: str | None
    version: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """Scores per seed and test image, and everything needed to judge them again.

    `ids_N` and `patients_N` are pseudonyms. `labels_N` are class indices, or where an image may bear several labels 0,
    1 or `metrics.UNKNOWN`, N × C. `scores_SNC` are float32 decision values, never probabilities; `chosen` holds the
    hyperparameters that validation chose, one mapping per seed; `subject` is what may change under the question
    (weights, transform, versions, processor); `patient_unit` is what `patients_N` are; `seeded` is True where the
    regime depends on its seed; `training` is the course of training of each seed, () for a regime without any;
    `data_notes` are what the dataset's reader says of its images, such as how many have no patient; `recorded` is None
    for a result that is no baseline; `hidden_share` is what the dataset's row says where the result is judged
    (`DatasetSpec`), and is not stored; nor is `draws`, whether a seed draws training images or labels that are the same
    for every backbone (`catalog.resolving.draws_on`). Two results are equal where all that can be judged is: where they
    come from, when they were recorded and what they cost is not compared.
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
    training: tuple[Mapping[str, Any], ...] = ()
    data_notes: tuple[str, ...] = ()
    recorded: Recorded | None = None
    origin: str = "computed"
    hidden_share: float | None = None
    draws: bool = False

    def __post_init__(self) -> None:
        seeds, images, columns = self.scores_SNC.shape
        if (seeds, seeds) != (len(self.seeds), len(self.chosen)) or columns != len(self.classes):
            raise InvalidInput(
                f"{self.cell}: scores of {seeds} seeds and {columns} classes for {len(self.seeds)} seeds, "
                f"{len(self.chosen)} choices and {len(self.classes)} classes"
            )
        if {len(self.ids_N), len(self.patients_N), len(self.labels_N)} != {images}:
            raise InvalidInput(f"{self.cell}: scores of {images} images for {len(self.ids_N)} ids")
        if self.labels_N.shape[1:] not in ((), (columns,)):
            raise InvalidInput(f"{self.cell}: labels of shape {self.labels_N.shape} for {columns} columns of scores")

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """The headline metric of each seed."""
        return tuple(evaluate(self.question.metric, self.labels_N, scores_NC) for scores_NC in self.scores_SNC)

    @cached_property
    def patients(self) -> int:
        """How many patients the test images are of."""
        return len(np.unique(self.patients_N))

    @property
    def by_seed(self) -> tuple[float, ...]:
        return tuple(estimate.value for estimate in self.estimates)

    @property
    def metric_of(self) -> str:
        """The metric with the class that it is of, where it is of one."""
        return metric_of(self.question.metric, self.classes)

    @property
    def mean(self) -> float:
        return float(np.mean(self.by_seed))

    def __eq__(self, other: object) -> bool:
        return self._judged == other._judged if isinstance(other, Result) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.cell, self.seeds, self.question.fingerprint))

    @cached_property
    def _judged(self) -> tuple[object, ...]:
        """Everything that a verdict may depend on, in values that can be compared."""
        arrays = (self.ids_N, self.patients_N, self.labels_N, self.scores_SNC)
        plain = _digest({"subject": dict(self.subject), "chosen": [dict(each) for each in self.chosen]})
        named = (self.cell, self.question.fingerprint, self.seeds, self.seeded, self.classes)
        return (*named, self.patient_unit, self.margin, plain, scores_checksum(*arrays))

    def __repr__(self) -> str:
        return inline(f"<{self.cell}: {self.metric_of} {self.mean:.4f}>")  # pytest shows it of a failing assertion

    def scores_file(self) -> bytes:
        """The second file: pseudonyms, labels and scores, the same bytes for the same values.

        Raises InvalidInput for images or patients that bear other names than pseudonyms.
        """
        self._check_names()
        return packed_scores(self.ids_N, self.patients_N, self.labels_N, self.scores_SNC)

    def record(self) -> dict[str, Any]:
        """The first file, as plain JSON values. Raises as `scores_file` does."""
        self._check_names()
        fields: dict[str, Any] = {
            "schema": SCHEMA,
            "cell": self.cell.id,
            "question_fingerprint": self.question.fingerprint,
            "question": asdict(self.question),
            "subject": dict(self.subject),
            "metric": {"name": self.question.metric, "mean": self.mean, "by_seed": list(self.by_seed)},
            "seeds": list(self.seeds),
            "seeded": self.seeded,
            "classes": list(self.classes),
            "patient_unit": self.patient_unit,
            "margin": self.margin,
            "chosen": [dict(choice) for choice in self.chosen],
            **({"training": [dict(course) for course in self.training]} if self.training else {}),
            **({"data_notes": list(self.data_notes)} if self.data_notes else {}),
            "images": len(self.ids_N),
            "patients": self.patients,
            "cost": asdict(self.cost),
            "recorded": asdict(self.recorded) if self.recorded else None,
            "scores": scores_checksum(self.ids_N, self.patients_N, self.labels_N, self.scores_SNC),
        }
        return fields | {"checksum": record_checksum(fields)}

    def _check_names(self) -> None:
        try:
            check_pseudonyms(self.ids_N, self.patients_N)
        except InvalidInput as error:
            raise InvalidInput(f"{self.cell} cannot be stored: {error}; see pytest_fmtransfer.pseudonyms") from error

    @classmethod
    def restore(cls, record: Mapping[str, Any], scores_file: bytes, *, origin: str, **more: Any) -> Self:
        """A result from its two files; `more` are the fields that a subclass adds.

        Raises BaselineError when the record is not as it was written or not as its schema says, when the scores are not
        those it was written with, or when this version computes another metric from them; OldBaseline, which is one,
        for a record of the schema before; nothing else, whatever the files hold.
        """
        check_plain(record)
        if record.get("schema") == OLD_SCHEMA:
            raise OldBaseline(f"it is of schema {OLD_SCHEMA}, which held the names of images and of patients")
        if record.get("schema") != SCHEMA:
            raise BaselineError(f"schema {shown(record.get('schema'))}; this version reads schema {SCHEMA}")
        arrays = arrays_of(record, scores_file)
        try:
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
                training=tuple(record.get("training", ())),
                data_notes=tuple(record.get("data_notes", ())),
                cost=Cost(**record["cost"]),
                recorded=Recorded(**record["recorded"]) if record["recorded"] else None,
                origin=origin,
                **arrays,
                **more,
            )
            written = result.record()
        except InvalidInput as error:
            raise BaselineError(f"the record does not fit its scores: {error}") from error
        # To 1e-9: another processor may sum in another order.
        values, again = ([each["mean"], *each["by_seed"]] for each in (record["metric"], written["metric"]))
        if len(values) != len(again) or not np.allclose(values, again, rtol=0, atol=1e-9):
            raise BaselineError("the metric in the record is not the one that this version computes from its scores")
        for name in written.keys() - {"metric", "checksum"}:
            if written[name] != record[name]:
                was, found = shown(record[name]), shown(written[name])
                raise BaselineError(f"the record does not fit its scores: {name} is {was} and not {found}")
        about = (result.question.dataset, result.question.regime)
        if (result.cell.dataset, result.cell.regime) != about:
            raise BaselineError(f"the record of {result.cell} is about {about[1]} on {about[0]}")
        return result

    @classmethod
    def read(cls, record: Path, scores: Path, *, origin: str, **more: Any) -> Self:
        """`restore` from two files on disk. Raises BaselineError also where one of them cannot be read."""
        try:
            return cls.restore(read_record(record), scores.read_bytes(), origin=origin, **more)
        except OSError as error:
            raise BaselineError(str(error)) from error


def arrays_of(record: Mapping[str, Any], scores_file: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a record that `check_plain` passed, of this schema or of the one before, which has the same fields.

    Raises BaselineError when the record or the scores are not as they were written, or not as the schema says.
    """
    if record_checksum(record) != record.get("checksum"):
        raise BaselineError("the record was edited after it was written")
    check_schema({**record, "schema": SCHEMA})
    arrays = read_arrays(scores_file, record)
    if scores_checksum(**arrays) != record["scores"]:
        raise BaselineError("the scores are not the ones that the record was written with")
    return arrays


def record_checksum(record: Mapping[str, Any]) -> str:
    """32 hex digits over every field but the checksum itself."""
    return _digest({name: value for name, value in record.items() if name != "checksum"})


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


def packed_scores(
    ids_N: NDArray[np.str_],
    patients_N: NDArray[np.str_],
    labels_N: NDArray[np.int64],
    scores_SNC: NDArray[np.float32],
) -> bytes:
    """The file of scores, the same bytes for the same values."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        # Through lists, so that equal texts have equal bytes whatever width the arrays had.
        ids_N=np.array(ids_N.tolist(), dtype=np.str_),
        patients_N=np.array(patients_N.tolist(), dtype=np.str_),
        labels_N=np.ascontiguousarray(labels_N, dtype="<i8"),
        scores_SNC=np.ascontiguousarray(scores_SNC, dtype="<f4"),
    )
    return stream.getvalue()


def _digest(value: Mapping[str, Any]) -> str:
    """32 hex digits over JSON values, whatever the order of their names and the layout of their file."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

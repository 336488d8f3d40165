"""Results of the schema before, in which images and patients bear their own ids, written anew with pseudonyms.

It takes the data, because an image's pseudonym is keyed by its content, and no weights. Scores, labels and everything
else of the record stay as they are; the images come in another order.

Legend: S seeds, N test images, C classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_fmtransfer._transfer import open_under
from pytest_fmtransfer.availability import dataset_ready
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.named_side import NamedSide, named_test_side
from pytest_fmtransfer.errors import BaselineError, Unavailable
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.result_files import check_plain, read_record
from pytest_fmtransfer.results import (
    OLD_SCHEMA,
    SCHEMA,
    Result,
    arrays_of,
    packed_scores,
    record_checksum,
    scores_checksum,
)

_AGAIN = "record it again: run its test with --fm-update=all"
_RESTORE = f"restore both files from version control, or {_AGAIN}"


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """The two files of a result in this version's schema."""

    record: Mapping[str, Any]
    scores: bytes


@dataclass(frozen=True, kw_only=True)
class DataHere:
    """What a dataset is here: `fingerprint` as a result's question has it."""

    fingerprint: str
    side: NamedSide


def data_here(dataset: str, profile: str, *, registry: Registry, places: Places) -> DataHere:
    """A dataset as a profile uses it. Raises Unavailable where the data are not here, and as `open_under`."""
    spec = registry.dataset(dataset)
    if isinstance(state := dataset_ready(spec, places), Missing):
        raise Unavailable(str(state))
    found = open_under(registry.profile(profile), spec, places)
    return DataHere(fingerprint=found.fingerprint, side=named_test_side(found))


def migrated(cell: Cell, record_file: Path, scores_file: Path, data: Callable[[str, str], DataHere]) -> Migrated | None:
    """A cell's result of schema 2 in this version's, from its two files; None for one that is of that already.

    `data` opens a dataset under a profile. Raises BaselineError for files that are not as they were written or
    of another cell, and where the data here are not those that the result was measured on, and what `data` raises.
    """
    try:
        record, packed = read_record(record_file), scores_file.read_bytes()
    except OSError as error:
        raise BaselineError(str(error)) from error
    check_plain(record)
    if record.get("schema") == SCHEMA:
        return None
    if record.get("schema") != OLD_SCHEMA:
        raise BaselineError(f"{record_file.name} is of no schema that can be migrated, which is {OLD_SCHEMA}")
    try:
        arrays = arrays_of(record, packed)
    except BaselineError as error:
        raise BaselineError(f"{error}; {_RESTORE}") from error
    if record["cell"] != cell.id:
        raise BaselineError(f"it holds the result of {record['cell']}; {_RESTORE}")
    here = data(cell.dataset, record["question"]["profile"])
    renamed = _renamed(arrays, here, record["question"]["dataset_fingerprint"])
    fields = {name: value for name, value in record.items() if name != "checksum"}
    fields |= {"schema": SCHEMA, "scores": scores_checksum(**renamed)}
    made = Migrated(record=fields | {"checksum": record_checksum(fields)}, scores=packed_scores(**renamed))
    Result.restore(made.record, made.scores, origin="migrated")  # raises for whatever this version does not read
    return made


def _renamed(arrays: Mapping[str, NDArray[Any]], here: DataHere, fingerprint: str) -> dict[str, NDArray[Any]]:
    """The arrays with pseudonyms, in their order. Raises BaselineError where they are of other data than are here."""
    order_N = np.argsort(arrays["ids_N"])
    rows_N = order_N[np.searchsorted(arrays["ids_N"], here.side.ids_T, sorter=order_N).clip(max=len(order_N) - 1)]
    found = {"ids_N": here.side.images_T, "patients_N": here.side.patients_T, "labels_N": arrays["labels_N"][rows_N]}
    same = here.fingerprint == fingerprint and np.array_equal(arrays["ids_N"][rows_N], here.side.ids_T)
    if not same or len(rows_N) != len(order_N) or not here.side.matches(*found.values()):
        raise BaselineError(f"the data here are not those that it was measured on; restore these, or {_AGAIN}")
    return found | {"scores_SNC": arrays["scores_SNC"][:, rows_N]}

"""Open a dataset: scan its folder once, arrange it by its row, and name it by its content."""

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from pytest_fmtransfer.availability import data_folder
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.table import Scan, Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, code_digest, fingerprint


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset on this machine. `fingerprint` is over ids, labels, patients, split and file contents."""

    spec: DatasetSpec
    folder: Path
    table: Table
    fingerprint: str

    @property
    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.table.ids_N.tolist()]

    @property
    def reader(self) -> ModuleType:
        return reader_of(self.spec)


def reader_of(spec: DatasetSpec) -> ModuleType:
    """The module that reads a dataset's layout."""
    return import_module(f"pytest_fmtransfer.data.readers.{spec.reader}")


def open_dataset(spec: DatasetSpec, places: Places) -> Dataset:
    """The dataset as its row arranges it.

    The scan is stored under the folder's listing (names, sizes, modification times), so that an
    unchanged folder is scanned once. Raises Unavailable when the folder is not here, DatasetError when it holds
    another number of images than its row says, and what the reader raises for files that are not as they
    should be.
    """
    folder = data_folder(spec, places)
    reader = reader_of(spec)

    def compute(entry: Path) -> None:
        scanned: Scan = reader.scan(folder)
        scanned.save(entry / "scan.npz")

    key = fingerprint(
        code_digest(f"data/readers/{spec.reader}.py", "data/decoding.py", "data/table.py"),
        version("pillow"),
        _listing(folder),
    )
    entry, _ = Store(root=places.store).fetch("scans", key, compute, about={"folder": str(folder)})
    found = Scan.load(entry / "scan.npz")
    if spec.expected_images not in (None, len(found.ids_N)):
        raise DatasetError(
            f"{folder} holds {len(found.ids_N)} images, {spec.name} has {spec.expected_images}; "
            "restore the folder, or get the data again"
        )
    table: Table = reader.arrange(found, spec.options)
    columns = (table.ids_N, table.labels_N, table.patients_N, table.digests_N, table.split_N)
    return Dataset(
        spec=spec,
        folder=folder,
        table=table,
        fingerprint=fingerprint(spec.reader, *(column.tolist() for column in columns)),
    )


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Name below the folder, size and modification time of every file."""
    rows: list[tuple[str, int, int]] = []
    todo = [(str(folder), "")]
    while todo:
        parent, prefix = todo.pop()
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.is_dir():
                    todo.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    status = entry.stat()
                    rows.append((prefix + entry.name, status.st_size, status.st_mtime_ns))
    return sorted(rows)

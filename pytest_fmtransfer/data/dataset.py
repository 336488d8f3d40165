"""Open a dataset: read its table, hash its images once, and name it by its content."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from pytest_fmtransfer.availability import data_folder
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.bad_images import bad_rows
from pytest_fmtransfer.data.contents import Contents, contents_of
from pytest_fmtransfer.data.decoding import read_pixels
from pytest_fmtransfer.data.labels import check_labels, check_validation
from pytest_fmtransfer.data.pictures import FilePictures, Pictures, SomePictures
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import fingerprint


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset on this machine. `fingerprint` is over ids, labels, patients, split and the images' contents, and over
    the row's intensity where that is not the default.

    `skipped` are the ids of images that cannot be decoded and were left out, where the user wants that. `used` says of
    each side of which a profile uses some images only how many these are, and of how many.
    """

    spec: DatasetSpec
    folder: Path
    table: Table
    pictures: Pictures
    contents: Contents
    fingerprint: str
    skipped: tuple[str, ...] = ()
    used: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])


def reader_of(spec: DatasetSpec) -> ModuleType:
    """The module that reads a dataset's layout."""
    return import_module(f"pytest_fmtransfer.data.readers.{spec.reader}")


def read_table(spec: DatasetSpec, places: Places) -> tuple[Path, Table]:
    """A dataset's folder, and what it says of its images; none is opened.

    Raises Unavailable when the folder is not here, DatasetError when it holds another number of images than its row
    says or labels that it does not allow, and what the reader raises for files that are not as they should be.
    """
    folder = data_folder(spec, places)
    table: Table = reader_of(spec).read(folder, spec)
    if spec.expected_images not in (None, table.found):
        raise DatasetError(
            f"{folder} holds {table.found} images, {spec.name} has {spec.expected_images}; "
            "restore the folder, or get the data again"
        )
    check_labels(spec, table)
    return folder, table


def pictures_of(spec: DatasetSpec, folder: Path, table: Table) -> Pictures:
    """The images of a table: as its reader finds them, else the file that each id is the path of."""
    find = getattr(reader_of(spec), "pictures", None)
    if find is not None:
        return find(folder, table, spec)
    decode = partial(read_pixels, channels=spec.stored_channels, intensity=spec.intensity)
    return FilePictures(folder=folder, ids=tuple(table.ids_N.tolist()), decode=decode, intensity=spec.intensity)


def open_dataset(spec: DatasetSpec, places: Places) -> Dataset:
    """The dataset as its row arranges it, every image hashed.

    Raises as `read_table` does, DatasetError for a validation side of one class and when images are missing, and
    UnreadableImage for broken ones. With `places.skip_bad_images` these are left out instead; DatasetError then says
    when none is left.
    """
    folder, table = read_table(spec, places)
    check_validation(folder, spec, table)
    pictures, reader = pictures_of(spec, folder, table), reader_of(spec)
    code = (f"data/readers/{spec.reader}.py",)
    skipped: tuple[str, ...] = ()
    if places.skip_bad_images:
        table, pictures, skipped = _without_bad_images(spec, table, pictures, places, code)
        check_validation(folder, spec, table)
    contents = contents_of(pictures, table.ids_N.tolist(), places, about=spec.name, code=code)
    if (verify := getattr(reader, "verify", None)) is not None:
        verify(table, contents)
    columns: tuple[np.ndarray, ...] = (
        table.ids_N,
        table.labels_N,
        table.patients_N,
        contents.digests_N,
        table.split_N,
    )
    intensity = () if spec.intensity == "image" else (spec.intensity,)
    return Dataset(
        spec=spec,
        folder=folder,
        table=table,
        pictures=pictures,
        contents=contents,
        fingerprint=fingerprint(spec.reader, *(column.tolist() for column in columns), *intensity),
        skipped=skipped,
    )


def _without_bad_images(
    spec: DatasetSpec, table: Table, pictures: Pictures, places: Places, code: tuple[str, ...]
) -> tuple[Table, Pictures, tuple[str, ...]]:
    """The images that can be decoded, and the ids of the others."""
    ids: list[str] = table.ids_N.tolist()
    bad = bad_rows(pictures, ids, places, about=spec.name, seen=(spec.stored_channels, spec.intensity), code=code)
    if not bad:
        return table, pictures, ()
    if len(bad) == len(ids):
        raise DatasetError(f"none of the {len(ids)} images of {spec.name} can be read; restore the data")
    kept = np.delete(np.arange(len(ids)), bad)
    some = SomePictures(pictures=pictures, rows=tuple(kept.tolist()))
    return table.rows(kept), some, tuple(ids[row] for row in bad)

"""Images that are rows of arrays in a few large files, of which no more is held in memory than a few rows.

Legend: N images, R rows of one array, H, W pixels.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from pytest_fmtransfer.catalog.specs import DataRoot, DatasetSpec
from pytest_fmtransfer.data.decoding import picture_digest
from pytest_fmtransfer.data.identifiers import one_spelling
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, UnreadableImage
from pytest_fmtransfer.store import FileState, file_state
from pytest_fmtransfer.words import counted

DIGITS = 8  # of a row's number in an id, so that ids sort as the rows of their array do


class Rows(Protocol):
    """An array of images in a file: R × H × W or R × H × W × 3, uint8."""

    @property
    def file(self) -> Path: ...

    @property
    def name(self) -> str:
        """Of the array in its file."""
        ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def row(self, number: int) -> np.ndarray:
        """One image, uint8. May raise anything; may be called from several threads at once."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArrayPictures:
    """Images by the ids that `row_ids` gives them; `remedy` says how to get the files again."""

    ids: tuple[str, ...]
    rows: Mapping[str, Rows]
    remedy: str

    def _place(self, row: int) -> tuple[Rows, int]:
        side, _, number = self.ids[row].partition("/")
        return self.rows[side], int(number)

    def manifest(self) -> list[FileState]:
        """Of the files, each of which holds all images of an array."""
        found: list[FileState] = []
        for path in sorted({rows.file for rows in self.rows.values()}):
            try:
                found.append(file_state(path))
            except OSError as error:
                raise DatasetError(f"{path} is not there ({error.strerror}); {self.remedy}") from error
        return found

    def digest(self, row: int) -> str:
        """Over an image's shape and bytes: two rows of equal pixels have one digest."""
        return picture_digest(self.pixels(row))

    def picture(self, row: int) -> str:
        return self.digest(row)

    def size(self, row: int) -> int:
        """Uncompressed: of the file's bytes none are one image's alone."""
        rows, _ = self._place(row)
        return int(np.prod(rows.shape[1:]))

    def image(self, row: int) -> Image.Image:
        return Image.fromarray(self.pixels(row))

    def pixels(self, row: int) -> np.ndarray:
        rows, number = self._place(row)
        try:
            return rows.row(number)
        except Exception as error:  # zipfile, zlib, h5py and NumPy raise what they please on damaged bytes
            reason = f"row {number} of {rows.name} in {rows.file}: {_told(error)}"
            raise UnreadableImage(
                f"cannot read image {self.ids[row]} ({reason}); {self.remedy}",
                reason=reason,
                damaged=not isinstance(error, MemoryError),
            ) from error


def read_sides(
    spec: DatasetSpec,
    sides: Mapping[str, str],
    *,
    rows_of: Callable[[str], Rows],
    labels_of: Callable[[str, int], np.ndarray],
    patients_of: Callable[[str, int], Sequence[str]],
) -> Table:
    """All images of a dataset that has an array for each side, on the sides that their publisher put them.

    `sides` are ours by the publisher's names. Labels and patients are asked for by such a name and the number of its
    images; option `samples` of the row is how many the training, the validation and the test side have. Raises
    DatasetError as `check_count` and what is asked do.
    """
    train, validation, test = map(int, spec.options["samples"].split())
    expected: dict[str, int] = {TRAIN: train, VALIDATION: validation, TEST: test}
    ids: list[str] = []
    labels: list[np.ndarray] = []
    patients: list[str] = []
    split: list[str] = []
    for side, name in sides.items():
        rows = rows_of(side)
        check_count(spec, rows, name, expected[name])
        count = rows.shape[0]
        labels.append(labels_of(side, count))
        patients += patients_of(side, count)
        ids += row_ids(side, count)
        split += [name] * count
    spelt = one_spelling(patients)
    return Table(
        ids_N=np.array(ids),
        labels_N=np.concatenate(labels),
        patients_N=np.array([spelt[patient] for patient in patients]),
        split_N=np.array(split),
        found=len(ids),
    )


def row_ids(side: str, count: int) -> list[str]:
    """`train/00000000`, `train/00000001`, …: in order."""
    return [f"{side}/{number:0{DIGITS}}" for number in range(count)]


def remedy_of(spec: DatasetSpec) -> str:
    """How to get a damaged file again."""
    url = spec.location.url if isinstance(spec.location, DataRoot) else "its publisher"
    return f"get the file again from {url}"


def check_count(spec: DatasetSpec, rows: Rows, side: str, expected: int) -> None:
    """Raises DatasetError for a side without images, or with another number than expected where the row has one."""
    count = rows.shape[0]
    if not count or (spec.expected_images is not None and count != expected):
        raise DatasetError(f"{rows.file} has {count} images for {side}, {spec.name} has {expected}; {remedy_of(spec)}")


def check_images(rows: Rows, *, channels: int, side: int) -> None:
    """Raises DatasetError for images that are not squares of `side` pixels with so many channels."""
    expected = (side, side) if channels == 1 else (side, side, channels)
    if rows.shape[1:] != expected:
        raise DatasetError(
            f"{rows.name} in {rows.file} has the shape {rows.shape}, not N × {' × '.join(map(str, expected))}; "
            "get the file again"
        )


def check_labels(labels: np.ndarray, *, where: str, images: int, columns: int, below: int) -> np.ndarray:
    """Labels as int64: N for one column, else N × columns; each from 0 to below `below`.

    Raises DatasetError for any other type or shape, and for a label out of range, with its row, counted from 0.
    """
    values = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, 1)
    if values.dtype.kind not in "iub" or values.shape != (images, columns):
        raise DatasetError(
            f"{where} holds {labels.dtype} of shape {labels.shape}, not {counted(columns, 'whole number')} "
            f"for each of {images} images; get the file again"
        )
    wrong = np.argwhere((values < 0) | (values >= below))
    if len(wrong):
        row, column = wrong[0]
        raise DatasetError(
            f"{where}: {counted(len(wrong), 'label')} outside 0 to {below - 1}, the first of them "
            f"{values[row, column]} in row {row}; get the file again"
        )
    found = values.astype(np.int64)
    return found[:, 0] if columns == 1 else found


@contextmanager
def readable(path: Path, remedy: str) -> Generator[None]:
    """Whatever a library raises inside, on a file damaged or gone, becomes a DatasetError that names the file."""
    try:
        yield
    except FmTransferError:
        raise
    except Exception as error:  # zipfile, zlib, h5py and NumPy raise what they please on damaged bytes
        raise DatasetError(f"cannot read {path} ({_told(error)}); {remedy}") from error


def _told(error: Exception) -> str:
    """A library's complaint in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]

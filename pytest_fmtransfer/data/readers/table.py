"""A user's own table: a CSV or Parquet file that names an image in each row, with its label or labels.

Options of the row name the columns: `image` (else one of IMAGE_COLUMNS), `label` or `labels`, `patient`, `split`.
Images lie below the table's folder, or below the location's, and no link leads out of it unless option `links` says so.
Where no split is given, each class is split 40 %
training, 20 % validation, 40 % test under a fixed seed (options `validation` and `test`), a patient's images on one
side where patients are named; a given split without a validation side gives up 20 % of its training side. Licence and
number of images are the user's to know. Rows are counted as an editor shows them, the first line being 1.

Legend: N rows, C label columns.
"""

import csv
import math
import posixpath
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec, UserFolder
from pytest_fmtransfer.data.columns import check_unique, class_indices, nearest_column, read_columns, shown
from pytest_fmtransfer.data.identifiers import (
    by_name,
    classes_of,
    identifier,
    is_missing,
    patients_of,
    spelt_variously,
)
from pytest_fmtransfer.data.links import check_rows
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.data.own import SIDE_NAMES, classes_in_order, is_image, own_table
from pytest_fmtransfer.data.table import UNKNOWN, Table
from pytest_fmtransfer.errors import DatasetError, first_few
from pytest_fmtransfer.words import counted

IMAGE_COLUMNS = (
    "image",
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image_path",
    "image_id",
    "image_name",
    "id",
)
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
PARQUET = (".parquet", ".pq")
# What a column of 0 and 1 may hold, as `identifier` spells it; -1 and blank are unknown.
KNOWN = {"0": 0, "false": 0, "1": 1, "true": 1}
UNCERTAIN = {"ignore": UNKNOWN, "zeros": 0, "ones": 1}


def classes(location: UserFolder, options: Mapping[str, str], named: Sequence[str], *, scale: bool) -> tuple[str, ...]:
    """The label columns, or what the label column holds, as `classes_in_order` has it.

    Raises DatasetError as that does, and for a table that cannot be read, has fewer than two classes, or rows without
    one.
    """
    file = _file(location)
    if "labels" in options:
        names = tuple(options["labels"].split("+"))
        _columns(file, [_image_column(file, options), *names, *_named(options, "patient", "split")])
        return names
    column = options["label"]
    wanted = [_image_column(file, options), column, *_named(options, "patient", "split")]
    found = set(_labels(file, column, _columns(file, wanted)[column], named))
    if len(found) < 2:
        raise DatasetError(f"{file}: column {column!r} holds one label, {found.pop()!r}, in every row; two are needed")
    return classes_in_order(file, found, named, scale=scale, line=location.line)


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images that the table names, sorted by path.

    Raises DatasetError for columns that are not there, blank or unknown texts in them, an image that is named twice
    or lies outside the folder, and a side without images, with the rows.
    """
    assert isinstance(spec.location, UserFolder)
    file, options = _file(spec.location), spec.options
    image, several = _image_column(file, options), "labels" in options
    labelled = options["labels"].split("+") if several else [options["label"]]
    columns = _columns(file, [image, *labelled, *_named(options, "patient", "split")])
    ids = _ids(file, image, columns[image], folder, options.get("suffix", ""))
    check_unique(file, image, ids)
    check_rows(file, image, folder, ids, follow="links" in options)
    notices: tuple[Notice, ...] = ()
    if several:
        unknown = UNCERTAIN[options.get("uncertain", "ignore")]
        labels = np.stack([_zeros_and_ones(file, name, columns[name], unknown) for name in labelled], axis=1)
    else:
        texts = _labels(file, labelled[0], columns[labelled[0]], spec.classes)
        labels = class_indices(file, labelled[0], texts, spec.classes)
        notices += spelt_variously(columns[labelled[0]], where=f"column {labelled[0]!r}", what="class")
    patients_N = None
    if "patient" in options:
        patients, told = _patients(file, options["patient"], columns, ids)
        patients_N, notices = np.array(patients), notices + told
    return own_table(
        file,
        spec,
        ids_N=np.array(ids),
        labels=labels,
        patients_N=patients_N,
        split_N=_sides(file, options["split"], columns) if "split" in options else None,
        notices=notices,
    )


def _file(location: UserFolder) -> Path:
    assert location.table is not None
    if location.table.suffix.lower() in SPREADSHEETS:
        raise DatasetError(f"{location.table} is a spreadsheet; save it as CSV, and name that file")
    return location.table


def _named(options: Mapping[str, str], *names: str) -> list[str]:
    return [options[name] for name in names if name in options]


def _image_column(file: Path, options: Mapping[str, str]) -> str:
    if "image" in options:
        return options["image"]
    names = _header(file)
    usual = {name.strip().lower(): name for name in reversed(names)}
    for name in IMAGE_COLUMNS:
        if name in usual:
            return usual[name]
    raise DatasetError(f"{file}: which column names the image? say image=COLUMN; its columns: {', '.join(names)}")


def _columns(file: Path, wanted: Sequence[str]) -> dict[str, list[str]]:
    wanted = list(dict.fromkeys(wanted))
    if file.suffix.lower() in PARQUET:
        return _parquet(file, wanted)
    columns = read_columns(file, wanted, delimiter=_delimiter(file))
    return {name: [text.strip() for text in texts] for name, texts in columns.items()}


def _header(file: Path) -> list[str]:
    if file.suffix.lower() in PARQUET:
        return _opened(file).schema_arrow.names
    delimiter = _delimiter(file)
    read_columns(file, (), delimiter=delimiter)  # says what is wrong with a file that is none
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return next(csv.reader(lines, delimiter=delimiter, strict=True))


def _delimiter(file: Path) -> str:
    """Comma, or what stands in the first line in its stead; `read_columns` complains of files that cannot be read."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            first = lines.readline()
    except OSError:
        first = ""
    return next((delimiter for delimiter in (",", ";", "\t") if delimiter in first), ",")


def _opened(file: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise DatasetError(f"{file} is Parquet, which pyarrow reads: pip install pyarrow") from error
    try:
        return parquet.ParquetFile(file)
    except Exception as error:  # of many kinds, as many as there are ways to damage a file
        raise DatasetError(f"{file} is not a Parquet file ({error})") from error


def _parquet(file: Path, wanted: Sequence[str]) -> dict[str, list[str]]:
    """As `read_columns`; what is null or not a number is blank."""
    opened = _opened(file)
    names: list[str] = opened.schema_arrow.names
    for name in wanted:
        if names.count(name) != 1:
            told = f"{names.count(name)} columns {name!r}; leave one" if name in names else f"no column {name!r}"
            raise DatasetError(f"{file} has {told}{'' if name in names else f'; {nearest_column(name, names)}'}")
    try:
        columns = opened.read(columns=list(wanted)).to_pydict()
    except Exception as error:
        raise DatasetError(f"cannot read {file} ({error}); write it again") from error
    if not opened.metadata.num_rows:
        raise DatasetError(f"{file} has no rows")
    return {name: [_text(value) for value in columns[name]] for name in wanted}


def _text(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()


def _ids(file: Path, column: str, texts: Sequence[str], root: Path, suffix: str) -> list[str]:
    """Paths below the root, with '/'."""
    _refuse(file, column, [not text or "\0" in text for text in texts], "without an image")
    given = [PurePosixPath(Path(text).as_posix() + suffix) for text in texts]
    inside = [
        posixpath.normpath(path.relative_to(root.as_posix()) if path.is_relative_to(root.as_posix()) else path)
        for path in given
    ]
    outside = [name == "." or name.split("/")[0] in ("..", "") for name in inside]
    _refuse(file, column, outside, f"outside {root}, such as {{}}; say root=DIR", texts)
    if not suffix and not any(map(is_image, inside)) and not (root / inside[0]).is_file():
        raise DatasetError(
            f"{file}: column {column!r} holds names such as {texts[0]!r}, which end as no image does; say suffix=.jpg, "
            "or image=COLUMN for another column"
        )
    return inside


def _labels(file: Path, column: str, texts: Sequence[str], named: Sequence[str]) -> list[str]:
    """The name of each row's class, however it is spelt there; numbers without a fraction, so that 1.0 is 1."""
    known = by_name({name: name for name in named})
    missing = {text for text in set(texts) if is_missing(text) and known(text) is None}
    wrong = [text in missing for text in texts]
    # Every spelling, as each would have to be named.
    spellings = first_few([repr(text) for text in sorted(missing)])
    what = f"without a label ({spellings}): leave them out, or name it as a class in classes="
    _refuse(file, column, wrong, what)
    numbers = {text: number for text in set(texts) if (number := _number(text)) is not None}
    if len(numbers) < len(set(texts)):
        names = classes_of(texts)
        return [names[text] for text in texts]
    fractions = [not numbers[text].is_integer() for text in texts]
    _refuse(file, column, fractions, "without a whole number, such as {}: give classes, not measurements", texts)
    return [str(int(numbers[text])) for text in texts]


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _zeros_and_ones(file: Path, column: str, texts: Sequence[str], unknown: int) -> np.ndarray:
    known = KNOWN | {"-1": unknown}
    values = {text: known.get(identifier(text), unknown if is_missing(text) else None) for text in set(texts)}
    wrong = [values[text] is None for text in texts]
    _refuse(file, column, wrong, "with neither 0 nor 1, nor blank or -1 for unknown, such as {}", texts)
    return np.array([values[text] for text in texts], dtype=np.int64)


def _patients(
    file: Path, column: str, columns: Mapping[str, list[str]], ids: Sequence[str]
) -> tuple[list[str], tuple[Notice, ...]]:
    texts = columns[column]
    _refuse(file, column, ["\0" in text for text in texts], "with a zero byte: write the column as text")
    if all(map(is_missing, set(texts))):
        raise DatasetError(f"{file}: column {column!r} names no patient in any row; name another or none")
    return patients_of(texts, ids, column=column)


def _sides(file: Path, column: str, columns: Mapping[str, list[str]]) -> np.ndarray:
    side_of = by_name(SIDE_NAMES)
    sides = {text: side_of(text) for text in set(columns[column])}
    wrong = [sides[text] is None for text in columns[column]]
    what = "of no side, such as {}: write train, validation or test"
    _refuse(file, column, wrong, what, columns[column])
    return np.array([sides[text] for text in columns[column]])


def _refuse(file: Path, column: str, wrong: Sequence[bool], what: str, texts: Sequence[str] = ()) -> None:
    """Raises DatasetError where any row is wrong; `{}` in `what` becomes the first such text."""
    rows = [number for number, is_wrong in enumerate(wrong, start=2) if is_wrong]
    if rows:
        told = what.replace("{}", repr(texts[rows[0] - 2])) if texts else what
        raise DatasetError(f"{file}: {counted(len(rows), 'row')} of column {column!r} {told} ({shown(rows)})")

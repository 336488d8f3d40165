"""Columns of a CSV file as text, with the file and the row named where something is wrong.

Legend: N rows.
"""

import csv
import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

import numpy as np

from pytest_fmtransfer.data.identifiers import by_name
from pytest_fmtransfer.errors import DatasetError, first_few, nearest
from pytest_fmtransfer.words import counted, plural


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector waits: it would look through all rows again and again while they become more."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_no_collection()
def read_columns(path: Path, wanted: Sequence[str], *, delimiter: str = ",") -> dict[str, list[str]]:
    """The columns wanted, each with the text of every row; the file's first line names them.

    Raises DatasetError for a file that is missing, empty or not UTF-8, for a column that is not there, with the
    nearest names, and for a row with more or fewer fields than the first line. Blank rows at the end are left out.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=delimiter, strict=True)
            names = next(lines, [])
            for name in wanted:
                if name not in names:
                    raise DatasetError(f"{path} has no column {name!r}; {nearest_column(name, names)}")
                if names.count(name) > 1:
                    raise DatasetError(f"{path} has {names.count(name)} columns {name!r}; leave one")
            # Of each row what is wanted, one after the other: each column is a slice of them, which is the fastest way
            # there is. One is taken twice, because of one alone `itemgetter` makes no tuple.
            places = [names.index(name) for name in wanted] or [0]
            take = itemgetter(*places, places[0])
            fields, uneven, last, end = list[str](), list[int](), 0, 0
            for number, row in enumerate(lines, start=2):
                if len(row) == len(names) and row:
                    fields += take(row)
                else:
                    uneven.append(number)
                if any(row):
                    last, end = number, len(fields)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 ({error}); save it with encoding UTF-8") from error
    except csv.Error as error:
        raise DatasetError(f"{path} is not a CSV file ({error})") from error
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}); restore it, or get the data again") from error
    uneven = [number for number in uneven if number <= last]  # spreadsheets leave blank rows at the end
    if uneven:
        raise DatasetError(
            f"{path}: {counted(len(uneven), 'row')} without the {len(names)} fields of its first: {shown(uneven)}"
        )
    if not end:
        raise DatasetError(f"{path} has no rows")
    return {name: fields[place : end : len(wanted) + 1] for place, name in enumerate(wanted)}


def nearest_column(name: str, names: Sequence[str]) -> str:
    """What a table has instead of a column; a name that differs in spaces alone looks the same without its quotes."""
    if spaced := [each for each in names if each.strip() == name.strip()]:
        return f"it has {spaced[0]!r}, with a space: take it away there"
    return nearest(name, names)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without the blank ones at its end.

    Raises DatasetError for a file that is missing, has no lines or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 ({error}); save it with encoding UTF-8") from error
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}); restore it, or get the data again") from error
    if not lines:
        raise DatasetError(f"{path} has no lines; restore it, or get the data again")
    return [line.strip() for line in lines]


def class_indices(
    path: Path, column: str, values: Sequence[str], classes: Sequence[str], *, first: int = 2
) -> np.ndarray:
    """The place of each text among the classes, N int64, whatever its case and spaces (`data.identifiers`).

    Raises DatasetError for texts that are none of them. `first` is the row of the file that holds the first text.
    """
    look_up = by_name({name: index for index, name in enumerate(classes)})
    place = {value: index for value in set(values) if (index := look_up(value)) is not None}
    unknown = [number for number, value in enumerate(values, start=first) if value not in place]
    if unknown:
        text = values[unknown[0] - first]
        raise DatasetError(
            f"{path}: {counted(len(unknown), 'label')} of no class in column {column!r}, such as {text!r} "
            f"({shown(unknown)}); {nearest(text, classes)}"
        )
    return np.array([place[value] for value in values], dtype=np.int64)


def check_unique(path: Path, column: str, values: Sequence[str], *, first: int = 2) -> None:
    """Raises DatasetError for a text that stands twice, with its rows; `first` is the row of the first text."""
    if len(set(values)) == len(values):
        return
    seen: dict[str, int] = {}
    again = [number for number, value in enumerate(values, start=first) if seen.setdefault(value, number) != number]
    if again:
        value = values[again[0] - first]
        raise DatasetError(
            f"{path}: {counted(len(again), 'row')} with what column {column!r} has already, such as {value!r} in rows "
            f"{seen[value]} and {again[0]}"
        )


def shown(rows: Iterable[int]) -> str:
    """'row 4' or 'rows 4, 7, …': the first five, counted from 1 with the first line, as an editor does."""
    numbers = list(map(str, rows))
    return f"{'row' if len(numbers) == 1 else plural('row')} {first_few(numbers)}"

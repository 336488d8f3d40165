"""The two files of a result, checked before anything uses them: the one border for baselines, exports and the store.

Both may come from another machine or a merge. Whatever is wrong with them is a BaselineError, and reading them takes
memory in proportion to their size.

Legend: S seeds, N test images, C classes.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from numpy.typing import NDArray

from pytest_fmtransfer.errors import BaselineError, shown

MOST_RECORD_BYTES = 8 * 2**20  # of a record, at most: some forty thousand epochs
_DEEPEST = 32  # levels of lists and objects inside one another
_LARGEST = 2**63  # no whole number of a record is as large
_EXPANSION = 50  # times its size a file of scores may be unpacked to: scores are noise, and hardly compress
_ALWAYS_UNPACKED = 2**26  # bytes that any file of scores may be unpacked to
_HEADER_BYTES = 2**12  # of an array, at most
_ARRAYS = ("ids_N", "patients_N", "labels_N", "scores_SNC")


def read_record(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises BaselineError for anything else, and OSError where nothing can be read."""
    if file.stat().st_size > MOST_RECORD_BYTES:
        raise BaselineError(f"{file.name} is larger than any record: {file.stat().st_size / 2**20:.0f} MiB")
    try:
        found: object = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{file.name} is no JSON ({shown(str(error))})") from error
    if not isinstance(found, dict):
        raise BaselineError(f"{file.name} holds no record")
    return cast(dict[str, Any], found)


def check_plain(record: Mapping[str, Any]) -> None:
    """Raises BaselineError for values that are not JSON's, for numbers that no result has, and for deep nesting."""
    waiting: list[tuple[object, int]] = [(record, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise BaselineError(f"the record is nested more than {_DEEPEST} levels deep")
        if isinstance(value, Mapping):
            inside = cast(Mapping[object, object], value)
            if not all(isinstance(name, str) for name in inside):
                raise BaselineError("the record has a field whose name is no text")
            waiting += [(each, depth + 1) for each in inside.values()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in cast(list[object], value)]
        elif isinstance(value, int | float):
            if not (math.isfinite(value) if isinstance(value, float) else abs(value) < _LARGEST):
                raise BaselineError(f"the record holds a number that no result has: {shown(value)}")
        elif value is not None and not isinstance(value, str):
            raise BaselineError(f"the record holds a {type(value).__name__}")


def check_schema(record: Mapping[str, Any]) -> None:
    """Raises BaselineError where a record is not as `result.schema.json` says, with the first field that is not."""
    for error in _validator().iter_errors(record):
        place = ".".join(map(str, error.absolute_path)) or "the record"
        raise BaselineError(f"the record is not as its schema says: {place}: {error.message[:200]}")


def read_arrays(data: bytes, record: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays in a file of scores, by name.

    A record that `check_schema` passed says how large they are. Raises BaselineError for arrays of other types or
    shapes before it unpacks them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _arrays(archive, record, max(_ALWAYS_UNPACKED, _EXPANSION * len(data)))
    except BaselineError:
        raise
    except Exception as error:  # a file that is no archive fails in as many ways as zip and numpy have fields
        raise BaselineError(f"the file of scores is damaged ({type(error).__name__}: {shown(str(error))})") from error


def _arrays(archive: zipfile.ZipFile, record: Mapping[str, Any], most_bytes: int) -> dict[str, NDArray[Any]]:
    if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in _ARRAYS):
        raise BaselineError("the file of scores is damaged (it does not hold the four arrays of a result)")
    if any(each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in archive.infolist()):
        raise BaselineError("the file of scores is damaged (it is packed in a way that numpy does not use)")
    images, classes = record["images"], len(record["classes"])
    allowed: dict[str, tuple[tuple[int, ...], ...]] = {
        "ids_N": ((images,),),
        "patients_N": ((images,),),
        "labels_N": ((images,), (images, classes)),
        "scores_SNC": ((len(record["seeds"]), images, classes),),
    }
    arrays: dict[str, NDArray[Any]] = {}
    for name, shapes in allowed.items():
        place = archive.getinfo(f"{name}.npy")
        with archive.open(place) as stream:
            shape, dtype = _header(stream)
            if shape not in shapes:
                raise BaselineError(
                    f"the record does not fit its scores: {name} has shape {shape} and not {shapes[-1]}, so the scores "
                    "are not the ones that the record was written with"
                )
            if not _is_of(dtype, name):
                raise BaselineError(f"the file of scores is damaged ({name} has type {dtype})")
            size = math.prod(shape) * dtype.itemsize
            most_bytes -= size
            if place.file_size > size + _HEADER_BYTES or most_bytes < 0:
                raise BaselineError(
                    "the file of scores says that it unpacks to more than any scores would: "
                    f"{name} to {max(size, place.file_size) / 2**20:,.0f} MiB"
                )
            content = stream.read()
            if len(content) != size:
                raise BaselineError(f"the file of scores is damaged ({name} has {len(content)} bytes and not {size})")
            if dtype.kind == "U":
                content.decode("utf-32-le", "surrogatepass")  # numbers that are no letters fail
            arrays[name] = np.frombuffer(content, dtype).reshape(shape)
    return arrays


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in numpy's format, read without its elements."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # what numpy writes for such arrays
        raise BaselineError(f"the file of scores is damaged (an array of version {version})")
    shape, in_fortran_order, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER_BYTES)
    if in_fortran_order:
        raise BaselineError("the file of scores is damaged (an array in another order)")
    return shape, dtype


def _is_of(dtype: np.dtype[Any], name: str) -> bool:
    if name in ("ids_N", "patients_N"):
        return dtype.str.startswith("<U")
    return dtype == np.dtype("<i8" if name == "labels_N" else "<f4")


@cache
def _validator() -> Any:
    rules = json.loads((files("pytest_fmtransfer") / "result.schema.json").read_text(encoding="utf-8"))
    # JSON Schema takes 1.0 for a whole number; nothing of ours writes one so.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    strict = extend(Draft202012Validator, type_checker=whole)
    return strict(rules, format_checker=Draft202012Validator.FORMAT_CHECKER)

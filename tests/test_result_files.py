"""What is forged, damaged or of another type in a result's two files is one error, and costs little memory.

Legend: S seeds, N images, C classes.
"""

import io
import itertools
import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.results import Recorded, Result, record_checksum, scores_checksum
from tests.helpers import LAWS, make_result, noisy_scores
from tests.test_results import holder_of, places_of

MIB = 2**20
COURSE = {"history": [{"epoch": 1, "loss": 0.5, "validation": 0.6, "rate": 0.1, "seconds": 1.0}]}


def some_result() -> Result:
    labels_N = np.array([0, 0, 1, 1])
    result = make_result("a-b-c", labels_N, np.stack([noisy_scores(labels_N, 1.0, seed=seed) for seed in (0, 1)]))
    recorded = Recorded(date="2026-11-25", commit=None, version="0.1.0")
    return replace(result, recorded=recorded, training=(COURSE, COURSE))


SOUND = some_result()
RECORD: dict[str, Any] = json.loads(json.dumps(SOUND.record()))
SCORES = SOUND.scores_file()
PLACES = places_of(RECORD)

junk_scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2, 1.0, 2**31, 2**53, 2**63, 10**400, -(10**400), 1e308, -0.0, 5e-324])
    | st.sampled_from([float("nan"), float("inf"), float("-inf")])
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "\0", "a-b-c", "roc_auc", "1", "2026-11-25", "\ud800", "x" * 5000])
)
junk = st.recursive(
    junk_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def forged(record: dict[str, Any]) -> dict[str, Any]:
    """With the checksum that it would have."""
    return record | {"checksum": record_checksum(record)}


def read(record: dict[str, Any], scores: bytes = SCORES) -> Result | None:
    """None where the files are refused; a result that is what its record says otherwise."""
    try:
        result = Result.restore(record, scores, origin="baseline")
    except BaselineError:
        return None
    again = result.record()
    assert {**again, "metric": None, "checksum": None} == {**record, "metric": None, "checksum": None}
    assert again["metric"]["by_seed"] == pytest.approx(record["metric"]["by_seed"], abs=1e-9)
    hash(result)
    repr(result)
    return result


def test_the_sound_files_are_read() -> None:
    assert read(RECORD) == SOUND


@settings(LAWS, max_examples=3000)
@given(st.sampled_from(PLACES), junk, st.booleans())
def test_any_value_anywhere_is_an_error_or_what_the_result_says(
    place: tuple[str | int, ...], value: object, with_its_checksum: bool
) -> None:
    record = json.loads(json.dumps(RECORD))
    holder_of(record, place)[place[-1]] = value
    read(forged(record) if with_its_checksum else record)


@settings(LAWS, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PLACES), junk), min_size=2, max_size=4))
def test_several_values_at_once(edits: list[tuple[tuple[str | int, ...], object]]) -> None:
    record = json.loads(json.dumps(RECORD))
    for place, value in edits:
        try:
            holder_of(record, place)[place[-1]] = value
        except (KeyError, IndexError, TypeError):  # the edit before took it away
            continue
    read(forged(record))


@pytest.mark.parametrize("depth", [40, 500, 3000, 100_000])
@pytest.mark.parametrize("place", ["subject", "chosen", "settings", "seeds"])
def test_what_is_nested_deeply_is_refused(place: str, depth: int, tmp_path: Path) -> None:
    stored = on_disk(tmp_path)
    text = json.dumps(RECORD).replace(f'"{place}": ', f'"{place}": {"[" * depth}{"]" * depth}, "was": ', 1)
    stored.pair(SOUND.cell).record.write_text(text)
    with pytest.raises(BaselineError):
        stored.load(SOUND.cell)


def on_disk(folder: Path) -> Baselines:
    """The sound files as a baseline."""
    stored = Baselines(folder=folder / "baselines", locks=folder / "locks")
    stored.folder.mkdir(exist_ok=True)
    pair = stored.pair(SOUND.cell)
    pair.record.write_text(json.dumps(RECORD))
    pair.scores.write_bytes(SCORES)
    return stored


@pytest.mark.parametrize("which", ["record", "scores"])
def test_any_bytes_are_an_error_or_the_result(which: str, tmp_path: Path) -> None:
    stored = on_disk(tmp_path)
    file, sound = stored.pair(SOUND.cell).record, json.dumps(RECORD).encode()
    if which == "scores":
        file, sound = stored.pair(SOUND.cell).scores, SCORES
    chance = random.Random(0)
    for _ in range(2000):
        data = bytearray(sound)
        for _ in range(chance.choice([1, 1, 1, 2, 8])):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at] = chance.choice(b'"{}[],:0189eE-.\\ntf\0\xff')
                case 2:
                    del data[at : at + chance.randrange(1, 40)]
                case _:
                    data[at:at] = data[:at][-chance.randrange(1, 40) :]
            if not data:
                break
        file.write_bytes(bytes(data))
        try:
            found = Result.restore(json.loads(data), SCORES, origin="baseline") if which == "record" else None
        except (ValueError, BaselineError, RecursionError):
            found = None
        loaded = stored.peek(SOUND.cell)
        assert loaded is None or loaded == (found or SOUND) == SOUND


def packed(change: Callable[[dict[str, np.ndarray]], object], **more: bytes) -> tuple[dict[str, Any], bytes]:
    """Both files of the sound result with its arrays changed, all checksums right; `more` are members as they are."""
    with np.load(io.BytesIO(SCORES)) as archive:
        arrays = dict(archive.items())
    change(arrays)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", more.get(name, member.getvalue()))
    try:
        record = forged({**RECORD, "scores": scores_checksum(**arrays)})
    except (TypeError, KeyError, ValueError):  # of arrays that no checksum is of
        record = RECORD
    return record, stream.getvalue()


def set_to(name: str, array: object) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda arrays: arrays.update({name: np.asarray(array)})


SCORES_SNC = SOUND.scores_SNC
HIGHEST_SNC = SOUND.scores_SNC.max() == SOUND.scores_SNC


@pytest.mark.parametrize(
    "change",
    [
        set_to("scores_SNC", np.where(HIGHEST_SNC, np.float32("nan"), SCORES_SNC)),
        set_to("scores_SNC", np.where(HIGHEST_SNC, np.float32("inf"), SCORES_SNC)),
        set_to("scores_SNC", SCORES_SNC.astype(np.float64)),
        set_to("scores_SNC", SCORES_SNC.astype(">f4")),
        set_to("scores_SNC", SCORES_SNC[0]),
        set_to("scores_SNC", SCORES_SNC[:, :, :1]),
        set_to("scores_SNC", np.float32(0)),
        set_to("scores_SNC", np.asfortranarray(SCORES_SNC)),
        set_to("scores_SNC", np.array(["0.5"])),
        set_to("labels_N", [0, 0, 1, 2]),
        set_to("labels_N", [0, 0, 1, -1]),
        set_to("labels_N", [0.0, 0.0, 1.0, 1.0]),
        set_to("labels_N", [True, False, True, True]),
        set_to("labels_N", np.zeros((4, 3), dtype=np.int64)),
        set_to("labels_N", [0, 0, 0, 0]),
        set_to("ids_N", [1, 2, 3, 4]),
        set_to("ids_N", np.array([b"a", b"b", b"c", b"d"])),
        set_to("ids_N", ["a", "a", "b", "c"]),
        set_to("patients_N", np.zeros(0, dtype=np.str_)),
        set_to("more_N", [1]),
        lambda arrays: arrays.pop("labels_N"),
    ],
    ids=map(str, itertools.count()),
)
def test_arrays_that_are_no_results_are_refused(change: Callable[[dict[str, np.ndarray]], object]) -> None:
    assert read(*packed(change)) is None


def member(header: str, body: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000, 1000), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 2), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 4, 2), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 4, -2), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 4, 2), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 2L), }\n",
        "{'descr'\n",
        "((((",
        "(" * 4000,
        "'''",
        "\n",
        "",
    ],
)
def test_headers_that_lie_are_refused(header: str) -> None:
    record, scores = packed(lambda arrays: None, scores_SNC=member(header))
    with pytest.raises(BaselineError):
        Result.restore(record, scores, origin="baseline")


def test_letters_that_are_none_are_refused() -> None:
    text = "{'descr': '<U1', 'fortran_order': False, 'shape': (4,), }\n"
    record, scores = packed(lambda arrays: None, ids_N=member(text, b"\xff" * 16))
    with pytest.raises(BaselineError, match="the file of scores is damaged"):
        Result.restore(record, scores, origin="baseline")


def bomb(declared: int | None = None) -> tuple[dict[str, Any], bytes]:
    """Scores of 400 MiB of zeros in a file of 400 KB, and the record that fits them."""
    images = 400 * MIB // 8
    shape = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {images}, 2), }}\n"
    with zipfile.ZipFile(stream := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("ids_N", "patients_N", "labels_N"):
            archive.writestr(f"{name}.npy", member(shape))
        with archive.open("scores_SNC.npy", "w") as stored:
            stored.write(member(shape))
            for _ in range(400):
                stored.write(bytes(MIB))
    once = {**RECORD, "seeds": [0], "chosen": [{}], "images": images, "training": [COURSE]}
    once["metric"] = {**RECORD["metric"], "by_seed": RECORD["metric"]["by_seed"][:1]}
    return forged(once), stream.getvalue()


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_is_unpacked() -> None:
    """Sizes are read from the file itself, whether or not the record says the same."""
    record, scores = bomb()
    assert len(scores) < 1e6
    for each in (record, RECORD):
        tracemalloc.start()
        with pytest.raises(BaselineError):
            Result.restore(each, scores, origin="baseline")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100 * MIB


@pytest.mark.parametrize("text", ["[" * 10**6, "[[]," * 10**6, '{"a":' * 10**6, "1" * 10**5, '"' + "a" * 10**7 + '"'])
def test_a_record_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    stored = on_disk(tmp_path)
    stored.pair(SOUND.cell).record.write_text(text)
    with pytest.raises(BaselineError, match=r"a-b-c\.json"):
        stored.load(Cell.parse("a-b-c"))

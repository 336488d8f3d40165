"""What a public function is given and cannot use is one of our errors, and says what to write instead."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

import pytest_fmtransfer as fm
from pytest_fmtransfer import Cell, Places, Published, Registry, own_folder, own_table, transfer
from pytest_fmtransfer.cell_result import CellResult
from pytest_fmtransfer.errors import FmTransferError, InvalidInput, InvalidName
from pytest_fmtransfer.judge.regression import Tolerance
from pytest_fmtransfer.results import Recorded, Result
from tests.helpers import make_result
from tests.small import catalogue

JUNK = (None, 7, 0.9, "junk", b"junk", object(), ["junk"], {"junk": 1}, Path("junk"))
IDS = tuple(type(each).__name__ for each in JUNK)


def scores(top: float = 1.0, images: int = 60) -> np.ndarray:
    """S × N × C of one seed and two classes."""
    last_N = np.linspace(0, top, images, dtype=np.float32)
    return np.stack([-last_N, last_N], axis=1)[None]


def found(backbone: str = "one") -> CellResult:
    plain = make_result(f"{backbone}-data-knn", [0] * 30 + [1] * 30, scores())
    fields = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    return CellResult(**fields, tolerance=Tolerance(score=1e-3, metric=1e-3))


RESULT = found()
CALLS: dict[str, Callable[[Any], object]] = {
    "transfer": transfer,
    "transfer registry": lambda junk: transfer(Cell("a", "b", "c"), registry=junk or 0),
    "transfer places": lambda junk: transfer(Cell("tiny", "stripes", "knn"), registry=catalogue(), places=junk or 0),
    "transfer profile": lambda junk: transfer(Cell("tiny", "stripes", "knn"), registry=catalogue(), profile=junk),
    "transfer seeds": lambda junk: transfer(Cell("tiny", "stripes", "knn"), registry=catalogue(), seeds=junk or 0),
    "Cell": lambda junk: Cell(junk, 1, "c"),  # pyright: ignore[reportArgumentType]
    "Cell.parse": lambda junk: Cell.parse(junk),
    "Registry.backbone": lambda junk: Registry().backbone(junk),
    "Registry.dataset": lambda junk: Registry().dataset(junk),
    "Registry.regime": lambda junk: Registry().regime(junk),
    "Registry.profile": lambda junk: Registry().profile(junk),
    "Registry.register": lambda junk: Registry().register(junk),
    "Registry.check": lambda junk: Registry().check(junk),
    "beats": RESULT.beats,
    "not_worse_than": RESULT.not_worse_than,
    "equivalent_to": RESULT.equivalent_to,
    "no_class_worse_than": RESULT.no_class_worse_than,
    "beats margin": lambda junk: RESULT.beats(RESULT, margin=[junk]),  # pyright: ignore[reportArgumentType]
    "not_worse_than margin": lambda junk: RESULT.not_worse_than(RESULT, margin=[junk]),  # pyright: ignore[reportArgumentType]
    "consistent_with": RESULT.consistent_with,
    "above": RESULT.above,
    "unchanged_from": RESULT.unchanged_from,
    "consistently_better": lambda junk: fm.consistently_better(junk, junk),
    "consistently_better of": lambda junk: fm.consistently_better([RESULT, junk], [RESULT, RESULT]),
    "ranks_above": lambda junk: fm.ranks_above(RESULT, junk),
    "ranks": fm.ranks,
    "ranks of": lambda junk: fm.ranks([RESULT, junk]),
    "relative_gains": lambda junk: fm.relative_gains(junk, junk),
    "relative_gains of": lambda junk: fm.relative_gains([junk], [junk]),
    "gains_in_order": lambda junk: fm.gains_in_order([junk]),
    "gain_consistent_with": lambda junk: fm.gain_consistent_with(junk, Published(value=0.9, source="a paper")),
    "Published": lambda junk: Published(value=[junk], source="a paper"),  # pyright: ignore[reportArgumentType]
    "Published runs": lambda junk: Published(value=0.9, source="a paper", runs=[junk]),  # pyright: ignore[reportArgumentType]
    "own_folder": lambda junk: own_folder("mine", [junk]),  # pyright: ignore[reportArgumentType]
    "own_table": lambda junk: own_table("mine", [junk], label="label"),  # pyright: ignore[reportArgumentType]
    "own_table root": lambda junk: own_table("mine", "t.csv", label="label", root=[junk]),  # pyright: ignore[reportArgumentType]
    "own_table label": lambda junk: own_table("mine", "t.csv", label=[junk]),  # pyright: ignore[reportArgumentType]
    "own_table margin": lambda junk: own_table("mine", "t.csv", label="l", margin=[junk]),  # pyright: ignore[reportArgumentType]
    "Places": lambda junk: Places(store=[junk]),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("junk", JUNK, ids=IDS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_cannot_be_used_is_our_error(call: Callable[[Any], object], junk: object) -> None:
    with pytest.raises(FmTransferError):
        call(junk)


@pytest.mark.parametrize("verb", ["beats", "not_worse_than", "no_class_worse_than", "equivalent_to", "unchanged_from"])
def test_a_number_is_compared_as_a_published_one(verb: str) -> None:
    with pytest.raises(InvalidInput, match=r"not 0\.9.*above\(Published\(value=0\.9, source="):
        getattr(RESULT, verb)(0.9)
    with pytest.raises(InvalidInput, match=r"0\.9 is no Published.*Published\(value=0\.9, source="):
        RESULT.above(0.9)  # pyright: ignore[reportArgumentType]


def test_a_cell_may_be_given_by_its_id(small: Places) -> None:
    by_id = transfer("tiny-stripes-knn", registry=catalogue(), places=small)
    assert by_id.cell == Cell("tiny", "stripes", "knn")
    with pytest.raises(InvalidName, match="write backbone-dataset-regime"):
        transfer("tiny-stripes", registry=catalogue(), places=small)


@pytest.mark.parametrize(
    "seeds", [(0, 0), (-1,), (1.5,), (True,), ("0",), (2**32,), (None,), 3, "012"], ids=lambda each: repr(each)
)
def test_seeds_are_distinct_whole_numbers_from_0(seeds: Any, small: Places) -> None:
    with pytest.raises(InvalidInput, match=r"seeds=.*distinct whole numbers"):
        transfer("tiny-stripes-knn", seeds=seeds, registry=catalogue(), places=small)


def test_seeds_may_stand_in_a_list_and_be_of_numpy(small: Places) -> None:
    result = transfer("tiny-stripes-knn", seeds=[np.int64(0)], registry=catalogue(), places=small)
    assert result.seeds == (0,)
    assert type(result.seeds[0]) is int


def test_places_and_data_take_paths_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text("image,label\n" + "".join(f"{row}.png,{'ab'[row % 2]}\n" for row in range(4)))
    for kind in (str, Path, PurePosixPath):
        row = own_table("mine", kind(tmp_path / "scans.csv"), label="label", root=kind(tmp_path / "images"))
        same = own_table("mine", tmp_path / "scans.csv", label="label", root=tmp_path / "images")
        assert row.location == same.location
        assert own_folder("other", kind(tmp_path / "none")) == own_folder("other", tmp_path / "none")
        places = Places(store=kind(tmp_path), weights=kind(tmp_path), data_root=kind(tmp_path))
        assert places == Places(store=tmp_path, weights=tmp_path, data_root=tmp_path)
        assert isinstance(places.store, Path)


def test_results_answer_whether_they_are_equal() -> None:
    one = make_result("one-data-knn", [0, 1] * 30, scores())
    same = make_result("one-data-knn", [0, 1] * 30, scores())
    assert one == same
    assert hash(one) == hash(same)
    assert one == replace(one, origin="store", recorded=None)
    others = (
        make_result("two-data-knn", [0, 1] * 30, scores()),
        make_result("one-data-knn", [0, 1] * 30, scores(2.0)),
        make_result("one-data-knn", [1, 0] * 30, scores()),
        make_result("one-data-knn", [0, 1] * 29, scores(1.0, 58)),
        replace(one, margin=0.03),
        replace(one, subject={"weights": "others"}),
    )
    assert all(one != other for other in others)
    assert one != "one-data-knn"
    assert found() == found()
    assert found("one") != found("two")
    assert Result.__hash__ is not None


@pytest.mark.parametrize("verb", ["beats", "not_worse_than", "equivalent_to"])
def test_a_result_is_not_compared_with_itself(verb: str) -> None:
    """It equals that whatever it is worth. A new result of a cell may well be held against the recorded one."""
    for same in (RESULT, replace(RESULT, origin="store")):
        with pytest.raises(InvalidInput, match="one-data-knn is compared with itself"):
            getattr(RESULT, verb)(same)
    stored = replace(RESULT, recorded=Recorded(date="2026-01-01", commit=None, version="0.1.0"))
    assert getattr(RESULT, verb)(stored).effect == 0


def test_over_data_sets_nothing_is_compared_with_itself() -> None:
    pair = [RESULT, make_result("one-other-knn", [0] * 30 + [1] * 30, scores())]
    for claim in (fm.consistently_better, fm.not_consistently_better):
        with pytest.raises(InvalidInput, match="compared with itself"):
            claim(pair, pair)

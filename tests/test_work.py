"""Work is counted once, where somebody asked for it, and a look-up is none."""

from pathlib import Path

import pytest

from pytest_fmtransfer.store import Store
from pytest_fmtransfer.work import Tally, count_passes, counting, working


def compute(entry: Path) -> None:
    (entry / "file").write_text("made")


def test_what_is_computed_is_counted_and_a_look_up_is_not(tmp_path: Path) -> None:
    store, tally = Store(root=tmp_path), Tally()
    with counting(tally):
        store.fetch("kind", "k" * 32, compute, about={})
        first = tally.seconds
        store.fetch("kind", "k" * 32, compute, about={})
    assert tally.seconds == first > 0


def test_an_entry_that_is_made_of_others_is_counted_once() -> None:
    tally = Tally()
    with counting(tally), working():
        assert tally.busy
        with working():
            pass
        assert (tally.busy, tally.seconds) == (True, 0.0)
    assert not tally.busy
    assert tally.seconds > 0


def test_work_that_fails_is_counted_too() -> None:
    tally = Tally()
    with counting(tally), pytest.raises(ValueError, match="broken"), working():
        raise ValueError("broken")
    assert tally.seconds > 0
    assert not tally.busy


def test_the_innermost_tally_counts() -> None:
    outer, inner = Tally(), Tally()
    with counting(outer):
        count_passes(3)
        with counting(inner):
            count_passes(5)
        count_passes(1)
    count_passes(100)
    assert (outer.forward_passes, inner.forward_passes) == (4, 5)

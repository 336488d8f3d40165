"""A folder of baselines: whole pairs whoever writes, what waits to be accepted, what belongs to nobody."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.results import Recorded
from tests.helpers import result

ROOT = Path(__file__).parents[1]
CELL, OTHER = Cell.parse("new.model-data-knn"), Cell.parse("old.model-data-knn")

# Writes and loads in turn: a cell of its own and one that others write too. Each written result says by its
# subject what its scores are, so that a pair of two writers cannot pass for one.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from tests.helpers import result

own, rounds = int(sys.argv[2]), int(sys.argv[3])
stored = Baselines(folder=Path(sys.argv[1]) / "baselines", locks=Path(sys.argv[1]) / "locks")
shared = Cell.parse("shared-data-knn")
for turn in range(rounds):
    seed = 1000 * own + turn
    for cell in (f"own{own}-data-knn", "shared-data-knn"):
        made = result(cell, 1.0, seed=seed, subject={"seed": seed}, counts=(400, 400))
        stored.write(made)
        if cell == shared.id:
            stored.keep_obtained(made)
    for load in (stored.load, stored.load_obtained):
        try:
            found = load(shared)
        except Exception as error:
            if "waits" not in str(error):  # another process has just written the baseline: nothing waits any longer
                raise
            continue
        again = result(shared.id, 1.0, seed=found.subject["seed"], counts=(400, 400))
        assert np.array_equal(found.scores_SNC, again.scores_SNC), "a torn pair"
"""


@pytest.fixture
def stored(tmp_path: Path) -> Baselines:
    return Baselines(folder=tmp_path / "baselines", locks=tmp_path / "locks")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_baseline_comes_back_with_when_it_was_recorded(stored: Baselines) -> None:
    written = result(CELL.id, 1.0)
    stored.write(written)
    loaded = stored.load(CELL)
    assert loaded.recorded == Recorded(date=datetime.now(UTC).date().isoformat(), commit=None, version="0.1.0")
    assert replace(loaded, recorded=None).record() == written.record()
    assert (stored.cells(), stored.waiting(), stored.halves()) == ([CELL], [], [])


def test_the_commit_of_the_repository_is_recorded_from_the_first_time_on(tmp_path: Path) -> None:
    someone = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for command in (["init", "-q"], [*someone, "commit", "-qm", "x", "--allow-empty"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    head = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    stored = Baselines(folder=tmp_path / "new" / "folder", locks=tmp_path / "locks")
    stored.write(result(CELL.id, 1.0))
    recorded = stored.load(CELL).recorded
    assert recorded is not None
    assert recorded.commit == head.stdout.strip()


def test_writing_touches_only_its_cell(stored: Baselines) -> None:
    stored.write(result(OTHER.id, 1.0))
    before = {path: path.read_bytes() for path in stored.folder.iterdir()}
    stored.write(result(CELL.id, 1.0))
    stored.write(result(CELL.id, 2.0))
    stored.keep_obtained(result(CELL.id, 3.0))
    stored.drop_obtained(CELL)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert stored.cells() == [CELL, OTHER]


def test_what_is_obtained_waits_beside_the_baseline(stored: Baselines) -> None:
    old, new = result(CELL.id, 1.0), result(CELL.id, 2.0)
    stored.write(old)
    stored.keep_obtained(new)
    assert names(stored.folder) == sorted(
        [f"{CELL}.json", f"{CELL}.npz", f"{CELL}.obtained.json", f"{CELL}.obtained.npz"]
    )
    assert (stored.cells(), stored.waiting(), stored.halves()) == ([CELL], [CELL], [])
    assert (stored.load(CELL).mean, stored.load_obtained(CELL).mean) == (old.mean, new.mean)
    stored.write(stored.load_obtained(CELL))
    assert names(stored.folder) == [f"{CELL}.json", f"{CELL}.npz"]
    assert stored.load(CELL).mean == new.mean


def test_what_no_longer_waits_is_gone(stored: Baselines) -> None:
    stored.drop_obtained(CELL)
    assert not stored.folder.exists()
    assert not stored.locks.exists()
    stored.keep_obtained(result(CELL.id, 2.0))
    stored.drop_obtained(CELL)
    assert names(stored.folder) == []
    with pytest.raises(BaselineError, match=f"no obtained result of {CELL} waits in .*; run the test"):
        stored.load_obtained(CELL)


def test_other_files_are_none_of_ours(stored: Baselines) -> None:
    stored.write(result(CELL.id, 1.0))
    for name in ("README.md", "ratios.json", "a-b.npz", "a-b-c.txt", ".new.model-data-knn.json-x1", "A-b-c.json"):
        (stored.folder / name).write_text("{}")
    assert (stored.cells(), stored.waiting(), stored.halves()) == ([CELL], [], [])


@pytest.mark.parametrize("name", [f"{CELL}{suffix}" for suffix in (".json", ".npz", ".obtained.json", ".obtained.npz")])
def test_a_half_is_found(stored: Baselines, name: str) -> None:
    stored.write(result(CELL.id, 1.0))
    stored.keep_obtained(result(CELL.id, 1.0))
    (stored.folder / name).unlink()
    stem, _, suffix = name.rpartition(".")
    partner = stored.folder / f"{stem}.{'npz' if suffix == 'json' else 'json'}"
    assert stored.halves() == [partner]
    stored.remove(stored.halves())
    assert not partner.exists()
    assert stored.halves() == []


DAMAGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda path: path.write_text(path.read_text().replace('"images": 120', '"images": 121')),
    "no JSON": lambda path: path.write_text("{"),
    "another JSON": lambda path: path.write_text("[]"),
    "no text": lambda path: path.write_bytes(b"\xff"),
    "scores gone": lambda path: path.with_suffix(".npz").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_pair_names_its_file_and_what_to_do(stored: Baselines, damage: Callable[[Path], object]) -> None:
    stored.write(result(CELL.id, 1.0))
    stored.keep_obtained(result(CELL.id, 1.0))
    for pair in (stored.pair(CELL), stored.obtained(CELL)):
        damage(pair.record)
    with pytest.raises(BaselineError, match=r"restore both files from version control, or .*--fm-update=all") as told:
        stored.load(CELL)
    assert f"baseline {stored.pair(CELL).record} cannot be used" in str(told.value)
    with pytest.raises(BaselineError, match="run the test of its baseline again") as told:
        stored.load_obtained(CELL)
    assert f"obtained {stored.obtained(CELL).record} cannot be used" in str(told.value)


def test_a_pair_under_the_name_of_another_cell_is_refused(stored: Baselines) -> None:
    stored.keep_obtained(result(OTHER.id, 1.0))
    for source, target in zip(stored.obtained(OTHER), stored.obtained(CELL), strict=True):
        source.rename(target)
    with pytest.raises(BaselineError, match=rf"{CELL}\.obtained\.json holds the result of {OTHER}; run the test"):
        stored.load_obtained(CELL)


def test_a_pair_of_two_results_is_refused(stored: Baselines) -> None:
    stored.write(result(CELL.id, 1.0))
    stored.pair(CELL).scores.write_bytes(result(CELL.id, 1.0, seed=1).scores_file())
    with pytest.raises(BaselineError, match="not the ones that the record was written with"):
        stored.load(CELL)


def test_two_processes_lose_no_update_and_tear_no_pair(tmp_path: Path) -> None:
    rounds = 25
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writing = [
        subprocess.Popen([*command, str(own), str(rounds)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for own in (1, 2)
    ]
    complaints = [process.communicate(timeout=120)[1] for process in writing]
    assert [process.returncode for process in writing] == [0, 0], "\n".join(complaints)
    stored = Baselines(folder=tmp_path / "baselines", locks=tmp_path / "locks")
    last = [1000 + rounds - 1, 2000 + rounds - 1]
    assert [stored.load(Cell.parse(f"own{own}-data-knn")).subject["seed"] for own in (1, 2)] == last
    assert stored.load(Cell.parse("shared-data-knn")).subject["seed"] in last
    assert len(names(stored.folder)) == 2 * len(stored.cells()) + 2 * len(stored.waiting())
    assert stored.halves() == []


def test_a_reader_waits_for_a_writer_between_its_two_files(stored: Baselines) -> None:
    stored.write(result(CELL.id, 1.0, seed=1))
    new = stored.pair(CELL).record.read_bytes(), stored.pair(CELL).scores.read_bytes()
    stored.write(result(CELL.id, 1.0))
    [lock] = stored.locks.iterdir()
    with ThreadPoolExecutor(1) as pool, FileLock(lock):
        stored.pair(CELL).scores.write_bytes(new[1])
        reading = pool.submit(stored.load, CELL)
        assert wait([reading], timeout=0.5).not_done
        stored.pair(CELL).record.write_bytes(new[0])
    np.testing.assert_array_equal(reading.result().scores_SNC, result(CELL.id, 1.0, seed=1).scores_SNC)


KILLED = """
import os, sys
from pathlib import Path
from pytest_fmtransfer.baselines import Baselines
from tests.helpers import result

def killed(*_):
    os._exit(9)

os.replace = killed
stored = Baselines(folder=Path(sys.argv[1]) / "baselines", locks=Path(sys.argv[1]) / "locks")
getattr(stored, sys.argv[2])(result("new.model-data-knn", 1.0))
"""


@pytest.mark.parametrize("how", ["write", "keep_obtained", "enlist"])
def test_what_a_killed_writer_leaves_is_gone_after_the_next_write(stored: Baselines, tmp_path: Path, how: str) -> None:
    stored.folder.mkdir()
    others = [".gitignore", ".notes.json-abcdefgh", f".{CELL}.json.swp"]
    for name in others:
        (stored.folder / name).write_text("mine")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, how], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert len(names(stored.folder)) == len(others) + 1
    stored.record(result(OTHER.id, 1.0))
    assert names(stored.folder) == sorted([*others, f"{OTHER}.json", f"{OTHER}.npz", "recorded.txt"])

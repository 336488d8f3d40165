"""The store: whole or not at all, checked when read, computed once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_fmtransfer.store import MANIFEST, Store, write_atomically

KEY = "ab12"

# Announces itself, then asks for one entry; computing it takes until `wanted` processes have asked.
ASKER = """
import sys, time
from pathlib import Path
from pytest_fmtransfer.store import Store

root, signs, wanted = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def compute(entry):
    with (signs / "log").open("a") as log:
        log.write("computed\\n")
    (entry / "half.txt").write_text("half")
    deadline = time.monotonic() + 20
    while len(list(signs.glob("*.asks"))) < wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    (entry / "value.txt").write_text("whole")

(signs / f"{sys.argv[4]}.asks").touch()
entry, fresh = Store(root=root).fetch("things", "ab12", compute, about={})
print((entry / "value.txt").read_text(), fresh)
"""


def write(text: str) -> Callable[[Path], None]:
    def compute(entry: Path) -> None:
        (entry / "value.txt").write_text(text)

    return compute


def ask(root: Path, signs: Path, *, name: str, wanted: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", ASKER, str(root), str(signs), str(wanted), name]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def leftovers(store: Store) -> list[Path]:
    return [path for path in store.place("things", KEY).parent.iterdir() if path.name != KEY]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


def test_an_entry_is_computed_once_and_then_found(store: Store) -> None:
    entry, fresh = store.fetch("things", KEY, write("first"), about={})
    again, fresh_again = store.fetch("things", KEY, write("second"), about={})
    assert (fresh, fresh_again) == (True, False)
    assert entry == again == store.load("things", KEY)
    assert (again / "value.txt").read_text() == "first"


def test_kinds_and_keys_are_kept_apart(store: Store) -> None:
    for kind, key in (("things", KEY), ("things", "ab13"), ("others", KEY)):
        store.fetch(kind, key, write(kind + key), about={})
    assert [(path / "value.txt").read_text() for path in store.entries("things")] == ["thingsab12", "thingsab13"]
    assert [(path / "value.txt").read_text() for path in store.entries("others")] == ["othersab12"]


def test_an_entry_says_what_it_is_about(store: Store) -> None:
    entry, _ = store.fetch("things", KEY, write("x"), about={"dataset": "br35h"})
    assert json.loads((entry / MANIFEST).read_text())["about"] == {"dataset": "br35h"}


def test_a_computation_that_raises_leaves_nothing(store: Store) -> None:
    def compute(entry: Path) -> None:
        write("half")(entry)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.fetch("things", KEY, compute, about={})
    assert store.load("things", KEY) is None
    assert list(store.entries("things")) == []
    assert leftovers(store) == []


def flip_a_byte(entry: Path) -> None:
    data = bytearray((entry / "value.txt").read_bytes())
    data[-1] ^= 1
    (entry / "value.txt").write_bytes(data)


def truncate_the_manifest(entry: Path) -> None:
    (entry / MANIFEST).write_bytes((entry / MANIFEST).read_bytes()[:-20])


def empty_the_manifest(entry: Path) -> None:
    (entry / MANIFEST).write_bytes(b"")


def delete_a_file(entry: Path) -> None:
    (entry / "value.txt").unlink()


@pytest.mark.parametrize("damage", [flip_a_byte, truncate_the_manifest, empty_the_manifest, delete_a_file])
def test_a_damaged_entry_is_computed_again_with_one_warning(store: Store, damage: Callable[[Path], None]) -> None:
    entry, _ = store.fetch("things", KEY, write("value"), about={})
    damage(entry)
    with pytest.warns(UserWarning, match="it is computed again") as warned:
        again, fresh = store.fetch("things", KEY, write("value"), about={})
    assert len(warned) == 1
    assert str(entry) in str(warned[0].message)
    assert fresh
    assert (again / "value.txt").read_text() == "value"
    assert store.load("things", KEY) == entry  # and is sound from now on: no warning, which would be an error


def test_an_entry_without_its_manifest_is_none(store: Store) -> None:
    entry, _ = store.fetch("things", KEY, write("old"), about={})
    (entry / MANIFEST).unlink()
    again, fresh = store.fetch("things", KEY, write("new"), about={})
    assert fresh
    assert (again / "value.txt").read_text() == "new"


def test_two_processes_that_ask_for_one_entry_compute_it_once(store: Store, tmp_path: Path) -> None:
    asking = [ask(store.root, tmp_path, name=name, wanted=2) for name in ("one", "two")]
    answers = sorted(process.communicate(timeout=40)[0] for process in asking)
    assert answers == ["whole False\n", "whole True\n"]
    assert (tmp_path / "log").read_text() == "computed\n"


def test_a_killed_computation_leaves_no_entry_and_the_next_call_finishes(store: Store, tmp_path: Path) -> None:
    process = ask(store.root, tmp_path, name="one", wanted=2)
    deadline = time.monotonic() + 20
    while not (tmp_path / "log").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=20)
    assert len(leftovers(store)) == 1
    assert store.load("things", KEY) is None
    entry, fresh = store.fetch("things", KEY, write("whole"), about={})
    assert fresh
    assert (entry / "value.txt").read_text() == "whole"
    assert leftovers(store) == []


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomically(path, b"old and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_writing_leaves_the_old_content(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "file.json"
    write_atomically(path, b"old")
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pytest_fmtransfer.store import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"  # the disk is full after 1000 bytes
        "write_atomically(Path(sys.argv[1]), bytes(100_000))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "OSError" in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

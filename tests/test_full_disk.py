"""A disk that is full at any moment is one sentence: no signal, no internal error, nothing half-written.

Each test fills a file system of its own, mounted in a user's name space (Linux; `unshare` of util-linux).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from pytest_fmtransfer import Places
from pytest_fmtransfer.disk import new_array, take_room
from pytest_fmtransfer.errors import StorageError
from tests.test_unwritable import CONFTEST, SUITE

MOUNT = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount() -> bool:
    probe = [*MOUNT, "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


needs_mount = pytest.mark.skipif(not can_mount(), reason="nothing can be mounted here: unshare -rm")

ROUNDS = """
import shutil, sys, warnings
from pathlib import Path
import pytest_fmtransfer._transfer, pytest_fmtransfer.adapt.knn
from pytest_fmtransfer import Places, transfer
from pytest_fmtransfer.errors import StorageError
from tests.small import catalogue

warnings.simplefilter("error")
disk, weights, data, regime = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
places, ballast = Places(store=disk / "store", weights=weights, data_root=data), disk / "ballast"
refused, done = 0, None
free = 0
while done is None:  # a disk that holds a little more each time is full a little later each time
    with ballast.open("wb") as stream:
        room = shutil.disk_usage(disk).free - free
        try:
            stream.write(bytes(max(0, room)))
        except OSError:
            pass
    try:
        done = transfer(f"tiny-stripes-{regime}", registry=catalogue(), places=places)
    except StorageError as error:
        assert "make room, or name another folder: --fm-store=DIR" in str(error), error
        refused += 1
    ballast.unlink()
    left = [each for each in (disk / "store").rglob("*") if each.name.startswith(".") and each.is_dir()]
    assert not left, left
    free += int(sys.argv[5])
print("REFUSED", refused, "MEAN", done.mean, *done.scores_SNC.ravel().tolist()[:3])
"""


@needs_mount
@pytest.mark.parametrize(("regime", "step"), [("knn", 40_000), ("frozen_linear", 360_000)])
def test_a_cell_on_a_disk_that_fills_up_is_refused_until_it_fits(regime: str, step: int, small: Places) -> None:
    script = (
        f'mount -t tmpfs -o size=24m tmpfs /mnt && exec "$@" /mnt "{small.weights}" "{small.data_root}" {regime} {step}'
    )
    command = [*MOUNT, "sh", "-c", script, "sh", sys.executable, "-c", ROUNDS]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1], timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]  # a signal would be below 0
    words = done.stdout.split()
    assert int(words[words.index("REFUSED") + 1]) >= 3
    from pytest_fmtransfer import transfer
    from tests.small import catalogue

    undisturbed = transfer(f"tiny-stripes-{regime}", registry=catalogue(), places=small)
    assert float(words[words.index("MEAN") + 1]) == pytest.approx(undisturbed.mean, abs=1e-9)


REPORT = """
cd "$1" && mount -t tmpfs -o size=64k tmpfs report
exec "$2" -m pytest -p no:cacheprovider -q --fm-report=json:report/fm.json \\
    --fm-weights="$3" --fm-data-root="$4" --fm-store="$5"
"""
FILLS_UP = """

@pytest.fixture(autouse=True)
def something_else_that_fills_the_disk():
    yield
    with open("report/ballast", "wb", buffering=0) as stream:
        try:
            stream.write(bytes(65536))
        except OSError:
            pass
"""


@needs_mount
def test_a_report_that_does_not_fit_is_one_sentence(pytester: pytest.Pytester, small: Places) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(dedent(SUITE) + FILLS_UP)
    (pytester.path / "report").mkdir()
    given = [str(pytester.path), sys.executable, str(small.weights), str(small.data_root), str(small.store)]
    done = subprocess.run(
        [*MOUNT, "sh", "-c", REPORT, "sh", *given],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    told = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, told
    assert "1 passed" in told
    assert "is full: 0." in told
    assert "name another file: --fm-report=json:FILE" in told
    assert "INTERNALERROR" not in told
    assert "Traceback" not in told


def test_a_file_has_all_of_its_blocks_before_it_is_mapped(tmp_path: Path) -> None:
    mapped = new_array(tmp_path / "array.npy", np.float32, (1000, 1000))
    assert (tmp_path / "array.npy").stat().st_blocks * 512 >= mapped.nbytes
    assert not mapped.any()


@pytest.mark.parametrize("number", [28, 122])
def test_an_array_that_does_not_fit_leaves_no_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match=r"is full: 4\.0 MB are needed, .* free; make room, or name another folder"):
        new_array(tmp_path / "array.npy", np.float32, (1000, 1000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [22, 95])
def test_where_blocks_cannot_be_reserved_they_are_written(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(number, "not supported")

    monkeypatch.setattr("os.posix_fallocate", unknown, raising=False)
    file = tmp_path / "array.npy"
    mapped = new_array(file, np.uint8, (3_000_001,))
    assert file.stat().st_blocks * 512 >= mapped.nbytes
    mapped[:] = 7
    mapped.flush()
    take_room(file)
    assert (np.load(file) == 7).all()

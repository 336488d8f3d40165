"""A place that cannot be written is one sentence and exit code 4, never an internal error.

The tests run as root too, who may write everywhere: the places are files, or below a file, or in a file system of the
kernel's.
"""

import os
from pathlib import Path

import pytest

from pytest_fmtransfer import Places, transfer
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import StorageError
from pytest_fmtransfer.store import Store
from tests.small import catalogue

SUITE = """
    import pytest

    @pytest.mark.fm_cells(backbones=["tiny"], datasets=["stripes"], regimes=["knn"])
    def test_one(candidate):
        assert candidate.mean > 0
"""
CONFTEST = """
    import pytest

    @pytest.hookimpl(optionalhook=True)
    def pytest_fmtransfer_register(registry):
        from tests.small import register
        register(registry)
"""


def bad_places(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "file").write_text("not a folder")
    kernel = {"kernel": Path("/proc/nope/store")} if Path("/proc").is_dir() else {}
    return {"file": tmp_path / "file", "below": tmp_path / "file" / "store", **kernel}


@pytest.fixture(params=["file", "below", "kernel"])
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    places = bad_places(tmp_path)
    if request.param not in places:
        pytest.skip("there is no /proc on this system")
    return places[request.param]


@pytest.fixture
def suite(pytester: pytest.Pytester, small: Places) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(SUITE)
    return pytester


def run(suite: pytest.Pytester, small: Places, *options: str) -> pytest.RunResult:
    return suite.runpytest(f"--fm-weights={small.weights}", f"--fm-data-root={small.data_root}", *options)


def check(result: pytest.RunResult, *words: str) -> None:
    lines = [*result.errlines, *result.outlines]
    assert result.ret == pytest.ExitCode.USAGE_ERROR, "\n".join(lines)
    assert not any("INTERNALERROR" in line or "Traceback" in line for line in lines)
    assert [line for line in lines if all(word in line for word in words)], "\n".join(lines)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "workers"])
def test_a_store_that_cannot_be_written(
    bad: Path, suite: pytest.Pytester, small: Places, workers: tuple[str, ...]
) -> None:
    check(run(suite, small, f"--fm-store={bad}", *workers), f"--fm-store {bad} cannot be written", "--fm-store=DIR")


def test_why_a_file_is_no_store_is_said(suite: pytest.Pytester, small: Places, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("not a folder")
    for store in (file, file / "store"):
        check(run(suite, small, f"--fm-store={store}"), f"{store} cannot be written ({file} is a file, not a folder);")


def test_a_plan_writes_to_the_store_too(bad: Path, suite: pytest.Pytester, small: Places) -> None:
    check(run(suite, small, f"--fm-store={bad}", "--fm-plan"), f"--fm-store {bad} cannot be written")
    assert run(suite, small, f"--fm-store={bad}", "--collect-only").ret == pytest.ExitCode.OK


def test_a_home_that_cannot_be_written(
    bad: Path, suite: pytest.Pytester, small: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FMTRANSFER_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(bad))
    if Places.from_environment().store.is_relative_to(bad):
        check(run(suite, small), f"the store, in the user's cache, {bad / 'fmtransfer'}", "FMTRANSFER_STORE")


def test_a_session_without_cells_does_not_mind(bad: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    assert pytester.runpytest(f"--fm-store={bad}").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("kind", ["markdown", "json", "csv"])
def test_a_report_that_cannot_be_written(kind: str, bad: Path, suite: pytest.Pytester, small: Places) -> None:
    check(
        run(suite, small, f"--fm-report={kind}:{bad / 'report'}"), f"--fm-report={kind}: cannot write {bad / 'report'}"
    )


def test_an_export_that_cannot_be_written(bad: Path, suite: pytest.Pytester, small: Places) -> None:
    check(run(suite, small, f"--fm-export={bad}"), f"--fm-export={bad}", "name a folder that you may write to")


def test_in_python_and_on_the_command_line_it_is_our_error(
    bad: Path, small: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(store=bad, weights=small.weights, data_root=small.data_root)
    with pytest.raises(StorageError, match=r"cannot write to .*--fm-store=DIR or FMTRANSFER_STORE"):
        transfer("tiny-stripes-knn", registry=catalogue(), places=places)
    monkeypatch.setenv("FMTRANSFER_STORE", str(bad))
    assert main(["audit", "br35h"]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_a_lock_that_is_a_folder_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "locks" / "things-key.lock").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot write to .*things-key\.lock"):
        Store(root=tmp_path).fetch("things", "key", lambda entry: None, about={})


def test_an_error_about_another_path_stays_what_it_is(tmp_path: Path) -> None:
    def compute(entry: Path) -> None:
        (tmp_path / "data" / "absent.png").read_bytes()

    with pytest.raises(FileNotFoundError):
        Store(root=tmp_path / "store").fetch("things", "key", compute, about={})
    assert os.listdir(tmp_path / "store" / "things" / "ke") == []

"""Nothing but --fm-update writes where baselines lie; a run that proves nothing says so. Synthetic results."""

import json
from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

CELL = "shortcut.metadata-br35h-knn"

SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn"])
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test whose baseline is not what is measured: it is red."""
    sub = pytester.mkdir("suite")
    (sub / "test_it.py").write_text(SUITE)
    Baselines(folder=sub / "baselines").write(as_declared(CELL, 1.5))
    pytester.mkdir("elsewhere")
    (pytester.path / "link").symlink_to(sub / "baselines", target_is_directory=True)
    return pytester


def state(suite: pytest.Pytester) -> dict[Path, bytes]:
    """Every file but pytest's own."""
    files = (path for path in suite.path.rglob("*") if path.is_file() and path.name not in ("stdout", "stderr"))
    return {path: path.read_bytes() for path in files if not {".pytest_cache", "__pycache__"} & {*path.parts}}


@pytest.mark.parametrize(
    "folder",
    [
        "suite/baselines",
        "suite/baselines/",
        "elsewhere/../suite/baselines",
        "link",
        "link/deeper",
        "suite/baselines/deeper",
        "suite",
        ".",
    ],
)
@pytest.mark.parametrize("on_ci", [False, True], ids=["here", "CI"])
def test_an_export_among_baselines_is_refused_before_anything_is_written(
    suite: pytest.Pytester, folder: str, on_ci: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_ci:
        monkeypatch.setenv("CI", "1")
    before = state(suite)
    result = suite.runpytest("suite", f"--fm-export={folder}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--fm-export=*: baselines lie in suite/baselines, and --fm-update alone*"])
    assert state(suite) == before


def test_one_error_is_enough_for_a_folder_that_a_test_and_a_list_name(suite: pytest.Pytester) -> None:
    Baselines(folder=suite.path / "suite" / "baselines").record(as_declared(CELL, 1.5))
    for folder in ("suite/baselines", "suite/baselines/deeper", "suite"):
        result = suite.runpytest("suite", f"--fm-export={folder}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert len([line for line in result.errlines if "--fm-export" in line]) == 1


def test_the_folder_of_the_ini_value_and_one_of_another_profile(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nfm_baselines = kept\n")
    for options in (["--fm-export=kept"], ["--fm-export=kept/smoke"], ["--fm-export=kept", "--fm-profile=smoke"]):
        result = suite.runpytest("suite", *options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*baselines lie in kept,*"])


def test_baselines_of_tests_that_are_not_collected_are_known_by_their_list(suite: pytest.Pytester) -> None:
    other = suite.path / "other" / "held"
    Baselines(folder=other).record(as_declared(CELL, 1.5))
    result = suite.runpytest("suite", "--fm-export=other/held/new")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{other} holds baselines, as its recorded.txt says*"])


@pytest.mark.parametrize("option", [f"--fm-report=json:suite/baselines/{CELL}.json", "--fm-store=link/store"])
def test_reports_and_the_store_lie_elsewhere_too(suite: pytest.Pytester, option: str) -> None:
    before = state(suite)
    result = suite.runpytest("suite", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*baselines lie in suite/baselines, and --fm-update alone writes there; name another"])
    assert state(suite) == before


def test_workers_tell_the_controller(suite: pytest.Pytester) -> None:
    before = state(suite)
    result = suite.runpytest_subprocess("suite", "-n", "2", "--fm-export=suite/baselines")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*baselines lie in suite/baselines*"])
    assert state(suite) == before


@pytest.mark.parametrize("folder", ["suite/baselines", "link", "elsewhere/../suite/baselines"])
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_what_is_collected_from_the_baselines_proves_nothing(
    suite: pytest.Pytester, folder: str, workers: tuple[str, ...]
) -> None:
    run = suite.runpytest_subprocess if workers else suite.runpytest
    result = run("suite", f"--fm-collect={folder}", *workers)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["fmtransfer: --fm-collect=* is where baselines lie: *this run proves nothing;*"])


def test_what_is_collected_from_elsewhere_needs_no_note(suite: pytest.Pytester) -> None:
    Baselines(folder=suite.path / "elsewhere").write(as_declared(CELL, 1.5))
    result = suite.runpytest("suite", "--fm-collect=elsewhere")
    result.assert_outcomes(passed=1)
    assert "proves nothing" not in result.stdout.str()


@pytest.mark.parametrize("option", ["--fm-plan", "--fm-claims", "--collect-only"])
def test_a_list_that_is_to_measure_proves_nothing(suite: pytest.Pytester, option: str) -> None:
    result = suite.runpytest("suite", option, "--fm-require=3")
    result.stdout.fnmatch_lines(["fmtransfer: --fm-require=3 asks nothing of a run that only lists*proves nothing"])
    assert "proves nothing" not in suite.runpytest("suite", option).stdout.str()


def test_update_still_writes_there(suite: pytest.Pytester) -> None:
    """Real images."""
    suite.runpytest("suite", "--fm-update=all", "--fm-export=out").assert_outcomes(passed=1)
    kept = suite.path / "suite" / "baselines" / f"{CELL}.json"
    assert json.loads(kept.read_text())["scores"] == json.loads((suite.path / "out" / kept.name).read_text())["scores"]

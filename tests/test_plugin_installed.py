"""A suite of an installed package leaves the package as it is. `.ci/wheel` runs that of the wheel."""

import os
from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

KNN = "shortcut.metadata-br35h-knn"
SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn"])
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""


def record(folder: Path, signal: float) -> None:
    Baselines(folder=folder).write(as_declared(KNN, signal))


@pytest.fixture(params=["site-packages", "dist-packages"])
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The folder of an installed suite, beside a project of the user's."""
    suite = pytester.path / "lib" / request.param / "theirs" / "suites"
    suite.mkdir(parents=True)
    for folder in (suite, suite.parent):
        (folder / "__init__.py").touch()
    (suite / "test_it.py").write_text(SUITE)
    record(suite / "baselines", 1.5)
    (pytester.path / "project").mkdir()
    monkeypatch.chdir(pytester.path / "project")
    monkeypatch.setenv("PYTHONPATH", str(suite.parents[1]), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return suite


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--pyargs", "theirs.suites", *options)


@pytest.mark.parametrize(("obtained", "outcome"), [(1.5, "passed"), (0.5, "failed")])
def test_nothing_is_written_there_whatever_a_run_comes_to(
    installed: Path, pytester: pytest.Pytester, obtained: float, outcome: str
) -> None:
    record(pytester.path / "project" / "out", obtained)
    before = files(installed)
    result = run(pytester, "--fm-collect=out")
    assert result.parseoutcomes() == {outcome: 1}
    assert files(installed) == before
    if outcome == "failed":
        result.stdout.fnmatch_lines(["*not kept beside baselines of an installed package*-o fm_baselines=DIR*"])


def test_baselines_are_recorded_in_a_folder_of_the_users(installed: Path, pytester: pytest.Pytester) -> None:
    record(pytester.path / "project" / "out", 0.5)
    before = files(installed)
    refused = run(pytester, "--fm-collect=out", "--fm-update=changed")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(
        ["*--fm-update: baselines lie in *packages*theirs*baselines, *installed package*-o fm_baselines=DIR*"]
    )
    assert files(installed) == before
    run(pytester, "--fm-collect=out", "--fm-update=changed", "-o", "fm_baselines=ours").assert_outcomes(passed=1)
    assert files(installed) == before
    assert f"{KNN}.json" in files(pytester.path / "project" / "ours")

"""A worker of pytest-xdist that dies ends the run: in time, with an error of its item, and with a report."""

import json

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

CELL, OTHER = "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"
SUITE = """
import os
import pytest


@pytest.mark.xdist_group("dying")
def test_dies():
    os._exit(3)  # as a system does that has no memory left


@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["br35h"], regimes=["knn"], reference="efficientnet_lite0")
@pytest.mark.fm_claim(family_size=1)
def test_not_worse(candidate, reference):
    assert candidate.not_worse_than(reference, margin=0.08)
"""
LIMIT = 300  # seconds, for what takes ten; without a remedy it never ends


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    for cell, signal in ((CELL, 3.0), (OTHER, 1.0)):
        Baselines(folder=pytester.path / "out").write(as_declared(cell, signal))
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    workers = ("-n", "2", "--dist", "loadgroup")
    return suite.runpytest_subprocess("--fm-collect=out", *workers, *options, timeout=LIMIT)


def test_the_run_ends_with_an_error_of_the_item_and_a_report(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    result = run(suite, "--fm-report=json:r.json", "--fm-report=github")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*crashed while running 'test_suite.py::test_dies*", "::error file=test_suite.py*"])
    report = json.loads((suite.path / "r.json").read_text(encoding="utf-8"))
    assert [cell["cell"] for cell in report["cells"]] == [OTHER, CELL]
    assert [claim["outcome"] for claim in report["claims"]] == ["supported"]


@pytest.mark.parametrize(
    ("options", "restarts"),
    [
        (("--dist", "loadgroup"), "0"),
        (("--dist", "loadgroup", "--max-worker-restart=3"), "3"),
        (("--dist", "load"), "None"),
        ((), "None"),
    ],
    ids=["groups", "told otherwise", "no groups", "plain"],
)
def test_only_the_mode_that_hangs_is_changed_and_only_where_nobody_says(
    suite: pytest.Pytester, options: tuple[str, ...], restarts: str
) -> None:
    suite.makeconftest("def pytest_report_header(config):\n    return f'restarts {config.option.maxworkerrestart}'\n")
    result = suite.runpytest_subprocess("-n", "2", *options, "-k", "nothing", timeout=LIMIT)
    result.stdout.fnmatch_lines([f"restarts {restarts}"])

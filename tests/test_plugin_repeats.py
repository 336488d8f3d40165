"""A test that is run again, or several times, counts once, by its last attempt. What is judged is synthetic."""

import json
from typing import Any

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

SUITE = """
import pytest

COUNT = 0


@pytest.mark.fm_cells(
    backbones=["mobilenetv2", "efficientnet_lite1"], datasets=["br35h"], regimes=["knn"], reference="efficientnet_lite0"
)
@pytest.mark.fm_claim(family_size=2)
def test_it(candidate, reference):
    global COUNT
    COUNT += 1
    assert candidate.beats(reference)
    assert COUNT > {flaky}
"""
SIGNALS = {"mobilenetv2": 1.0, "efficientnet_lite1": 0.9, "efficientnet_lite0": 0.3}
REPEATING = {
    "reruns": ("--reruns=3",),
    "retry": ("--retries=3",),
    "repeat": ("--count=3",),
    "repeat over a session": ("--count=3", "--repeat-scope=session"),
    "flake-finder": ("--flake-finder", "--flake-runs=3"),
}


def report(pytester: pytest.Pytester, *options: str, flaky: int = 0) -> tuple[dict[str, Any], dict[str, int]]:
    """The JSON report, and the outcomes; in a process of its own, which pytest-retry needs."""
    for seed, (backbone, signal) in enumerate(SIGNALS.items()):
        Baselines(folder=pytester.path / "out").write(as_declared(f"{backbone}-br35h-knn", signal, seed=seed))
    pytester.makepyfile(test_suite=SUITE.format(flaky=flaky))
    done = pytester.runpytest_subprocess("--fm-collect=out", "--fm-report=json:r.json", *options)
    assert done.ret == pytest.ExitCode.OK, done.stdout.str()
    return json.loads((pytester.path / "r.json").read_text()), done.parseoutcomes()


def compared(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("cells", "claims", "tellings", "datasets")}


@pytest.mark.parametrize("options", REPEATING.values(), ids=REPEATING.keys())
@pytest.mark.parametrize("workers", ["0", "2"])
def test_rows_family_and_p_are_as_without_them(
    pytester: pytest.Pytester, options: tuple[str, ...], workers: str
) -> None:
    once, _ = report(pytester)
    again, _ = report(pytester, *options, "-n", workers)
    assert compared(again) == compared(once)
    assert [(claim["family_size"], claim["p_holm"] < 1) for claim in again["claims"]] == [(2, True), (2, True)]


@pytest.mark.parametrize("options", [REPEATING["reruns"], REPEATING["retry"]], ids=["reruns", "retry"])
def test_of_a_flaky_test_the_last_attempt_counts(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    once, _ = report(pytester)
    again, outcomes = report(pytester, *options, flaky=2)
    assert outcomes["passed"] == 2
    assert set(outcomes) & {"rerun", "retried"}
    assert compared(again) == compared(once)


def test_parameters_that_a_test_asks_for_are_claims_of_their_own(pytester: pytest.Pytester) -> None:
    """A plugin that repeats tests adds one that nothing asks for."""
    suite = SUITE.format(flaky=0).replace("(candidate, reference)", "(candidate, reference, margin)")
    suite = suite.replace(
        "@pytest.mark.fm_claim", "@pytest.mark.parametrize('margin', [0.01, 0.02])\n@pytest.mark.fm_claim"
    )
    pytester.makepyfile(test_suite=suite)
    for options in ((), ("--count=2",)):
        result = pytester.runpytest("--co", "-q", *options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "has 4 claims and declares 2" in result.stderr.str()

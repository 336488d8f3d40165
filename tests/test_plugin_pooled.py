"""`fm_cells(pooled=True)`: the seeded cells of a test, held against their baselines together, through the plugin."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.results import Result

# Regimes that say they depend on a seed, and do not: the new seed's value is known.
NAMES = ("one", "two", "three", "four", "five", "six")
CONFTEST = f"""
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec


def pytest_fmtransfer_register(registry):
    for name in {NAMES}:
        registry.register(
            RegimeSpec(
                name=name, settings=KnnSettings(), seeded=True, tolerance=1e-3, metric_tolerance=1e-6, summary=""
            )
        )
"""
SUITE = f"""
import pytest

@pytest.mark.fm_cells(
    backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn", *{NAMES}], pooled=True
)
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""
SPREAD = 0.01  # of the recorded seeds' metric


def with_values(result: Result, values: Sequence[float]) -> Result:
    """The result at ten seeds, whose metric is each of the values: scores of the true class are raised so far."""
    raised_R = np.linspace(-2, 2, 201)
    true_NC = np.eye(2)[result.labels_N]

    def at(raised: NDArray[np.float64]) -> Result:
        scores_SNC = (result.scores_SNC[0] + raised[:, None, None] * true_NC).astype(np.float32)
        chosen = (result.chosen[0],) * len(raised)
        return replace(result, scores_SNC=scores_SNC, seeds=tuple(range(len(raised))), chosen=chosen)

    return at(np.interp(values, at(raised_R).by_seed, raised_R))


@pytest.fixture
def suite(pytester: pytest.Pytester, places: Places) -> pytest.Pytester:
    """Six seeded cells that are all down by 1.6 of their seeds' spreads since their baselines, each of them unseen."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    stored = Baselines(folder=pytester.path / "baselines", locks=places.store / "locks")
    registry = Registry()
    for name in NAMES:
        spec = RegimeSpec(
            name=name, settings=KnnSettings(), seeded=True, tolerance=1e-3, metric_tolerance=1e-6, summary=""
        )
        registry.register(spec)
    record(stored, registry, places, down=1.6)
    stored.write(transfer(Cell.parse("shortcut.metadata-br35h-knn"), places=places))
    return pytester


def record(stored: Baselines, registry: Registry, places: Places, down: float) -> None:
    for at, name in enumerate(NAMES):
        now = transfer(Cell.parse(f"shortcut.metadata-br35h-{name}"), registry=registry, places=places)
        noise_R = np.random.default_rng(at).permutation(np.linspace(-1.5, 1.5, 10))
        values_R = now.mean + SPREAD * (noise_R / noise_R.std(ddof=1) + down)
        versions = {**now.subject["versions"], "numpy": "1.0"}
        stored.write(replace(with_values(now, values_R.tolist()), subject={**now.subject, "versions": versions}))


TOGETHER = (
    "fmtransfer: test_suite.py::test_unchanged: drifted, 6 cells together: worse by 1.? standard deviations of their "
    "seeds (p *); they share: numpy 1.0 → *; accept the new values of all: the same command with --fm-update=all; *"
)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_no_item_shows_ends_the_session_red(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    run = suite.runpytest_subprocess if options else suite.runpytest
    result = run("--fm-report=github", "--fm-report=json:report.json", "--fm-report", *options)
    result.assert_outcomes(passed=7)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([TOGETHER])
    result.stdout.fnmatch_lines(["::error file=*test_suite.py,title=test_unchanged%3A all cells together::drifted, 6*"])
    result.stdout.fnmatch_lines(
        ["All seeded cells together, against their baselines", "", "test_suite.py::test_unchanged: drifted, 6 cells *"]
    )
    [pool] = json.loads((suite.path / "report.json").read_text())["pools"]
    assert (pool["outcome"], pool["cells"], pool["judged"]) == ("refuted", 6, 6)
    assert pool["p"] <= 0.01


def test_a_selection_is_not_judged_and_stays_green(suite: pytest.Pytester) -> None:
    result = suite.runpytest("-k", "knn or one or two or three")
    result.assert_outcomes(passed=4, deselected=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["fmtransfer: test_suite.py::test_unchanged: not judged together: 3 of 6 cells were judged"]
    )


def test_all_are_accepted_at_once(suite: pytest.Pytester) -> None:
    assert suite.runpytest("--fm-update=all").ret == pytest.ExitCode.OK
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_unchanged: unchanged together: 0 of 6 cells moved at all"])


def test_what_is_recorded_can_be_judged_together_too(suite: pytest.Pytester) -> None:
    (suite.path / "test_suite.py").write_text(
        "import pytest\n\n@pytest.mark.fm_cells(recorded=True, pooled=True)\n"
        "def test_unchanged(candidate, baseline):\n    assert candidate.unchanged_from(baseline)\n"
    )
    result = suite.runpytest()
    result.assert_outcomes(passed=7)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([TOGETHER])


def test_it_is_asked_for(suite: pytest.Pytester) -> None:
    (suite.path / "test_suite.py").write_text(SUITE.replace(", pooled=True", ""))
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*together*")


@pytest.mark.parametrize(
    ("mark", "fixtures", "told"),
    [
        ("pooled='yes'", "candidate, baseline", "fm_cells(pooled='yes'): give True or False"),
        ("pooled=True", "candidate", "fm_cells(pooled=True) is about baselines; ask for `baseline`, or leave it out"),
        (
            "pooled=True, over='datasets'",
            "candidates",
            "fm_cells(pooled=True) is about cells that have a baseline each; leave out over",
        ),
    ],
)
def test_a_mark_that_cannot_pool_is_refused(pytester: pytest.Pytester, mark: str, fixtures: str, told: str) -> None:
    pytester.makepyfile(
        "import pytest\n\n"
        f"@pytest.mark.fm_cells(backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn'], {mark})\n"
        f"def test_it({fixtures}):\n    pass\n"
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert told in result.stdout.str()

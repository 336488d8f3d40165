"""`fm_cells(recorded=True)` and suites/regression: a test for every baseline that is there, and no other."""

from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.plugin.asked import cells_asked_for
from tests.helpers import as_declared, collected
from tests.test_light import HEAVY, ROOT, modules_after

KNN, PROBE = "shortcut.metadata-br35h-knn", "shortcut.metadata-br35h-linear_probe"

SUITE = """
import pytest

@pytest.mark.fm_cells(recorded=True)
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def write(suite: pytest.Pytester, folder: str, **signals: float) -> Path:
    """Results of shortcut.metadata on br35h by regime, as pairs of files in a folder."""
    stored = Baselines(folder=suite.path / folder, locks=suite.path / "locks")
    for regime, signal in signals.items():
        stored.write(as_declared(f"shortcut.metadata-br35h-{regime}", signal))
    return stored.folder


def test_the_items_are_the_cells_that_are_recorded_in_their_order(suite: pytest.Pytester) -> None:
    folder = write(suite, "baselines", linear_probe=1.5, knn=1.5)
    for other in ("notes.json", "README.md", "efficientnet_lite0-br35h-knn.npz", "mobilenetv2-br35h-knn.obtained.json"):
        (folder / other).write_text("no record of a baseline")
    assert collected(suite) == [f"test_unchanged[{KNN}]", f"test_unchanged[{PROBE}]"]
    (folder / f"{KNN}.json").write_text("collecting opens no file")
    assert (
        collected(suite, "-k", "knn") == collected(suite, "-m", "fm_cell(regime='knn')") == [f"test_unchanged[{KNN}]"]
    )
    # Of the suite's, the users' neither join nor replace any.
    (suite.path / "w.pt").touch()
    assert len(collected(suite, "--fm-backbone=mine=timm:resnet18,weights=w.pt", "--fm-reference=mobilenetv2")) == 2


def test_each_is_held_against_its_own_baseline(suite: pytest.Pytester) -> None:
    write(suite, "baselines", knn=1.5, linear_probe=1.5)
    write(suite, "out", knn=1.5, linear_probe=1.5)
    suite.runpytest("--fm-collect=out").assert_outcomes(passed=2)
    write(suite, "out", linear_probe=0.5)
    result = suite.runpytest("--fm-collect=out", "--assert=plain")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"FAILED *test_unchanged?{PROBE}?*"])


def test_the_folder_is_that_of_the_ini_value_and_of_the_profile(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nfm_baselines = kept\n")
    write(suite, "baselines", knn=1.5)
    write(suite, "kept", linear_probe=1.5)
    write(suite, "kept/smoke", knn=1.5)
    assert collected(suite) == [f"test_unchanged[{PROBE}]"]
    assert collected(suite, "--fm-profile=smoke") == [f"test_unchanged[{KNN}]"]


def test_the_item_of_a_file_whose_cell_nobody_registered_fails_and_names_it(suite: pytest.Pytester) -> None:
    folder = write(suite, "baselines", knn=1.5)
    for stray in ("mobilnetv2-br35h-knn", "mobilenetv2-br35i-knn"):
        (folder / f"{stray}.json").touch()
    result = suite.runpytest()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*baselines/mobilenetv2-br35i-knn.json: unknown dataset 'br35i'; did you mean br35h*; register it in a "
            "conftest at or above test_suite.py::test_unchanged, *or remove the file and its .npz",
            "*baselines/mobilnetv2-br35h-knn.json: unknown backbone 'mobilnetv2'; did you mean mobilenetv2*",
        ]
    )


NOTE = (
    "fmtransfer: test_suite.py::test_unchanged: nothing is recorded in baselines, and so there is nothing to hold; "
    "record baselines: run the tests that ask for them with --fm-update=new"
)


@pytest.mark.parametrize("options", [(), ("--co", "-q"), ("-n", "1")], ids=["run", "list", "worker"])
def test_where_nothing_is_recorded_nothing_is_collected_and_a_sentence_says_so(
    suite: pytest.Pytester, options: tuple[str, ...]
) -> None:
    run = suite.runpytest_subprocess if "-n" in options else suite.runpytest
    result = run(*options)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.assert_outcomes()
    assert result.outlines.count(NOTE) == 1


def test_other_tests_are_run_beside_one_without_cells(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_suite=SUITE
        + "\n\ndef test_plain():\n    pass\n\n\nclass TestMore:\n    def test_more(self):\n        pass\n"
    )
    suite.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("recorded=True, regimes=['knn']", "takes no regimes; select among them with -k or -m"),
        ("recorded=True, over='datasets', reference='mobilenetv2'", "takes no over, reference"),
        ("recorded='all'", "fm_cells(recorded='all'): give True or False"),
        ("recorded=False", "fm_cells: backbones missing, datasets missing, regimes missing"),
    ],
)
def test_the_mark_stands_alone(suite: pytest.Pytester, mark: str, told: str) -> None:
    suite.makepyfile(test_suite=SUITE.replace("recorded=True", mark))
    write(suite, "baselines", knn=1.5)
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    assert told in result.stdout.str()


def test_it_keeps_no_baseline_from_being_pruned(suite: pytest.Pytester) -> None:
    folder = write(suite, "baselines", knn=1.5, linear_probe=1.5)
    suite.makepyfile(
        test_named=SUITE.replace(
            "recorded=True", "backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn']"
        )
    )
    (folder / "mobilnetv2-br35h-knn.json").touch()  # what nobody registered is there to be pruned, and stops nothing
    assert cells_asked_for(["test_suite.py", "test_named.py"]) == {Cell.parse(KNN)}
    with pytest.raises(InvalidInput, match=r"pytest collects no tests from test_suite\.py"):
        cells_asked_for(["test_suite.py"])  # or every baseline would go


def test_the_regression_suite_is_about_every_baseline_of_this_repository_and_collects_lightly() -> None:
    imported, told = modules_after("suites/regression", "--co", "-q", "-p", "no:cacheprovider")
    names = sorted(path.stem for path in (ROOT / "suites" / "baselines").glob("*.json") if "obtained" not in path.name)
    listed = [line.partition("[")[2].rstrip("]") for line in told.splitlines() if "::test_unchanged[" in line]
    assert sorted(listed) == names
    assert len(names) >= 20
    assert not imported & {*HEAVY, "pandas", "sklearn", "scipy", "numpy", "pydicom"}

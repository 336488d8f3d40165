"""Several folders of --fm-collect are one; what has no row here, or another backbone, is told. Synthetic results."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.exports import merged
from pytest_fmtransfer.places import Places
from tests.helpers import as_declared

KNN, PROBE = "shortcut.metadata-br35h-knn", "shortcut.metadata-br35h-linear_probe"
STRAY = "my.net-br35h-knn"

SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn", "linear_probe"])
def test_it(candidate):
    assert candidate.mean > 0.6
"""


def write(folder: Path, cell: str, signal: float = 1.5, **more: Any) -> None:
    Baselines(folder=folder).write(as_declared(cell, signal, **more))


def stray(folder: Path) -> None:
    """A result of a backbone that nobody has registered here."""
    result = as_declared("mobilenetv2-br35h-knn", 1.5)
    Baselines(folder=folder).write(replace(result, cell=Cell.parse(STRAY)))


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    write(pytester.path / "one", KNN)
    write(pytester.path / "two", PROBE)
    return pytester


def found(*folders: Path, cell: str = KNN, places: Places | None = None) -> Any:
    own = places or Places(store=folders[0] / "store")
    return merged(Cell.parse(cell), folders, profile="ci", registry=Registry(), places=own)


def test_folders_are_merged_in_any_order(suite: pytest.Pytester) -> None:
    for one, two in permutations(("one", "two")):
        suite.runpytest(f"--fm-collect={one}", f"--fm-collect={two}").assert_outcomes(passed=2)
    result = suite.runpytest("--fm-collect=one", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    suite.runpytest_subprocess("-n", "2", "--fm-collect=one", "--fm-collect=two").assert_outcomes(passed=2)


def test_what_is_in_none_names_all(suite: pytest.Pytester) -> None:
    suite.mkdir("three")
    result = suite.runpytest("--fm-collect=one", "--fm-collect=three", "-rs")
    result.stdout.fnmatch_lines([f"SKIPPED*no exported result in {suite.path / 'one'} or {suite.path / 'three'}*"])


def test_equal_results_are_one_and_different_ones_an_error_that_names_both(suite: pytest.Pytester) -> None:
    write(suite.path / "two", KNN)
    suite.runpytest("--fm-collect=one", "--fm-collect=two").assert_outcomes(passed=2)
    write(suite.path / "two", KNN, 0.9)
    for order in permutations(("one", "two")):
        result = suite.runpytest(*(f"--fm-collect={each}" for each in order), "--assert=plain")
        result.assert_outcomes(passed=1, errors=1)
        files = [str(suite.path / each / f"{KNN}.json") for each in ("one", "two")]
        result.stdout.fnmatch_lines([f"{' and '.join(files)} hold different results of {KNN}: scores differ*"])


def test_what_differs_by_rounding_is_one_whatever_the_order(tmp_path: Path) -> None:
    whole = as_declared(KNN, 1.5)
    rounded = replace(whole, scores_SNC=np.nextafter(whole.scores_SNC, np.float32(9)))
    for folder, result in (("one", whole), ("two", rounded)):
        Baselines(folder=tmp_path / folder).write(result)
    first, second = (found(*(tmp_path / each for each in order)) for order in permutations(("one", "two")))
    assert first.scores_file() == second.scores_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels_N": 1 - as_declared(KNN, 1.5).labels_N}, "they are of other labels"),
        ({"subject": {**as_declared(KNN, 1.5).subject, "weights": "another"}}, "weights"),
        ({"question": replace(as_declared(KNN, 1.5).question, dataset_fingerprint="ffff")}, "dataset_fingerprint: "),
    ],
    ids=["labels", "weights", "dataset"],
)
def test_what_else_may_differ(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    cell = "mobilenetv2-br35h-knn" if "subject" in change else KNN
    whole = as_declared(cell, 1.5)
    for folder, result in (("one", whole), ("two", replace(whole, **change))):
        Baselines(folder=tmp_path / folder).write(result)
    with pytest.raises(BaselineError, match=r"different results of|another backbone") as caught:
        found(tmp_path / "one", tmp_path / "two", cell=cell)
    assert said in str(caught.value)


def test_one_folder_named_twice_is_one(suite: pytest.Pytester) -> None:
    (suite.path / "link").symlink_to(suite.path / "one", target_is_directory=True)
    suite.runpytest("--fm-collect=one", "--fm-collect=link", "--fm-collect=two").assert_outcomes(passed=2)


def test_each_folder_must_be_there(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-collect=one", "--fm-collect=nowhere", "--fm-collect=two")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "nowhere: no such folder" in result.stderr.str()


def test_a_result_without_a_row_is_a_usage_error_that_says_how_to_name_it(suite: pytest.Pytester) -> None:
    stray(suite.path / "two")
    both = ("--fm-collect=one", "--fm-collect=two")
    result = suite.runpytest(*both)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*--fm-collect: unknown backbone 'my.net'*{STRAY}.json is about; name it *--fm-collect-unknown=skip"]
    )
    named = suite.runpytest(*both, "--fm-backbone=my.net=timm:mobilenetv2_100")
    assert named.ret != pytest.ExitCode.USAGE_ERROR
    skipped = suite.runpytest(*both, "--fm-collect-unknown=skip")
    skipped.assert_outcomes(passed=2)
    skipped.stdout.fnmatch_lines(["fmtransfer: 1 collected result left out, by --fm-collect-unknown=skip*my.net*"])
    workers = suite.runpytest_subprocess("-n", "2", *both)
    assert workers.ret == pytest.ExitCode.USAGE_ERROR
    workers.stdout.fnmatch_lines(["*unknown backbone 'my.net'*"])


def test_what_else_the_option_may_say(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-collect=one", "--fm-collect-unknown=skp")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--fm-collect-unknown=skp: did you mean skip?" in result.stderr.str()


@pytest.mark.parametrize(
    ("cell", "subject", "said"),
    [
        ("mobilenetv2-br35h-knn", {"architecture": "resnet18"}, "architecture resnet18 → mobilenetv2_100"),
        ("mobilenetv2-br35h-knn", {"weights": "0123abcd"}, "weights 0123abcd → "),
        ("mobilenetv2-br35h-knn", {"weights": "random, seed 0"}, "→ learnt ones"),
        ("mobilenetv2.random-br35h-knn", {"weights": "0123abcd"}, "weights 0123abcd → random, seed 0"),
        (KNN, {"weights": "0123abcd"}, "weights 0123abcd → none"),
    ],
)
def test_another_backbone_in_the_name_of_a_row(
    cell: str, subject: dict[str, str], said: str, tmp_path: Path, places: Places
) -> None:
    """Its weights are here: its package is installed."""
    write(tmp_path, cell, subject=subject)
    with pytest.raises(BaselineError, match="was measured with another backbone than") as caught:
        found(tmp_path, cell=cell, places=places)
    assert said in str(caught.value)
    write(tmp_path, cell, subject={})
    assert found(tmp_path, cell=cell, places=places).cell == Cell.parse(cell)


def test_the_baselines_of_this_repository_are_of_their_rows(places: Places) -> None:
    """Measured on another machine, with the weights that the packages have here."""
    folder = Path(__file__).parents[1] / "suites" / "baselines"
    for cell in ("mobilenetv2-br35h-knn", "mobilenetv2.random-br35h-knn", KNN):
        assert found(folder, cell=cell, places=places).origin == "collected"

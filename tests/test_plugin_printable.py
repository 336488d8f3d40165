"""Text that is not ours in what a run prints: nothing in it is obeyed by a terminal, a CI runner or a page."""

import csv as csv_reader
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.results import Result
from tests.helpers import as_declared, labels_of, make_result, noisy_scores

HOSTILE = "\n::stop-commands::x\n\x1b[2J\r|<script>`a`[b](c)##[add-path]##vso[x]\u202e\u2028\x9b"
CLASSES = (f"ill{HOSTILE}", f"well{HOSTILE}")
UNIT = f"owner{HOSTILE}"
CELL, OTHER = "mobilenetv2-mine-knn", "efficientnet_lite0-mine-knn"

CONFTEST = f"""
from dataclasses import replace

def pytest_fmtransfer_register(registry):
    row = registry.dataset("br35h")
    registry.register(replace(
        row, name="mine", classes={CLASSES!r}, patient_unit={UNIT!r}, metric="average_precision", prompts=None,
        caveats=({HOSTILE!r},), acknowledged={{"class_too_small": {HOSTILE!r}}},
    ))
"""
CELLS = 'backbones=["mobilenetv2"], datasets=["mine"], regimes=["knn"]'
SUITE = f"""
import pytest
from pytest_fmtransfer import Published


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
@pytest.mark.fm_claim(family_size=1)
def test_beats(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells({CELLS}, reference="efficientnet_lite0")
@pytest.mark.fm_claim(family_size=1)
def test_not_worse(candidate, reference):
    assert candidate.not_worse_than(reference, margin=0.08)


@pytest.mark.fm_cells({CELLS})
@pytest.mark.fm_claim(family_size=1)
def test_published(candidate):
    assert candidate.consistent_with(Published(value=0.5, source="a paper"))


@pytest.mark.fm_cells({CELLS})
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)


@pytest.mark.fm_cells(backbones=["mobilenetv2", "efficientnet_lite0"], datasets=["mine"], regimes=["knn"])
def test_ranked(ranked):
    pass
"""


def result_of(cell: str, signal: float, *, version: str = "1.0.20", seed: int = 0) -> Result:
    labels_N = labels_of(60, 60)
    declared = as_declared(cell.replace("mine", "br35h"), 1.0).question.settings
    return make_result(
        cell,
        labels_N,
        noisy_scores(labels_N, signal, seed=seed),
        metric="average_precision",
        classes=CLASSES,
        patient_unit=UNIT,
        settings=declared,
        subject={
            "weights": "",
            "architecture": "",
            "device": f"cpu{HOSTILE}",
            "processor": HOSTILE,
            "versions": {"timm": f"{version}{HOSTILE}", f"lib{HOSTILE}": "1"},
        },
    )


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    for folder in (f"out{HOSTILE}", "out"):
        for cell, seed in ((CELL, 0), (OTHER, 1)):
            Baselines(folder=pytester.path / folder).write(result_of(cell, 1.0, seed=seed))
    Baselines(folder=pytester.path / "baselines").write(result_of(CELL, 2.0, version="0.9"))
    return pytester


def is_ours(line: str) -> bool:
    return re.fullmatch(r"::error file=test_suite\.py,line=\d+,title=[^,:]+::.*", line) is not None


def obeyed(text: str) -> Iterator[str]:
    """The lines of a text that a terminal or a runner would obey, as the bytes are, split at line feeds alone."""
    for line in text.split("\n"):
        controls = [each for each in line if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs") or each == "\u202e"]
        if controls or (line.strip().startswith("::") and not is_ours(line)) or "##[" in line or "##vso[" in line:
            yield line


@pytest.mark.parametrize("report", ["terminal", "markdown", "csv", "github", "json"])
@pytest.mark.parametrize("folder", ["out", f"out{HOSTILE}"], ids=["plain", "hostile"])
def test_a_report_and_its_failures_hold_nothing_that_is_obeyed(
    suite: pytest.Pytester, report: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = suite.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = suite.runpytest(f"--fm-collect={folder}", f"--fm-report={report}", "-rA", "-v")
    result.assert_outcomes(failed=4, passed=2)
    assert not [*obeyed(result.stdout.str() + result.stderr.str())]
    assert result.stdout.str().count("\n::error ") == (4 if report == "github" else 0)
    if report == "github":
        assert not [*obeyed(summary.read_text(encoding="utf-8"))]


def test_a_class_breaks_no_table_of_markdown_and_brings_no_html(suite: pytest.Pytester) -> None:
    suite.runpytest("--fm-collect=out", "--fm-report=markdown:r.md")
    lines = (suite.path / "r.md").read_text(encoding="utf-8").split("\n")
    assert not [*obeyed("\n".join(lines))]
    unescaped = re.compile(r"(?<!\\)(?:\\\\)*")
    assert not [line for line in lines if re.search(unescaped.pattern + r"(?:<script|\]\(c)", line)]
    tables = [line for line in lines if line.startswith("|")]
    columns = [len(re.findall(unescaped.pattern + r"\|", line)) for line in tables]
    heads = [at for at, line in enumerate(tables) if line.startswith("|:")]
    assert len(heads) >= 4
    for start, end in zip([at - 1 for at in heads], [*[at - 1 for at in heads[1:]], len(tables)], strict=True):
        assert len({*columns[start:end]}) == 1, tables[start:end]


def test_json_says_exactly_what_was_collected(suite: pytest.Pytester) -> None:
    suite.runpytest("--fm-collect=out", "--fm-report=json:r.json")
    text = (suite.path / "r.json").read_text(encoding="utf-8")
    assert not [*obeyed(text)]
    cells = {cell["cell"]: cell for cell in json.loads(text)["cells"]}
    assert cells[CELL]["versions"] == {"timm": f"1.0.20{HOSTILE}", f"lib{HOSTILE}": "1"}
    assert cells[CELL]["processor"] == HOSTILE


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(suite: pytest.Pytester) -> None:
    for cell, seed in ((CELL, 0), (OTHER, 1)):
        result = result_of(cell, 1.0, seed=seed)
        subject = {**result.subject, "device": "=HYPERLINK(1)", "processor": "@SUM(1)"}
        Baselines(folder=suite.path / "out").write(replace(result, subject=subject))
    suite.runpytest("--fm-collect=out", "--fm-report=csv:r.csv")
    rows = [*csv_reader.DictReader((suite.path / "r.csv").read_text(encoding="utf-8").splitlines())]
    assert [row["cell"] for row in rows] == [OTHER, CELL]
    for row in rows:
        assert (row["device"], row["processor"]) == ("'=HYPERLINK(1)", "'@SUM(1)")
        assert not [value for value in row.values() if value[:1] in tuple("=@+\t")]
        assert 0 < float(row["mean"]) <= 1
    assert float(rows[1]["vs_effect"]) < 0.5


OPTIONS = {
    "claims": ("--fm-claims", "--fm-collect=out"),
    "plan": ("--fm-plan",),
    "skipped": ("-rs", f"--fm-collect=none{HOSTILE}"),
    "skipped and reported": ("-rs", f"--fm-collect=none{HOSTILE}", "--fm-report=terminal"),
    "report's file": (f"--fm-report=markdown:none{HOSTILE}/r.md",),
    "report's kind": (f"--fm-report={HOSTILE}",),
    "update": (f"--fm-update={HOSTILE}",),
    "reference": (f"--fm-reference={HOSTILE}",),
    "dataset": (f"--fm-dataset=a=folder:{HOSTILE}",),
    "backbone": (f"--fm-backbone=a=timm:resnet18,weights={HOSTILE}",),
    "export": (f"--fm-export=baselines/{HOSTILE}", "--fm-collect=out"),
    "weights": (f"--fm-weights=none{HOSTILE}", "--fm-plan"),
    "data": (f"--fm-data-root=none{HOSTILE}", "--fm-plan"),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_what_is_said_of_options_holds_nothing_that_is_obeyed(suite: pytest.Pytester, options: tuple[str, ...]) -> None:
    if "-rs" in options:
        (suite.path / f"none{HOSTILE}").mkdir()
    result = suite.runpytest(*options)
    told = result.stdout.str() + result.stderr.str()
    assert told.strip()
    assert not [*obeyed(told)]


@pytest.mark.parametrize("verb", [("list",), ("show", CELL), ("diff", CELL), ("accept", CELL), ("prune",)])
def test_a_verb_prints_nothing_that_is_obeyed(
    suite: pytest.Pytester, verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    stored = Baselines(folder=suite.path / f"b{HOSTILE}")
    stored.write(result_of(CELL, 2.0, version="0.9"))
    stored.keep_obtained(result_of(CELL, 1.0))
    main(["baseline", *verb, f"--folder={stored.folder}"])
    told = "".join(capsys.readouterr())
    assert told.strip()
    assert not [*obeyed(told)]

"""What audit, plan and report say of a table: who has no patient, what is passed over, which class is positive."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.cli import main
from pytest_fmtransfer.judge.verdicts import beats
from pytest_fmtransfer.metrics import METRICS, evaluate, metric_of, positive_class
from pytest_fmtransfer.reports.baselines import in_full
from pytest_fmtransfer.reports.rows import cell_row, verdict_row
from pytest_fmtransfer.reports.sentences import in_words
from tests.helpers import LAWS, make_result
from tests.pictures import save, scan

SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["shortcut.metadata"], datasets=["mine"], regimes=["knn"])
def test_it(candidate):
    assert candidate.mean >= 0
"""
CONFTEST = """
from pytest_fmtransfer import own_folder, own_table

def pytest_fmtransfer_register(registry):
    registry.register(own_table("mine", "data/scans.csv", label="y", patient="who", metric="average_precision"))
    registry.register(own_folder("files", "data/files"))
"""
PATIENTS = "4 images of 200 without a patient (column 'who' holds 'nan', 'unknown')"
POSITIVE = "Class malignant is the positive one"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 200 images of two sizes, and a folder of the same."""
    folder = tmp_path_factory.mktemp("told") / "data"
    names = ("benign", "malignant")
    rows = [f"files/{names[n % 2]}/{n}.png,{names[n % 2]},{n // 2 + 1}" for n in range(200)]
    for n in range(200):
        save(scan(n, 16 + 4 * (n % 2)), folder / "files" / names[n % 2] / f"{n}.png")
    for n, text in ((0, "nan"), (1, "nan"), (2, "unknown"), (3, "unknown"), (5, "3.0")):
        rows[n] = rows[n].rpartition(",")[0] + f",{text}"
    (folder / "scans.csv").write_text("\n".join(["image,y,who", *rows]) + "\n", encoding="utf-8")
    (folder / "files" / "benign" / "notes.txt").touch()
    return folder


def test_the_report_says_it(data: Path, pytester: pytest.Pytester) -> None:
    (pytester.path / "data").symlink_to(data)
    pytester.makepyfile(SUITE)
    pytester.makeconftest(CONFTEST)
    result = pytester.runpytest("--fm-report=terminal", "--fm-report=json:r.json", "--fm-report=csv:r.csv")
    result.assert_outcomes(passed=1)
    text = result.stdout.str()
    for said in (PATIENTS, "1 patient of column 'who' written in more than one way", POSITIVE):
        assert said in text
    assert "is judged by average_precision of malignant;" in text
    assert "average_precision of malignant" in text[text.index("metric") : text.index("What to know")]
    told = json.loads((pytester.path / "r.json").read_text())
    assert told["datasets"][0]["positive_class"] == "malignant"
    assert len(told["datasets"][0]["data_notes"]) == 2
    assert "positive_class" in (pytester.path / "r.csv").read_text().splitlines()[0]
    # What is passed over moves no key, and is told as it is now.
    name = SUITE.replace("mine", "files")
    pytester.makepyfile(name)
    for told in (".txt 1", ".md 1, .txt 1"):
        result = pytester.runpytest("--fm-report=terminal")
        assert f"as no image does ({told})" in result.stdout.str()
        (data / "files" / "malignant" / "readme.md").touch()
    result.stdout.fnmatch_lines(["shortcut.metadata-files-knn * store*"])
    (data / "files" / "malignant" / "readme.md").unlink()


def test_the_plan_says_it(data: Path, pytester: pytest.Pytester) -> None:
    (pytester.path / "data").symlink_to(data)
    pytester.makepyfile(SUITE.replace('"mine"]', '"mine", "files"]'))
    pytester.makeconftest(CONFTEST)
    result = pytester.runpytest("--fm-plan")
    text = result.stdout.str()
    assert f"mine: {PATIENTS}" in text
    assert "files: passed over: 1 file that ends as no image does (.txt 1)" in text


def test_the_audit_says_it(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = f"mine=table:{data / 'scans.csv'},label=y,patient=who"
    main(["audit", line, "--all", f"--store={tmp_path}"])
    text = " ".join(capsys.readouterr().out.split())
    assert "note patients_unknown 4" in text
    assert PATIENTS in text
    assert "note names_spelt_variously 1" in text
    assert "'3' = '3.0'" in text
    main(["audit", f"files=folder:{data / 'files'}", "--all", f"--store={tmp_path}"])
    text = " ".join(capsys.readouterr().out.split())
    assert "note files_passed_over 1 passed over: 1 file that ends as no image does (.txt 1)" in text
    assert "benign/notes.txt" in text


def test_a_metric_of_one_class_names_it_wherever_it_is_told() -> None:
    rng = np.random.default_rng(0)
    labels_N = np.repeat([0, 1], 40)
    ours, theirs = (
        make_result(cell, labels_N, rng.normal(size=(80, 2)), metric="average_precision", classes=("sound", "ill"))
        for cell in ("a.net-data-knn", "b.net-data-knn")
    )
    verdict = beats(ours, theirs, 0.0)
    named = "average_precision of ill"
    assert (verdict.metric, verdict.metric_of) == ("average_precision", named)
    row = json.loads(json.dumps(cell_row(ours)))
    assert (row["metric_of"], row["positive_class"]) == (named, "ill")
    claim = verdict_row(verdict)
    assert claim["metric_of"] == named
    assert named in in_words(claim | {"outcome": "supported", "lower": 0.1, "upper": 0.2, "reason": "", "mark": ""})
    for text in (verdict.text, repr(ours), in_full(ours)):
        assert named in text


@pytest.mark.parametrize("name", sorted(METRICS))
def test_only_a_metric_that_the_other_class_would_change_names_one(name: str) -> None:
    assert METRICS[name].of_one_class == (name == "average_precision")
    assert metric_of(name, ("a", "b")) == (f"{name} of b" if METRICS[name].of_one_class else name)
    assert positive_class(name, ("a", "b")) == ("" if METRICS[name].task == "multilabel" else "b")
    assert positive_class(name, ("a", "b", "c")) == ""


@LAWS
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_a_metric_that_names_no_class_is_the_same_for_either(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % 2
    scores_NC = rng.normal(size=(images, 2))
    for name, metric in METRICS.items():
        if metric.task != "multilabel" and not metric.of_one_class:
            one, other = evaluate(name, labels_N, scores_NC), evaluate(name, 1 - labels_N, scores_NC[:, ::-1])
            assert abs(one.value - other.value) < 1e-9

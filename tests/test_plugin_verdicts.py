"""What a run of a suite passes, fails, skips and reports. Real images; the cells need no torch."""

import json

import pytest

from pytest_fmtransfer import Registry
from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

SHORTCUT = 'backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn", "linear_probe"]'


TWIN = """
from dataclasses import replace

import pytest

@pytest.hookimpl(optionalhook=True)
def pytest_fmtransfer_register(registry):
    registry.register(replace(registry.backbone("shortcut.metadata"), name="shortcut.twin"))
"""


def suite(pytester: pytest.Pytester, claim: str, body: str, cells: str = SHORTCUT) -> None:
    """The reference is a twin of the first candidate: another cell with the same scores."""
    pytester.makeconftest(TWIN)
    pytester.makepyfile(
        test_suite=f"import pytest\n\n@pytest.mark.fm_cells({cells}, reference='shortcut.twin-br35h-knn')\n"
        f"@pytest.mark.fm_claim({claim})\n"
        f"def test_it(candidate, reference):\n    '''A file's metadata tells.'''\n    {body}\n"
    )


def test_an_unsupported_claim_fails_with_its_verdict(pytester: pytest.Pytester) -> None:
    suite(pytester, "family_size=3", "assert candidate.beats(reference)")
    result = pytester.runpytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*Captured verdict call*",
            "*shortcut.metadata-br35h-linear_probe beats shortcut.twin-br35h-knn: *: Δ*smallest detectable*",
            "*0.05 over 3 declared claims*",
        ]
    )


def test_a_known_exception_passes_as_long_as_it_is_found(pytester: pytest.Pytester) -> None:
    expected = "{'shortcut.metadata-br35h-knn': ('refuted', 'it is a twin')}"
    suite(pytester, f"expected={expected}", "assert candidate.beats(reference)")
    pytester.runpytest("-k", "knn and not linear_probe").assert_outcomes(passed=1)


def test_a_known_exception_that_is_no_longer_found_fails(pytester: pytest.Pytester) -> None:
    expected = "{'shortcut.metadata-br35h-knn': ('inconclusive', 'we thought so')}"
    suite(pytester, f"expected={expected}", "assert candidate.beats(reference)")
    result = pytester.runpytest("-k", "not linear_probe")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expected to be inconclusive (we thought so), but is refuted*"])


def test_an_exception_that_turns_out_supported_fails_too(pytester: pytest.Pytester) -> None:
    expected = "{'shortcut.metadata-br35h-knn': ('inconclusive', 'we thought so')}"
    suite(pytester, f"expected={expected}", "assert candidate.not_worse_than(reference)")
    result = pytester.runpytest("-k", "not linear_probe")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expected to be inconclusive (we thought so), but is supported*"])


def test_a_crash_in_a_test_with_a_known_exception_is_no_exception(pytester: pytest.Pytester) -> None:
    expected = "{'shortcut.metadata-br35h-knn': ('refuted', 'it is a twin')}"
    suite(pytester, f"expected={expected}", "candidate.beats(reference); raise RuntimeError('bang')")
    pytester.runpytest("-k", "not linear_probe").assert_outcomes(failed=1)


def test_another_assertion_is_no_known_exception(pytester: pytest.Pytester) -> None:
    expected = "{'shortcut.metadata-br35h-knn': ('refuted', 'it is a twin')}"
    suite(pytester, f"expected={expected}", "candidate.beats(reference); assert candidate.mean > 2")
    result = pytester.runpytest("-k", "not linear_probe", "--fm-report=json:r.json")
    result.assert_outcomes(failed=1)
    assert [claim["outcome"] for claim in json.loads((pytester.path / "r.json").read_text())["claims"]] == ["refuted"]


def test_listing_writes_no_report(pytester: pytest.Pytester) -> None:
    suite(pytester, "", "assert candidate.not_worse_than(reference)")
    result = pytester.runpytest("--co", "-q", "--fm-report=json:r.json", "--fm-report", "--fm-require=9")
    assert result.ret == pytest.ExitCode.OK
    assert not (pytester.path / "r.json").exists()


def test_absent_data_is_a_skip_before_anything_is_computed(pytester: pytest.Pytester) -> None:
    suite(
        pytester,
        "",
        "raise AssertionError('ran')",
        'backbones=["dinov2_vitb14"], datasets=["aptos2019"], regimes=["finetune_linear"]',
    )
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*test_suite.py*: no weights of dinov2_vitb14: add --fm-download (licence*"])


def test_cells_of_a_test_that_lack_the_same_are_skipped_in_one_line(pytester: pytest.Pytester) -> None:
    """Whatever their dataset and regime, and in whatever order a cell and its reference lack it."""
    suite(
        pytester,
        "family_size=2",
        "assert candidate.beats(reference)",
        'backbones=["dinov2_vitb14"], datasets=["aptos2019", "ddsm"], regimes=["knn", "ridge"]',
    )
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=4)
    (line,) = [line for line in result.stdout.lines if line.startswith("SKIPPED")]
    assert line.partition(": ")[0] == "SKIPPED [4] test_suite.py:3"
    assert line.endswith("; also no images: --fm-plan lists all")


def test_too_few_cells_exit_with_five(pytester: pytest.Pytester) -> None:
    suite(pytester, "", "assert candidate.not_worse_than(reference)")
    chosen = ("-k", "not linear_probe")
    assert pytester.runpytest(*chosen, "--fm-require=2").ret == pytest.ExitCode.OK
    result = pytester.runpytest(*chosen, "--fm-require=3")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["*2 cells measured, --fm-require=3*"])


def test_nothing_is_printed_or_written_unless_asked(pytester: pytest.Pytester) -> None:
    suite(pytester, "", "assert candidate.not_worse_than(reference)")
    before = set(pytester.path.rglob("*"))
    result = pytester.runpytest("-k", "not linear_probe", "-p", "no:cacheprovider", "-p", "no:benchmark")
    assert "fmtransfer:" not in result.stdout.str()
    written = {path for path in pytester.path.rglob("*") if "__pycache__" not in path.parts} - before
    assert not written


def test_reports_are_drawn_and_written(pytester: pytest.Pytester) -> None:
    suite(pytester, "family_size=2, source='us'", "assert candidate.not_worse_than(reference, margin=0.2)")
    kinds = ("markdown:r.md", "csv:r.csv", "json:r.json")
    result = pytester.runpytest("--fm-report", *(f"--fm-report={kind}" for kind in kinds))
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*fmtransfer: terminal report*", "cell * metric *", "shortcut.metadata-br35h-knn*"])
    told = json.loads((pytester.path / "r.json").read_text())
    assert [cell["cell"] for cell in told["cells"]] == [
        "shortcut.metadata-br35h-knn",
        "shortcut.metadata-br35h-linear_probe",
        "shortcut.twin-br35h-knn",
    ]
    assert {claim["statement"] for claim in told["claims"]} == {"A file's metadata tells."}
    assert all(cell["lower"] < cell["mean"] < cell["upper"] for cell in told["cells"])
    assert (pytester.path / "r.csv").read_text().count("\n") == 4
    text = (pytester.path / "r.md").read_text()
    assert "## Claims" in text
    assert [dataset["dataset"] for dataset in told["datasets"]] == ["br35h"]
    known = Registry().dataset("br35h")
    about = text[text.index("## What to know of the datasets") :]
    for said in ("br35h is judged by roc_auc", f"is 0.02: {known.margin_reason}.", known.caveats[-1][1:]):
        assert said in about
    assert "Verdicts take each group of near copies to be independent" in about


def test_a_run_that_is_interrupted_before_any_cell_leaves_an_earlier_report(pytester: pytest.Pytester) -> None:
    suite(pytester, "", "raise KeyboardInterrupt")
    told = pytester.path / "r.md"
    for before in ("of an earlier run", None):
        if before is not None:
            told.write_text(before)
        else:
            told.unlink()
        result = pytester.runpytest("--fm-report=markdown:r.md", "-k", "not linear_probe", no_reraise_ctrlc=True)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        assert told.read_text() == before if before is not None else "no cell was measured" in told.read_text()
        result.stdout.fnmatch_lines(
            ["fmtransfer: *earlier run's" if before is not None else "fmtransfer: markdown report in *"]
        )


def test_two_workers_write_the_same_report_as_none(pytester: pytest.Pytester) -> None:
    suite(pytester, "family_size=2", "assert candidate.not_worse_than(reference, margin=0.2)")
    pytester.runpytest()  # seconds are of the computation: computed once, they are the same
    kinds = ("json", "markdown", "csv")
    for workers, run in (("0", pytester.runpytest), ("2", pytester.runpytest_subprocess)):
        reports = (f"--fm-report={kind}:{kind}{workers}" for kind in kinds)
        run("-n", workers, *reports).assert_outcomes(passed=2)
    for kind in kinds:
        assert (pytester.path / f"{kind}0").read_bytes() == (pytester.path / f"{kind}2").read_bytes()


def test_a_dataset_used_in_spite_of_an_audit_says_so_in_its_verdicts(pytester: pytest.Pytester) -> None:
    """Synthetic scores under the name of a dataset whose row acknowledges what an audit found."""
    cells = 'backbones=["shortcut.metadata"], datasets=["br35h.naive"], regimes=["linear_probe"]'
    suite(pytester, "", "assert not candidate.beats(reference)", cells=cells)
    source = pytester.path / "test_suite.py"
    source.write_text(source.read_text().replace("twin-br35h-knn", "metadata-br35h.naive-knn"))
    for regime, signal in (("linear_probe", 3.0), ("knn", 0.5)):
        made = as_declared(f"shortcut.metadata-br35h.naive-{regime}", signal)
        Baselines(folder=pytester.path / "out").write(made)
    result = pytester.runpytest("--fm-collect=out")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*an audit found exact copies across sides, and the dataset's row acknowledges it: a demonstration of what*"]
    )


def test_of_a_metric_without_classes_the_other_verb_is_named(pytester: pytest.Pytester) -> None:
    suite(pytester, "", "assert candidate.no_class_worse_than(reference)")
    result = pytester.runpytest("-k", "not linear_probe")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*roc_auc, which is no average over classes; not_worse_than() is the claim about it*"])


def test_no_class_is_worse_is_asserted_planned_and_reported(pytester: pytest.Pytester) -> None:
    cells = 'backbones=["shortcut.metadata"], datasets=["br35h.counted"], regimes=["knn"]'
    suite(pytester, "", "assert candidate.no_class_worse_than(reference, margin=0.1)", cells)
    pytester.makeconftest(
        TWIN + "    registry.register(replace(registry.dataset('br35h'), name='br35h.counted', metric='accuracy'))\n"
    )
    file = pytester.path / "test_suite.py"
    file.write_text(file.read_text().replace("shortcut.twin-br35h-knn", "shortcut.twin"))
    result = pytester.runpytest("--fm-report", "--fm-report=json:r.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*no class worse than shortcut.twin-br35h.counted-knn*no class is worse; the weakest recall of *",
            "*test_it*against shortcut.twin-br35h.counted-knn: Δ recall by class, each alone*'tumour'*",
        ]
    )
    [claim] = json.loads((pytester.path / "r.json").read_text())["claims"]
    assert sorted(each["name"] for each in claim["classes"]) == ["no tumour", "tumour"]
    pytester.runpytest("--fm-plan").stdout.fnmatch_lines(["*test_it*shortcut.metadata-br35h.counted-knn*"])

"""Baselines through the plugin: recorded, held against, stale, accepted; never pruned, never recorded on CI."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.results import SCHEMA, Question, record_checksum

CELL = "shortcut.metadata-br35h-knn"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(
        test_suite="import pytest\n\n"
        "@pytest.mark.fm_cells(backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn'])\n"
        "def test_it(candidate, baseline):\n    assert candidate.unchanged_from(baseline)\n"
    )
    return pytester


@pytest.fixture
def recorded(suite: pytest.Pytester, places: Places) -> Path:
    """The record of the suite's cell, as `--fm-update=new` writes it."""
    stored = Baselines(folder=suite.path / "baselines", locks=places.store / "locks")
    stored.write(transfer(Cell.parse(CELL), places=places))
    return stored.pair(Cell.parse(CELL)).record


TUNED = """
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec


def pytest_fmtransfer_register(registry):
    registry.register(
        RegimeSpec(
            name="tuned", settings=KnnSettings(), seeded=True, tolerance=1e-3, metric_tolerance=1e-6, summary=""
        )
    )
"""


def test_a_regime_that_depends_on_its_seed_is_recorded_at_ten_or_as_many_as_before(
    suite: pytest.Pytester, places: Places
) -> None:
    suite.makeconftest(TUNED)
    source = suite.path / "test_suite.py"
    source.write_text(source.read_text().replace("'knn'", "'tuned'"))
    stored = Baselines(folder=suite.path / "baselines", locks=places.store / "locks")
    cell = Cell.parse("shortcut.metadata-br35h-tuned")
    suite.runpytest("--fm-update=new").assert_outcomes(passed=1)
    ten = stored.load(cell)
    assert ten.seeds == tuple(range(10))
    moved_SNC = np.concatenate([ten.scores_SNC, ten.scores_SNC[:2]])[..., ::-1]
    stored.write(replace(ten, scores_SNC=moved_SNC, seeds=tuple(range(12)), chosen=ten.chosen + ten.chosen[:2]))
    suite.runpytest().assert_outcomes(failed=1)
    suite.runpytest("--fm-update=changed").assert_outcomes(passed=1)
    again = stored.load(cell)
    assert again.seeds == tuple(range(12))
    assert again.by_seed[0] == ten.by_seed[0]


def edit(record: Path, *path: str, value: object, sealed: bool = False) -> None:
    """Write a value into a record; `sealed` gives it digests to match, as if it had been written so."""
    whole = json.loads(record.read_text())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    if sealed:
        whole["question_fingerprint"] = Question(**whole["question"]).fingerprint
    record.write_text(json.dumps(whole | {"checksum": record_checksum(whole)} if sealed else whole))


def make_stale(record: Path) -> None:
    edit(record, "question", "settings", value={"neighbours": [3], "temperature": 0.07}, sealed=True)


def obtained(record: Path) -> list[Path]:
    return sorted(record.parent.glob("*.obtained.*"))


def test_a_missing_baseline_names_the_command_that_records_it(suite: pytest.Pytester) -> None:
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*no baseline of {CELL}*--fm-update=new*"])


def test_recorded_once_it_holds(suite: pytest.Pytester) -> None:
    result = suite.runpytest("--fm-update=new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["fmtransfer: 1 baseline written to baselines"])
    result = suite.runpytest()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("fmtransfer: *")
    record = json.loads((suite.path / "baselines" / f"{CELL}.json").read_text())
    assert record["cell"] == CELL
    assert set(record["subject"]["versions"]) == {"numpy", "scipy", "pillow"}


def test_workers_tell_the_controller_how_many_baselines_they_wrote_and_where(suite: pytest.Pytester) -> None:
    """Two tests ask for the baseline of one cell, and one for that of another."""
    source = suite.path / "test_suite.py"
    text = source.read_text()
    source.write_text(text + "\n\n" + text.partition("\n\n")[2].replace("test_it", "test_again"))
    (suite.path / "test_more.py").write_text(text.replace("knn", "ridge"))
    result = suite.runpytest_subprocess("-n", "2", "--fm-update=new")
    result.stdout.fnmatch_lines(["fmtransfer: 2 baselines written to baselines", "*3 passed*"])


def test_a_changed_question_is_stale_and_named(suite: pytest.Pytester, recorded: Path) -> None:
    make_stale(recorded)
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stale baseline, the question changed: settings*", "*--fm-update=changed*"])
    result = suite.runpytest("--fm-update=new")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["fmtransfer: no baseline written, by --fm-update=new"])
    suite.runpytest("--fm-update=changed").assert_outcomes(passed=1)
    suite.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metric", "by_seed"), [0.99], "the record was edited after it was written"),
        (("scores",), "0" * 32, "the record was edited after it was written"),
        (("recorded", "date"), "2020-01-01", "the record was edited after it was written"),
        (("schema",), 99, f"this version reads schema {SCHEMA}"),
    ],
)
def test_a_baseline_edited_by_hand_is_detected(
    suite: pytest.Pytester, recorded: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    edit(recorded, *path, value=value)
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{recorded} cannot be used: *{message}*restore both files*--fm-update=all*"])


def test_a_baseline_edited_by_hand_can_be_recorded_again(suite: pytest.Pytester, recorded: Path) -> None:
    edit(recorded, "images", value=9)
    suite.runpytest("--fm-update=all").assert_outcomes(passed=1)
    suite.runpytest().assert_outcomes(passed=1)


def test_what_was_obtained_waits_until_a_run_agrees(suite: pytest.Pytester, recorded: Path) -> None:
    as_recorded = recorded.read_bytes()
    make_stale(recorded)
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Captured baseline call*",
            f"obtained: *{CELL}.obtained.json",
            f"  compare: fmtransfer baseline diff {CELL} --folder baselines",
            f"  accept: fmtransfer baseline accept {CELL} --folder baselines",
        ]
    )
    assert [path.name for path in obtained(recorded)] == [f"{CELL}.obtained.json", f"{CELL}.obtained.npz"]
    # What waits is what a new recording would be.
    assert obtained(recorded)[0].read_bytes() == as_recorded
    recorded.write_bytes(as_recorded)
    suite.runpytest().assert_outcomes(passed=1)
    assert obtained(recorded) == []


def test_what_waits_is_gone_when_the_baseline_is_recorded_again(suite: pytest.Pytester, recorded: Path) -> None:
    make_stale(recorded)
    suite.runpytest().assert_outcomes(failed=1)
    suite.runpytest("--fm-update=changed").assert_outcomes(passed=1)
    assert obtained(recorded) == []


def test_a_test_that_never_judges_its_baseline_leaves_what_waits(suite: pytest.Pytester, recorded: Path) -> None:
    make_stale(recorded)
    suite.runpytest().assert_outcomes(failed=1)
    suite.makepyfile(
        test_suite="import pytest\nfrom pytest_fmtransfer import Published\n\n"
        "@pytest.mark.fm_cells(backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn'])\n"
        "@pytest.mark.fm_claim(family_size=1)\n"
        "def test_it(candidate, baseline):\n    assert candidate.above(Published(value=0.5, source='chance'))\n"
    )
    suite.runpytest().assert_outcomes(passed=1)
    assert len(obtained(recorded)) == 2  # still those of the first run


def test_it_waits_on_ci_too(suite: pytest.Pytester, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_stale(recorded)
    monkeypatch.setenv("CI", "true")
    suite.runpytest().assert_outcomes(failed=1)
    assert len(obtained(recorded)) == 2


def test_a_folder_that_cannot_be_written_changes_no_verdict(suite: pytest.Pytester, recorded: Path) -> None:
    make_stale(recorded)
    (recorded.parent / f"{CELL}.obtained.npz").mkdir()  # also root cannot replace it by a file
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stale baseline*", "*what was obtained could not be kept: *"])


def test_a_baseline_is_found_whatever_its_test_is_called(suite: pytest.Pytester, recorded: Path) -> None:
    before = {path: path.read_bytes() for path in recorded.parent.iterdir()}
    text = (suite.path / "test_suite.py").read_text()
    (suite.path / "test_suite.py").unlink()
    suite.mkpydir("renamed")
    (suite.path / "renamed" / "test_other.py").write_text(text.replace("test_it", "test_under_another_name"))
    suite.runpytest("-v").stdout.fnmatch_lines([f"*::test_under_another_name?{CELL}? PASSED*"])
    assert {path: path.read_bytes() for path in recorded.parent.iterdir()} == before


def test_updating_touches_only_cells_that_ran(suite: pytest.Pytester, recorded: Path) -> None:
    other = recorded.with_name("mobilenetv2-br35h-knn.json")
    other.write_text("{}")
    suite.runpytest("--fm-update=all").assert_outcomes(passed=1)
    assert other.read_text() == "{}"


def test_recording_twice_writes_the_same_bytes(suite: pytest.Pytester, recorded: Path) -> None:
    before = recorded.read_bytes(), recorded.with_suffix(".npz").read_bytes()
    suite.runpytest("--fm-update=all").assert_outcomes(passed=1)
    assert before == (recorded.read_bytes(), recorded.with_suffix(".npz").read_bytes())


def test_on_ci_a_cell_with_a_baseline_must_run(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.makepyfile(
        test_suite="import pytest\n\n"
        "@pytest.mark.fm_cells(backbones=['dinov2_vitb14'], datasets=['br35h'], regimes=['knn'])\n"
        "def test_it(candidate, baseline):\n    assert candidate.unchanged_from(baseline)\n"
    )
    folder = suite.mkdir("baselines")
    suite.runpytest().assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "true")
    suite.runpytest().assert_outcomes(skipped=1)
    (folder / "dinov2_vitb14-br35h-knn.json").write_text("{}")
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*has a baseline but cannot run on this CI*--fm-allow-missing*"])
    suite.runpytest("--fm-allow-missing").assert_outcomes(skipped=1)


def test_profiles_are_kept_apart(suite: pytest.Pytester, recorded: Path) -> None:
    before = recorded.read_bytes()
    suite.runpytest("--fm-profile=smoke").stdout.fnmatch_lines(["*no baseline of*"])
    suite.runpytest("--fm-profile=smoke", "--fm-update=changed").assert_outcomes(passed=1)
    assert recorded.read_bytes() == before
    assert (recorded.parent / "smoke" / recorded.name).is_file()


def test_the_folder_can_be_named(pytester: pytest.Pytester, suite: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfm_baselines = kept/here\n")
    suite.runpytest("--fm-update=new").assert_outcomes(passed=1)
    assert (suite.path / "kept" / "here" / f"{CELL}.json").is_file()

"""Baselines through the plugin: recorded, held against, stale, accepted; never pruned, never on CI."""

import json
from pathlib import Path

import pytest

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
def recorded(suite: pytest.Pytester) -> Path:
    suite.runpytest("--fm-update=new").assert_outcomes(passed=1)
    return suite.path / "baselines" / f"{CELL}.json"


def edit(record: Path, *path: str, value: object) -> None:
    whole = json.loads(record.read_text())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    record.write_text(json.dumps(whole))


def test_a_missing_baseline_names_the_command_that_records_it(suite: pytest.Pytester) -> None:
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*no baseline of {CELL}*--fm-update=new*"])


def test_recorded_once_it_holds(suite: pytest.Pytester, recorded: Path) -> None:
    suite.runpytest().assert_outcomes(passed=1)
    record = json.loads(recorded.read_text())
    assert record["cell"] == CELL
    assert record["subject"]["versions"]["scikit-learn"]


def test_a_changed_question_is_stale_and_named(suite: pytest.Pytester, recorded: Path) -> None:
    edit(recorded, "question", "settings", value={"neighbours": [3], "temperature": 0.07})
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stale baseline, the question changed: settings*", "*--fm-update=changed*"])
    suite.runpytest("--fm-update=new").assert_outcomes(failed=1)
    suite.runpytest("--fm-update=changed").assert_outcomes(passed=1)
    suite.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metric", "by_seed"), [0.99], "not the metric of its scores"),
        (("scores",), "0" * 32, "not the ones that the record was written with"),
        (("schema",), 99, "this version reads schema 1"),
    ],
)
def test_a_baseline_edited_by_hand_is_detected(
    suite: pytest.Pytester, recorded: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    edit(recorded, *path, value=value)
    result = suite.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{message}*"])


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

"""`fmtransfer baseline`: what it prints, what it writes and removes, and one line for every mistake."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer import Cell, Places
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.results import Recorded
from tests.helpers import image, labels_of, make_result, noisy_scores, result, retrained

CELL, OTHER, THIRD = "new.model-data-knn", "old.model-data-knn", "third.model-data-knn"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: Places) -> Baselines:
    """A folder with two baselines, in the current directory."""
    monkeypatch.chdir(tmp_path)
    made = Baselines(folder=Path("baselines"), locks=places.store / "locks")
    for cell in (CELL, OTHER):
        made.write(result(cell, 1.0))
    return made


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that succeeds prints."""
    assert main(["baseline", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that does not."""
    assert main(["baseline", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fmtransfer baseline: ")
    assert printed.err.count("\n") == 1
    return printed.err


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_baseline_is_listed_with_what_waits(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.keep_obtained(result(OTHER, 1.5))
    date = stored.load(Cell.parse(CELL)).recorded.date
    mean = f"{stored.load(Cell.parse(CELL)).mean:.4f}"
    assert [line.split() for line in told(capsys, "list").splitlines()] == [
        ["cell", "metric", "mean", "images", "patients", "profile", "recorded", "obtained"],
        [CELL, "roc_auc", mean, "120", "120", "ci", date],
        [OTHER, "roc_auc", mean, "120", "120", "ci", date, "waits"],
    ]


def test_a_baseline_that_cannot_be_used_hides_no_other(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.pair(Cell.parse(OTHER)).record.write_text("{}")
    assert main(["baseline", "list"]) == 2
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["cell", CELL]
    assert printed.err.startswith(f"fmtransfer baseline: baseline {stored.pair(Cell.parse(OTHER)).record} cannot be")


def test_a_record_is_shown_in_full(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "show", CELL)
    baseline = stored.load(Cell.parse(CELL))
    for part in (
        f"{CELL}: roc_auc {baseline.mean:.4f}, 95 % interval [0.",
        "test side: 120 images of 120 patients; classes: class0, class1; margin 0.02",
        'chosen: {"k": 5}',
        f"question {baseline.question.fingerprint}",
        'settings: {"neighbours": [1, 2, 5]}',
        'versions: {"timm": "1.0.20"}',
        "cost: 120 forward passes in 2.0 s, adapted in 0.5 s, 0.6 MiB of features",
        f"recorded: {baseline.recorded.date} outside a repository, by pytest-fmtransfer 0.1.0",
    ):
        assert part in shown


def test_every_seed_is_shown(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.write(retrained(CELL, 1.0, 2.0))
    first, second = stored.load(Cell.parse(CELL)).by_seed
    assert f"by seed: 0: {first:.4f}, 1: {second:.4f} (2 seeds)" in told(capsys, "show", CELL)


def test_a_class_of_one_patient_has_no_interval(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.write(result(CELL, 1.0, counts=(40, 1)))
    assert "too few patients for an interval" in told(capsys, "show", CELL)


def test_what_was_obtained_is_compared(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    old = stored.load(Cell.parse(CELL))
    scores_SNC = old.scores_SNC.copy()
    scores_SNC[0, 7] = scores_SNC[0, 7, ::-1] + np.float32([0, 3])
    new = replace(old, scores_SNC=scores_SNC, subject={**old.subject, "versions": {"timm": "1.0.21"}})
    stored.keep_obtained(new)
    changed = int((scores_SNC.argmax(axis=2) != old.scores_SNC.argmax(axis=2)).sum())
    assert changed == 1
    lines = told(capsys, "diff", CELL).splitlines()
    assert lines[0] == f"{CELL}: obtained against its baseline"
    assert f"  roc_auc: {old.mean:.4f} → {new.mean:.4f} ({new.mean - old.mean:+.4f})" in lines
    assert "  predictions that changed class: 1 of 120" in lines
    assert "  changed since the baseline: timm 1.0.20 → 1.0.21" in lines
    [move] = [line for line in lines if line.startswith("  largest score change: ")]
    assert move.endswith(" standard deviations, at image 000000070000")
    [agreement] = [line for line in lines if line.startswith("  rank correlation: ")]
    assert 0.9 < float(agreement.split()[-1]) < 1
    assert not any("question" in line for line in lines)


def test_scores_that_did_not_move_are_told(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.keep_obtained(result(CELL, 1.0))
    shown = told(capsys, "diff", CELL)
    assert "largest score change: 0 standard deviations" in shown
    assert "rank correlation: 1.0000" in shown
    assert "predictions that changed class: 0 of 120" in shown
    assert "nothing known changed since the baseline" in shown


def test_constant_scores_have_no_rank_correlation(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    old = stored.load(Cell.parse(CELL))
    stored.keep_obtained(replace(old, scores_SNC=np.zeros_like(old.scores_SNC)))
    assert "rank correlation: 0.0000" in told(capsys, "diff", CELL)


def test_another_question_is_named(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.keep_obtained(result(CELL, 1.0, metric="accuracy", settings={"neighbours": [3]}))
    shown = told(capsys, "diff", CELL)
    assert "the question changed: metric: roc_auc → accuracy" in shown
    assert "the question changed: settings: {'neighbours': [1, 2, 5]} → {'neighbours': [3]}" in shown
    assert "\n  roc_auc → accuracy: 0." in shown


def test_scores_of_other_images_are_not_compared(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.keep_obtained(result(CELL, 1.0, ids_N=[image(number) for number in range(1, 121)]))
    shown = told(capsys, "diff", CELL)
    assert "the question changed: the test side: 1 of 120 images are new, 1 of the baseline's 120 are gone" in shown
    assert "scores are of other images, and not compared" in shown
    assert "rank" not in shown


@pytest.mark.parametrize(
    ("obtained", "message"),
    [
        (retrained(CELL, 1.0, 2.0), "scores are of other seeds, and not compared: [0] → [0, 1]"),
        (
            make_result(CELL, labels_of(60, 60), noisy_scores(labels_of(60, 60), 1.0, seed=0), classes=("a", "b")),
            'scores are of other classes, and not compared: ["class0", "class1"] → ["a", "b"]',
        ),
    ],
    ids=["seeds", "classes"],
)
def test_scores_of_other_columns_are_not_compared(
    stored: Baselines, capsys: pytest.CaptureFixture[str], obtained: object, message: str
) -> None:
    stored.keep_obtained(obtained)
    assert message in told(capsys, "diff", CELL)


def test_accepting_takes_over_what_was_obtained(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    new = result(CELL, 2.0)
    stored.keep_obtained(new)
    stored.keep_obtained(result(OTHER, 2.0))
    other = stored.pair(Cell.parse(OTHER)).record.read_bytes()
    assert told(capsys, "accept", CELL) == (
        f"accepted {CELL}: roc_auc {new.mean:.4f}; commit {Path('baselines', CELL)}.json, .npz and recorded.txt\n"
    )
    np.testing.assert_array_equal(stored.load(Cell.parse(CELL)).scores_SNC, new.scores_SNC)
    assert stored.waiting() == [Cell.parse(OTHER)]
    assert stored.pair(Cell.parse(OTHER)).record.read_bytes() == other


def test_accepting_says_when_and_where_it_was_accepted(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    older = Recorded(date="2020-01-01", commit="0" * 40, version="0.1.0")  # obtained by a CI, long ago
    stored.keep_obtained(result(CELL, 2.0))
    record = replace(result(CELL, 2.0), recorded=older).record()
    stored.obtained(Cell.parse(CELL)).record.write_text(json.dumps(record))
    assert stored.load_obtained(Cell.parse(CELL)).recorded == older
    told(capsys, "accept", CELL)
    recorded = stored.load(Cell.parse(CELL)).recorded
    assert recorded.date > "2020-01-01"
    assert recorded.commit is None


def test_all_that_waits_is_accepted(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in (CELL, OTHER):
        stored.keep_obtained(result(cell, 2.0))
    assert told(capsys, "accept", "--all").count("accepted") == 2
    assert stored.waiting() == []
    assert told(capsys, "accept", "--all") == "no obtained result waits in baselines\n"


def test_one_that_cannot_be_used_leaves_all_as_they_are(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in (CELL, OTHER):
        stored.keep_obtained(result(cell, 2.0))
    stored.obtained(Cell.parse(OTHER)).record.write_text("{}")
    before = {path: path.read_bytes() for path in stored.folder.iterdir()}
    assert "run the test of its baseline again" in complaint(capsys, "accept", CELL, OTHER)
    assert {path: path.read_bytes() for path in stored.folder.iterdir()} == before


def test_one_seed_never_replaces_ten(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    stored.write(retrained(CELL, *[1.0] * 10))
    for cell, obtained in ((CELL, retrained(CELL, 2.0)), (OTHER, result(OTHER, 2.0))):
        assert obtained.cell.id == cell
        stored.keep_obtained(obtained)
    before = {path: path.read_bytes() for path in stored.folder.iterdir()}
    said = complaint(capsys, "accept", OTHER, CELL)
    assert f"{CELL} ran at 1 of the 10 seeds that its baseline has" in said
    assert "record all of them again, where it can be run: its test with --fm-update=changed" in said
    assert {path: path.read_bytes() for path in stored.folder.iterdir()} == before
    stored.keep_obtained(retrained(CELL, *[2.0] * 10))
    assert "accepted" in told(capsys, "accept", CELL)
    assert len(stored.load(Cell.parse(CELL)).seeds) == 10


def test_nothing_is_accepted_on_ci(
    stored: Baselines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.keep_obtained(result(CELL, 2.0))
    before = {path: path.read_bytes() for path in stored.folder.iterdir()}
    monkeypatch.setenv("CI", "true")
    assert "where CI is set; run it on your machine, without CI set" in complaint(capsys, "accept", CELL)
    assert {path: path.read_bytes() for path in stored.folder.iterdir()} == before


def test_pruning_says_what_could_go_and_removes_it_when_told(
    stored: Baselines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "prune") == "nothing to remove in baselines\n"
    kept = names(stored.folder)
    stored.keep_obtained(result(OTHER, 2.0))
    (stored.folder / f"{THIRD}.npz").write_bytes(b"")
    everything = names(stored.folder)
    lost = [
        (f"{OTHER}.obtained.json", "obtained, not accepted"),
        (f"{OTHER}.obtained.npz", "obtained, not accepted"),
        (f"{THIRD}.npz", "half of a pair"),
    ]
    would = [f"would remove {Path('baselines', name)}: {reason}" for name, reason in lost]
    assert told(capsys, "prune").splitlines() == [*would, "remove them: the same command with --yes"]
    assert names(stored.folder) == everything
    removed = [f"removes {Path('baselines', name)}: {reason}" for name, reason in lost]
    assert told(capsys, "prune", "--yes").splitlines() == removed
    assert names(stored.folder) == kept


SUITE = """
import pytest

CELLS = {"backbones": ["shortcut.metadata"], "datasets": ["br35h"]}

@pytest.mark.fm_cells(**CELLS, regimes=["knn"])
def test_it(candidate, baseline):
    raise AssertionError("ran")

@pytest.mark.fm_cells(**CELLS, regimes=["linear_probe"])
def test_other(candidate):
    raise AssertionError("ran")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, places: Places) -> Baselines:
    """A suite that asks for one of two baselines; its project deselects tests, and warnings are errors there."""
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeini("[pytest]\naddopts = -k 'not linear_probe'\nfilterwarnings = error\n")
    stored = Baselines(folder=pytester.path / "baselines", locks=places.store / "locks")
    for regime in ("knn", "linear_probe"):
        stored.write(result(f"shortcut.metadata-br35h-{regime}", 1.0))
    return stored


def test_baselines_that_no_test_asks_for_are_pruned_when_suites_are_named(
    suite: Baselines, pytester: pytest.Pytester
) -> None:
    command = (sys.executable, "-m", "pytest_fmtransfer", "baseline", "prune")
    pytester.run(*command, "--yes").stdout.fnmatch_lines(["nothing to remove in baselines"])
    done = pytester.run(*command, "test_suite.py", "--yes")
    assert done.ret == 0
    unasked = "baselines/shortcut.metadata-br35h-linear_probe"
    assert done.outlines == [
        f"removes {unasked}.{suffix}: no test of test_suite.py asks for it" for suffix in ("json", "npz")
    ]
    assert names(suite.folder) == ["shortcut.metadata-br35h-knn.json", "shortcut.metadata-br35h-knn.npz"]


def test_a_test_that_is_deselected_asks_for_its_baseline(suite: Baselines, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = -k test_other\n")
    done = pytester.run(sys.executable, "-m", "pytest_fmtransfer", "baseline", "prune", "test_suite.py", "--yes")
    assert len(done.outlines) == 2
    assert suite.has(Cell.parse("shortcut.metadata-br35h-knn"))


@pytest.mark.parametrize("content", ["import nothing_of_that_name", "", 'fm_cells = pytest.mark.fm_cells("wrong")'])
def test_suites_that_cannot_be_collected_prune_nothing(
    suite: Baselines, pytester: pytest.Pytester, content: str
) -> None:
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(test_broken=content, test_suite=SUITE if content else "")
    before = names(suite.folder)
    done = pytester.run(sys.executable, "-m", "pytest_fmtransfer", "baseline", "prune", "test_broken.py", "--yes")
    assert done.ret == 2
    assert done.errlines == [
        "fmtransfer baseline: pytest collects no tests from test_broken.py, or not all; "
        "see: pytest --collect-only test_broken.py"
    ]
    assert names(suite.folder) == before


@pytest.mark.parametrize("verb", ["show", "diff", "accept"])
def test_a_wrong_id_names_the_near_ones(stored: Baselines, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    stored.keep_obtained(result(CELL, 2.0))
    assert f"did you mean {CELL}" in complaint(capsys, verb, "new.model-data-kn")


@pytest.mark.parametrize("verb", ["diff", "accept"])
def test_nothing_waits(stored: Baselines, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert complaint(capsys, verb, CELL).endswith(f"{CELL}: no obtained result waits in {stored.folder}\n")


def test_the_folder_is_the_nearest_of_its_name(
    stored: Baselines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert CELL in told(capsys, "list")
    monkeypatch.chdir(stored.folder)
    assert CELL in told(capsys, "list")
    home = tmp_path / "home"
    (home / ".hidden" / "baselines").mkdir(parents=True)
    monkeypatch.chdir(home)
    assert "no folder named baselines here" in complaint(capsys, "list")
    for place, cell in (("deep/er", CELL), ("suites", OTHER)):
        Baselines(folder=home / place / "baselines", locks=tmp_path).write(result(cell, 1.0))
        assert cell in told(capsys, "list")
    (home / "more" / "baselines").mkdir(parents=True)
    both = f"{Path('more', 'baselines')}, {Path('suites', 'baselines')}"
    assert f"several folders of baselines: {both}; name one with --folder=DIR" in complaint(capsys, "list")
    assert CELL in told(capsys, "list", "--folder", "deep/er/baselines")
    assert "no such folder" in complaint(capsys, "list", "--folder=nowhere")


@pytest.mark.parametrize("arguments", [["accept"], ["accept", CELL, "--all"], ["show"], [], ["lst"]])
def test_wrong_usage_exits_with_two(
    stored: Baselines, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["baseline", *arguments])
    assert stopped.value.code == 2
    assert "usage: fmtransfer baseline" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_in_a_line(
    stored: Baselines, capsys: pytest.CaptureFixture[str]
) -> None:
    stored.keep_obtained(result(CELL, 2.0))
    pair = stored.pair(Cell.parse(CELL))
    pair.scores.unlink()
    pair.scores.mkdir()  # also root cannot replace it by a file
    assert str(pair.scores) in complaint(capsys, "accept", CELL)

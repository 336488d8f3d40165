"""What was ever recorded is listed beside the baselines, and one that is deleted is missed. Synthetic results."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.baseline_names import LIST, list_lines, listed_cells, lost_cells, unlisted_cells
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS, as_declared
from tests.test_light import ROOT
from tests.test_plugin_recorded import KNN, PROBE, SUITE


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Two baselines that are recorded and agree with what is exported."""
    pytester.makepyfile(test_suite=SUITE)
    for name in (KNN, PROBE):
        baselines(pytester).record(as_declared(name, 1.5))
        Baselines(folder=pytester.path / "out").write(as_declared(name, 1.5))
    return pytester


def baselines(suite: pytest.Pytester) -> Baselines:
    return Baselines(folder=suite.path / "baselines", locks=suite.path / "locks")


def delete(suite: pytest.Pytester, name: str) -> None:
    for path in baselines(suite).pair(Cell.parse(name)):
        path.unlink()


def lines(folder: Path) -> list[str]:
    return (folder / LIST).read_text().splitlines()


def test_a_deleted_baseline_fails(suite: pytest.Pytester) -> None:
    suite.runpytest("--fm-collect=out").assert_outcomes(passed=2)
    delete(suite, KNN)
    result = suite.runpytest("--fm-collect=out")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"the baseline of {KNN} is gone from *, where recorded.txt lists it; *prune*"])


def test_the_advice_to_prune_names_the_folder(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    suite.mkdir("other").joinpath("baselines").mkdir()  # with two folders, prune must be told which
    delete(suite, KNN)
    advice = "fmtransfer baseline prune --yes --folder=baselines"
    suite.runpytest("--fm-collect=out").stdout.fnmatch_lines([f"the baseline of {KNN} is gone from *{advice}"])
    assert main(["baseline", "list", "--folder=baselines"]) == 2
    assert capsys.readouterr().err.endswith(f"{advice}\n")
    assert main(advice.split()[1:]) == 0


@pytest.mark.parametrize("options", [(), ("--fm-allow-missing",), ("-n", "1")], ids=["here", "allow", "worker"])
@pytest.mark.parametrize("ci", ["", "1"], ids=["here", "CI"])
def test_it_fails_where_the_cell_cannot_run_either(
    suite: pytest.Pytester, options: tuple[str, ...], ci: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is exported there: all that is missing would be a skip."""
    monkeypatch.setenv("CI", ci)
    delete(suite, KNN)
    suite.mkdir("empty")
    run = suite.runpytest_subprocess if "-n" in options else suite.runpytest
    result = run("--fm-collect=empty", "-k", "knn", *options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*the baseline of {KNN} is gone*"])


def test_one_whose_folder_is_gone_as_a_whole_is_missed_too(suite: pytest.Pytester) -> None:
    smoke = as_declared(KNN, 1.5, profile="smoke")
    stored = Baselines(folder=suite.path / "baselines" / "smoke")
    stored.record(smoke)
    assert lines(suite.path / "baselines") == [KNN, PROBE, f"smoke/{KNN}"]
    assert not (stored.folder / LIST).exists()
    for path in stored.pair(smoke.cell):
        path.unlink()
    stored.folder.rmdir()
    result = suite.runpytest("--fm-profile=smoke", "--fm-collect=out")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*the baseline of {KNN} is gone*prune --yes --folder=baselines/smoke"])
    assert main(["baseline", "prune", "--yes", "--folder=baselines/smoke"]) == 0
    assert lines(suite.path / "baselines") == [KNN, PROBE]


def test_a_test_that_names_its_cells_misses_it_too(suite: pytest.Pytester) -> None:
    delete(suite, KNN)
    named = "backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn']"
    suite.makepyfile(test_suite=SUITE.replace("recorded=True", named))
    suite.mkdir("empty")
    suite.runpytest("--fm-collect=empty").assert_outcomes(errors=1)


def test_on_ci_a_claim_whose_cell_was_recorded_is_not_skipped(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(suite, KNN)
    named = "backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn']"
    claim = SUITE.replace("recorded=True", named).replace(", baseline", "").replace("unchanged_from(baseline)", "mean")
    suite.makepyfile(test_suite=claim)
    suite.mkdir("empty")
    suite.runpytest("--fm-collect=empty").assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "1")
    suite.runpytest("--fm-collect=empty").assert_outcomes(errors=1)


def test_update_records_it_again_and_keeps_the_list(suite: pytest.Pytester) -> None:
    delete(suite, KNN)
    suite.runpytest("--fm-collect=out", "--fm-update=new").assert_outcomes(passed=2)
    assert lines(suite.path / "baselines") == [KNN, PROBE]
    suite.runpytest("--fm-collect=out").assert_outcomes(passed=2)


def test_baselines_that_no_list_names_are_told_and_listed_by_an_update(suite: pytest.Pytester) -> None:
    (suite.path / "baselines" / LIST).unlink()
    result = suite.runpytest("--fm-collect=out")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["fmtransfer: 2 baselines in baselines would not be missed, *--fm-update=new*"])
    suite.runpytest("--fm-collect=out", "--fm-update=new", "-k", "knn").assert_outcomes(passed=1, deselected=1)
    assert lines(suite.path / "baselines") == [KNN, PROBE]
    assert "would not be missed" not in suite.runpytest("--fm-collect=out").stdout.str()


def test_an_export_has_no_list(suite: pytest.Pytester) -> None:
    """Real images."""
    suite.runpytest("--fm-export=new", "-k", "knn")
    assert sorted(path.name for path in (suite.path / "new").iterdir()) == [f"{KNN}.json", f"{KNN}.npz"]


def test_accept_and_prune_keep_the_list(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    stored = baselines(suite)
    folder = ["--folder", str(stored.folder), "--store", str(suite.path)]
    stored.keep_obtained(as_declared("mobilenetv2-br35h-knn", 1.0))
    assert main(["baseline", "accept", "mobilenetv2-br35h-knn", *folder]) == 0
    assert "and recorded.txt" in capsys.readouterr().out
    assert lines(stored.folder) == ["mobilenetv2-br35h-knn", KNN, PROBE]

    delete(suite, KNN)
    assert main(["baseline", "list", *folder]) == 2
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines() if line.startswith(KNN)] == [[KNN, "missing"]]
    assert f"the baseline of {KNN} is gone" in told.err

    assert main(["baseline", "prune", *folder]) == 0
    assert f"would remove {KNN} from recorded.txt: its files are gone" in capsys.readouterr().out
    assert len(lines(stored.folder)) == 3
    assert main(["baseline", "prune", "--yes", *folder]) == 0
    assert lines(stored.folder) == ["mobilenetv2-br35h-knn", PROBE]
    assert main(["baseline", "list", *folder]) == 0


def test_what_prune_removes_is_not_missed(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    named = "backbones=['shortcut.metadata'], datasets=['br35h'], regimes=['knn']"
    suite.makepyfile(test_suite=SUITE.replace("recorded=True", named))
    folder = ["--folder", str(suite.path / "baselines"), "--store", str(suite.path)]
    assert main(["baseline", "prune", "--yes", *folder, "test_suite.py"]) == 0
    assert f"removes {suite.path / 'baselines' / PROBE}.json" in capsys.readouterr().out
    assert lines(suite.path / "baselines") == [KNN]


def test_a_merge_that_was_not_solved_keeps_both_sides(tmp_path: Path) -> None:
    conflict = f"<<<<<<< HEAD\n{PROBE}\n=======\r\n{KNN}\r\n>>>>>>> theirs\n{KNN}\n"
    (tmp_path / LIST).write_text(conflict, newline="")
    assert listed_cells(tmp_path) == [Cell.parse(KNN), Cell.parse(PROBE)]
    Baselines(folder=tmp_path).record(as_declared("mobilenetv2-br35h-knn", 1.0))
    assert lines(tmp_path) == ["mobilenetv2-br35h-knn", KNN, PROBE]


def test_a_line_that_is_no_cell_is_an_error_that_names_it(suite: pytest.Pytester) -> None:
    file = suite.path / "baselines" / LIST
    file.write_text(f"{KNN}\nwhat is this\n")
    with pytest.raises(InvalidInput, match=r"recorded\.txt, line 2: 'what is this' is no cell"):
        listed_cells(file.parent)
    result = suite.runpytest("--fm-collect=out")
    result.assert_outcomes(failed=1)
    assert "line 2: 'what is this' is no cell" in result.stdout.str()


NAMES = st.sets(st.sampled_from([KNN, PROBE, "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"]))


@given(ours=NAMES, theirs=NAMES)
@LAWS
def test_two_branches_merge_line_by_line(
    ours: set[str], theirs: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever order a merge leaves the lines in, and however often: what either branch recorded is listed."""
    folder = tmp_path_factory.mktemp("list")
    (folder / LIST).write_text("".join(f"{name}\n" for name in (*sorted(theirs), *sorted(ours))))
    assert {cell.id for cell in lost_cells(folder)} == ours | theirs
    assert unlisted_cells(folder) == []
    assert set(list_lines(folder)) == ours | theirs


def test_the_baselines_of_this_repository_are_listed() -> None:
    folder = ROOT / "suites" / "baselines"
    assert lost_cells(folder) == unlisted_cells(folder) == []
    assert lines(folder) == sorted(lines(folder))

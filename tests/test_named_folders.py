"""A folder of weights or data that does not exist is a usage error that says who named it."""

import os
from pathlib import Path

import pytest

from pytest_fmtransfer.cli import main
from pytest_fmtransfer.places import no_such_folder

CELLS = 'backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn"]'
SUITE = f"import pytest\n\n@pytest.mark.fm_cells({CELLS})\ndef test_it(candidate):\n    pass\n"
NAMES = [("weights", "FMTRANSFER_WEIGHTS"), ("data_root", "FMTRANSFER_DATA")]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    pytester.mkdir("models")
    return pytester


def option_of(name: str) -> str:
    return f"--fm-{name.replace('_', '-')}"


def refused(suite: pytest.Pytester, *options: str) -> str:
    result = suite.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str()


@pytest.mark.parametrize("name", ["weights", "data_root"])
@pytest.mark.parametrize("more", [(), ("--fm-plan",), ("--fm-claims",), ("--co",)], ids=str)
def test_one_that_is_not_there(suite: pytest.Pytester, name: str, more: tuple[str, ...]) -> None:
    said = refused(suite, f"{option_of(name)}=modles", *more)
    assert f"{option_of(name)}={suite.path / 'modles'}: no such folder; did you mean {suite.path / 'models'}?" in said


@pytest.mark.parametrize(("name", "variable"), NAMES)
def test_who_named_it_is_told(
    suite: pytest.Pytester, name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(suite.path / "modles"))
    assert f"{variable}={suite.path / 'modles'}: no such folder; did you mean" in refused(suite)
    suite.makeini(f"[pytest]\nfm_{name} = nope\n")  # which stands before the variable
    said = refused(suite)
    assert f"ini value fm_{name} of tox.ini={suite.path / 'nope'}: no such folder; name one that exists" in said
    assert variable not in said


@pytest.mark.parametrize("name", ["weights", "data_root"])
def test_a_file_is_no_folder(suite: pytest.Pytester, name: str) -> None:
    said = refused(suite, f"{option_of(name)}=test_suite.py")
    assert "that is no folder; name the folder that the file is in" in said


def test_a_variable_does_not_stop_tests_that_run_no_cell(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMTRANSFER_DATA", "/nope")
    suite.makepyfile(test_suite="def test_plain():\n    pass\n")
    suite.runpytest().assert_outcomes(passed=1)


def test_folders_that_are_not_read_or_that_are_made_are_not_looked_at(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nfm_weights = nope\n")
    suite.runpytest("--fm-collect=models").assert_outcomes(skipped=1)
    assert suite.runpytest("--fm-download", "--co").ret == pytest.ExitCode.OK
    assert "no such folder" not in suite.runpytest("--fm-stand-ins", "--co").stderr.str()


def test_workers_tell_the_controller(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMTRANSFER_WEIGHTS", "/nope")
    result = suite.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*FMTRANSFER_WEIGHTS=/nope: no such folder*"])


@pytest.mark.parametrize(
    ("verb", "option", "variable"),
    [
        (["doctor"], "--weights", None),
        (["doctor"], "--data-root", None),
        (["list", "backbones"], "--weights", "FMTRANSFER_WEIGHTS"),
        (["list", "datasets"], "--data-root", "FMTRANSFER_DATA"),
        (["list", "regimes"], "--weights", "FMTRANSFER_WEIGHTS"),
        (["audit", "br35h"], "--data-root", "FMTRANSFER_DATA"),
    ],
)
def test_the_verbs_refuse_it_too(
    verb: list[str],
    option: str,
    variable: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main([*verb, option, "/nope"]) == 2
    assert f"{option}=/nope: no such folder" in capsys.readouterr().err
    if variable is not None:
        monkeypatch.setenv(variable, "/nope")
        assert main(verb) == 2
        assert f"{variable}=/nope: no such folder" in capsys.readouterr().err


def test_near_names_are_those_of_folders_at_the_first_part_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "weights" / "vit").mkdir(parents=True)
    (tmp_path / "weighs.txt").touch()
    said = no_such_folder("--fm-weights", tmp_path / "wieghts" / "vit")
    assert said is not None
    assert f"did you mean {tmp_path / 'weights'}?" in said
    assert no_such_folder("--fm-weights", tmp_path / "weights") is None


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="whoever is root may list everything")
def test_a_folder_that_may_not_be_listed_has_no_near_names(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    tmp_path.chmod(0o300)
    try:
        assert "name one that exists" in str(no_such_folder("--fm-weights", tmp_path / "wieghts"))
    finally:
        tmp_path.chmod(0o700)

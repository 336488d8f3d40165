"""The command line: verbs are imported when used, mistakes are one line and exit code 2."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from pytest_fmtransfer import Places, Registry
from pytest_fmtransfer.catalog.specs import DataRoot, FindingKind
from pytest_fmtransfer.cli import VERBS, main
from tests.pictures import save, scan

SEVERE: dict[FindingKind, str] = {
    "exact_copies_across_sides": "made to be found",
    "class_too_small": "made to be found",
}


def python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def test_help_names_every_verb_and_imports_none_of_them() -> None:
    code = (
        "import sys\n"
        "from pytest_fmtransfer.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as done:\n"
        "    print('EXIT', done.code)\n"
        "print([m for m in ('numpy', 'scipy', 'torch', 'pandas', 'pytest_fmtransfer.cli.audit') if m in sys.modules])\n"
    )
    told = python("-c", code)
    assert told.endswith("EXIT 0\n[]\n")
    assert all(verb in told for verb in VERBS)


def test_the_package_runs_as_a_module() -> None:
    assert python("-m", "pytest_fmtransfer", "--version").strip()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_that_offers_what_the_frame_asks_for(verb: str) -> None:
    module = import_module(f"pytest_fmtransfer.cli.{verb}")
    assert module.__doc__
    assert callable(module.add_arguments)
    assert callable(module.run)


@pytest.mark.parametrize("arguments", [[], ["audti", "br35h"], ["audit"], ["audit", "br35h", "--nothing"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: fmtransfer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["list", "backbone"], "no 'backbone' here; did you mean backbones?"),
        (["lists"], "no 'lists' here; did you mean list?"),
        (["list", "x"], "no 'x' here; valid names: backbones, datasets, profiles, regimes"),
        (["baseline", "acept", "a-b-c"], "no 'acept' here; did you mean accept?"),
        (["list", "backbones", "--library=tim"], "no 'tim' here; did you mean timm?"),
        ([], "required: VERB, which is one of: audit, baseline, convert, doctor, list"),
        (["list"], "required: WHAT, which is one of: backbones, datasets, profiles, regimes"),
        (["baseline"], "required: WHAT, which is one of: accept, diff, images, list"),
        (["audit"], "required: DATASET\n"),
    ],
)
def test_a_word_that_is_missing_or_nearly_right_is_told_what_was_meant(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("br35", "unknown dataset 'br35'; did you mean br35h"),
        ("br35", "an entry point in group fmtransfer.catalog"),
        ("ddsm", "put it into a folder DDSM below one that --fm-data-root=DIR names"),
    ],
)
def test_a_dataset_that_cannot_be_audited_is_one_line(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", name]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("fmtransfer audit: ")
    assert message in told.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a folder in the layout of Br35H, whose one picture `00` is in nine files."""
    for number in range(30):
        save(scan(number, 64), tmp_path / "MRI" / ("no" if number % 2 else "yes") / f"{number:02}.jpg")
    for number in range(8):
        (tmp_path / "MRI" / "yes" / f"copy{number}.jpg").write_bytes((tmp_path / "MRI" / "yes" / "00.jpg").read_bytes())
    register(monkeypatch, {})
    return tmp_path


def register(monkeypatch: pytest.MonkeyPatch, acknowledged: dict[FindingKind, str]) -> None:
    """The catalogue of the command line has the dataset `mri`, as an entry point would give it."""
    row = replace(
        Registry().dataset("br35h.naive"),
        name="mri",
        location=DataRoot(folder="MRI", url="https://example.org"),
        expected_images=None,
        acknowledged=acknowledged,
    )
    monkeypatch.setattr("pytest_fmtransfer.cli.audit.Registry", lambda: Registry(rows=(row,)))


def audit(folder: Path, *more: str) -> int:
    return main(["audit", "mri", "--data-root", str(folder), "--store", str(folder / "store"), *more])


def test_an_unacknowledged_severe_finding_exits_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(folder) == 1
    told = capsys.readouterr().out
    assert "exact_copies_across_sides" in told
    assert "to do: put all copies of a picture on one side" in told
    assert told.splitlines()[-1].startswith("mri, 38 images: 2 severe and unacknowledged")
    assert (folder / "store" / "audits").is_dir()


def test_acknowledged_findings_exit_with_0_and_say_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register(monkeypatch, SEVERE | {"class_absent": "once there was one"})
    assert audit(folder) == 0
    told = capsys.readouterr().out
    assert "acknowledged: made to be found" in told
    assert "2 severe, each acknowledged in the row of mri" in told
    assert told.endswith("acknowledged but not found, so take it out of the row: class_absent\n")


def test_all_lists_every_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit(folder)
    short = capsys.readouterr().out
    audit(folder, "--all")
    long = capsys.readouterr().out
    assert all(f"copy{number}.jpg" in long for number in range(8))
    assert len(long.splitlines()) > len(short.splitlines())


def test_verify_hashes_images_that_do_not_seem_to_have_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_fmtransfer.data.pictures.file_state", lambda path: (str(path), 0, 0, 0, 0))
    told: list[bool] = []
    for options in ((), (), ("--verify",), ()):
        audit(folder, "--all", *options)
        told.append("copy0.jpg" in capsys.readouterr().out)
        save(scan(99, 64), folder / "MRI" / "yes" / "copy0.jpg")  # no copy any more, since the first look
    assert told == [True, True, False, False]


def test_data_that_are_not_here_exit_with_2_and_the_remedy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "elsewhere").mkdir()
    assert audit(folder / "elsewhere") == 2
    assert "get it from https://example.org" in capsys.readouterr().err


def test_br35h_has_nothing_to_say(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "br35h", "--store", str(places.store)]) == 0
    assert capsys.readouterr().out == "br35h, 318 images: nothing severe; 0 to note\n"


def test_whoever_reads_may_have_seen_enough() -> None:
    command = [sys.executable, "-m", "pytest_fmtransfer", "list", "backbones"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (1, "")

"""`fmtransfer list` and `fmtransfer doctor`: what they print of a catalogue and of a machine."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Registry
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.regimes import PROFILES
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    DataRoot,
    FileWeights,
    PackagedFolder,
    PackagedWeights,
    PublishedWeights,
)
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.cli.catalogue import stacked
from pytest_fmtransfer.device_runs import device_runs, standing_of
from pytest_fmtransfer.weights_places import place_for
from tests.helpers import LAWS
from tests.pictures import head, save

LITE0, BR35H = Registry().backbone("efficientnet_lite0"), Registry().dataset("br35h")
ROWS = (
    replace(LITE0, name="here"),
    replace(
        LITE0,
        name="absent",
        licence="CC BY-NC 4.0",
        weights=PublishedWeights(file="absent.pth", url="https://example.org/absent.pth"),
    ),
    replace(
        LITE0, name="unpacked", weights=PackagedWeights(distribution="absent-weights", module="absent_w", file="w.pth")
    ),
    replace(LITE0, name="gone", library="python", architecture="nowhere:make", weights=FileWeights(path=Path("/no"))),
    replace(BR35H, name="local"),
    replace(BR35H, name="remote", location=DataRoot(folder="REMOTE", url="https://example.org/remote")),
    replace(BR35H, name="packed", location=PackagedFolder(distribution="absent-data", module="absent_d", folder="d")),
    Registry().regime("knn"),
    Registry().regime("finetune_linear"),
)


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # what is told is looked at here, and where it is broken in one test
    for verb in ("list", "doctor"):
        __import__(f"pytest_fmtransfer.cli.{verb}")
        monkeypatch.setattr(f"pytest_fmtransfer.cli.{verb}.Registry", lambda: Registry(rows=ROWS))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The names that begin the lines below the heading."""
    return [line.split()[0] for line in told(capsys, "list", *arguments).splitlines()[1:]]


def line(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{name} "))


def block(text: str, name: str) -> str:
    """What the doctor says of a name: its line, and the lines below that are indented, as one."""
    first, *below = dropwhile(lambda each: each.split("  ")[0].split(" (")[0] != name, text.splitlines())
    return "  ".join([first, *(each.strip() for each in takewhile(lambda each: each.startswith("  "), below))])


def test_a_line_says_what_a_backbone_is_and_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "list", "backbones")
    assert line(text, "here").split()[:4] == ["here", "timm", "Apache-2.0", "ready"]
    assert line(text, "here").endswith(LITE0.source)
    assert "  no weights  " in line(text, "absent")
    assert "  no function; no weights  " in line(text, "gone")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([], ["absent", "gone", "here", "unpacked"]),
        (["--ready"], ["here"]),
        (["--missing"], ["absent", "gone", "unpacked"]),
        (["--library=python"], ["gone"]),
        (["--licence=by-nc"], ["absent"]),
        (["--licence=apache", "--missing", "--library=timm"], ["unpacked"]),
        (["--licence=GPL"], []),
    ],
)
def test_backbones_are_filtered(capsys: pytest.CaptureFixture[str], filters: list[str], names: list[str]) -> None:
    assert listed(capsys, "backbones", *filters) == names


def test_a_folder_that_is_named_is_looked_into(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(9)}, tmp_path / "absent.pth")
    (tmp_path / "REMOTE").mkdir()
    (tmp_path / "REMOTE" / "train.csv").touch()
    assert listed(capsys, "backbones", "--ready", "--weights", str(tmp_path)) == ["absent", "here"]
    assert listed(capsys, "datasets", "--ready", "--data-root", str(tmp_path)) == ["local", "remote"]


def test_datasets_and_regimes_are_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, "datasets", "--missing") == ["packed", "remote"]
    assert listed(capsys, "datasets", "--licence=mit") == ["local", "packed", "remote"]


def test_a_regime_whose_head_has_no_weights_here_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_fmtransfer.cli.list.Registry", Registry)
    assert {"knn", "finetune_linear", "lora<r>"} <= set(listed(capsys, "regimes", "--ready"))
    deitb = ["drop<k>_deitb", "finetune_deitb", "frozen_deitb", "partial<k>_deitb"]
    assert sorted(listed(capsys, "regimes", "--missing")) == deitb
    assert "  no weights of imagenet_deitb16  " in line(told(capsys, "list", "regimes"), "frozen_deitb")
    torch.save({"a": torch.zeros(9)}, tmp_path / "deit_base_patch16_224-b5f2ef4d.pth")
    other = told(capsys, "list", "regimes", "--weights", str(tmp_path))
    assert "  other weights than those of imagenet_deitb16  " in line(other, "frozen_deitb")
    monkeypatch.setattr("pytest_fmtransfer.availability.check_sha256", lambda *given: None)
    assert told(capsys, "list", "regimes", "--missing", "--weights", str(tmp_path)).startswith("none of the regimes")


def test_nothing_that_answers_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "list", "backbones", "--licence=GPL") == "none of the backbones answers to that\n"


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "models"], ["list", "backbones", "--library=tim"], ["list", "x", "--ready"],
                  ["list", "backbones", "--ready", "--missing"], ["doctor", "--tourch"]]
)  # fmt: skip
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: fmtransfer" in capsys.readouterr().err


def test_the_doctor_says_where_to_get_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = told(capsys, "doctor", "--store", str(tmp_path / "new"), "--weights", str(tmp_path))
    name, state, *rest = [part.strip() for part in block(text, "absent").split("  ") if part]
    assert (name, state) == ("absent", "no weights")
    assert set(rest) == {"absent.pth", "https://example.org/absent.pth", str(tmp_path)}
    assert block(text, "here").split() == ["here", "ready"]
    assert "pip install absent-weights" in block(text, "unpacked")
    assert "no module 'nowhere'" in block(text, "gone")
    remote = block(text, "remote")
    assert all(part in remote for part in ("no images", "REMOTE/", "https://example.org/remote", "--data-root=DIR"))
    assert "pip install absent-data" in block(text, "packed")


def test_datasets_that_are_missing_from_one_folder_share_a_line_of_the_doctor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_fmtransfer.cli.doctor.Registry", Registry)
    few = [f"medmnist.{name}" for name in ("pathmnist", "pathmnist_64")]
    text = told(capsys, "doctor", "--data-root", str(tmp_path))
    assert not any(name in text for name in few)
    together = block(text, "medmnist.…")
    assert "(48 datasets)  no images" in together
    assert "  MedMNIST/  " in together
    assert "https://zenodo.org/records/10519652/files" in together
    assert f"{tmp_path}; fmtransfer list datasets names each" in together
    folder = tmp_path / "MedMNIST"
    folder.mkdir()
    (folder / "pathmnist_64.npz").write_bytes(b"no archive")  # one that is here is told by itself
    text = told(capsys, "doctor", "--data-root", str(tmp_path))
    assert "cannot be read" in block(text, "medmnist.pathmnist_64")
    assert "(47 datasets)" in block(text, "medmnist.…")


def test_the_doctor_counts_the_images_of_what_is_here_and_says_what_is_wrong_with_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(
        BR35H,
        name="heads",
        location=DataRoot(folder="heads", url="https://example.org/heads"),
        expected_images=2,
    )
    monkeypatch.setattr("pytest_fmtransfer.cli.doctor.Registry", lambda: Registry(rows=(row,)))
    assert "2 expected" in block(told(capsys, "doctor", "--data-root", str(tmp_path)), "heads")
    save(head(0), tmp_path / "heads" / "no" / "0.jpg")
    save(head(1), tmp_path / "heads" / "yes" / "0.jpg")
    assert block(told(capsys, "doctor", "--data-root", str(tmp_path)), "heads").split()[1:] == (
        ["ready", "2", "found,", "2", "expected"]
    )
    save(head(2), tmp_path / "heads" / "yes" / "1.jpg")
    told_of = block(told(capsys, "doctor", "--data-root", str(tmp_path)), "heads")
    assert "cannot be read" in told_of
    assert "holds 3 images, heads has 2" in told_of


@pytest.mark.parametrize("columns", [None, 80, 200], ids=str)
def test_the_doctor_fits_the_terminal_and_cuts_nothing(
    columns: int | None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 columns where there is no terminal. A path or an address stays whole, however long."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("pytest_fmtransfer.cli.doctor.Registry", Registry)
    data = tmp_path / "a folder that has" / "a long name, longer than a column"
    (data / "DDSM").mkdir(parents=True)
    text = told(capsys, "doctor", "--data-root", str(data))
    fits = columns or 120
    broken = [line for line in text.splitlines() if max(map(len, line.split()), default=0) <= fits - 24]
    assert max(map(len, broken)) <= fits
    said = " ".join(text.split())
    for row in Registry().rows(BackboneSpec):
        if isinstance(row.weights, PublishedWeights) and "no weights" in block(text, row.name):
            assert place_for(row, row.weights) in block(text, row.name)
            assert row.weights.url in block(text, row.name)
    assert str(data) in said
    assert "fmtransfer list datasets names each" in said
    assert "DDSM: " in said or "DDSM/" in said


TEXTS = st.lists(st.text("abc ", max_size=70).map(lambda text: " ".join(text.split())), min_size=4, max_size=4)


@LAWS
@given(rows=st.lists(TEXTS, min_size=1, max_size=6), columns=st.integers(1, 4), width=st.integers(60, 130))
def test_a_stacked_table_has_every_word_in_its_order(rows: Sequence[list[str]], columns: int, width: int) -> None:
    rows = [[f"n{at}", *row] for at, row in enumerate(rows)]
    text = stacked(rows, columns, width)
    assert sorted(text.split()) == sorted(" ".join(" ".join(row) for row in rows).split())
    starts = [each for each in text.splitlines() if not each.startswith(" ")]
    assert [each.split()[0] for each in starts] == [row[0] for row in rows]


def test_the_doctor_looks_at_the_store_and_makes_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = tmp_path / "new" / "store"
    assert block(told(capsys, "doctor", "--store", str(store)), "store").endswith("writable; made by the first run")
    assert not store.parent.exists()
    store.mkdir(parents=True)
    assert block(told(capsys, "doctor", "--store", str(store)), "store").endswith(f"{store}: writable")


@pytest.mark.parametrize("below", ["", "store"])
def test_the_doctor_fails_where_the_store_cannot_be_written_and_says_why(
    below: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (file := tmp_path / "file").touch()
    assert main(["doctor", "--store", str(file / below)]) == 1
    text = block(capsys.readouterr().out, "store")
    assert f"{file / below}: cannot be written to ({file} is a file, not a folder); name another" in text
    assert "--fm-store=DIR" in text


def test_the_doctor_tells_folders_versions_and_the_device(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pytest_fmtransfer.cli.doctor.WANTED", ("a-library-that-is-not-here",))
    monkeypatch.setenv("FMTRANSFER_DATA", str(tmp_path / "none"))
    text = told(capsys, "doctor")
    assert line(text, "python").split()[1] == ".".join(map(str, sys.version_info[:3]))
    assert block(text, "a-library-that-is-not-here").endswith("not installed")
    assert block(text, "weights").endswith("--weights=DIR or FMTRANSFER_WEIGHTS names one")
    assert block(text, "data-root").endswith(
        f"FMTRANSFER_DATA={tmp_path / 'none'}: no such folder; name one that exists"
    )
    assert "--torch asks torch" in block(text, "device")


def test_the_doctor_says_that_a_device_without_a_run_on_record_is_untested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("FMTRANSFER_DEVICE", "cpu")
    monkeypatch.setattr("pytest_fmtransfer.device_runs.device_runs", lambda: ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert block(told(capsys, "doctor", "--torch"), "device").endswith("torch sees no CUDA")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"card {number}")
    assert block(told(capsys, "doctor", "--torch"), "device").endswith("torch sees card 0, untested on CUDA")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert block(told(capsys, "doctor", "--torch"), "device").endswith("torch sees MPS, untested on MPS")


@pytest.mark.parametrize("arguments", [[], ["--torch"]], ids=["asking the system", "asking torch"])
def test_the_doctor_says_which_device_computes(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("pytest_fmtransfer.device_runs.device_runs", lambda: ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("FMTRANSFER_DEVICE", "cpu")
    assert " the CPU" in block(told(capsys, "doctor", *arguments), "device")
    assert "untested" not in block(told(capsys, "doctor", *arguments), "device")
    monkeypatch.setenv("FMTRANSFER_DEVICE", "cuda")
    text = block(told(capsys, "doctor", *arguments), "device")
    assert text.endswith("cells need --fm-device=cpu" if arguments else "untested on CUDA")


def test_a_run_on_record_is_told_with_command_and_card(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = {
        "device": "cuda",
        "card": "NVIDIA L4",
        "command": "pytest suites/pocket --fm-device=cuda",
        "date": "2027-01-31",
        "torch": "2.14.1",
        "outcome": "60 passed",
    }
    (tmp_path / "runs.json").write_text(json.dumps([{**run, "outcome": "1 failed"}, run]))
    monkeypatch.setattr("pytest_fmtransfer.device_runs.RECORDED", tmp_path / "runs.json")
    monkeypatch.setenv("FMTRANSFER_DEVICE", "cuda")
    device_runs.cache_clear()
    try:
        assert block(told(capsys, "doctor"), "device").endswith(
            "last run on CUDA: pytest suites/pocket --fm-device=cuda on NVIDIA L4, 2027-01-31, torch 2.14.1: 60 passed"
        )
        assert standing_of("mps") == "untested on MPS"
    finally:
        device_runs.cache_clear()


def test_runs_on_record_can_be_read() -> None:
    device_runs.cache_clear()
    assert all(run.command.startswith("pytest ") and run.device != "cpu" for run in device_runs())


@pytest.mark.parametrize(
    ("arguments", "needed"), [(["list", "backbones"], []), (["doctor"], ["numpy", "scipy"])], ids=["list", "doctor"]
)
def test_nothing_heavy_is_imported(arguments: list[str], needed: list[str]) -> None:
    """The doctor counts the images of datasets that are here."""
    code = (
        "import sys\nfrom pytest_fmtransfer.cli import main\n"
        f"assert main({arguments}) == 0\n"
        "heavy = ('torch', 'timm', 'transformers', 'open_clip', 'numpy', 'pandas', 'scipy', 'pytest')\n"
        "print('HEAVY', [name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"HEAVY {needed}\n")


def test_the_rows_of_the_catalogue_are_the_registrys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins and controls stand in no list; rows of an entry point do."""
    assert [row.name for row in Registry(rows=ROWS).rows(BackboneSpec)] == ["absent", "gone", "here", "unpacked"]


def test_profiles_are_listed_with_what_they_spend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Profile(name="mine", forward_dtype="float32", epochs=7, head_epochs=7, seeds=2)
    monkeypatch.setattr("pytest_fmtransfer.cli.list.Registry", lambda: Registry(rows=(*PROFILES, mine)))
    text = told(capsys, "list", "profiles")
    columns = {row.split()[0]: re.split(r"  +", row) for row in text.splitlines()}
    assert columns == {
        "profile": ["profile", "images", "epochs", "seeds", "size", "dtype"],
        "ci": ["ci", "2,000 + 1,000 + 2,000", "10, heads 100", "3", "the backbone's", "float32"],
        "full": ["full", "all", "the regime's", "5", "the backbone's", "float32, training bfloat16_where_native"],
        "mine": ["mine", "all", "7", "2", "the backbone's", "float32"],
        "smoke": ["smoke", "256 + 128 + 256", "8, scratch 40, heads 60", "3", "112 px", "bfloat16_where_native"],
    }

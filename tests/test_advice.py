"""What a message of `fmtransfer audit` or `fmtransfer doctor` advises to type, the verb itself takes."""

import argparse
import ast
import csv
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pytest_fmtransfer
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.device_runs import NAMES

HOME = Path(pytest_fmtransfer.__file__).parents[1]
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w-])")
FOREIGN = {"--query-gpu": "of nvidia-smi", "--format": "of nvidia-smi", "--force-reinstall": "of pip"}
# What code that a verb imports says to users of pytest alone, and why the verb never prints it.
NEVER_SAID = {
    "audit": {
        "--fm-plan": "in short reasons of skips",
        "--fm-controls": "of a control that reads no text",
        "--fm-weights": "an audit looks for no weights",
        "--device": "an audit computes on the processor",
    },
    "doctor": {
        "--fm-plan": "in short reasons of skips",
        "--fm-controls": "of a control that reads no text",
        "--fm-on-bad-image": "it opens no image",
    },
}


def file_of(module: str) -> Path | None:
    path = HOME.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported_by(module: str) -> Iterator[str]:
    """Our modules that one imports, those that it imports when they are needed too."""
    tree = ast.parse((file_of(module) or HOME).read_text(encoding="utf-8"))
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    idle = {id(node) for check in checks for node in ast.walk(check)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in idle and (node.module or "").startswith(f"{NAME}."):
            yield from (name for each in node.names if file_of(name := f"{node.module}.{each.name}"))
            yield str(node.module)


NAME = pytest_fmtransfer.__name__


def said_by(module: str) -> set[str]:
    """The options that a module's texts name, its docstrings left out."""
    tree = ast.parse((file_of(module) or HOME).read_text(encoding="utf-8"))
    texts = {id(node): node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            texts.pop(id(node.value), None)
    return {option for text in texts.values() if isinstance(text, str) for option in OPTION.findall(text)}


@pytest.mark.parametrize("verb", sorted(NEVER_SAID))
def test_a_verb_takes_every_option_that_its_code_names(verb: str) -> None:
    todo, seen = [f"{NAME}.cli.{verb}"], set[str]()
    while todo:
        if (module := todo.pop()) not in seen:
            seen.add(module)
            todo += imported_by(module)
    said = {option for module in seen for option in said_by(module)}
    parser = argparse.ArgumentParser()
    import_module(f"{NAME}.cli.{verb}").add_arguments(parser)
    taken = {option for action in parser._actions for option in action.option_strings}
    assert "--fm-data-root" in said
    assert said - set(FOREIGN) - set(NEVER_SAID[verb]) <= taken
    assert set(NEVER_SAID[verb]) <= said - taken, "an exception that is none any more"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of 60 images: one of them is damaged, and one picture is in four files."""
    rng = np.random.default_rng(0)
    for label in ("no", "yes"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(60):
            pixels = np.kron(rng.integers(0, 256, (8, 8)), np.ones((8, 8))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{number:02}.png")
    whole = Image.open(tmp_path / "images" / "no" / "00.png")
    for number in range(2):
        whole.save(tmp_path / "images" / "no" / f"copy{number}.png", optimize=True)
    whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "images" / "no" / "mirrored.png")
    (tmp_path / "images" / "yes" / "59.png").write_bytes(b"no image")
    return tmp_path / "images"


def test_an_audit_leaves_out_what_it_advises_to_leave_out(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, store = f"mine=folder:{images}", f"--fm-store={images.parent / 'store'}"
    assert main(["audit", line, store]) == 2
    advised = re.search(r"--fm-on-bad-image=\w+", capsys.readouterr().err)
    assert advised is not None
    for option in (advised[0], advised[0].replace("--fm-", "--")):
        assert main(["audit", line, store, option]) != 2
        assert "left out: 1 image that cannot be read: yes/59.png" in capsys.readouterr().out


def test_an_audit_writes_its_groups_of_copies(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = images.parent / "copies.csv"
    options = [f"--store={images.parent / 'store'}", "--on-bad-image=skip", f"--csv={file}"]
    main(["audit", f"mine=folder:{images}", *options])
    assert f"4 images in 1 group of copies: {file}" in capsys.readouterr().out
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["group"], row["kind"], row["id"], row["label"]) for row in rows] == [
        ("1", "exact", "no/00.png", "no"),
        ("1", "exact", "no/copy0.png", "no"),
        ("1", "exact", "no/copy1.png", "no"),
        ("1", "near", "no/mirrored.png", "no"),
    ]
    assert {row["side"] for row in rows} <= {"train", "validation", "test"}
    assert all(row["patient"] for row in rows)


def test_a_file_that_cannot_be_written_is_told_before_the_audit(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (images, images / "nowhere" / "copies.csv"):
        assert main(["audit", f"mine=folder:{images}", f"--csv={file}"]) == 2
        assert f"--csv={file}: " in capsys.readouterr().err


def test_doctor_says_what_a_download_would_bring_and_fetches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError(f"fetches {given}")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("pytest_fmtransfer.download.download_data", refuse)
    folders = [f"--fm-store={tmp_path}", f"--fm-weights={tmp_path}", f"--fm-data-root={tmp_path}"]
    assert main(["doctor", *folders]) == 0
    without = capsys.readouterr().out
    assert main(["doctor", *folders, "--fm-download"]) == 0
    brought = capsys.readouterr().out
    assert "a run with --fm-download fetches it" not in without
    blocks = re.split(r"\n(?=\S)", brought)  # a row's further lines are indented
    names = [block.split()[0] for block in blocks if "a run with --fm-download fetches it" in " ".join(block.split())]
    assert "imagenet_resnet50" in names
    assert any("mnist" in name for name in names)


def test_doctor_speaks_of_the_device_that_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", f"--store={tmp_path}", "--fm-device=cpu"]) == 0
    assert re.search(rf"^device +{re.escape(NAMES['cpu'])}", capsys.readouterr().out, re.MULTILINE)
    assert main(["doctor", "--device=cpuu"]) == 2
    assert "--device=cpuu: " in capsys.readouterr().err

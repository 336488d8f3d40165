"""A user's function is found in its source, and nothing of that source is run."""

import sys
from pathlib import Path

import pytest

from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.functions import look_in, source_of

NEVER_RUN = "raise RuntimeError('was run')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "fn_plain.py": NEVER_RUN + "def make():\n    pass\n\nclass Net: pass\nalias = make\n",
        "fn_star.py": NEVER_RUN + "from fn_plain import *\n",
        "fn_import.py": NEVER_RUN + "from fn_plain import make as build\nimport os.path\n",
        "fn_broken.py": "def make(:\n",
        "fn_package/__init__.py": NEVER_RUN,
        "fn_package/below/__init__.py": NEVER_RUN,
        "fn_package/below/nets.py": NEVER_RUN + "def make(): pass\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("fn_plain:make", "fn_plain.py"),
        ("fn_plain:Net", "fn_plain.py"),
        ("fn_plain:alias", "fn_plain.py"),
        ("fn_import:build", "fn_import.py"),
        ("fn_star:anything", "fn_star.py"),
        ("fn_package.below.nets:make", "fn_package/below/nets.py"),
    ],
)
def test_it_is_found_without_being_run(folder: Path, function: str, file: str) -> None:
    assert source_of(function) == folder / file


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fn_plian:make", "no module 'fn_plian'"),
        ("fn_package.belwo.nets:make", "no module 'fn_package.belwo.nets'"),
        ("fn_plain.nets:make", "no module 'fn_plain.nets'"),
        ("fn_plain.py:make", "write its module's name, fn_plain:make"),
        ("fn_plain:mkae", "has no function 'mkae'; did you mean make"),
        ("fn_package:make", "has no function 'make'"),
        ("fn_broken:make", "is not Python"),
        ("math:sqrt", "is no Python source"),
    ],
)
def test_what_cannot_be_found_is_told(folder: Path, function: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        source_of(function)
    assert message in str(raised.value)


def test_only_functions_and_classes_of_the_module_are_proposed(folder: Path) -> None:
    (folder / "fn_large.py").write_text(
        "import os\nfrom fn_plain import make as build\nSIZE = 3\n"
        "def make():\n    inner = SIZE\n    def helper(): pass\n"
        "class Net:\n    def forward(self): hidden = 1\n"
        "if SIZE:\n    def later(): pass\n"
    )
    with pytest.raises(InvalidInput, match=r"has no function 'nope'; valid names: Net, make$"):
        source_of("fn_large:nope")


def test_folders_are_looked_in_last_and_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["first", str(folder)])
    assert look_in(folder, tmp_path / "more", tmp_path / "more") == [str(tmp_path / "more")]
    assert sys.path == ["first", str(folder), str(tmp_path / "more")]

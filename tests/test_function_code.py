"""Whatever of the user's a `py:` backbone is made of names it: modules that it imports, and files that it opens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fmtransfer.functions import modules_of

FILES = {
    "fc_net.py": "import json\nimport fc_helper\nfrom fc_package.deep import width\nfrom pathlib import Path\n"
    "CONFIG = json.loads((Path(__file__).parent / 'module.json').read_text())\n"
    "def make():\n"
    "    import torch, fc_late\n"
    "    named = json.loads(Path('configs/named.json').read_text())\n"
    "    with open(named['next']) as file:\n"
    "        scale = float(file.read())\n"
    "    return torch.nn.Sequential(torch.nn.Flatten(), fc_helper.Scaled(scale))\n",
    "fc_helper.py": "import torch\n"
    "class Scaled(torch.nn.Module):\n"
    "    def __init__(self, scale):\n"
    "        super().__init__()\n"
    "        self.scale = scale\n"  # no tensor tells of it
    "    def forward(self, x):\n"
    "        return x[:, :6] * self.scale\n",
    "fc_late.py": "",
    "fc_alone.py": "",
    "fc_package/__init__.py": "from . import beside\n",
    "fc_package/beside.py": "import importlib\nimportlib.import_module('fc_dynamic')\n",
    "fc_package/deep.py": "from .beside import importlib\nwidth = 3\n",
    "fc_dynamic.py": "",
    "module.json": "{}",
    "configs/named.json": '{"next": "configs/1.txt"}',
    "configs/1.txt": "1",
    "configs/2.txt": "2",
    "configs/unused.txt": "",
}
SCRIPT = """
import json, sys
from pathlib import Path
from pytest_fmtransfer import Places
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.backbones.building import build_backbone

places = Places(store=Path(sys.argv[1]))
told = []
for kind in sys.argv[2:]:
    row = UserBackbone.parse("mine=py:fc_net:make").row
    if kind == "twin":
        from dataclasses import replace
        from pytest_fmtransfer.catalog.specs import RandomWeights
        row = replace(row, weights=RandomWeights())
    told.append(subject_of(row, "float32", places))
    if kind != "look":
        build_backbone(row, places)
print(json.dumps(told))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def code(project: Path, *kinds: str) -> str:
    """What names the function in a process of its own, which then builds it."""
    command = [sys.executable, "-c", SCRIPT, str(project / "store"), *kinds]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])[0]["code"]


def test_modules_are_found_without_running_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project)
    names = ["fc_helper", "fc_late", "fc_net", "fc_package", "fc_package.beside", "fc_package.deep"]
    assert list(modules_of("fc_net:make")) == names
    assert not {name for name in sys.modules if name.startswith("fc_")}


def test_a_change_of_anything_it_is_made_of_is_another_backbone(project: Path) -> None:
    first = code(project, "own")
    assert code(project, "own") == first
    seen = {first}
    for name in ("fc_helper.py", "fc_package/__init__.py", "fc_late.py", "fc_dynamic.py"):
        with (project / name).open("a") as file:
            file.write("# changed\n")
        seen.add(code(project, "own"))
    for name, text in {
        "module.json": "[]",
        "configs/1.txt": "1.5",
        "configs/named.json": '{"next": "configs/2.txt"}',  # from now on another file is opened
        "configs/2.txt": "2.5",
    }.items():
        (project / name).write_text(text)
        seen.add(code(project, "own"))
    assert len(seen) == 9


def test_a_random_twin_is_made_of_what_its_backbone_is_made_of(project: Path) -> None:
    seen = {code(project, "twin")}
    for name in ("fc_helper.py", "configs/1.txt"):
        (project / name).write_text((project / name).read_text() + " ")
        seen.add(code(project, "twin"))
    assert len(seen) == 3


def test_what_it_is_not_made_of_changes_nothing_and_what_is_put_back_is_found_again(project: Path) -> None:
    first = code(project, "own")
    for name in ("fc_alone.py", "configs/2.txt", "configs/unused.txt"):
        (project / name).write_text("# 3")
        assert code(project, "look") == first
    (project / "configs/1.txt").write_text("7")
    second = code(project, "own")
    (project / "configs/1.txt").write_text("1")
    assert code(project, "look") == first != second
    (project / "configs/1.txt").write_text("7")
    assert code(project, "look") == second
    (project / "configs/1.txt").unlink()
    (project / "configs/named.json").write_text('{"next": "configs/unused.txt"}')
    (project / "configs/unused.txt").write_text("1")
    assert code(project, "own") not in (first, second)

"""`action.yml` and the workflows in docs/ci.md: well formed, in agreement, and their scripts run here as on a runner.

GitHub's own part, the actions that are used and the contexts that are filled in, is not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
WORKFLOWS = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.M | re.S)

CELL, OTHER = "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"
SUITE = """\
import pytest


@pytest.mark.fm_cells(
    backbones=["mobilenetv2"], datasets=["br35h"], regimes=["knn"], reference="efficientnet_lite0"
)
def test_beats(candidate, reference):
    assert candidate.beats(reference)


def test_plain():
    raise AssertionError
"""


def expressions(value: object) -> list[str]:
    """Everything inside ${{ }} in a value, and whole conditions, which need none."""
    if isinstance(value, dict):
        conditions = [text for name, text in value.items() if name == "if"]
        return [*conditions, *(found for each in value.values() for found in expressions(each))]
    if isinstance(value, list):
        return [found for each in value for found in expressions(each)]
    return re.findall(r"\$\{\{(.*?)\}\}", value, re.S) if isinstance(value, str) else []


def check(schema: str, file: Path) -> None:
    """Against the published schema, as the package check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_fits_the_published_schema() -> None:
    check("github-actions", ROOT / "action.yml")


def test_every_input_is_declared_described_and_used() -> None:
    used = {name for text in expressions(ACTION["runs"]) for name in re.findall(r"inputs\.([\w-]+)", text)}
    assert used == set(ACTION["inputs"])
    assert all(each.keys() == {"description", "default"} for each in ACTION["inputs"].values())


def test_every_step_that_is_asked_for_an_output_exists_before() -> None:
    known: set[str] = set()
    for step in STEPS.values():
        assert {name for text in expressions(step) for name in re.findall(r"steps\.(\w+)", text)} <= known
        known |= {step["id"]} if "id" in step else set()
    assert known == {"python", "store"}


def test_scripts_have_a_shell_and_take_inputs_from_the_environment_only() -> None:
    scripts = [step for step in STEPS.values() if "run" in step]
    assert len(scripts) == 2
    for step in scripts:
        assert step["shell"] == "bash"
        assert not expressions(step["run"])
        assert set(re.findall(r"\$\{?([A-Z_]+)", step["run"])) <= {*step["env"], "GITHUB_ACTION_PATH", "PYTEST_ADDOPTS"}


def test_used_actions_name_a_version() -> None:
    for step in STEPS.values():
        assert "run" in step or re.fullmatch(r"actions/[\w/-]+@v\d+", step["uses"])


def test_the_store_is_saved_where_it_was_restored_and_used() -> None:
    restore, save = STEPS["Restore the store"]["with"], STEPS["Save the store"]
    assert restore["path"] == save["with"]["path"] == STEPS["Run the suites"]["env"]["STORE"]
    assert restore["key"].startswith(restore["restore-keys"])
    assert save["if"].startswith("always() &&")  # a red claim does not cost the store


def test_the_key_of_the_store_looks_at_files_that_there_are() -> None:
    [arguments] = re.findall(r"hashFiles\((.*?)\)", STEPS["Restore the store"]["with"]["key"])
    found = {pattern: next(ROOT.glob(pattern), None) for pattern in re.findall(r"'(.*?)'", arguments)}
    assert found.pop("**/requirements*.txt") is None  # this project has none, others do
    assert found.keys() == {"**/baselines/**/*.json", "**/pyproject.toml"}
    assert all(found.values())


def bash(step: str, folder: Path, *, inputs: dict[str, str], path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a step's script as a runner does: with `bash -eo pipefail`, its environment filled in from inputs."""
    given = {name: each["default"] for name, each in ACTION["inputs"].items()} | inputs
    environment = dict(os.environ) | {"PATH": f"{path or Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"GITHUB_ACTION_PATH": "/actions/fm transfer", "GITHUB_WORKSPACE": str(folder)}
    environment |= {"PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "CI": "true"}
    for name, value in STEPS[step]["env"].items():
        filled = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        environment[name] = filled.replace("${{ runner.temp }}", str(folder / "temp"))
        assert "${{" not in environment[name]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "installed"),
    [
        ("", ["/actions/fm transfer[report]"]),
        ("pytest-fmtransfer[pocket]==0.1.0", ["pytest-fmtransfer[pocket]==0.1.0"]),
        (".[pocket]\n-r requirements.txt\n", [".[pocket]", "-r", "requirements.txt"]),
        ("$(touch ran) `touch ran` *", ["$(touch", "ran)", "`touch", "ran`", "*"]),
    ],
)
def test_pip_is_given_what_the_input_says(tmp_path: Path, given: str, installed: list[str]) -> None:
    """A stand-in for python writes down what it is given."""
    stand_in = tmp_path / "bin" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nfor each in "$@"; do echo "$each" >> {tmp_path}/given; done\n')
    stand_in.chmod(0o755)
    (tmp_path / "pytest-fmtransferp").touch()  # what the brackets would match
    (tmp_path / ".p").touch()
    done = bash("Install", tmp_path, inputs={"install": given}, path=str(stand_in.parent))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "given").read_text().splitlines() == ["-m", "pip", "install", *installed]
    assert not (tmp_path / "ran").exists()


def test_the_suites_run_and_leave_what_is_uploaded(tmp_path: Path) -> None:
    """Synthetic results, collected."""
    for name, seed in ((CELL, 0), (OTHER, 1)):
        Baselines(folder=tmp_path / "out").write(as_declared(name, 1.0, seed=seed))
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "test_suite.py").write_text(SUITE)
    (tmp_path / "test_more.py").write_text("def test_more():\n    pass\n")
    inputs = {"suites": "claims\ntest_more.py", "arguments": '--fm-collect=out -k "beats or more"'}
    done = bash("Run the suites", tmp_path, inputs=inputs)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed, 1 passed, 1 deselected" in done.stdout
    assert f"::error file=claims/test_suite.py,line=4,title=test_beats[{CELL}]::" in done.stdout
    uploaded = STEPS["Upload the report and what was obtained"]["with"]["path"].split()
    assert (tmp_path / uploaded[0]).read_text() == (tmp_path / "summary.md").read_text() != ""


def test_suites_that_do_not_end_are_ended(tmp_path: Path) -> None:
    (tmp_path / "test_more.py").write_text("import time\n\ndef test_more():\n    time.sleep(3600)\n")
    done = bash("Run the suites", tmp_path, inputs={"suites": "test_more.py", "minutes": "0.1"})
    assert done.returncode == 1
    assert "ended after 0.1 minutes" in done.stderr


def test_arguments_are_text_and_no_script(tmp_path: Path) -> None:
    done = bash("Run the suites", tmp_path, inputs={"suites": "$(touch ran)", "arguments": "`touch ran` ; touch ran"})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", range(len(WORKFLOWS)))
def test_workflows_in_the_docs_are_workflows_that_use_the_action_rightly(number: int, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    file.write_text(WORKFLOWS[number])
    check("github-workflows", file)
    steps = [step for job in yaml.safe_load(WORKFLOWS[number])["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if "pytest-fmtransfer@" in step.get("uses", "")]
    assert ours
    for step in ours:
        assert step["with"].keys() <= ACTION["inputs"].keys()


def test_there_are_workflows_in_the_docs() -> None:
    assert len(WORKFLOWS) >= 2

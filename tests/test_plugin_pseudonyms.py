"""Names of files and patients stay where the data are: no file that a run leaves outside its store holds one."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.pictures import save, scan

FILE, PATIENT, FOLDER = "quagga", "Zebedee", "aardvark"  # in no other text of a run
CONFTEST = """
from pytest_fmtransfer import own_table

def pytest_fmtransfer_register(registry):
    registry.register(own_table("mine", "scans.csv", label="diagnosis", patient="who", test=0.7))
"""
SUITE = """
import pytest

CELLS = {"backbones": ["shortcut.metadata"], "datasets": ["mine"], "regimes": ["knn"]}


@pytest.mark.fm_cells(**CELLS)
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)


@pytest.mark.fm_cells(**CELLS, reference="shortcut.metadata-{dataset}-ridge")
@pytest.mark.fm_claim(family_size=1)
def test_not_worse(candidate, reference):
    assert candidate.not_worse_than(reference, margin=0.05)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Sixty patients with two images each, of whom one has no name; and what a reader speaks of without reading it."""
    monkeypatch.delenv("CI", raising=False)
    lines = [["image", "diagnosis", "who"]]
    for number in range(120):
        name = f"{FOLDER}/{FILE}{number:03}.png"
        save(scan(number, side=24 + 8 * (number // 2 % 2)), pytester.path / name)
        patient = f"{PATIENT} {number // 2}" if number > 1 else "unknown"
        lines.append([name, "ill" if number // 2 % 2 else "well", patient])
    with (pytester.path / "scans.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    return pytester


REPORTS = ("--junitxml=out/junit.xml", *(f"--fm-report={kind}:out/r.{kind}" for kind in ("json", "csv", "markdown")))


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    (suite.path / "out").mkdir(exist_ok=True)
    return suite.runpytest(
        *REPORTS, "--fm-export=exported", f"--fm-store={suite.path / 'store'}", "-o", "junit_logging=all", *arguments
    )


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder as text; of arrays what they hold, too, which is packed and of four bytes a letter."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, str(path) + path.read_bytes().decode("latin-1")
            if path.suffix == ".npz":
                with np.load(path) as archive:
                    yield path, " ".join(str(archive[name].tolist()) for name in archive.files)


def holding_names(*folders: Path) -> set[str]:
    found = [(path, text.lower()) for folder in folders for path, text in texts(folder)]
    assert found
    return {path.name for path, text in found if any(name.lower() in text for name in (FILE, PATIENT, FOLDER))}


def test_nothing_that_a_run_leaves_holds_a_name(suite: pytest.Pytester) -> None:
    assert holding_names(suite.path) > {"scans.csv"}  # the data are seen by what looks
    run(suite, "--fm-update=new")
    stored = Baselines(folder=suite.path / "baselines")
    [cell] = stored.cells()
    recorded = stored.load(cell)
    stored.write(replace(recorded, scores_SNC=recorded.scores_SNC + np.float32([0, 3])))
    result = run(suite)
    result.stdout.fnmatch_lines(["*drifted*", "*at image *", "obtained: baselines/*"])
    left = [suite.path / folder for folder in ("baselines", "exported", "out")]
    # A notice speaks of them, and names none.
    assert "images of 120 without a patient" in (suite.path / "out" / "r.json").read_text()
    names = {path.name for folder in left for path, _ in texts(folder)}
    assert names >= {
        f"{cell}.json",
        f"{cell}.npz",
        f"{cell}.obtained.json",
        f"{cell}.obtained.npz",
        "recorded.txt",
        "junit.xml",
        "r.json",
        "r.csv",
        "r.markdown",
    }
    assert holding_names(*left) == set()


def test_a_report_of_broken_images_does_not_say_which_they_are(suite: pytest.Pytester) -> None:
    """The terminal does, and so pytest's own file: somebody has to find them."""
    (suite.path / FOLDER / f"{FILE}007.png").write_bytes(b"")
    run(suite).stdout.fnmatch_lines([f"*{FOLDER}/{FILE}007.png*"])
    assert holding_names(suite.path / "out") == {"junit.xml"}
    (suite.path / "out" / "junit.xml").unlink()
    run(suite, "--fm-update=new", "--fm-on-bad-image=skip").assert_outcomes(passed=1, failed=1)
    assert holding_names(suite.path / "out", suite.path / "exported", suite.path / "baselines") == set()

"""The gate goes red, and says why, when a checkpoint, a patient, a class or a split is wrong: from files to a verdict.

The whole way is real and the pictures are synthetic; each mutated run has a store of its own.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.adapt import knn
from pytest_fmtransfer.adapt.sides import Adapted
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.data.table import TEST, TRAIN, Table
from tests.small import catalogue, write_weights

SUITE = """
import pytest


@pytest.mark.fm_cells(backbones=["tiny"], datasets=["stripes"], regimes=["knn"])
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)
"""
CONFTEST = """
from tests import small

def pytest_fmtransfer_register(registry):
    small.register(registry)
"""

Gate = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def recorded(small: Places, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the baseline."""
    folder = tmp_path_factory.mktemp("recorded")
    Baselines(folder=folder).write(transfer(Cell("tiny", "stripes", "knn"), registry=catalogue(), places=small))
    return folder


@pytest.fixture
def gate(pytester: pytest.Pytester, small: Places, recorded: Path, tmp_path: Path) -> Gate:
    """Runs the suite, whose baseline is recorded, in a new store and with other weights where they are given."""
    shutil.copytree(recorded, pytester.path / "baselines")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)

    def run(weights: Path | None = small.weights) -> pytest.RunResult:
        return pytester.runpytest(
            f"--fm-store={tmp_path / 'store'}", f"--fm-weights={weights}", f"--fm-data-root={small.data_root}"
        )

    return run


def is_red(result: pytest.RunResult, *lines: str, at: str = "failed") -> None:
    assert {name: count for name, count in result.parseoutcomes().items() if name != "warnings"} == {at: 1}
    result.stdout.fnmatch_lines([f"*{line}*" for line in lines])


def test_nothing_changed(gate: Gate) -> None:
    gate().assert_outcomes(passed=1)


def test_a_swapped_checkpoint(gate: Gate, tmp_path: Path) -> None:
    write_weights(tmp_path / "other", seed=3)
    is_red(gate(weights=tmp_path / "other"), "drifted", "changed since the baseline: *weights * → *")


def arranged(change: Callable[[Table], Table], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dataset of this layout is arranged as before, and then changed."""
    read = br35h.read
    monkeypatch.setattr(br35h, "read", lambda folder, spec: change(read(folder, spec)))


def test_a_leaked_patient(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def leak(table: Table) -> Table:
        patients_N = table.patients_N.copy()
        patients_N[table.side(TEST)[0]] = patients_N[table.side(TRAIN)[0]]
        return replace(table, patients_N=patients_N)

    arranged(leak, monkeypatch)
    is_red(gate(), "scores on stripes could not be trusted", "patients_on_two_sides: 1 of *", at="errors")


def test_a_split_that_is_off_by_one(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    arranged(lambda table: replace(table, split_N=np.roll(table.split_N, 1)), monkeypatch)
    is_red(gate(), "stale", "the test side: * of 48 images are new, * of the baseline's 48 are gone")


def test_labels_of_classes_in_another_order(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(br35h, "LABELS", {"yes": 0, "no": 1})
    is_red(gate(), "stale", "the labels of 48 of 48 test images, as if the classes were listed in another order")


def test_scores_of_classes_in_another_order(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    adapt = knn.adapt

    def swapped(*arguments: object) -> Adapted:
        adapted = adapt(*arguments)  # pyright: ignore[reportArgumentType]
        return replace(adapted, scores_TC=adapted.scores_TC[:, ::-1])

    monkeypatch.setattr(knn, "adapt", swapped)
    is_red(gate(), "drifted", "the scores are the baseline's with the classes in another order")

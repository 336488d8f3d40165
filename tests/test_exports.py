"""Exported results come back as results that can be judged, or are refused with a sentence. Synthetic scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult, tolerance_of
from pytest_fmtransfer.errors import BaselineError
from pytest_fmtransfer.exports import collect
from tests.helpers import as_declared

KNN, PROBE = Cell("mobilenetv2", "br35h", "knn"), Cell("mobilenetv2", "br35h", "linear_probe")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for cell, signal in ((KNN, 1.0), (PROBE, 2.0)):
        Baselines(folder=tmp_path).write(as_declared(cell.id, signal))
    return tmp_path


def collected(folder: Path, cell: Cell = KNN, profile: str = "ci") -> CellResult:
    return collect(cell, folder, profile=profile, registry=Registry())


def refused(folder: Path, **asked: Any) -> str:
    with pytest.raises(BaselineError) as caught:
        collected(folder, **asked)
    said = str(caught.value)
    assert "\n" not in said
    assert "export it again: run the same command with --fm-export=DIR" in said
    assert "--fm-update" not in said  # the remedy of a baseline
    return said


def test_what_comes_back_is_what_was_written(folder: Path) -> None:
    result, written = collected(folder), as_declared(KNN.id, 1.0)
    assert result.scores_file() == written.scores_file()
    assert (result.cell, result.question, result.subject) == (written.cell, written.question, written.subject)
    assert result.origin == "collected"


def test_the_margin_is_the_one_declared_here(tmp_path: Path, registry: Registry) -> None:
    """It moves no score, so that a margin that is corrected asks for no new export."""
    Baselines(folder=tmp_path).write(as_declared(KNN.id, 1.0, margin=0.5))
    assert collected(tmp_path).margin == registry.dataset("br35h").margin != 0.5


def test_the_tolerance_is_the_regimes(folder: Path, registry: Registry) -> None:
    assert collected(folder).tolerance == tolerance_of(registry.regime("knn"))
    assert collected(folder, PROBE).tolerance == tolerance_of(registry.regime("linear_probe"))


def test_too_few_shuffles_are_refused(tmp_path: Path) -> None:
    shuffled = Cell("mobilenetv2", "br35h.shuffled", "knn")
    whole = as_declared(shuffled.id, 0.0)
    few = replace(whole, scores_SNC=whole.scores_SNC[:19], seeds=whole.seeds[:19], chosen=whole.chosen[:19])
    Baselines(folder=tmp_path).write(few)
    said = refused(tmp_path, cell=shuffled)
    assert "is of 19 shuffled labellings, and what chance is cannot be told from fewer than 20" in said
    Baselines(folder=tmp_path).write(whole)
    assert len(collected(tmp_path, shuffled).seeds) == 20


def test_every_verb_works(folder: Path) -> None:
    better, worse = collected(folder, PROBE), collected(folder)
    assert better.beats(worse)
    assert better.not_worse_than(worse)
    assert not worse.beats(better)
    assert worse.unchanged_from(Baselines(folder=folder).load(KNN))
    moved = replace(worse, scores_SNC=worse.scores_SNC + 100 * worse.tolerance.score * np.float32([[[0, 1]]]))
    assert moved.unchanged_from(worse).outcome == "refuted"


def test_one_that_is_not_there(folder: Path) -> None:
    assert f"no exported result of mobilenetv2.random-br35h-knn in {folder}" in refused(
        folder, cell=Cell("mobilenetv2.random", "br35h", "knn")
    )


def test_another_cells_result_under_the_name(folder: Path) -> None:
    for suffix in ("json", "npz"):
        (folder / f"{PROBE.id}.{suffix}").replace(folder / f"{KNN.id}.{suffix}")
    assert f"{KNN.id}.json holds the result of {PROBE.id}" in refused(folder)


def test_another_profile(folder: Path) -> None:
    said = refused(folder, profile="smoke")
    assert "was measured under profile ci, and this run is about smoke; run with --fm-profile=ci" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("a", "b")}, "classes ('a', 'b') → ('no tumour', 'tumour')"),
        ({"patient_unit": "patient"}, "patient unit patient → group of near copies"),
        ({"seeded": True}, "seeded True → False"),
        ({"metric": "accuracy"}, "metric accuracy → roc_auc"),
        ({"settings": {"neighbours": [1]}}, "settings {'neighbours': [1]} → {'neighbours'"),
        ({"forward_dtype": "bfloat16_where_native"}, "dtype bfloat16_where_native → float32"),
    ],
)
def test_another_declaration(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """A claim is about the metric, the classes and the regime that are declared where it is judged."""
    Baselines(folder=tmp_path).write(as_declared(KNN.id, 1.0, **change))
    said = refused(tmp_path)
    assert f"is about something else than is declared here: {message}" in said
    assert said.count("→") == 1


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '"text"', '{"schema": 1}', "\x00"])
def test_a_foreign_record(folder: Path, text: str) -> None:
    (folder / f"{KNN.id}.json").write_text(text)
    assert "cannot be used" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", None])
def test_damaged_or_absent_scores(folder: Path, content: bytes | None) -> None:
    scores = folder / f"{KNN.id}.npz"
    scores.unlink() if content is None else scores.write_bytes(content)
    assert "cannot be used" in refused(folder)


def test_the_scores_of_another_cell(folder: Path) -> None:
    (folder / f"{PROBE.id}.npz").replace(folder / f"{KNN.id}.npz")
    assert "the scores are not the ones that the record was written with" in refused(folder)

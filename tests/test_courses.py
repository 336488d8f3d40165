"""How training went, as reports tell it: from each seed's history, thinned, with a curve; and the line of progress."""

import io
import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_fmtransfer.adapt import loop
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.loop import Course, train
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.progress import progress, show_on
from pytest_fmtransfer.reports.courses import (
    BARS,
    CURVES,
    MOST_COLUMNS,
    MOST_EPOCHS,
    best_of,
    course_rows,
    curve,
    spread,
)
from pytest_fmtransfer.reports.rows import Report, cell_row, gather
from pytest_fmtransfer.reports.tables import csv, markdown, terminal
from pytest_fmtransfer.results import Result
from tests.helpers import LAWS, result, retrained
from tests.test_loop import BEST, IDS, LABELS_V, MIDDLE, WORST, Scripted, Stopped
from tests.test_loop import course as asked
from tests.test_loop import trained as trained_to_the_end

CELL = "new.model-data-finetune_linear"


def history(*validation: float, loss: float = 0.7) -> dict[str, Any]:
    """A course of one epoch for each value; losses fall by half, and every epoch takes a second for 100 images."""
    return {
        "history": [
            {
                "epoch": at + 1,
                "loss": loss / 2**at,
                "validation": value,
                "share": 1.0,
                "seconds": 1.0,
                "images_per_second": 100.0,
            }
            for at, value in enumerate(validation)
        ]
    }


def trained(*courses: dict[str, Any]) -> Result:
    return replace(retrained(CELL, *(1.0 for _ in courses)), training=courses)


def report(*results: Result) -> Report:
    """As it comes from workers."""
    cells = json.loads(json.dumps([cell_row(each) for each in results]))
    row = {"file": "f", "test": "t", "family": None, "expected": None, "claim": {}, "telling": None}
    return gather([row | {"cells": cells, "verdicts": []}])


def test_a_course_tells_losses_and_the_first_best_epoch() -> None:
    [row] = course_rows(trained(history(0.6, 0.9, 0.9, 0.8)))
    history_of_it = row.pop("history")
    assert row == {
        "seed": 0,
        "epochs": 4,
        "best_epoch": 2,
        "loss_first": 0.7,
        "loss_last": 0.0875,
        "validation": 0.9,
        "images_per_second": 100.0,
        "notes": [],
    }
    assert [epoch["validation"] for epoch in history_of_it] == [0.6, 0.9, 0.9, 0.8]


def test_of_a_loss_the_smallest_is_best() -> None:
    course = history(0.6, 0.3, 0.4)
    labels = retrained(CELL, 1.0)
    judged = replace(labels, question=replace(labels.question, metric="log_loss"), training=(course,))
    [row] = course_rows(judged)
    assert (row["best_epoch"], row["validation"]) == (2, 0.3)
    assert curve(row) == "█[▁]▃"


def test_a_curve_goes_from_the_smallest_value_to_the_largest() -> None:
    [row] = course_rows(trained(history(0.5, 0.6, 0.7, 0.85, 0.8)))
    assert curve(row) == "▁▃▅[█]▇"
    [flat] = course_rows(trained(history(0.5, 0.5)))
    assert curve(flat) == f"{flat['validation']:.3f} at every epoch"
    [odd] = course_rows(trained(history(math.nan, 0.5, 0.6)))
    assert curve(json.loads(json.dumps(odd, allow_nan=False))) == "·▁[█]"
    [none] = course_rows(trained(history(math.nan, math.nan)))
    assert (curve(none), none["validation"]) == ("[·]·", None)


@LAWS
@given(st.lists(st.floats(0, 1), min_size=1, max_size=400))
def test_hundreds_of_epochs_are_thinned_and_the_best_is_kept(values: list[float]) -> None:
    [row] = course_rows(trained(history(*values)))
    kept = [epoch["epoch"] for epoch in row["history"]]
    assert len(kept) == min(len(values), MOST_EPOCHS)
    assert kept == sorted(set(kept))
    assert {1, len(values), row["best_epoch"]} <= set(kept)
    drawn = curve(row)
    if len({f"{value:.3f}" for value in values}) == 1:
        assert drawn == f"{values[0]:.3f} at every epoch"
        return
    assume("at every epoch" not in drawn)  # where the epochs that are left out alone differ
    assert len(drawn.replace("[", "").replace("]", "")) == min(len(values), MOST_COLUMNS)
    assert drawn.count("[") == 1
    assert set(drawn) <= {*BARS, "[", "]"}


@LAWS
@given(st.integers(1, 500), st.integers(3, 100), st.data())
def test_what_is_kept_is_spread(count: int, most: int, data: st.DataObject) -> None:
    always = data.draw(st.integers(0, count - 1))
    kept = spread(count, most, always)
    assert kept == sorted(set(kept))
    assert {0, count - 1, always} <= set(kept)
    assert len(kept) == min(count, most)


@LAWS
@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1), st.booleans())
def test_the_first_best_is_found(values: list[float], higher: bool) -> None:
    known = [value for value in values if not math.isnan(value)]
    at = best_of(values, higher)
    assert at == (values.index((max if higher else min)(known)) if known else 0)


def test_markdown_draws_every_seed_and_a_terminal_a_line_a_cell() -> None:
    notes = {"notes": ["batches of 64 are made of 2 of 32, for want of memory"]}
    told = report(trained(history(0.5, 0.75), history(0.9, 0.6) | notes), result("old.model-data-knn", 1.0))
    text = markdown(told)
    assert "## How training went" in text
    [first, second] = [line for line in text.splitlines() if "→" in line and CELL in line]
    assert [part.strip() for part in first.split("|")][1:-1] == (
        [CELL, "0", "2", "2", "0.700 → 0.350", "roc_auc 0.750", "▁[█]", "100", ""]
    )
    assert [part.strip() for part in second.split("|")][-4:-1] == ["[█]▁", "100", *notes["notes"]]
    lines = [line for line in terminal(told).splitlines() if "→" in line]
    assert lines == [
        f"{CELL}: 2 seeds of 2 epochs, best 2, 1, loss 0.700 → 0.350, 100 images/s, {notes['notes'][0]}",
    ]


def test_a_report_without_training_says_nothing_of_it() -> None:
    told = report(result("old.model-data-knn", 1.0))
    assert told.cells[0]["training"] == []
    assert "How training went" not in markdown(told) + terminal(told)


def test_json_holds_the_history_and_csv_does_not() -> None:
    told = report(trained(history(0.5, 0.75)))
    assert told.cells[0]["training"][0]["history"] == history(0.5, 0.75)["history"]
    heading = csv(told).splitlines()[0]
    assert heading == csv(report(result(CELL, 1.0))).splitlines()[0]
    assert "training" not in heading.split(",")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_of_progress_tells_cell_seed_epoch_loss_metric_speed_and_time_left(tmp_path: Path) -> None:
    course = Course(
        settings=TrainingSettings(epochs=3, batch=2, warm_up_epochs=0.0),
        metric="roc_auc",
        seeds=(4,),
        ids=IDS,
        validation_labels={4: LABELS_V},
        what=f"{CELL} seed 4",
    )
    learner = Scripted(script=((WORST,), (MIDDLE,), (BEST,)))
    stream = Terminal()
    show_on(stream)
    try:
        train(learner, course, Checkpoints(tmp_path / "seed4.pt"))
    finally:
        show_on(None)
    lines = stream.getvalue().replace("\n", "\r").split("\r")
    assert any(
        line.startswith(f"{CELL} seed 4:")
        and "epoch 2/3, loss 0.5000, roc_auc 0.7500" in line
        and "image/s" in line
        and "<" in line
        for line in lines
    ), lines
    stream = Terminal()
    show_on(stream)
    try:
        train(learner, course, Checkpoints(tmp_path / "seed4.pt"))
    finally:
        show_on(None)
    assert f"{CELL} seed 4, resumed after epoch 3:" in stream.getvalue()


def test_the_line_of_a_training_gone_on_with_counts_what_is_done_and_names_the_last_epoch_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[Any] = []

    def watched(what: str, *, total: int, unit: str) -> Any:
        bars.append(progress(what, total=total, unit=unit))
        return bars[-1]

    monkeypatch.setattr(loop, "progress", watched)
    show_on(Terminal())
    try:
        for dies_in in (1, 2, None):
            with suppress(Stopped):
                trained_to_the_end(Scripted(((WORST,), (MIDDLE,), (BEST,)), dies_in=dies_in), asked(3), tmp_path)
    finally:
        show_on(None)
    assert [bar.desc.removesuffix(": ") for bar in bars] == [
        "a-b-c",
        "a-b-c, resumed after epoch 1",
        "a-b-c, resumed after epoch 2",
    ]
    assert [3 * bar.n // bar.total for bar in bars] == [1, 2, 3]


def test_a_training_that_was_resumed_says_after_which_epochs() -> None:
    once, twice = (history(0.6, 0.9, 0.7) | {"resumed": each} for each in ([1], [1, 2]))
    told = report(trained(once, twice, history(0.6, 0.9, 0.7)))
    assert [row["notes"] for row in told.cells[0]["training"]] == [
        ["resumed after epoch 1"],
        ["resumed after epochs 1, 2"],
        [],
    ]
    for drawn in (markdown(told), terminal(told)):
        assert "resumed after epoch 1" in drawn


def test_curves_are_explained_where_there_are_any() -> None:
    told = report(trained(history(0.6, 0.9, 0.7)))
    assert "validation by epoch, [best]" in markdown(told)
    assert CURVES in markdown(told)
    assert CURVES not in terminal(told)
    assert CURVES not in markdown(report(result(CELL, 1.0)))

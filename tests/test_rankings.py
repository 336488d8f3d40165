"""Tables of a leaderboard, from results to text: who is in them, in which order, beside whom, and what stands below."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.reports.rankings import (
    HOW_RANKS_READ,
    Row,
    completed,
    place_of,
    ranking_parts,
    ranking_row,
    without_ranks,
)
from pytest_fmtransfer.reports.rows import cell_row
from pytest_fmtransfer.results import Result
from tests.helpers import result, retrained


def three(**more: Any) -> list[Result]:
    """In the order of their names, and c before a before b by their metric."""
    return [result(f"{name}-data-knn", signal, **more) for name, signal in (("a", 1.0), ("b", 0.3), ("c", 4.0))]


def beside(results: Sequence[Result], *others: str) -> Row:
    """The ranking of results in a report that has other cells too."""
    cells = [cell_row(each) for each in (*results, *(result(cell, 0.1) for cell in others))]
    return completed(ranking_row(results), {cell["cell"]: cell for cell in cells})


def text_of(*rankings: Row) -> str:
    def table(rows: list[Row]) -> str:
        return "\n".join(" | ".join(row.values()) for row in rows)

    return "\n".join(ranking_parts(rankings, lambda title: f"# {title}", table))


def test_places_are_told_from_the_best_to_the_worst_with_patients_and_not_images_and_each_of_several_seeds() -> None:
    patients = [f"patient{at // 2}" for at in range(120)]
    found = [replace(each, patients_N=np.array(patients)) for each in three()]
    row = ranking_row(found)
    assert [place["cell"] for place in row["places"]] == ["c-data-knn", "a-data-knn", "b-data-knn"]
    assert (row["patients"], row["patient_unit"], row["notes"]) == (60, "patient", [])
    assert "# Ranks on data, knn: 3 backbones, roc_auc on 60 patients\n1 (1-1) | c | " in text_of(beside(found))
    again = [retrained(f"{name}-data-knn", 0.1, 0.2, 0.3) for name in ("a", "b")]
    assert all(line.endswith(" | 3") for line in text_of(beside(again)).splitlines()[1:3])


def test_controls_stand_below_those_of_the_same_dataset_and_regime_alone() -> None:
    controls = ("a.random-data-knn", "a.tiny-data-knn", "b-data.shuffled-knn", "shortcut.metadata-data-knn")
    others = (
        "d-data-knn",
        "a.random-data-ridge",
        "a.random-other-knn",
        "b-other.shuffled-knn",
        "a.random-data.naive-knn",
    )
    ranking = beside(three(), *controls[::-1], *others)
    assert tuple(control["cell"] for control in ranking["controls"]) == controls
    lines = [line.split(" | ")[:2] for line in text_of(ranking).splitlines() if line.startswith("control")]
    assert [name for _, name in lines] == ["a.random", "a.tiny", "b, labels shuffled", "shortcut.metadata"]


def test_a_control_that_takes_a_place_is_not_told_twice() -> None:
    assert beside([*three(), result("a.random-data-knn", 0.1)])["controls"] == []


def test_a_cell_knows_its_place_among_how_many_where_it_has_one() -> None:
    rankings = [without_ranks("other", "knn", "nothing is here"), beside(three(), "a.random-data-knn")]
    place = place_of("c-data-knn", rankings)
    assert place is not None
    assert (place["rank"], place["among"]) == (1, 3)
    assert place_of("a.random-data-knn", rankings) is None


def test_why_a_place_is_open_is_told_once_with_whose_it_is() -> None:
    once = text_of(beside([*three(), retrained("d-data-knn", 1.0)]))
    assert "\nThe place of d is not told: training randomness not measured: d-data-knn ran at one seed.\n" in once
    twice = [retrained(f"{name}-data-knn", 0.1, 0.2) for name in ("d", "e")]
    told = text_of(beside([*three(), *twice]))
    assert "\nThe place of d is not told: d-data-knn needs 3 seeds at this level, not 2.\nThe place of e is not" in told
    few = text_of(beside(three(counts=(60, 12))))
    reason = "No place is told: not enough patients to tell: class 'class1' has 12 in the test side, beats needs 20."
    assert few.count(reason) == 1


def test_a_metric_without_an_interval_stands_alone() -> None:
    lines = text_of(beside(three(counts=(60, 1)))).splitlines()
    assert not any("[" in line for line in lines[1:4])


def test_a_table_that_cannot_be_drawn_says_why_and_nothing_to_rank_says_nothing() -> None:
    told = text_of(without_ranks("data", "knn", "its store is gone"))
    assert told == f"# Ranks on data, knn\n\nnot told: its store is gone\n{HOW_RANKS_READ}"
    assert text_of() == ""


@pytest.mark.parametrize(("unit", "told"), [("lesion", "120 lesions"), ("group of near copies", "120 groups of near")])
def test_who_is_no_patient_is_told_and_what_that_takes_for_granted(unit: str, told: str) -> None:
    text = text_of(beside([result("a-data-knn", 1.0, patient_unit=unit)]))
    assert f": 1 backbone, roc_auc on {told}" in text
    assert f"\nAssumes independent {told.partition(' ')[2]}" in text

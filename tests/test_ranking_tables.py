"""From rows of tests to the tables of a leaderboard: which results are looked for, where, and under which court."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.regime_settings import KnnSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec, SeedVariance
from pytest_fmtransfer.plugin.ranking import rankings_of
from pytest_fmtransfer.plugin.settings import Settings, settings_of
from pytest_fmtransfer.reports.rankings import Row
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import Store
from tests.helpers import as_declared

NAMES = ("mobilenetv2", "efficientnet_lite0")


def settings(pytester: pytest.Pytester, *options: str) -> Settings:
    (pytester.path / "out").mkdir(exist_ok=True)
    return settings_of(pytester.parseconfigure(*options))


def rows_of(*cells: str) -> list[dict[str, Any]]:
    return [{"ranked": None}, *({"ranked": {"cell": cell, "key": f"key{at}"}} for at, cell in enumerate(cells))]


def written(folder: Path, *results: Result) -> list[dict[str, Any]]:
    for each in results:
        Baselines(folder=folder).write(each)
    return rows_of(*(each.cell.id for each in results))


def told(table: Row) -> list[tuple[int, int]]:
    return [(place["best"], place["worst"]) for place in table["places"]]


def test_a_table_is_of_one_dataset_and_one_regime_in_the_order_of_their_names(pytester: pytest.Pytester) -> None:
    cells = [f"{name}-{at}" for at in ("br35h.naive-knn", "br35h-ridge", "br35h-knn") for name in NAMES]
    rows = written(pytester.path / "out", *(as_declared(cell, 1.0, seed=at) for at, cell in enumerate(cells)))
    tables = rankings_of(rows, settings(pytester, "--fm-collect=out"))
    assert [(table["dataset"], table["regime"], len(table["places"])) for table in tables] == [
        ("br35h", "knn", 2),
        ("br35h", "ridge", 2),
        ("br35h.naive", "knn", 2),
    ]
    assert ["an audit found" in " ".join(table["notes"]) for table in tables] == [False, False, True]


def test_what_is_on_record_of_seeds_ranks_results_of_one(pytester: pytest.Pytester) -> None:
    found = settings(pytester, "--fm-collect=out")
    row = RegimeSpec(
        name="tuned", settings=KnnSettings(), seeded=True, tolerance=0.0, metric_tolerance=0.0, summary="",
        seed_variances={"br35h": SeedVariance(variance=1e-6, degrees=20, source="ten runs")},
    )  # fmt: skip
    found.registry.register(row)
    once = [
        as_declared(f"{name}-br35h-knn", signal, seeded=True) for name, signal in zip(NAMES, (3.0, 0.3), strict=True)
    ]
    tuned = [
        replace(each, cell=replace(each.cell, regime="tuned"), question=replace(each.question, regime="tuned"))
        for each in once
    ]
    [table] = rankings_of(written(pytester.path / "out", *tuned), found)
    assert told(table) == [(1, 1), (2, 2)]


def test_results_of_another_profile_are_looked_for_in_its_folder(pytester: pytest.Pytester) -> None:
    found = settings(pytester, "--fm-collect=out", "--fm-profile=smoke")
    dtype = found.registry.profile("smoke").forward_dtype
    small = [as_declared(f"{name}-br35h-knn", 1.0, profile="smoke", forward_dtype=dtype) for name in NAMES]
    [table] = rankings_of(written(pytester.path / "out" / "smoke", *small), found)
    assert (table["lacks"], len(table["places"])) == ("", 2)


def test_a_table_that_a_result_is_lacking_of_says_so_and_the_others_are_drawn(pytester: pytest.Pytester) -> None:
    rows = written(pytester.path / "out", as_declared("mobilenetv2-br35h-knn", 1.0))
    both = [*rows, *rows_of("mobilenetv2-br35h-ridge")]
    drawn, lacking = rankings_of(both, settings(pytester, "--fm-collect=out"))
    assert lacking["lacks"].startswith("no exported result of mobilenetv2-br35h-ridge in ")
    assert drawn["lacks"] == ""


def test_a_store_without_a_result_or_half_of_one_says_so(pytester: pytest.Pytester) -> None:
    found, rows = settings(pytester, "--fm-store=store"), rows_of("mobilenetv2-br35h-knn")
    [gone] = rankings_of(rows, found)
    assert gone["lacks"] == (
        f"mobilenetv2-br35h-knn is not in the store of the machine that reports, {pytester.path / 'store'}; run the "
        "tests there, or bring what they measured with --fm-export=DIR, and judge it with --fm-collect=DIR"
    )

    def half(entry: Path) -> None:
        (entry / "result.json").write_text(json.dumps({}))

    Store(root=pytester.path / "store").fetch("results", "key0", half, about={})
    [broken] = rankings_of(rows, found)
    assert "scores.npz" in broken["lacks"]

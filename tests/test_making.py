"""The line at the top of a report: under which profile, on what, with which versions and when it was made."""

from dataclasses import replace

import pytest

from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.reports.making import in_a_line, title
from pytest_fmtransfer.reports.rows import Report, as_json, cell_row, gather
from pytest_fmtransfer.reports.tables import RENDERERS
from tests.helpers import result

HERE = {"device": "cpu", "processor": "AMD EPYC", "versions": {"timm": "1.0.22", "numpy": "2.3.1", "torch": "2.9.0"}}
THERE = {"device": "cuda", "processor": "NVIDIA H100", "versions": {"numpy": "2.3.1", "torch": "2.10.0"}}


def report(*subjects: dict[str, object], profile: str = "smoke") -> Report:
    cells = [
        cell_row(replace(result(f"model{at}-data-knn", 1.0, profile=profile), subject=subject))
        for at, subject in enumerate(subjects)
    ]
    row = {"file": "f", "test": "t", "family": None, "expected": None, "claim": {}, "telling": None, "verdicts": []}
    return gather([row | {"cells": cells}], profiles=Registry().rows(Profile), date="2026-11-26")


def line_of(made: Report) -> str:
    assert made.made is not None
    return in_a_line(made.made)


def test_a_line_names_profile_processor_versions_and_day() -> None:
    line = line_of(report(HERE, HERE))
    assert line.startswith("Profile smoke (up to 256 + 128 + 256 images, ")
    assert line.endswith(", on cpu (AMD EPYC), torch 2.9.0, timm 1.0.22, numpy 2.3.1, 2026-11-26.")


def test_results_of_several_machines_name_each() -> None:
    line = line_of(report(HERE, THERE))
    assert ", on cpu (AMD EPYC) and cuda (NVIDIA H100), torch 2.10.0 and 2.9.0, timm 1.0.22, " in line


def test_a_profile_that_nobody_knows_and_a_result_without_versions_are_told_as_far_as_they_go() -> None:
    assert line_of(report({}, profile="mine")) == "Profile mine, 2026-11-26."


@pytest.mark.parametrize("kind", ["terminal", "markdown"])
def test_the_line_comes_first(kind: str) -> None:
    made = report(HERE)
    top = {"markdown": ["# fmtransfer report: profile smoke, 2026-11-26", ""], "terminal": []}[kind]
    assert RENDERERS[kind](made).splitlines()[: len(top) + 1] == [*top, line_of(made)]


def test_the_title_names_every_profile() -> None:
    cells = [{"profile": name} for name in ("ci", "smoke", "ci")]
    assert title(cells, {"date": "2026-11-26"}) == "fmtransfer report: profile ci and smoke, 2026-11-26"
    assert title(cells[:1], {"date": ""}) == "fmtransfer report: profile ci"


def test_programs_are_told_too() -> None:
    assert '"date": "2026-11-26"' in as_json(report(HERE))
    header, first = RENDERERS["csv"](report(HERE)).splitlines()
    assert {"profile", "device", "processor", "versions"} <= set(header.split(","))
    assert "AMD EPYC" in first


def test_a_report_without_a_cell_says_that_alone() -> None:
    empty = gather([], date="2026-11-26")
    assert empty.made is None
    assert RENDERERS["markdown"](empty) == "no cell was measured\n"


def test_where_nobody_says_the_day_none_is_told() -> None:
    made = report({}, profile="mine").made
    assert made is not None
    assert in_a_line(made | {"date": ""}) == "Profile mine."

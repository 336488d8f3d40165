"""The tables of a leaderboard: who stands where on a dataset under a regime, and who could."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytest_fmtransfer.catalog.specs import RANDOM, SHUFFLED, TINY
from pytest_fmtransfer.cell import stem
from pytest_fmtransfer.judge.ranks import ranks
from pytest_fmtransfer.judge.wording import assumptions
from pytest_fmtransfer.reports.over_datasets import measured_row
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

Row = dict[str, Any]
Table = Callable[[list[Row]], str]

HOW_RANKS_READ = (
    "The rank is a backbone's place in the table, and in brackets stand the places that could be its own: every two "
    "are compared on the same patients, and all brackets of a table hold together with 95 % confidence. Who was not "
    "measured has no place. The interval of a metric, 95 %, is of one row alone: two that overlap may be told apart. "
    "Ranks are about this training set and test patients like these."
)


def ranking_row(results: Sequence[Result]) -> Row:
    """The ranks of results of one dataset and regime, best first, as plain JSON values.

    What the court in session has on record of seeds, and what the dataset acknowledges, is in it. Raises InvalidInput
    as `ranks` does.
    """
    found = sorted(ranks(results), key=lambda each: (each.rank, each.result.cell))
    first = results[0]
    return _of(first.cell.dataset, first.cell.regime) | {
        "metric": first.question.metric,
        "metric_of": first.metric_of,
        "patients": first.patients,
        "patient_unit": first.patient_unit,
        "notes": assumptions(first),
        "measured": measured_row(results),
        "places": [
            {
                "cell": each.result.cell.id,
                "rank": each.rank,
                "best": each.best,
                "worst": each.worst,
                "reason": each.reason,
            }
            for each in found
        ],
    }


def without_ranks(dataset: str, regime: str, lacks: str) -> Row:
    """A table that cannot be drawn, and why."""
    return _of(dataset, regime) | {"lacks": lacks}


def completed(ranking: Row, cells: Mapping[str, Row]) -> Row:
    """With the figures of the report's cells, and those of controls of the same dataset and regime beside them.

    Without what only `over_datasets` needs.
    """
    shown = ("cell", "backbone", "by_seed", "mean", "lower", "upper")
    ranked = [place["cell"] for place in ranking["places"]]
    controls = [
        {name: cells[cell][name] for name in shown}
        for cell in sorted(cells)
        if cell not in ranked and _is_control_of(cells[cell], ranking)
    ]
    places = [{name: cells[place["cell"]][name] for name in shown} | place for place in ranking["places"]]
    told = {name: value for name, value in ranking.items() if name != "measured"}
    return told | {"places": places, "controls": controls}


def place_of(cell: str, rankings: Iterable[Row]) -> Row | None:
    """What a table says of a cell, and among how many; None for one that has no place in any."""
    for ranking in rankings:
        for place in ranking["places"]:
            if place["cell"] == cell:
                named = {name: place[name] for name in ("rank", "best", "worst", "reason")}
                return named | {"among": len(ranking["places"])}
    return None


def ranking_parts(rankings: Sequence[Row], heading: Callable[[str], str], table: Table) -> list[str]:
    """Every table under a heading of its own, and how they are read; nothing where nothing was ranked."""
    parts: list[str] = []
    for ranking in rankings:
        where = f"{ranking['dataset']}, {ranking['regime']}"
        if ranking["lacks"]:
            parts.append(heading(f"Ranks on {where}") + f"\n\nnot told: {ranking['lacks']}")
            continue
        among = len(ranking["places"])
        parts.append(
            heading(
                f"Ranks on {where}: {counted(among, 'backbone')}, {ranking['metric_of']} on "
                f"{ranking['patients']:,} {plural(ranking['patient_unit'])}"
            )
        )
        parts.append(table(_lines(ranking)))
        if notes := [*_reasons(ranking), *ranking["notes"]]:
            parts.append("\n".join(f"{note[0].upper()}{note[1:]}." for note in notes))
    return [*parts, HOW_RANKS_READ] if parts else []


def _of(dataset: str, regime: str) -> Row:
    return {"dataset": dataset, "regime": regime, "lacks": "", "places": [], "controls": []}


def _is_control_of(cell: Row, ranking: Row) -> bool:
    """Whether a cell is a control on the dataset and under the regime that are ranked."""
    on_it = cell["regime"] == ranking["regime"] and cell["dataset"] in (
        ranking["dataset"],
        f"{ranking['dataset']}.{SHUFFLED}",
    )
    control = cell["backbone"].endswith((f".{RANDOM}", f".{TINY}")) or stem(cell["backbone"]) == "shortcut"
    return on_it and (control or cell["dataset"] != ranking["dataset"])


def _lines(ranking: Row) -> list[Row]:
    """Places, best first, and below them the controls, which have none."""
    ranked = [
        {"rank": f"{place['rank']} ({place['best']}-{place['worst']})"} | _line(place) for place in ranking["places"]
    ]
    controls: list[Row] = []
    for control in ranking["controls"]:
        shuffled = "" if f"-{ranking['dataset']}-" in control["cell"] else ", labels shuffled"
        controls.append({"rank": "control"} | _line(control | {"backbone": f"{control['backbone']}{shuffled}"}))
    return [*ranked, *controls]


def _line(row: Row) -> Row:
    limits = "" if row["lower"] is None else f" [{row['lower']:.3f}, {row['upper']:.3f}]"
    return {
        "backbone": row["backbone"],
        "mean [interval]": f"{row['mean']:.3f}{limits}",
        "seeds": str(len(row["by_seed"])),
    }


def _reasons(ranking: Row) -> list[str]:
    """Why places are open, each reason once."""
    found: dict[str, list[str]] = {}
    for place in ranking["places"]:
        if place["reason"]:
            found.setdefault(place["reason"], []).append(place["backbone"])
    told: list[str] = []
    for reason, names in found.items():
        everybody = len(names) == len(ranking["places"])
        whose = "no place is told" if everybody else f"the place of {', '.join(names)} is not told"
        told.append(f"{whose}: {reason}")
    return told

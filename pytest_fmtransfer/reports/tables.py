"""A report as text: tables for a terminal or markdown, csv. pandas and tabulate draw them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from tabulate import tabulate

from pytest_fmtransfer.judge.court import ClassDifference
from pytest_fmtransfer.judge.hidden import percent
from pytest_fmtransfer.judge.per_class import class_line
from pytest_fmtransfer.printable import inline, printable
from pytest_fmtransfer.reports import making
from pytest_fmtransfer.reports.courses import CURVES, course_lines, in_a_line
from pytest_fmtransfer.reports.effort import compared
from pytest_fmtransfer.reports.over_datasets import overall_parts
from pytest_fmtransfer.reports.rankings import ranking_parts
from pytest_fmtransfer.reports.rows import Report, Row, in_words_of
from pytest_fmtransfer.reports.sentences import in_words

MOST_SEEDS = 5  # beyond, a table does not list each seed's value


def terminal(report: Report) -> str:
    told = in_words_of(report, inline)
    return printable(_sections(told, heading=lambda text: text, layout="simple", curves=False))


def markdown(report: Report) -> str:
    told = in_words_of(report, _in_markdown)
    text = _sections(told, heading=lambda text: f"## {text}", layout="pipe", curves=True)
    return printable(f"# {making.title(told.cells, told.made)}\n\n{text}" if told.made else text)


def csv(report: Report) -> str:
    """One line per cell, every figure unrounded; the comparison's columns begin with `vs_`, those of a place in a
    leaderboard's table with `rank`. Histories are not in it. A text that a spreadsheet would take for a formula begins
    with an apostrophe; numbers are as they are.
    """
    lines: list[Row] = []
    for cell in report.cells:
        plain = {
            name: value
            for name, value in cell.items()
            if name not in ("against_reference", "place", "training", "used_images", "data_notes")
        }
        plain["by_seed"] = json.dumps(cell["by_seed"])
        plain["versions"] = json.dumps(cell["versions"])
        plain["chosen"] = json.dumps(cell["chosen"])
        versus = cell["against_reference"] or {}
        names = ("reference", "kind", "effect", "lower", "upper", "outcome", "detectable", "p", "family_size")
        place = cell["place"] or {}
        ranked = {f"rank_{name}": place.get(name) for name in ("best", "worst", "among")}
        lines.append(plain | {f"vs_{name}": versus.get(name) for name in names} | {"rank": place.get("rank")} | ranked)
    cells = [
        {name: _in_csv(value) if isinstance(value, str) else value for name, value in line.items()} for line in lines
    ]
    return pd.DataFrame(cells).to_csv(index=False, lineterminator="\n")


def _in_csv(text: str) -> str:
    """https://owasp.org/www-community/attacks/CSV_Injection; a tab, which they name too, is an escape by then."""
    line = inline(text)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _in_markdown(text: str) -> str:
    """A text that brings no markup of its own: no border of a table, code, HTML or link."""
    return re.sub(r"[\\|`<]|\](?=\()", r"\\\g<0>", inline(text))


RENDERERS: dict[str, Callable[[Report], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "csv": csv,
}


_HOW_CLAIMS_READ = (
    "The interval decides, not p: it is two-sided at 1 − 2 × .05/m, for the m claims that the family declares. p is "
    "one-sided, on the side that the claim is about, corrected by Holm for m; it can be below .05 where the interval "
    "does not decide. Differences are candidate minus what it is held against. What it takes to tell is for a true "
    "difference that lies beyond the claim by the dataset's margin, not for the one found. `expected` is what the "
    "suite said beforehand. `.random` is the same network with random weights, `shortcut.metadata` sees of a file its "
    "size, shape and grey levels alone; that a dataset tells backbones apart means that these, and shuffled labels, "
    "fail on it where a backbone succeeds. "
    "What a claim cannot show is a part of a class that is lost altogether and of which no patient was drawn: of the "
    "class of which most could be hidden so, how much, at the claim's level."
)


def _sections(report: Report, heading: Callable[[str], str], layout: str, *, curves: bool) -> str:
    """`curves`: how training went is told of each seed, with a curve, else in a line a cell."""

    def table(rows: list[Row]) -> str:
        rows = [row | {"note": report.note} for row in rows] if report.note else rows
        return tabulate(rows, headers="keys", tablefmt=layout, disable_numparse=True)

    if not report.cells:
        return "no cell was measured\n"
    parts = [
        *([f"This is {report.note}."] if report.note else []),
        *([making.in_a_line(report.made)] if report.made else []),
        heading("Cells"),
        table([_cell_line(cell) for cell in report.cells]),
        "95 % intervals; Δ, its interval and the smallest detectable effect are candidate minus reference, at the "
        "level of the claim's family; of a claim that allows for a margin, the smallest margin that could be shown. "
        "Seconds and images/s are of the computation, also where it came from the store, and of every leg of a "
        "training that was resumed.",
        *_left_out(report),
        *ranking_parts(report.rankings, heading, table),
        *overall_parts(report.overall, heading, table),
        heading("Claims"),
        table([_claim_line(claim) for claim in report.claims]) if report.claims else "no claim was judged",
        *_by_class(report.claims),
        _HOW_CLAIMS_READ,
        *_together(report, heading),
        heading("Can the datasets tell backbones apart?"),
        table([_telling_line(telling) for telling in report.tellings])
        if report.tellings
        else "not asked: --fm-controls trains the controls of every dataset and regime",
        heading("Mean by dataset and backbone"),
        table(_matrix(report)),
        *_courses(report, heading, table if curves else None),
        *([heading("What to know of the datasets"), *map(_about, report.datasets)] if report.datasets else []),
        *([compared(report.effort)] if report.effort else []),
    ]
    return "\n\n".join(parts) + "\n"


def _together(report: Report, heading: Callable[[str], str]) -> Iterator[str]:
    """What seeded cells say together of their baselines, where a test declares it."""
    if report.pools:
        yield heading("All seeded cells together, against their baselines")
        yield "\n".join(f"{pool['test']}: {pool['summary']}" for pool in report.pools)


def _courses(report: Report, heading: Callable[[str], str], table: Callable[[list[Row]], str] | None) -> Iterator[str]:
    """How training went, where anything was trained."""
    trained = [cell for cell in report.cells if cell["training"]]
    if trained:
        yield heading("How training went")
        yield (
            table(course_lines(trained))
            if table
            else "\n".join(_noted(in_a_line(cell), report.note) for cell in trained)
        )
        if table:
            yield CURVES


def _noted(line: str, note: str) -> str:
    return f"{line} ({note})" if note else line


def _left_out(report: Report) -> list[str]:
    """Where images could not be decoded and the user wants them skipped, how many of each dataset.

    A report is shown to others, and an image's name may be a patient's: the command that names them is told instead.
    """
    skipped = {cell["dataset"]: cell["skipped_images"] for cell in report.cells if cell["skipped_images"]}
    return [
        f"Images left out because they cannot be decoded: {name} {count} "
        "(`fmtransfer audit … --on-bad-image=skip --all` names them)."
        for name, count in skipped.items()
    ]


def _about(dataset: Row) -> str:
    said = [
        f"{dataset['dataset']} is judged by {dataset['metric_of']}; the smallest difference that matters is "
        f"{dataset['margin']:g}: {dataset['margin_reason']}",
        *([f"class {dataset['positive_class']} is the positive one"] if dataset["positive_class"] else []),
        f"verdicts take each {dataset['patient_unit']} to be independent of the others",
        *map(_used, dataset["used_images"].items()),
        *dataset["caveats"],
        *dataset["data_notes"],
    ]
    return ". ".join(f"{each[0].upper()}{each[1:]}" if at else each for at, each in enumerate(said)) + "."


def _used(of_profile: tuple[str, dict[str, tuple[int, int]]]) -> str:
    """'profile ci: 2,000 of 20,265 training images, 1,000 of 2,533 validation images'."""
    profile, sides = of_profile
    names = {"train": "training", "validation": "validation", "test": "test"}
    told = (f"{some:,} of {every:,} {names[side]} images" for side, (some, every) in sides.items())
    return f"profile {profile}: {', '.join(told)}"


def _cell_line(cell: Row) -> Row:
    versus = cell["against_reference"] or {}
    return {
        "cell": cell["cell"],
        "metric": cell["metric_of"],
        "by seed": _by_seed(cell["by_seed"]),
        "mean [interval]": _with_interval(cell),
        "reference": versus.get("reference", ""),
        "Δ [interval]": _delta(versus),
        "verdict": f"{versus['kind'].replace('_', ' ')}: {versus['outcome']}" if versus else "",
        "detectable": _number(versus.get("detectable"), ".3f"),
        "s": _number(cell["seconds"], ".1f"),
        "images/s": _number(cell["images_per_second"], ".0f"),
        "from": cell["origin"],
    }


def _by_seed(values: list[float]) -> str:
    """Each value; of many only how they spread."""
    if len(values) <= MOST_SEEDS:
        return " ".join(f"{value:.3f}" for value in values)
    return f"{len(values)} seeds, {min(values):.3f} to {max(values):.3f}"


def _claim_line(claim: Row) -> Row:
    expected: dict[str, Any] | None = claim["expected"]
    return {
        "test": claim["test"],
        "claim tested": _claim(claim),
        "verdict": claim["outcome"],
        "in words": in_words(claim),
        "expected": f"{expected['outcome']}: {expected['reason']}" if expected else "supported",
        "Δ [interval]": _delta(claim),
        "one-sided p": _number(claim["p_holm"], ".2g"),
        "m": str(claim["family_size"]),
        "cannot show": _hidden(claim["hidden"]),
    }


def _by_class(claims: tuple[Row, ...]) -> list[str]:
    """Of every claim about an average over classes what its classes did, in a line; each line once."""
    lines = {
        f"{claim['test']} against {claim['reference']}: {line}"
        for claim in claims
        for line in class_line([ClassDifference(**each) for each in claim["classes"]])
    }
    return ["\n".join(sorted(lines))] if lines else []


def _hidden(shares: dict[str, float]) -> str:
    """'up to 5.8 % of tumour': of the class of which most could be lost without having shown."""
    name, share = max(shares.items(), key=lambda row: row[1], default=("", 0.0))
    return f"up to {percent(share)} of {name}" if name else ""


def _claim(claim: Row) -> str:
    said = str(claim["kind"]).replace("_", " ")
    return said if claim["kind"] == "tells_backbones_apart" else f"{said} {claim['reference']}"


def _telling_line(telling: Row) -> Row:
    _, dataset, regime = str(telling["candidate"]).split("-")
    said = {"supported": "yes", "refuted": "no", "inconclusive": "not shown"}[telling["outcome"]]
    return {
        "dataset": dataset,
        "regime": regime,
        "tells": said,
        "why not": telling["reason"],
        "asked of": telling["candidate"],
    }


def _matrix(report: Report) -> list[Row]:
    frame = pd.DataFrame(
        {
            "dataset": cell["dataset"],
            "regime": cell["regime"],
            "metric": cell["metric_of"],
            "backbone": cell["backbone"],
            "mean": f"{cell['mean']:.3f}",
        }
        for cell in report.cells
    )
    rows = ["dataset", "regime", "metric"]
    wide = frame.pivot_table(index=rows, columns="backbone", values="mean", aggfunc="first", fill_value="")
    return [{str(name): value for name, value in line.items()} for line in wide.reset_index().to_dict("records")]


def _with_interval(cell: Row) -> str:
    if cell["lower"] is None:
        return f"{cell['mean']:.3f}"
    return f"{cell['mean']:.3f} [{cell['lower']:.3f}, {cell['upper']:.3f}]"


def _delta(verdict: Row) -> str:
    if not verdict or verdict.get("lower") is None:
        return ""
    return f"{verdict['effect']:+.3f} [{verdict['lower']:+.3f}, {verdict['upper']:+.3f}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)

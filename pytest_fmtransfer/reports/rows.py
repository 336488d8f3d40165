"""What one test tells the report, as plain JSON values, and how many tests' rows become one report.

A row travels from a worker to the controller as JSON, so nothing in it is a numpy scalar.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.specs import RANDOM, STRETCHED, TINY, DatasetSpec
from pytest_fmtransfer.judge.controls import KIND as TELLING
from pytest_fmtransfer.judge.court import Verdict
from pytest_fmtransfer.judge.families import holm
from pytest_fmtransfer.judge.intervals import interval
from pytest_fmtransfer.metrics import metric_of, positive_class
from pytest_fmtransfer.printable import inert_json
from pytest_fmtransfer.reports.courses import course_rows
from pytest_fmtransfer.reports.making import making
from pytest_fmtransfer.reports.over_datasets import overall_rows
from pytest_fmtransfer.reports.rankings import completed, place_of
from pytest_fmtransfer.results import Result

Row = dict[str, Any]

# Where several tests used one cell, the strongest origin is the report's: someone computed it in this run.
PAIRS = ("beats", "not_worse_than", "equivalent_to")
_ORIGINS = ("collected", "store", "computed")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a report shows: one row per cell, per verdict, and per dataset and regime whose controls were run,
    in the order of their ids.

    `rankings` are the tables of a leaderboard, a dataset and regime each, `pools` the verdicts on all seeded cells of a
    test together, against their baselines, `overall` what the rankings say together, a regime each. `datasets` are what
    their rows in the catalogue say of those that were used. `effort` is what the run was estimated to take and what it
    took, where that is known. `made` says under which profile, on what and when, `note` what every row says besides, of
    all of them.
    """

    cells: tuple[Row, ...]
    claims: tuple[Row, ...]
    tellings: tuple[Row, ...]
    rankings: tuple[Row, ...] = ()
    pools: tuple[Row, ...] = ()
    overall: tuple[Row, ...] = ()
    datasets: tuple[Row, ...] = ()
    effort: Row | None = None
    made: Row | None = None
    note: str = ""


def cell_row(result: Result) -> Row:
    """One cell: metric by seed, mean and 95 % interval, sample, cost, course of training, origin."""
    lower, upper = interval(result) or (None, None)
    rate = result.cost.images_per_second
    return {
        "cell": result.cell.id,
        "backbone": result.cell.backbone,
        "dataset": result.cell.dataset,
        "regime": result.cell.regime,
        "metric": result.question.metric,
        "metric_of": result.metric_of,
        "positive_class": positive_class(result.question.metric, result.classes),
        "by_seed": [float(value) for value in result.by_seed],
        "mean": result.mean,
        "lower": lower,
        "upper": upper,
        "images": len(result.ids_N),
        "skipped_images": result.subject.get("skipped_images", 0),
        "used_images": result.subject.get("used_images", {}),
        "data_notes": list(result.data_notes),
        "patients": result.patients,
        "profile": result.question.profile,
        "input": _input(result.subject),
        "device": result.subject.get("device", ""),
        "processor": result.subject.get("processor", ""),
        "weights": result.subject.get("weights", ""),
        "versions": dict(result.subject.get("versions", {})),
        "chosen": [dict(choice) for choice in result.chosen],
        "forward_passes": result.cost.forward_passes,
        "seconds": result.cost.seconds,
        "images_per_second": rate,
        "training": course_rows(result),
        "origin": result.origin,
    }


def _input(subject: Mapping[str, Any]) -> Row | None:
    """How the backbone met images, and with which activation; None where nothing says so. What stands in no subject is
    usual (`catalog.specs.Framing`); `given` is what the user said in place of the model's own files.
    """
    if "image_size" not in subject:
        return None
    framing = asdict(STRETCHED) | dict(subject.get("framing", {}))
    return {
        "size": subject["image_size"],
        "mean": list(subject["mean"]),
        "std": list(subject["std"]),
        **{name: framing[name] for name in ("fit", "crop", "interpolation")},
        "channel_order": subject.get("channel_order", "RGB"),
        "activation": subject.get("activation", ""),
        "given": list(subject.get("given", ())),
    }


def verdict_row(verdict: Verdict) -> Row:
    """One verdict, without its full text, which stands in the test's own section."""
    row = {
        name: getattr(verdict, name)
        for name in (
            "kind",
            "candidate",
            "reference",
            "outcome",
            "effect",
            "lower",
            "upper",
            "detectable",
            "p",
            "level",
            "family_size",
            "metric",
            "margin",
            "reason",
            "mark",
            "summary",
            "settle",
        )
    }
    return row | {
        "metric_of": verdict.metric_of or verdict.metric,
        "hidden": dict(verdict.hidden),
        "classes": [asdict(each) for each in verdict.classes],
    }


def dataset_row(spec: DatasetSpec, cells: Iterable[Row]) -> Row:
    """What a reader must know of a dataset, and no score shows; of its cells, how many images a profile used.

    `data_notes` are what its reader said of its images.
    """
    cells = list(cells)
    used = {cell["profile"]: cell["used_images"] for cell in cells if cell["used_images"]}
    return {
        "dataset": spec.name,
        "metric": spec.metric,
        "metric_of": metric_of(spec.metric, spec.classes),
        "positive_class": positive_class(spec.metric, spec.classes),
        "margin": spec.margin,
        "margin_reason": spec.margin_reason,
        "patient_unit": spec.patient_unit,
        "caveats": list(spec.caveats),
        "data_notes": list(dict.fromkeys(note for cell in cells for note in cell["data_notes"])),
        "used_images": used,
    }


def gather(
    rows: Iterable[Mapping[str, Any]],
    *,
    rankings: Iterable[Row] = (),
    pools: Iterable[Row] = (),
    datasets: Iterable[DatasetSpec] = (),
    profiles: Iterable[Profile] = (),
    effort: Row | None = None,
    date: str = "",
    note: str = "",
) -> Report:
    """Rows of tests, in any order and from any number of workers, as one report.

    It says of `datasets` and `profiles` those that were used; `date` is its own. `rankings` are of cells among these
    rows, as `rankings.ranking_row` has them; `pools` are as they are. Where there is a `note`, every row bears it.
    """
    cells: dict[str, Row] = {}
    claims: list[Row] = []
    tellings: dict[str, Row] = {}
    for row in rows:
        for cell in row["cells"]:
            known = cells.get(cell["cell"])
            if known is None or _ORIGINS.index(cell["origin"]) > _ORIGINS.index(known["origin"]):
                cells[cell["cell"]] = dict(cell)
        shared = {key: row[key] for key in ("file", "test", "family", "expected")} | row["claim"]
        claims.extend(shared | verdict for verdict in row["verdicts"])
        told = [row["telling"], *(verdict for verdict in row["verdicts"] if verdict["kind"] == TELLING)]
        tellings |= {verdict["candidate"]: verdict for verdict in told if verdict is not None}
    claims.sort(key=lambda claim: (claim["file"], claim["test"], claim["kind"], claim["reference"]))
    rankings = tuple(rankings)
    tables = tuple(completed(ranking, cells) for ranking in rankings)
    for cell in cells.values():
        cell["place"] = place_of(cell["cell"], tables)
        cell["against_reference"] = _against_reference(cell, claims)
    _adjust(claims)
    for each in (*cells.values(), *claims, *tellings.values()) if note else ():
        each["note"] = note
    of_dataset: dict[str, list[Row]] = {}
    for cell in cells.values():
        of_dataset.setdefault(cell["dataset"], []).append(cell)
    return Report(
        cells=tuple(cells[name] for name in sorted(cells)),
        claims=tuple(claims),
        tellings=tuple(tellings[name] for name in sorted(tellings)),
        rankings=tables,
        pools=tuple(pools),
        overall=overall_rows(rankings),
        datasets=tuple(dataset_row(spec, of_dataset[spec.name]) for spec in datasets if spec.name in of_dataset),
        effort=effort,
        made=making((cells[name] for name in sorted(cells)), profiles=profiles, date=date) if cells else None,
        note=note,
    )


def in_words_of(report: Report, told: Callable[[str], str]) -> Report:
    """A report with each of its texts, and each name of a library in it, as `told` writes it."""
    return replace(report, **{each.name: _each_text(getattr(report, each.name), told) for each in fields(report)})


def _each_text(value: Any, told: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return told(value)
    if isinstance(value, Mapping):
        items: Mapping[Any, Any] = value
        return {_each_text(name, told): _each_text(each, told) for name, each in items.items()}
    if isinstance(value, list | tuple):
        elements: Sequence[Any] = value
        return type(elements)(_each_text(each, told) for each in elements)
    return value


def _adjust(claims: list[Row]) -> None:
    """Give every claim its Holm-adjusted p-value within its family, of the size that was declared."""
    members: dict[str, list[Row]] = {}
    for claim in claims:
        claim["p_holm"] = None
        if claim["family"] is not None and claim["p"] is not None:
            members.setdefault(claim["family"], []).append(claim)
    for family in members.values():
        size = max(len(family), *(claim["family_size"] for claim in family))
        for claim, adjusted in zip(family, holm([claim["p"] for claim in family], size), strict=True):
            claim["p_holm"] = adjusted


def _against_reference(cell: Row, claims: list[Row]) -> Row | None:
    """The comparison that a cell's row shows: with another backbone, a learnt one before a control."""
    own = [claim for claim in claims if claim["candidate"] == cell["cell"] and claim["kind"] in PAIRS]

    def rank(claim: Row) -> tuple[bool, bool]:
        backbone, dataset, regime = claim["reference"].split("-")
        control = backbone.endswith((f".{RANDOM}", f".{TINY}")) or backbone.startswith("shortcut.")
        return ((dataset, regime) != (cell["dataset"], cell["regime"]), control)

    return min(own, key=rank, default=None)


def as_json(report: Report) -> str:
    """Everything, for programs; what a terminal or a CI runner would obey is written with JSON's escapes."""
    return inert_json(json.dumps(asdict(report), indent=1, ensure_ascii=False)) + "\n"

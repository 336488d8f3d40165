"""The tables of a leaderboard put together: who is best over all datasets of a regime, as information only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pytest_fmtransfer.cell import stem
from pytest_fmtransfer.judge.over_datasets import OnDataset, on_dataset, overall
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted

Row = dict[str, Any]

HOW_OVERALL_READS = (
    "Information only: no test passes or fails by it. A hierarchical normal model puts the datasets together, each in "
    "units of its own margin. Prior: a backbone's mean over datasets and how easy a dataset is are flat; a backbone's "
    "own departure on a dataset is normal, with a standard deviation that is half-normal with a scale of one margin. "
    "`best` is the probability that a backbone's mean over datasets is the highest, `within the margin` that it is "
    "less than one margin below the highest, `behind the best` by how many margins it is, with a 95 % interval. Of "
    "datasets that share their images, one is taken."
)


def measured_row(results: Sequence[Result]) -> Row | None:
    """What a table's results say of its dataset, as plain JSON values for `overall_rows`; None for nothing."""
    found = on_dataset(results)
    if found is None:
        return None
    return {
        "backbones": list(found.backbones),
        "means": found.means_K.tolist(),
        "covariance": found.covariance_KK.tolist(),
    }


def overall_rows(rankings: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """One row a regime that ranks two backbones or more on three datasets or more, in the order of their names."""
    by_regime: dict[str, dict[str, OnDataset]] = {}
    for ranking in sorted(rankings, key=lambda each: (each["regime"], each["dataset"])):
        if (found := ranking.get("measured")) is None:
            continue
        table = OnDataset(
            dataset=ranking["dataset"],
            backbones=tuple(found["backbones"]),
            means_K=np.array(found["means"]),
            covariance_KK=np.array(found["covariance"]),
        )
        by_regime.setdefault(ranking["regime"], {}).setdefault(stem(table.dataset), table)
    told = {regime: overall(list(tables.values())) for regime, tables in by_regime.items()}
    return tuple({"regime": regime, **asdict(found)} for regime, found in told.items() if found is not None)


def overall_parts(rows: Sequence[Row], heading: Callable[[str], str], table: Callable[[list[Row]], str]) -> list[str]:
    """Every regime's table under a heading of its own, and how they are read; nothing where there is none."""
    parts: list[str] = []
    for row in rows:
        datasets = counted(len(row["datasets"]), "dataset")
        parts += [
            heading(f"Over all datasets (information only), {row['regime']}: {datasets}"),
            table([_line(standing) for standing in row["standings"]]),
            f"Datasets: {', '.join(row['datasets'])}. From dataset to dataset a backbone departs from its mean by "
            f"about {row['spread']:.2f} margins.",
        ]
    return [*parts, HOW_OVERALL_READS] if parts else []


def _line(standing: Mapping[str, Any]) -> Row:
    return {
        "backbone": standing["backbone"],
        "datasets": str(standing["datasets"]),
        "best": _probability(standing["best"]),
        "within the margin": _probability(standing["within"]),
        "behind the best": f"{standing['behind']:.2f} [{standing['least']:.2f}, {standing['most']:.2f}]",
    }


def _probability(value: float) -> str:
    """Draws are too few to tell more digits, and none is certain."""
    if value < 0.01:
        return "<.01"
    return ">.99" if value > 0.99 else f"{value:.2f}".lstrip("0")

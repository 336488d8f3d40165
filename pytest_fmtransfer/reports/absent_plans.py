"""Of a plan, what is absent: what is missing for how many cells, and what they would take were it here."""

from collections.abc import Sequence
from textwrap import fill

from tabulate import tabulate

from pytest_fmtransfer.costs import CellPlan
from pytest_fmtransfer.reports.effort import duration, size
from pytest_fmtransfer.words import counted

FEW = 4  # cells that are named; of more it is said how many
AT = 1_000  # images a second: what a card does of a ViT-B/16 at 224 px is of this order, and the reader knows theirs

HOW_ABSENT_READ = (
    "By the sizes that the catalogue expects. `trained images` pass forward and backward, once for each time that they "
    "are seen, `forward passes` through a network that does not learn; images of validation and test are seen in every "
    "epoch besides. A store keeps pictures and what passes once; weights and data themselves are not counted."
)


def absent_parts(lines: Sequence[CellPlan]) -> list[str]:
    """What is missing, each thing once; and the cells by dataset and regime. Empty where nothing is absent."""
    absent = [line for line in lines if line.lacks]
    if not absent:
        return []
    parts = [_missing(absent)]
    if known := [line for line in absent if line.expected is not None]:
        parts += [
            "were it here, the cell would take:"
            if len(known) == 1
            else f"were they here, {len(known)} cells would take:",
            tabulate(_rows(known), headers="keys", tablefmt="simple", disable_numparse=True),
            fill(f"{HOW_ABSENT_READ} {_sizes(known)}", 120),
        ]
    return parts


def absent_total(lines: Sequence[CellPlan]) -> str:
    """One line of what all absent cells would take; empty where nothing is known of any."""
    costs = [line.expected for line in lines if line.expected is not None]
    if not costs:
        return ""
    trained, passes = sum(cost.trained_images for cost in costs), sum(cost.forward_passes for cost in costs)
    steps, room = sum(cost.training_steps for cost in costs), sum(cost.bytes for cost in costs)
    whose = counted(len(costs), "absent cell")
    told = (
        f"{whose} would take {steps:,} training steps, {trained:,} trained images, {passes:,} forward passes, and at "
        f"least {size(room)} on disk."
    )
    amounts = {"training": trained, "forward passes": passes}
    if speeds := [f"{duration(amount / AT)} of {what}" for what, amount in amounts.items() if amount]:
        told += f" How long is not known before their networks have run here: at {AT:,} images a second "
        told += ", and ".join(speeds)
    return fill(told, 120)


def _missing(absent: Sequence[CellPlan]) -> str:
    """Each thing that is missing with the cells that lack it."""
    lacking: dict[str, list[str]] = {}
    for line in absent:
        for lack in line.missing or (line.lacks,):
            lacking.setdefault(lack, []).append(line.cell.id)
    return "\n".join(["absent:", *(f"  {_cells(cells)}: {lack}" for lack, cells in lacking.items())])


def _cells(cells: Sequence[str]) -> str:
    return ", ".join(cells) if len(cells) <= FEW else counted(len(cells), "cell")


def _rows(known: Sequence[CellPlan]) -> list[dict[str, str]]:
    grouped: dict[tuple[str, str], list[CellPlan]] = {}
    for line in known:
        grouped.setdefault((line.cell.dataset, line.cell.regime), []).append(line)
    rows: list[dict[str, str]] = []
    for (dataset, regime), group in sorted(grouped.items()):
        costs = [line.expected for line in group if line.expected is not None]
        room = sum(cost.bytes for cost in costs)
        rows.append(
            {
                "dataset": dataset,
                "regime": regime,
                "cells": str(len(group)),
                "training steps": f"{sum(cost.training_steps for cost in costs):,}",
                "trained images": f"{sum(cost.trained_images for cost in costs):,}",
                "forward passes": f"{sum(cost.forward_passes for cost in costs):,}",
                "pictures kept": size(room) if room else "",
            }
        )
    return rows


def _sizes(known: Sequence[CellPlan]) -> str:
    """Where the sizes are from, by dataset."""
    sources: dict[str, list[str]] = {}
    for line in known:
        if line.expected is not None and line.cell.dataset not in sources.setdefault(line.expected.source, []):
            sources[line.expected.source].append(line.cell.dataset)
    return "; ".join(f"Sizes of {', '.join(names)}: {source}" for source, names in sources.items()) + "."

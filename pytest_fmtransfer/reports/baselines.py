"""Baselines as text: a table of a folder, one record in full, and one beside what was obtained.

Legend: S seeds, N test images, C classes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.judge.causes import question_changes, subject_changes
from pytest_fmtransfer.judge.intervals import interval
from pytest_fmtransfer.judge.regression import rank_correlation, relative_moves
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.pseudonyms import SHOWN
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.words import counted, plural

HEADINGS = ("cell", "metric", "mean", "images", "patients", "profile", "recorded", "obtained")


def line(result: Result, *, waits: bool) -> tuple[str, ...]:
    """A baseline's row under `HEADINGS`; `waits`: an obtained result lies beside it."""
    return (
        result.cell.id,
        result.metric_of,
        f"{result.mean:.4f}",
        str(len(result.ids_N)),
        str(result.patients),
        result.question.profile,
        result.recorded.date if result.recorded else "",
        "waits" if waits else "",
    )


def without(cell: Cell, why: str) -> tuple[str, ...]:
    """The row of a cell of whose baseline nothing can be told, and why, in a word."""
    return (cell.id, *("" for _ in HEADINGS[2:-1]), why, "")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns, each on a line of its own, whatever it names."""
    rows = [tuple(map(inline, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def in_full(result: Result) -> str:
    """Everything that a record says, for people."""
    question, cost = result.question, result.cost
    found = interval(result)
    limits = f", too few {plural(result.patient_unit)} for an interval, or none that shows any variance"
    if found:
        limits = f", 95 % interval [{found[0]:.4f}, {found[1]:.4f}]"
    seeds = "the seed does not matter" if not result.seeded else counted(len(result.seeds), "seed")
    by_seed = ", ".join(f"{seed}: {value:.4f}" for seed, value in zip(result.seeds, result.by_seed, strict=True))
    lines = [
        f"{result.cell}: {result.metric_of} {result.mean:.4f}{limits}",
        f"  by seed: {by_seed} ({seeds})",
        f"  test side: {counted(len(result.ids_N), 'image')} of {counted(result.patients, result.patient_unit)}; "
        f"classes: {', '.join(result.classes)}; margin {result.margin:g}",
        f"  chosen: {'; '.join(_plain(choice) for choice in result.chosen)}",
        f"  question {question.fingerprint}",
        *(f"    {name}: {_plain(value)}" for name, value in asdict(question).items()),
        "  subject",
        *(f"    {name}: {_plain(value)}" for name, value in sorted(result.subject.items())),
        f"  cost: {counted(cost.forward_passes, 'forward pass')} in {cost.forward_seconds:.1f} s, adapted in "
        f"{cost.adapt_seconds:.1f} s, {cost.feature_bytes / 2**20:.1f} MiB of features",
        f"  recorded: {_when(result)}",
    ]
    return "\n".join(map(inline, lines))


def compared(obtained: Result, baseline: Result, ids: Mapping[str, str]) -> str:
    """What was obtained against the baseline of the same cell: metric, scores, question, subject.

    `ids` are those of images, by pseudonym, as far as they are known here.
    """
    metric, was = obtained.metric_of, baseline.metric_of
    asked, under = question_changes(obtained, baseline), subject_changes(obtained.subject, baseline.subject)
    lines = [
        f"{obtained.cell}: obtained against its baseline",
        f"  baseline: {_when(baseline)}",
        f"  obtained: {_when(obtained)}",
        f"  {metric if metric == was else f'{was} → {metric}'}: {baseline.mean:.4f} → {obtained.mean:.4f} "
        f"({obtained.mean - baseline.mean:+.4f})",
        *(f"  {move}" for move in _moves(obtained, baseline, ids)),
        *(f"  the question changed: {change}" for change in asked),
        f"  {under.replace('nothing known', 'nothing else known') if asked else under}",
    ]
    return "\n".join(map(inline, lines))


def _moves(obtained: Result, baseline: Result, ids: Mapping[str, str]) -> Iterator[str]:
    """How far scores moved, where both have a score of the same image, seed and class."""
    if not np.array_equal(obtained.ids_N, baseline.ids_N):
        yield "scores are of other images, and not compared"
        return
    for what in ("seeds", "classes"):
        new, old = getattr(obtained, what), getattr(baseline, what)
        if new != old:
            yield f"scores are of other {what}, and not compared: {_plain(old)} → {_plain(new)}"
            return
    new_SNC, old_SNC = obtained.scores_SNC, baseline.scores_SNC
    moved_N = relative_moves(new_SNC, old_SNC)
    image = str(obtained.ids_N[moved_N.argmax()])
    named = f" ({ids[image]})" if image in ids else ""
    yield f"largest score change: {moved_N.max():.2g} standard deviations, at image {image[:SHOWN]}{named}"
    yield f"rank correlation: {rank_correlation(new_SNC, old_SNC):.4f}"
    if obtained.labels_N.ndim == 1:  # an image of several labels has no predicted class
        other_SN = new_SNC.argmax(axis=2) != old_SNC.argmax(axis=2)
        yield f"predictions that changed class: {int(other_SN.sum())} of {other_SN.size}"


def _when(result: Result) -> str:
    if result.recorded is None:
        return "never"
    commit = f"at commit {result.recorded.commit}" if result.recorded.commit else "outside a repository"
    return f"{result.recorded.date} {commit}, by pytest-fmtransfer {result.recorded.version}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)

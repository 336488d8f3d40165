"""How training went, of each trained cell and seed: epochs, losses, the validation metric as a curve in text.

A course is drawn from the history that a result holds of each seed; of many epochs a report keeps some.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.results import Result

Row = dict[str, Any]

MOST_EPOCHS = 100  # of a history in a report; the result itself holds all
MOST_COLUMNS = 40  # of a curve
BARS = "▁▂▃▄▅▆▇█"
NONE = "·"  # an epoch whose metric is no number
CURVES = (
    "A curve is the metric on the validation side, from the first epoch on the left to the last on the right, at most "
    f"{MOST_COLUMNS} of them. Each has a scale of its own: {BARS[0]} is its lowest value and {BARS[-1]} its highest, "
    "so that heights of two curves do not compare. The best epoch, whose weights are tested, is in brackets; "
    f"{NONE} is an epoch whose metric is no number. None is drawn of values that agree to three decimals. "
    "`validation` is the metric at the best epoch."
)


def course_rows(result: Result) -> list[Row]:
    """One row a seed; none for a regime that does not train by gradient."""
    higher = metric_named(result.question.metric).higher_is_better
    return [
        _course_row(seed, course, higher)
        for seed, course in zip(result.seeds, result.training, strict=False)
        if course.get("history")
    ]


def _course_row(seed: int, course: Mapping[str, Any], higher: bool) -> Row:
    history: Sequence[Mapping[str, Any]] = course["history"]
    best = best_of([epoch["validation"] for epoch in history], higher)
    seconds = sum(epoch["seconds"] for epoch in history)
    passed = sum(epoch["seconds"] * epoch["images_per_second"] for epoch in history)
    kept = spread(len(history), MOST_EPOCHS, best)
    return {
        "seed": seed,
        "epochs": len(history),
        "best_epoch": history[best]["epoch"],
        "loss_first": history[0]["loss"],
        "loss_last": history[-1]["loss"],
        "validation": _known(history[best]["validation"]),
        "images_per_second": passed / seconds if seconds else None,
        "notes": [*course.get("notes", ()), *_resumption(course.get("resumed", ()))],
        "history": [{**history[at], "validation": _known(history[at]["validation"])} for at in kept],
    }


def _resumption(epochs: Sequence[int]) -> list[str]:
    """A note where a killed run was gone on with; the curve and the seconds are of all legs."""
    if not epochs:
        return []
    return [f"resumed after {'epoch' if len(epochs) == 1 else 'epochs'} {', '.join(map(str, epochs))}"]


def _known(value: float) -> float | None:
    """A metric that is no number is none: JSON has no other word for it."""
    return value if math.isfinite(value) else None


def best_of(values: Sequence[float], higher: bool) -> int:
    """The position of the first best value, as training finds it; 0 where none is a number."""
    signed = [-math.inf if math.isnan(value) else value if higher else -value for value in values]
    return signed.index(max(signed))


def spread(count: int, most: int, always: int) -> list[int]:
    """Positions of up to `most` of so many in their order: the first, the last and `always` among them."""
    if count <= most:
        return list(range(count))
    even = [round(at * (count - 1) / (most - 1)) for at in range(most)]
    nearest = min(range(1, most - 1), key=lambda at: abs(even[at] - always))
    if always not in even:
        even[nearest] = always
    return even


def curve(course: Mapping[str, Any]) -> str:
    """The validation metric by epoch, the best epoch in brackets: '▁▃▆[█]▇'; from its smallest value to its largest.

    Where all are printed as one number there is no height to draw: '1.000 at every epoch'.
    """
    epochs = [epoch["epoch"] for epoch in course["history"]]
    best = epochs.index(course["best_epoch"])
    shown = spread(len(epochs), MOST_COLUMNS, best)
    values = [course["history"][at]["validation"] for at in shown]
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if known and f"{low:.3f}" == f"{high:.3f}":
        return f"{low:.3f} at {'every epoch' if len(known) == len(values) else 'every epoch where it is a number'}"
    bars = [NONE if value is None else _bar(value, low, high) for value in values]
    return "".join(f"[{bar}]" if at == best else bar for at, bar in zip(shown, bars, strict=True))


def _bar(value: float, low: float, high: float) -> str:
    return BARS[round((value - low) / (high - low) * (len(BARS) - 1)) if high > low else 0]


def course_lines(cells: Sequence[Row]) -> list[Row]:
    """A table of all courses, a line each."""
    return [
        {
            "cell": cell["cell"],
            "seed": str(course["seed"]),
            "epochs": str(course["epochs"]),
            "best": str(course["best_epoch"]),
            "loss first → last": f"{course['loss_first']:.3f} → {course['loss_last']:.3f}",
            "validation": f"{cell['metric_of']} {course['validation']:.3f}" if course["validation"] is not None else "",
            "validation by epoch, [best]": curve(course),
            "images/s": _rate(course["images_per_second"]),
            "notes": "; ".join(course["notes"]),
        }
        for cell in cells
        for course in cell["training"]
    ]


def in_a_line(cell: Row) -> str:
    """Of one trained cell, all seeds together."""
    courses: list[Row] = cell["training"]
    seeds = f"{len(courses)} seeds of" if len(courses) > 1 else "one seed of"
    best = ", ".join(str(course["best_epoch"]) for course in courses[:5]) + (", …" if len(courses) > 5 else "")
    first, last = (sum(course[name] for course in courses) / len(courses) for name in ("loss_first", "loss_last"))
    rates = [course["images_per_second"] for course in courses if course["images_per_second"] is not None]
    told = [
        f"{cell['cell']}: {seeds} {courses[0]['epochs']} epochs, best {best}",
        f"loss {first:.3f} → {last:.3f}",
        *([f"{_rate(sum(rates) / len(rates))} images/s"] if rates else []),
        *dict.fromkeys(note for course in courses for note in course["notes"]),
    ]
    return ", ".join(told)


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0f}"

"""What GitHub Actions shows of a run: an annotation for each failing test, and the report in the job's summary.

Annotations are workflow commands, printed on a line of their own; the runner turns them into notes at a file's line.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_fmtransfer.printable import inline, printable

SUMMARY_LIMIT = 1 << 20  # bytes that GitHub takes of one step's summary; of a longer one it shows nothing
CUT = "\n\nThe report is cut here: GitHub shows 1 MiB a step. `--fm-report=markdown:FILE` writes the whole of it.\n"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failing test. `file` is a path below the repository with '/'; `line` counts from 1, None where unknown."""

    file: str
    line: int | None
    title: str
    message: str


def annotations(failures: Iterable[Failure]) -> list[str]:
    """One `::error` command a failure, in the order of files and lines."""
    ordered = sorted(failures, key=lambda each: (each.file, each.line or 0, each.title))
    return [_command(failure) for failure in ordered]


def message_of(failure: str, verdicts: Iterable[Mapping[str, Any]]) -> str:
    """A failure's own words, and each verdict that is not 'supported' with what would settle it.

    The words are left out where they only repeat a verdict's line, as a failing assertion about it does.
    """
    unsupported = [verdict for verdict in verdicts if verdict["outcome"] != "supported"]
    repeats = any(verdict["summary"] in failure for verdict in unsupported)
    lines = [] if repeats else [failure]
    for verdict in unsupported:
        lines += [f"{verdict['candidate']} {verdict['kind'].replace('_', ' ')} {verdict['reference']}:"]
        lines += [verdict["summary"], verdict["settle"]]
    return "\n".join(line for line in lines if line)


def append_summary(file: Path, report: str) -> None:
    """Add a markdown report to a step's summary, cut with a sentence where it is longer than GitHub takes."""
    taken = file.stat().st_size if file.exists() else 0
    with file.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(fitting(f"\n\n{report}" if taken else report, SUMMARY_LIMIT - taken))


def fitting(report: str, room: int) -> str:
    """As many whole lines as fit into `room` bytes of UTF-8, and a sentence where some do not."""
    data = report.encode()
    if len(data) <= room:
        return report
    left = room - len(CUT.encode())
    if left < 0:
        return ""
    head, newline, _ = data[:left].rpartition(b"\n")
    return (head + newline).decode() + CUT


def _command(failure: Failure) -> str:
    line = "" if failure.line is None else f",line={failure.line}"
    where = f"file={_property(failure.file)}{line},title={_property(failure.title)}"
    return f"::error {where}::{_data(failure.message)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(inline(text)).replace(":", "%3A").replace(",", "%2C")

"""What pytest says of a failing test, as a report needs it: where it stands, and why it failed; and of a mistake."""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import pytest

from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.printable import printable
from pytest_fmtransfer.reports.github import Failure, message_of

PYTEST = ("_pytest", "pluggy")  # the packages that call a test or a fixture


def failure_of(
    report: pytest.TestReport | pytest.CollectReport, rows: Iterable[Mapping[str, Any]], *, root: Path
) -> Failure:
    """A failing report of a test's set-up, call or tear-down, or of a module that cannot be collected.

    `rows` are what the test told of itself; `root` is what pytest's locations are relative to.
    """
    file, line, name = cast(tuple[str, int | None, str], report.location)
    at = f": error at {report.when}" if report.when in ("collect", "setup", "teardown") else ""
    return Failure(
        file=_below_the_repository(Path(os.path.normpath(root / file)), root),
        line=None if line is None else line + 1,
        title=f"{name}{at}",
        message=message_of(_words(report), [verdict for row in rows for verdict in row["verdicts"]]),
    )


def failure_together(pool: Mapping[str, Any], *, root: Path) -> Failure:
    """All seeded cells of a test that drifted together, as `pooling.pools_of` has them: no item failed of it."""
    file, _, name = str(pool["test"]).partition("::")
    return Failure(
        file=_below_the_repository(Path(os.path.normpath(root / file)), root),
        line=None,
        title=f"{name}: all cells together",
        message=f"{pool['summary']}\n{pool['settle']}",
    )


def end_at_the_users_line(error: BaseException) -> None:
    """Cut what pytest shows of an error of ours behind the last line of the user's, before it enters our code.

    The message says all there is to say, as for `plain_errors`; that of a cause is in it. Any other error, of ours too,
    is a fault that somebody reports with its whole traceback.
    """
    if not isinstance(error, FmTransferError):
        return
    steps = list(_steps(error.__traceback__))
    called = max((at for at, step in enumerate(steps) if _package(step) in PYTEST), default=-1)
    inside = next((at for at, step in enumerate(steps) if at > called and _package(step) == "pytest_fmtransfer"), None)
    if inside is None or inside == called + 1:  # raised by the user's own code, or a fixture of ours was called
        return
    steps[inside - 1].tb_next = None
    error.__cause__, error.__suppress_context__ = None, True


def _steps(traceback: TracebackType | None) -> Generator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _package(step: TracebackType) -> str:
    """The top package of a frame's module; none for a suite that is installed inside ours, whose tests use it."""
    module = str(step.tb_frame.f_globals.get("__name__", ""))
    return "" if module.startswith("pytest_fmtransfer.suites") else module.partition(".")[0]


@contextmanager
def printable_mistakes() -> Generator[None]:
    """What a usage error names, an option's text or a path, is safe to print."""
    try:
        yield
    except pytest.UsageError as error:
        raise pytest.UsageError(*(printable(str(each)) for each in error.args)) from error


def _words(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The error's own message; the whole text where pytest kept no more than that."""
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr if crash is None else crash.message)
    return text.removeprefix("Failed: ")  # the class that pytest.fail raises


def _below_the_repository(path: Path, root: Path) -> str:
    """As GitHub names a file: relative to the checkout. Elsewhere, relative to pytest's root."""
    for base in (Path(os.environ.get("GITHUB_WORKSPACE") or root), root):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.as_posix()

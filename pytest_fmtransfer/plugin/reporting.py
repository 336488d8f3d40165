"""Rows from every worker to the controller, and from there into the reports that were asked for."""

import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import pytest

from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.disk import unwritable, writing
from pytest_fmtransfer.errors import StorageError
from pytest_fmtransfer.plugin.collection import MISTAKES, NOTES, failing_of_their_marks
from pytest_fmtransfer.plugin.failing import failure_of, failure_together
from pytest_fmtransfer.plugin.judging import PROPERTY
from pytest_fmtransfer.plugin.planning import effort_of
from pytest_fmtransfer.plugin.pooling import pools_of
from pytest_fmtransfer.plugin.settings import ReportRequest, settings_of
from pytest_fmtransfer.plugin.shown import shown
from pytest_fmtransfer.printable import inline, printable
from pytest_fmtransfer.reports.github import Failure, annotations, append_summary
from pytest_fmtransfer.stand_ins.planted import LABEL
from pytest_fmtransfer.store import write_atomically
from pytest_fmtransfer.words import counted


def configure(config: pytest.Config) -> None:
    """Find out before the run whether the reports can be drawn and written; listen on the controller only."""
    settings = settings_of(config)
    for request in settings.reports:
        _refuse_what_cannot_be_written(request)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(config), "fmtransfer-reporter")


class Reporter:
    """Gathers the rows of all tests, whichever worker ran them; writes reports when the session ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = settings_of(config)
        self._attempts: dict[str, dict[str, Any]] = {}
        self._failures: list[Failure] = []
        self._rankings: tuple[dict[str, Any], ...] | None = None
        self._pools: tuple[dict[str, Any], ...] = ()
        self._kept: set[Path] = set()
        self._refused = False
        self._failing: list[tuple[str, str]] = []
        self._root = config.rootpath
        # pytest holds standard error back while a test runs; a copy made now is the real terminal.
        self._terminal = _copy_of_terminal()
        if self._terminal is not None:
            from pytest_fmtransfer.progress import show_on

            show_on(self._terminal, before=lambda: _end_the_line(config))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows = [json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY]
        last = rows[-1:] if report.when != "setup" else []  # of a test that is run again, a report holds all attempts
        for row in last:
            self._count(row)
        if report.failed:
            self._failures.append(failure_of(report, last if report.when == "call" else [], root=self._root))

    def _count(self, row: dict[str, Any]) -> None:
        """A test counts once, by its last attempt; what earlier ones measured and wrote stays measured and written."""
        before = self._attempts.get(row["id"])
        if before is not None:
            known = [cell for cell in before["cells"] if cell not in row["cells"]]
            row |= {"cells": [*known, *row["cells"]], "written": row["written"] or before["written"]}
        self._attempts[row["id"]] = row

    @property
    def _rows(self) -> list[dict[str, Any]]:
        return list(self._attempts.values())

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failures.append(failure_of(report, [], root=self._root))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker cannot end the session with a usage error; it sends what it would have complained about."""
        self._settings.mistakes.extend(getattr(node, "workeroutput", {}).get(MISTAKES, []))
        self._settings.notes.extend(getattr(node, "workeroutput", {}).get(NOTES, []))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._settings.mistakes:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if session.config.option.collectonly:
            self._failing = failing_of_their_marks(getattr(session, "items", []))
            return
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR and not self._rows:
            self._refused = True  # it may be the report's own place that was refused
            return
        self._pools = pools_of(self._rows)
        drifted = [pool for pool in self._pools if pool["outcome"] == "refuted"]
        self._failures += [failure_together(pool, root=self._root) for pool in drifted]
        if drifted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for request in self._settings.reports:
            try:
                self._write(request, session)
            except StorageError as error:  # what was measured is in the store: the same command draws it again
                self._settings.mistakes.append(f"--fm-report={request.kind}: {error}")
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
        passed = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self._measured() < self._settings.require and passed:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def _write(self, request: ReportRequest, session: pytest.Session) -> None:
        """A report that goes to a file. Raises StorageError."""
        if request.file is not None:
            # An earlier report is worth more than one of a run that was interrupted before it measured anything.
            if session.exitstatus == pytest.ExitCode.INTERRUPTED and not self._rows and request.file.is_file():
                self._kept.add(request.file)
                return
            text = self._draw(request.kind)
            with writing(request.file, f"name another file: --fm-report={request.kind}:FILE", need=len(text.encode())):
                _write(request.file, text)
        elif request.kind == "github" and (summary := _job_summary()) is not None:
            text = self._draw("markdown")
            with writing(summary, "leave out --fm-report=github"):
                append_summary(summary, text)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        for mistake in dict.fromkeys(self._settings.mistakes):
            terminalreporter.write_line(printable(f"ERROR: {mistake}"), red=True)
        for note in dict.fromkeys(self._settings.notes):
            terminalreporter.write_line(printable(f"fmtransfer: {note}"))
        if self._failing:
            terminalreporter.section("fmtransfer: will fail")
            for name, message in self._failing:
                terminalreporter.write_line(printable(f"{name}: {message}"), red=True)
        if config.option.collectonly:
            return
        for pool in self._pools:
            told = "; ".join(filter(None, (pool["summary"], pool["settle"])))
            colour = {"refuted": {"red": True}, "inconclusive": {"yellow": True}, "supported": {}}[pool["outcome"]]
            terminalreporter.write_line(inline(f"fmtransfer: {pool['test']}: {told}"), **colour)
        for line in self._written():
            terminalreporter.write_line(inline(f"fmtransfer: {line}"))
        if self._ranked() and not any(each.kind == "terminal" for each in self._settings.reports):
            terminalreporter.section("fmtransfer: leaderboard")
            terminalreporter.write(self._leaderboard())
        for request in self._settings.reports:
            if request.kind == "github":
                for line in annotations(self._failures):
                    terminalreporter.write_line(line)
            elif request.file is None:
                terminalreporter.section(f"fmtransfer: {request.kind} report")
                terminalreporter.write(self._draw(request.kind))
            elif self._refused:
                continue
            elif request.file in self._kept:
                terminalreporter.write_line(
                    inline(f"fmtransfer: interrupted before any cell; {request.file} is an earlier run's")
                )
            else:
                terminalreporter.write_line(inline(f"fmtransfer: {request.kind} report in {request.file}"))
        if self._measured() < (least := self._settings.require):
            found = counted(self._measured(), "cell")
            terminalreporter.write_line(
                f"fmtransfer: only {found} measured, --fm-require={least} (exit code 5)", red=True
            )
        elif self._settings.collect and not (self._measured() or self._failures or self._refused):
            terminalreporter.write_line(inline(f"fmtransfer: {self._nothing_judged()}"), yellow=True)

    def pytest_unconfigure(self) -> None:
        if self._terminal is not None:
            from pytest_fmtransfer.progress import show_on

            show_on(None)
            self._terminal.close()

    def _measured(self) -> int:
        return len({cell["cell"] for row in self._rows for cell in row["cells"]})

    def _nothing_judged(self) -> str:
        """Why a green run with --fm-collect judged nothing, and how to have it fail."""
        from pytest_fmtransfer.baselines import Baselines

        folders = self._settings.collect
        held = sum(len(Baselines(folder=self._settings.of_profile(each)).cells()) for each in folders)
        where = " and ".join(str(shown(each, self._root)) for each in folders)
        if held:
            found = f"no test used the {counted(held, 'result')} in {where}"
        else:
            found = f"no exported result in {where}; fill it where weights and data are: --fm-export=DIR"
        return f"nothing was judged: {found} (--fm-require=1 fails a run like this)"

    def _written(self) -> list[str]:
        """How many baselines `--fm-update` wrote, and where; nothing without that option."""
        if self._settings.update is None:
            return []
        records = {Path(row["written"]) for row in self._rows if row["written"] is not None}
        if not records:
            return [f"no baseline written, by --fm-update={self._settings.update}"]
        folders = Counter(record.parent for record in records)
        return [
            f"{counted(folders[each], 'baseline')} written to {shown(each, self._root)}" for each in sorted(folders)
        ]

    def _ranked(self) -> tuple[dict[str, Any], ...]:
        """The tables of a leaderboard, once the session has ended; empty where no test takes a place in any."""
        if self._rankings is None:
            self._rankings = ()
            if any(row["ranked"] for row in self._rows):
                from pytest_fmtransfer.plugin.ranking import rankings_of

                self._rankings = rankings_of(self._rows, self._settings)
        return self._rankings

    def _leaderboard(self) -> str:
        """The tables alone, for a run that asks for no report and may have nothing to draw one with."""
        from pytest_fmtransfer.reports.baselines import table
        from pytest_fmtransfer.reports.over_datasets import overall_parts
        from pytest_fmtransfer.reports.rankings import ranking_parts
        from pytest_fmtransfer.reports.rows import gather, in_words_of

        def aligned(rows: list[dict[str, Any]]) -> str:
            return table([list(rows[0]), *(list(row.values()) for row in rows)])

        report = in_words_of(gather(self._rows, rankings=self._ranked()), inline)
        parts = [
            *ranking_parts(report.rankings, heading=str, table=aligned),
            *overall_parts(report.overall, heading=str, table=aligned),
        ]
        return "\n\n".join(parts) + "\n"

    def _draw(self, kind: str) -> str:
        from pytest_fmtransfer.reports.rows import as_json, gather

        registry = self._settings.registry
        report = gather(
            self._rows,
            rankings=self._ranked(),
            pools=self._pools,
            datasets=registry.rows(DatasetSpec),
            profiles=registry.rows(Profile),
            effort=effort_of(self._config),
            date=datetime.now(UTC).date().isoformat(),
            note=LABEL if self._settings.stand_ins else "",
        )
        if kind == "json":
            return as_json(report)
        from pytest_fmtransfer.reports.tables import RENDERERS

        return RENDERERS[kind](report)


def _write(file: Path, text: str) -> None:
    if file.exists() and not file.is_file():  # a pipe or a device, /dev/stdout say
        file.write_text(text, encoding="utf-8")
    else:
        write_atomically(file, text.encode())


def _refuse_what_cannot_be_written(request: ReportRequest) -> None:
    lacking = [name for name in ("pandas", "tabulate") if find_spec(name) is None]
    if lacking and request.kind != "json":
        raise pytest.UsageError(
            f"--fm-report draws its tables with {' and '.join(lacking)}: pip install 'pytest-fmtransfer[report]'"
        )
    file = _job_summary() if request.kind == "github" else request.file
    if file is not None and (file.is_dir() or not file.parent.is_dir() or _cannot_be_written(file)):
        where = "GITHUB_STEP_SUMMARY" if request.kind == "github" else f"--fm-report={request.kind}"
        raise pytest.UsageError(f"{where}: cannot write {file}; name a file in a folder that exists")


def _cannot_be_written(file: Path) -> bool:
    """A file that is there is replaced; a pipe or a device is written to as it is."""
    if file.exists() and not file.is_file():
        return not os.access(file, os.W_OK)
    return unwritable(file.parent) is not None


def _job_summary() -> Path | None:
    """The file whose text GitHub Actions shows in the summary of a job; None elsewhere."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(file) if file else None


def _copy_of_terminal() -> TextIO | None:
    stream = sys.__stderr__
    return os.fdopen(os.dup(stream.fileno()), "w") if stream is not None and stream.isatty() else None


def _end_the_line(config: pytest.Config) -> None:
    """So that a progress line does not overwrite the dots that pytest has printed."""
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()

"""What the tests of some suites ask for and what their conftests register, without running them."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.plugin.cases import case_of, mistake_of
from pytest_fmtransfer.plugin.recorded import ASKING
from pytest_fmtransfer.plugin.settings import settings_of


class _Asked:
    """Hears of every item before any selection, so that what a project deselects by default is asked for too."""

    def __init__(self) -> None:
        self.cells: set[Cell] = set()
        self.mistakes: list[str] = []
        self.registry: Registry | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[ASKING] = True

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.mistakes += [] if (mistake := mistake_of(item)) is None else [f"{item.nodeid}: {mistake.message}"]
        case = case_of(item)
        if case is not None and "baseline" in getattr(item, "fixturenames", ()):
            self.cells.update(case.cells)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.registry = settings_of(session.config).registry


def cells_asked_for(suites: Sequence[str]) -> set[Cell]:
    """Cells of the items that ask for the fixture `baseline`; `suites` are what pytest takes: files, folders, ids.

    Tests of whatever is recorded ask for none: they would keep every baseline for ever.

    Raises InvalidInput when pytest cannot collect all of them: a test that is not seen asks for nothing.
    """
    asked = _collected(suites)
    if asked.mistakes:
        raise InvalidInput("\n".join(asked.mistakes))
    return asked.cells


def registry_of(suites: Sequence[str]) -> Registry:
    """The catalogue with what conftests of `suites` register. Raises InvalidInput when pytest cannot collect them."""
    found = _collected(suites).registry
    assert found is not None, "a collection that ended well was finished"
    return found


def _collected(suites: Sequence[str]) -> _Asked:
    asked = _Asked()
    # Nothing is asserted here, and what is imported already cannot be rewritten without a warning.
    options = ["--collect-only", "-q", "--assert=plain", "-p", "no:cacheprovider"]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = pytest.main([*options, "--", *suites], plugins=[asked])
    if code != pytest.ExitCode.OK:
        named = " ".join(suites)
        raise InvalidInput(f"pytest collects no tests from {named}, or not all; see: pytest --collect-only {named}")
    return asked

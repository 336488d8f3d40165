"""What stands in place of pytest's list of tests where an option asks what a selection would do, and runs nothing."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_fmtransfer.printable import printable


class Lister:
    """Prints a text about the selection; `text_of` is called once, on the controller, when collecting has succeeded."""

    def __init__(self, title: str, text_of: Callable[[pytest.Session], str]) -> None:
        self._title, self._text_of = title, text_of

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        items, session.items = session.items, []  # pytest lists what it finds here
        try:
            yield
        finally:
            session.items = items

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        terminal: Any = session.config.pluginmanager.getplugin("terminalreporter")
        if terminal is None or session.testsfailed:  # collecting failed: pytest says so
            return
        text = self._text_of(session)
        terminal.section(f"fmtransfer: {self._title}")
        terminal.write(printable(text))

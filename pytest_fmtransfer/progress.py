"""A progress line with rate and time left on a terminal, nothing in a log.

The line goes to the stream that `show_on` names; without one, to standard error when that is a terminal.
The pytest plugin names the real terminal, because pytest holds standard error back while a test runs.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Never, TextIO

from tqdm import tqdm

from pytest_fmtransfer.printable import inline, printable

_stream: ContextVar[TextIO | None] = ContextVar("progress stream", default=None)
_before: ContextVar[Callable[[], None] | None] = ContextVar("before a progress line", default=None)


def show_on(stream: TextIO | None, before: Callable[[], None] | None = None) -> None:
    """Send progress lines to `stream`, after a call of `before`; None goes back to standard error."""
    _stream.set(stream)
    _before.set(before)


@contextmanager
def shown_on(stream: TextIO) -> Generator[None]:
    """Inside the block progress lines go where they went, and to `stream` where nobody had named one."""
    token = _stream.set(_stream.get() or stream)
    try:
        yield
    finally:
        _stream.reset(token)


def tell(line: str) -> None:
    """Write a line where progress is shown, whether or not that is a terminal."""
    stream, before = _stream.get() or sys.stderr, _before.get()
    if before is not None:
        before()
    print(printable(line), file=stream, flush=True)


if TYPE_CHECKING:
    _Tqdm = tqdm[Never]
else:  # generic in its types alone
    _Tqdm = tqdm


class Bar(_Tqdm):
    """tqdm's bar where progress is shown; nothing on a stream that is no terminal."""

    def __init__(self, **of_tqdm: Any) -> None:
        stream, before = _stream.get() or sys.stderr, _before.get()
        if before is not None and stream.isatty():
            before()
        of_tqdm.pop("name", None)  # by which the hub's library puts its own bars into groups
        super().__init__(**of_tqdm | {"file": stream, "disable": not stream.isatty(), "leave": False})


def progress(what: str, *, total: int, unit: str) -> Bar:
    """A bar to be used as a context manager, and told `update(n)` as `n` of `total` units are done."""
    return Bar(total=total, desc=inline(what), unit=unit)

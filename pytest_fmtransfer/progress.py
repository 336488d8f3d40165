"""A progress line with rate and time left on a terminal, nothing in a log.

The line goes to the stream that `show_on` names; without one, to standard error when that is a terminal.
The pytest plugin names the real terminal, because pytest holds standard error back while a test runs.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Never, TextIO

from tqdm import tqdm

_stream: ContextVar[TextIO | None] = ContextVar("progress stream", default=None)
_before: ContextVar[Callable[[], None] | None] = ContextVar("before a progress line", default=None)


def show_on(stream: TextIO | None, before: Callable[[], None] | None = None) -> None:
    """Send progress lines to `stream`, after a call of `before`; None goes back to standard error."""
    _stream.set(stream)
    _before.set(before)


def tell(line: str) -> None:
    """Write a line where progress is shown, whether or not that is a terminal."""
    stream, before = _stream.get() or sys.stderr, _before.get()
    if before is not None:
        before()
    print(line, file=stream, flush=True)


def progress(what: str, *, total: int, unit: str) -> "tqdm[Never]":
    """A bar to be used as a context manager, and told `update(n)` as `n` of `total` units are done."""
    stream, before = _stream.get() or sys.stderr, _before.get()
    if before is not None and stream.isatty():
        before()
    return tqdm(total=total, desc=what, unit=unit, file=stream, disable=not stream.isatty(), leave=False)

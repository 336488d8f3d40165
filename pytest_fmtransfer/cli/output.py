"""Standard output and error as a verb writes them: text that is not ours is made safe to print, in one place."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import TextIO

from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.progress import shown_on


class PrintableLines(TextIOBase):
    """Writes what is safe to print to a stream. It writes whole lines: what begins a line matters to a CI runner."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begun = stream, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        self._stream.write("".join(f"{inline(line)}\n" for line in lines))
        return len(text)

    def finish(self) -> None:
        """Write the line that was begun."""
        begun, self._begun = self._begun, ""
        self._stream.write(inline(begun))

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextmanager
def printable_output() -> Generator[None]:
    """Inside the block standard output and error are `PrintableLines`. Progress bars pass by them."""
    out, err = PrintableLines(sys.stdout), PrintableLines(sys.stderr)
    with shown_on(sys.stderr), redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.finish()
            err.finish()

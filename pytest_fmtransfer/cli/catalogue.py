"""The catalogue of the command line as text: what stands in it, whether it is ready here, and tables of that."""

import shutil
from collections.abc import Iterator, Sequence
from textwrap import wrap

from pytest_fmtransfer.catalog.registry import ENTRY_POINT_GROUP
from pytest_fmtransfer.missing import Missing, Ready

ROWS_KNOWN = (
    "Rows that a conftest.py registers are known to pytest alone; an entry point in group "
    f"{ENTRY_POINT_GROUP} makes them known here too."
)


def state(found: Ready | Missing, name: str) -> str:
    """'ready', or what is missing, in a line that begins with the name."""
    return found.reason.replace(f" of {name}", "").replace(f" {name}", "") if isinstance(found, Missing) else "ready"


WIDE = 40  # characters that a text of a stacked table has beside its name; a longer one stands below
INDENT = "    "


def width_here() -> int:
    """Columns of the terminal, 120 where there is none."""
    return max(60, shutil.get_terminal_size((120, 24)).columns)


def wrapped(rows: Sequence[tuple[str, str]], width: int) -> str:
    """Names and what is said of each, in two columns; a long text goes on below its beginning."""
    names = max(len(name) for name, _ in rows) + 2
    lines = (f"{name:{names}}{_broken(text, width - names, ' ' * names)}".rstrip() for name, text in rows)
    return "\n".join(lines)


def stacked(rows: Sequence[Sequence[str]], columns: int, width: int) -> str:
    """Rows whose first texts stand in columns, and whose others, and long ones, stand below them, indented.

    There are `columns` columns, or as many as fit into `width`. No text is cut. A text wider than `width` is broken
    between words; a path or an address stays whole.
    """
    heads = [[text if not at or len(text) <= WIDE else "" for at, text in enumerate(row[:columns])] for row in rows]
    if columns > 1 and max(map(len, table(heads).split("\n"))) > width:
        return stacked(rows, columns - 1, width)
    below = [[text for at, text in enumerate(row) if at >= columns or (at and len(text) > WIDE)] for row in rows]
    lines: list[str] = []
    for head, texts in zip(table(heads).split("\n"), below, strict=True):
        lines += [head, *_flowing([text for text in texts if text], width)]
    return "\n".join(lines)


def _flowing(texts: Sequence[str], width: int) -> Iterator[str]:
    """Texts one after the other, as many on a line as fit."""
    line = ""
    for text in texts:
        if line and len(line) + 2 + len(text) <= width:
            line += f"  {text}"
            continue
        if line:
            yield line
        line = INDENT + _broken(text, width - len(INDENT), INDENT)
    if line:
        yield line


def _broken(text: str, width: int, indent: str) -> str:
    return f"\n{indent}".join(wrap(text, max(20, width), break_long_words=False, break_on_hyphens=False)) or text


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest text, a line each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

"""The catalogue of the command line as text: what stands in it, whether it is ready here, and tables of that."""

from collections.abc import Sequence

from pytest_fmtransfer.catalog.registry import ENTRY_POINT_GROUP
from pytest_fmtransfer.missing import Missing, Ready

ROWS_KNOWN = (
    "Rows that a conftest.py registers are known to pytest alone; an entry point in group "
    f"{ENTRY_POINT_GROUP} makes them known here too."
)


def state(found: Ready | Missing, name: str) -> str:
    """'ready', or what is missing, in a line that begins with the name."""
    return found.reason.replace(f" of {name}", "").replace(f" {name}", "") if isinstance(found, Missing) else "ready"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest text, a line each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

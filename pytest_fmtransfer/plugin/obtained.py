"""After a test: what was obtained waits beside the baseline that it did not agree with."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from pytest_fmtransfer.plugin.recorded import OWN_FOLDER, is_installed
from pytest_fmtransfer.plugin.shown import shown
from pytest_fmtransfer.printable import inline

if TYPE_CHECKING:
    from pytest_fmtransfer.baselines import Baselines
    from pytest_fmtransfer.cell_result import CellResult
    from pytest_fmtransfer.judge.court import Verdict

# Set by the fixture `baseline`: where an item's baseline is, and what is held against it.
HELD = pytest.StashKey[tuple["Baselines", "CellResult"]]()


def keep_obtained(item: pytest.Item, reached: "Sequence[Verdict]") -> None:
    """Keep the candidate's result where it did not come out unchanged, to be accepted without running again.

    Where it did, what waited is removed. A folder that cannot be written to changes no verdict; the report says so.
    """
    verdicts = [verdict for verdict in reached if verdict.kind == "unchanged_from"]
    held = item.stash.get(HELD, None)
    if held is None or not verdicts:
        return
    stored, candidate = held
    try:
        if is_installed(stored.folder):
            if not all(verdicts):
                item.add_report_section(
                    "call",
                    "baseline",
                    f"what was obtained is not kept beside baselines of an installed package; {OWN_FOLDER}",
                )
        elif all(verdicts):
            stored.drop_obtained(candidate.cell)
        else:
            stored.keep_obtained(candidate)
            told = inline(f"{candidate.cell} --folder {quote(str(shown(stored.folder, Path.cwd())))}")
            item.add_report_section(
                "call",
                "baseline",
                f"obtained: {inline(str(shown(stored.obtained(candidate.cell).record, Path.cwd())))}\n"
                f"  compare: fmtransfer baseline diff {told}\n  accept: fmtransfer baseline accept {told}",
            )
    except OSError as error:
        item.add_report_section("call", "baseline", inline(f"what was obtained could not be kept: {error}"))

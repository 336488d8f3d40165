"""One test for each backbone on each data set, under the linear probe or what `--fm-regime` names.

Run only where it is named: `pytest suites/leaderboard -k br35h`. A test measures its cell; what is measured is ranked
data set by data set in a table at the end, whose intervals say which places could be a backbone's
(docs/leaderboard.md).
"""

import math

import pytest


@pytest.mark.fm_cells(registered=True, regimes=["linear_probe"])
def test_place(ranked):
    """A backbone takes its place in the table of a data set."""
    assert math.isfinite(ranked.mean)

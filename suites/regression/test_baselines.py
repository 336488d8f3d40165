"""Whatever is recorded in the folder of baselines still holds: one test for each file, and none for what has none.
Cells that depend on a seed are judged together too, when the session ends.

A suite that means a cell to have a baseline names it in a test of its own; here nothing is missed that is not there.
"""

import pytest


@pytest.mark.fm_cells(recorded=True, pooled=True)
def test_unchanged(candidate, baseline):
    """Nothing moved since the baseline was recorded."""
    assert candidate.unchanged_from(baseline)

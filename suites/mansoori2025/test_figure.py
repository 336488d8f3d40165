"""Mansoori et al. 2025, main figure: its value for each model and data set, which come from `suites/published`.

A published number is of other runs, and of another split where `paper.py` says so: to agree is to lie within the data
set's margin of it, and never to have beaten it.
"""

import pytest

from .figure import BACKBONES, published
from .paper import DATASETS, FIGURE, REGIME, SOURCE


@pytest.mark.fm_cells(backbones=BACKBONES, datasets=DATASETS, regimes=[REGIME])
@pytest.mark.fm_claim(source=SOURCE, where=FIGURE, family_size=len(BACKBONES))
def test_agrees_with_the_figure(candidate):
    """What a model scores on this data set is what the figure draws, within the data set's margin."""
    assert candidate.consistent_with(published(candidate.cell))

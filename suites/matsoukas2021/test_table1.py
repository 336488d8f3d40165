"""Matsoukas et al. 2021, Table 1: its numbers, and what its rows say of initialisation.

To agree is to lie within the data set's margin of a number. Its own five runs are part of the error: from random
weights most of them differ so much that no result can be said to agree, not even the same number.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import DATASETS, MODELS, PRETRAINED, RANDOM, SOURCE
from .table1 import published


@pytest.mark.fm_cells(backbones=MODELS, datasets=DATASETS, regimes=[RANDOM, PRETRAINED])
@pytest.mark.fm_claim(source=SOURCE, where="Table 1", family_size=2)
def test_agrees_with_the_table(candidate):
    """What a model scores on this data set, from random or from ImageNet's weights, is what the table has."""
    assert candidate.consistent_with(published(candidate.cell))


@pytest.mark.fm_cells(
    backbones=MODELS, datasets=DATASETS, regimes=[PRETRAINED], reference=f"{{backbone}}-{{dataset}}-{RANDOM}"
)
@pytest.mark.fm_claim(source=SOURCE, where="Table 1, by data set", family_size=2)
def test_pretraining_beats_random_weights(candidate, reference):
    """From ImageNet's weights a model is better on this data set than from random ones, as in the table."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=MODELS,
    datasets=DATASETS,
    regimes=[PRETRAINED],
    reference=f"{{backbone}}-{{dataset}}-{RANDOM}",
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="Table 1", family_size=2)
def test_pretraining_consistently_beats_random_weights(candidates, references):
    """From ImageNet's weights a model is better on each data set than from random ones."""
    assert fm.consistently_better(candidates, references)

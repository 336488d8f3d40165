"""Doerrich et al. 2025, benchmark results: the AUC of each model on each data set, under two of its schemes.

A published number is of other runs and other settings of training: to agree is to lie within the data set's margin of
it, and never to have beaten it. The benchmark's own test images are part of the error: of BreastMNIST and RetinaMNIST
they are so few that no result can be said to agree, not even the same number. Of k-NN the benchmark gives accuracies
alone (`tables.py`), and no test agrees with it.
"""

import pytest

from .paper import DATASETS, END_TO_END, PROBED, SOURCE
from .tables import models, published

WHERE = "benchmark results, 224 px"


@pytest.mark.fm_cells(backbones=models(END_TO_END), datasets=DATASETS, regimes=[END_TO_END])
@pytest.mark.fm_claim(source=SOURCE, where=WHERE, family_size=len(models(END_TO_END)))
def test_end_to_end_agrees_with_the_tables(candidate):
    """Trained end to end, a model has on this data set the AUC that the benchmark found."""
    assert candidate.consistent_with(published(candidate.cell))


@pytest.mark.fm_cells(backbones=models(PROBED), datasets=DATASETS, regimes=[PROBED])
@pytest.mark.fm_claim(source=SOURCE, where=WHERE, family_size=len(models(PROBED)))
def test_linear_probing_agrees_with_the_tables(candidate):
    """Frozen, under a linear layer, a model has on this data set the AUC that the benchmark found."""
    assert candidate.consistent_with(published(candidate.cell))

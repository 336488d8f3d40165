"""Doerrich et al. 2025, abstract: cheap training schemes and foundation models in the place of training end to end.

On each data set an alternative is viable where it loses nothing that matters. Over the twelve, the scheme that has the
higher average in the benchmark's tables is the one that gains more; k-NN, of which they have no AUC, is held against
linear probing in a direction that is this suite's.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import DATASETS, END_TO_END, FOUNDATION, KNN, MODELS, PROBED, SOURCE, SUPERVISED_VIT
from .tables import average, models

REFERENCE = f"{SUPERVISED_VIT}-{{dataset}}-{END_TO_END}"


@pytest.mark.fm_cells(
    backbones=FOUNDATION,
    datasets=DATASETS,
    regimes=[PROBED, KNN],
    reference=f"{{backbone}}-{{dataset}}-{END_TO_END}",
)
@pytest.mark.fm_claim(source=SOURCE, where="abstract, by data set", family_size=len(FOUNDATION))
def test_loses_nothing_against_end_to_end(candidate, reference):
    """'[...] computationally efficient training schemes and modern foundation models offer viable alternatives to
    costly end-to-end training.'

    A foundation model frozen, under a linear layer or k-NN, against the same one trained end to end.
    """
    assert candidate.not_worse_than(reference)


@pytest.mark.fm_cells(
    backbones=models(END_TO_END),
    cells=[f"{{backbone}}-{{dataset}}-{regime}" for regime in (END_TO_END, PROBED)],
    datasets=DATASETS,
    reference=REFERENCE,
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="benchmark results, averages", family_size=len(models(END_TO_END)))
def test_the_scheme_with_the_higher_average_gains_more(candidates, references):
    """The scheme with the higher average AUC in the tables gains more: end-to-end training of DenseNet-121, ResNet-18
    and SAM, linear probing of CLIP, DINO and ViT-B/16.
    """
    one, other = sorted(fm.relative_gains(candidates, references), key=_average, reverse=True)
    assert fm.gains_in_order([one], [other])


@pytest.mark.fm_cells(
    backbones=MODELS,
    cells=[f"{{backbone}}-{{dataset}}-{regime}" for regime in (PROBED, KNN)],
    datasets=DATASETS,
    reference=REFERENCE,
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="three schemes; the direction is this suite's", family_size=len(MODELS))
def test_linear_probing_gains_more_than_knn(candidates, references):
    """On average over the data sets, a frozen model gains more under a linear layer than under k-NN."""
    probed, nearest = fm.relative_gains(candidates, references)
    assert fm.gains_in_order([probed], [nearest])


def _average(gain):
    cell = gain.candidates[0].cell
    return average(cell.backbone, cell.regime)

"""Doerrich et al. 2025, abstract: convolutional networks against vision transformers, trained end to end."""

import pytest

import pytest_fmtransfer as fm

from .paper import CNNS, DATASETS, END_TO_END, SOURCE, SUPERVISED_VIT
from .tables import average, models

OF_THE_TABLES = models(END_TO_END)


@pytest.mark.fm_cells(backbones=CNNS, datasets=DATASETS, regimes=[END_TO_END], reference=SUPERVISED_VIT)
@pytest.mark.fm_claim(source=SOURCE, where="abstract, by data set", family_size=len(CNNS))
def test_cnn_is_competitive_with_the_supervised_vit(candidate, reference):
    """'Notably, our analysis reaffirms the competitiveness of CNNs compared to ViTs [...]', on this data set.

    Competitive is tested as not worse than ViT-B/16, which is ImageNet-supervised as the convolutional networks are.
    """
    assert candidate.not_worse_than(reference)


@pytest.mark.fm_cells(
    cells=[f"{backbone}-{{dataset}}-{END_TO_END}" for backbone in OF_THE_TABLES],
    datasets=DATASETS,
    reference=f"{SUPERVISED_VIT}-{{dataset}}-{END_TO_END}",
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="benchmark results, averages", family_size=1)
def test_cnns_gain_more_than_the_transformers_below_them(candidates, references):
    """Trained end to end, each CNN gains more on average than each transformer whose average in the tables is lower:
    DenseNet-121 and ResNet-18 more than CLIP, DINO, SAM and ViT-B/16.
    """
    gains = fm.relative_gains(candidates, references)
    cnns = [gain for gain in gains if _backbone(gain) in CNNS]
    lowest = min(_average(gain) for gain in cnns)
    below = [gain for gain in gains if gain not in cnns and _average(gain) < lowest]
    assert fm.gains_in_order(cnns, below)


def _average(gain):
    return average(_backbone(gain), END_TO_END)


def _backbone(gain):
    return gain.candidates[0].cell.backbone

"""Palés Huix et al. 2024, abstract: who consistently beats ImageNet pretraining.

"Consistently" is said of the set of datasets: better on each of the four, or not.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import CLASSIFIERS, COMPARISONS, DATASETS, LINEAR, OTHERS, REFERENCE, SOURCE


@pytest.mark.fm_cells(
    backbones=["dinov2_vitb14"], datasets=DATASETS, regimes=CLASSIFIERS, reference=REFERENCE, over="datasets"
)
@pytest.mark.fm_claim(source=SOURCE, where="abstract", family_size=1)
def test_consistently_beats_imagenet(candidates, references):
    """'DINOv2 consistently outperforms the standard practice of ImageNet pretraining.'

    Said without naming a classifier, and therefore tested with each.
    """
    assert fm.consistently_better(candidates, references)


@pytest.mark.fm_cells(
    backbones=OTHERS, datasets=DATASETS, regimes=CLASSIFIERS, reference=REFERENCE, over="datasets", closed=True
)
@pytest.mark.fm_claim(source=SOURCE, where="abstract", family_size=4)
def test_does_not_consistently_beat_imagenet(candidates, references):
    """'However, other foundation models failed to consistently beat this established baseline [...].'

    The others are SAM, SEEM, BLIP and OpenCLIP. It takes a dataset on which one is no better; that a difference is too
    small to be seen does not make the sentence true.
    """
    assert fm.not_consistently_better(candidates, references)


@pytest.mark.fm_cells(
    backbones=COMPARISONS, datasets=DATASETS, regimes=[LINEAR], reference=REFERENCE, over="datasets", closed=True
)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1", family_size=2)
def test_comparison_does_not_consistently_beat_imagenet(candidates, references):
    """DINO and ResNet-152, which stand below the reference in Figure 1, do not consistently beat it either.

    The figure draws averages. That neither is better on each dataset is what follows from an average below 0; both
    appear with a linear classifier alone.
    """
    assert fm.not_consistently_better(candidates, references)

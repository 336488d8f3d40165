"""Palés Huix et al. 2024, cell by cell: each backbone on each dataset, against ImageNet pretraining.

The paper's sentences are about four datasets together (`test_abstract`); these are their parts, and say on which
dataset one holds.
"""

import pytest

from .paper import CLASSIFIERS, COMPARISONS, DATASETS, FOUNDATION, LINEAR, REFERENCE, SOURCE

WHERE = "abstract, by dataset"


@pytest.mark.fm_cells(backbones=FOUNDATION, datasets=DATASETS, regimes=CLASSIFIERS, reference=REFERENCE)
@pytest.mark.fm_claim(source=SOURCE, where=WHERE, family_size=5)
def test_beats_imagenet(candidate, reference):
    """A foundation model "outperforms the standard practice of ImageNet pretraining" on this dataset.

    The paper says so of DINOv2 on every dataset, and of no other.
    """
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=FOUNDATION, datasets=DATASETS, regimes=CLASSIFIERS, reference=REFERENCE)
@pytest.mark.fm_claim(source=SOURCE, where=WHERE, family_size=5)
def test_not_worse_than_imagenet(candidate, reference):
    """A foundation model loses nothing that matters against ImageNet pretraining on this dataset.

    Weaker than the abstract's sentence, and what somebody who would replace the reference needs to know.
    """
    assert candidate.not_worse_than(reference)


@pytest.mark.fm_cells(backbones=COMPARISONS, datasets=DATASETS, regimes=[LINEAR], reference=REFERENCE, closed=True)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1, by dataset", family_size=2)
def test_comparison_beats_imagenet(candidate, reference):
    """DINO or ResNet-152 beats the reference on this dataset; in Figure 1 both stand below it on average."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=COMPARISONS, datasets=DATASETS, regimes=[LINEAR], reference=REFERENCE, closed=True)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1, by dataset", family_size=2)
def test_comparison_is_not_worse_than_imagenet(candidate, reference):
    """DINO or ResNet-152 loses nothing that matters against the reference on this dataset."""
    assert candidate.not_worse_than(reference)

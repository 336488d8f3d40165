"""Palés Huix et al. 2024: the foundation model frozen against trained end to end, under either classifier.

Both are settings of the released code (`freeze_backbone`). The abstract reports no winner; that training end to end is
better is this suite's direction. A frozen backbone sees a new augmented view of every image in every epoch, as there.
"""

import pytest

from .paper import DATASETS, DEITB, FOUNDATION, LINEAR, SETTINGS, SOURCE


@pytest.mark.fm_cells(
    backbones=FOUNDATION, datasets=DATASETS, regimes=[LINEAR], reference="{backbone}-{dataset}-frozen_linear.every"
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=5)
def test_finetuned_beats_frozen_under_a_linear_classifier(candidate, reference):
    """A foundation model trained end to end beats the same one frozen, each with a linear classifier."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=FOUNDATION, datasets=DATASETS, regimes=[DEITB], reference="{backbone}-{dataset}-frozen_deitb.every"
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=5)
def test_finetuned_beats_frozen_under_deitb(candidate, reference):
    """A foundation model trained end to end beats the same one frozen, each under a DeiT-B that learns."""
    assert candidate.beats(reference)

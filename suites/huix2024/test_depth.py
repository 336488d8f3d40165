"""Palés Huix et al. 2024: how many blocks are trained, and how many are kept, as curves over k.

The authors' table of parameters "includes the option of unfreezing or dropping the last layers of the model". It gives
no grid of k and the abstract no result: the grid, every third block of twelve and every stage of SEEM's four, and the
directions are this suite's. Each k is held against none: against the frozen backbone, or against the whole one. The
classifier is linear, because partial unfreezing took effect with no other in the released code.
"""

import pytest

from .paper import DATASETS, SETTINGS, SOURCE, TRANSFORMERS

FROZEN = "{backbone}-{dataset}-frozen_linear.every"


@pytest.mark.fm_cells(
    backbones=TRANSFORMERS,
    datasets=DATASETS,
    regimes=["partial9_linear", "partial6_linear", "partial3_linear"],
    reference=FROZEN,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=4)
def test_training_from_block_k_beats_frozen(candidate, reference):
    """Training a transformer's blocks from k on beats training none."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["seem_focalt"],
    datasets=DATASETS,
    regimes=["partial3_linear", "partial2_linear", "partial1_linear"],
    reference=FROZEN,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=1)
def test_training_from_stage_k_beats_frozen(candidate, reference):
    """Training SEEM's stages from k on beats training none."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=TRANSFORMERS,
    datasets=DATASETS,
    regimes=["drop8_linear.every", "drop5_linear.every", "drop2_linear.every"],
    reference=FROZEN,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=4)
def test_dropping_blocks_after_k_loses_nothing(candidate, reference):
    """A frozen transformer without its blocks after k does as well as the whole one."""
    assert candidate.not_worse_than(reference)


@pytest.mark.fm_cells(
    backbones=["seem_focalt"],
    datasets=DATASETS,
    regimes=["drop2_linear.every", "drop1_linear.every", "drop0_linear.every"],
    reference=FROZEN,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=1)
def test_dropping_stages_after_k_loses_nothing(candidate, reference):
    """SEEM frozen and without its stages after k does as well as the whole one."""
    assert candidate.not_worse_than(reference)

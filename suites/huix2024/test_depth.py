"""Palés Huix et al. 2024: how many blocks are trained, and how many are kept, as curves over k.

The authors' table of parameters "includes the option of unfreezing or dropping the last layers of the model". It gives
no grid of k and the abstract no result: the grid, every third block of twelve and every stage of SEEM's four, and the
directions are this suite's. On each dataset a k is held against none: against the frozen backbone, or against the whole
one. Over all datasets, each k is held against the next, by the gain that Figure 1 is made of. The classifier is linear,
because partial unfreezing took effect with no other in the released code.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import DATASETS, LINEAR, REFERENCE, SETTINGS, SOURCE, TRANSFORMERS

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
    closed=True,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=1)
def test_training_from_stage_k_beats_frozen(candidate, reference):
    """Training SEEM's stages from k on beats training none."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    cells=[f"{{backbone}}-{{dataset}}-{regime}" for regime in (LINEAR, *(f"partial{k}_linear" for k in (3, 6, 9)))]
    + [FROZEN],
    backbones=TRANSFORMERS,
    datasets=DATASETS,
    reference=REFERENCE,
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=4)
def test_gain_grows_with_the_blocks_that_are_trained(candidates, references):
    """Over all datasets, a transformer gains more with every three blocks more that are trained, from none to all."""
    assert fm.gains_in_order(*([gain] for gain in fm.relative_gains(candidates, references)))


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
    closed=True,
)
@pytest.mark.fm_claim(source=SOURCE, where=SETTINGS, family_size=1)
def test_dropping_stages_after_k_loses_nothing(candidate, reference):
    """SEEM frozen and without its stages after k does as well as the whole one."""
    assert candidate.not_worse_than(reference)

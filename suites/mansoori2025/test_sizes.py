"""Mansoori et al. 2025: the larger size of a model against the smaller.

The figure has two or three sizes of each model. The abstract says nothing of them: that the larger is better, on each
data set, is this suite's direction. In the figure it is so of SAM 2, CoCa and VMamba on every data set, and of the
others on some.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import AIMV2, COCA, DATASETS, DINOV2, FIGURE, MAE, REGIME, SAM2, SOURCE, VMAMBA

CELLS = {"datasets": DATASETS, "regimes": [REGIME], "over": "backbones"}
CLAIM = {
    "source": SOURCE,
    "where": f"{FIGURE}; the direction is this suite's",
    "family": "larger is better",
    "family_size": 6,
}


@pytest.mark.fm_cells(backbones=AIMV2, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_aimv2_huge_beats_large(candidates):
    """AIMv2-H is better than AIMv2-L on this data set."""
    assert fm.ranks_above(*candidates)


@pytest.mark.fm_cells(backbones=DINOV2, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_dinov2_large_beats_base(candidates):
    """DINOv2-L is better than DINOv2-B on this data set."""
    assert fm.ranks_above(*candidates)


@pytest.mark.fm_cells(backbones=SAM2, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_sam2_large_beats_base_plus(candidates):
    """SAM 2's large image encoder is better than its base+ on this data set."""
    assert fm.ranks_above(*candidates)


@pytest.mark.fm_cells(backbones=MAE, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_mae_huge_beats_large_beats_base(candidates):
    """MAE-H is better than MAE-L, and that better than MAE-B, on this data set."""
    assert fm.ranks_above(*candidates)


@pytest.mark.fm_cells(backbones=COCA, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_coca_large_beats_base(candidates):
    """CoCa-L/14 is better than CoCa-B/32 on this data set."""
    assert fm.ranks_above(*candidates)


@pytest.mark.fm_cells(backbones=VMAMBA, **CELLS)
@pytest.mark.fm_claim(**CLAIM)
def test_vmamba_base_beats_small(candidates):
    """VMamba-B is better than VMamba-S on this data set."""
    assert fm.ranks_above(*candidates)

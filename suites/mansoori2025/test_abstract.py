"""Mansoori et al. 2025, abstract: "AIMv2, DINOv2, and SAM2 models outperformed others".

Nothing says of which sizes or on which data set. Over the four data sets, each size of the three is held against every
size of the others, by the gain averaged over data sets. On each data set it is held against CoCa-L/14, VMamba-B, which
are the larger of their two, and MAE-L, which is as large as CoCa's. In the figure SAM 2 stands below MAE on CheXpert.
"""

import pytest

import pytest_fmtransfer as fm

from .paper import BEST, COCA, DATASETS, MAE, OTHERS, REGIME, SOURCE, VMAMBA

EACH = "abstract, by data set"
FAMILY = "outperforms others"
PAIRS = len(BEST) * 3  # of this family, on each data set


@pytest.mark.fm_cells(
    backbones=BEST,
    cells=[f"{backbone}-{{dataset}}-{REGIME}" for backbone in ("{backbone}", *OTHERS)],
    datasets=DATASETS,
    reference=f"{VMAMBA[-1]}-{{dataset}}-{REGIME}",
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="abstract", family_size=len(BEST))
def test_gains_more_than_every_other_model(candidates, references):
    """'Based on our results, AIMv2, DINOv2, and SAM2 models outperformed others [...]', on average over data sets: each
    size of the three gains more than every size of CoCa, MAE and VMamba.
    """
    best, *others = fm.relative_gains(candidates, references)
    assert fm.gains_in_order([best], others)


@pytest.mark.fm_cells(backbones=BEST, datasets=DATASETS, regimes=[REGIME], reference=MAE[1])
@pytest.mark.fm_claim(source=SOURCE, where=EACH, family=FAMILY, family_size=PAIRS)
def test_outperforms_mae(candidate, reference):
    """AIMv2, DINOv2 and SAM 2 outperform MAE on this data set."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=BEST, datasets=DATASETS, regimes=[REGIME], reference=COCA[0])
@pytest.mark.fm_claim(source=SOURCE, where=EACH, family=FAMILY, family_size=PAIRS)
def test_outperforms_coca(candidate, reference):
    """AIMv2, DINOv2 and SAM 2 outperform CoCa on this data set."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=BEST, datasets=DATASETS, regimes=[REGIME], reference=VMAMBA[0])
@pytest.mark.fm_claim(source=SOURCE, where=EACH, family=FAMILY, family_size=PAIRS)
def test_outperforms_vmamba(candidate, reference):
    """AIMv2, DINOv2 and SAM 2 outperform VMamba on this data set."""
    assert candidate.beats(reference)

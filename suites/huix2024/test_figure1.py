"""Palés Huix et al. 2024, Figure 1: "Relative performance gain (%)", "Average across benchmark medical image tasks".

The figure does not say whether backbones were frozen; cells here are trained end to end. Its numbers come from
`suites/published`, and so does every direction and order that is tested.
"""

import pytest

import pytest_fmtransfer as fm

from .figure1 import BAR_OF, BARS, READING_ERROR, levels
from .paper import CLASSIFIERS, COMPARISONS, DATASETS, FOUNDATION, LINEAR, REFERENCE, SOURCE


@pytest.mark.fm_cells(cells=[bar.cell for bar in BARS], datasets=DATASETS, reference=REFERENCE, over="datasets")
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1", family_size=1)
def test_gains_are_in_the_order_of_the_figure(candidates, references):
    """Bars stand in the order of Figure 1, where = joins those that it draws equally high: DINOv2 linear > SEEM linear
    = DINOv2 DeiT-B > ImageNet linear > OpenCLIP DeiT-B = ResNet-152 linear > OpenCLIP linear > SEEM DeiT-B > BLIP
    DeiT-B > BLIP linear > SAM linear > SAM DeiT-B > DINO linear.
    """
    gains = {_bar_of(gain): gain for gain in fm.relative_gains(candidates, references)}
    assert fm.gains_in_order(*([gains[bar] for bar in level] for level in levels(BARS)))


@pytest.mark.fm_cells(
    backbones=FOUNDATION,
    cells=[f"{{backbone}}-{{dataset}}-{regime}" for regime in CLASSIFIERS],
    datasets=DATASETS,
    reference=REFERENCE,
    over="datasets",
)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1", family_size=5)
def test_the_classifier_with_the_higher_bar_gains_more(candidates, references):
    """Of a foundation model's two bars, the higher in Figure 1 gains more: linear of DINOv2, SEEM and SAM, DeiT-B of
    BLIP and OpenCLIP.
    """
    one, other = sorted(fm.relative_gains(candidates, references), key=lambda gain: -_bar_of(gain).gain)
    assert fm.gains_in_order([one], [other])


@pytest.mark.fm_cells(
    backbones=FOUNDATION, datasets=DATASETS, regimes=CLASSIFIERS, reference=REFERENCE, over="datasets", closed=True
)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1", family_size=5)
def test_gain_agrees_with_the_figure(candidates, references):
    """A foundation model's average gain is the one that Figure 1 draws, within what the datasets' margins come to."""
    (gain,) = fm.relative_gains(candidates, references)
    assert fm.gain_consistent_with(gain, _drawn(gain))


@pytest.mark.fm_cells(
    backbones=COMPARISONS, datasets=DATASETS, regimes=[LINEAR], reference=REFERENCE, over="datasets", closed=True
)
@pytest.mark.fm_claim(source=SOURCE, where="Figure 1", family_size=2)
def test_gain_of_a_comparison_agrees_with_the_figure(candidates, references):
    """The average gain of DINO or ResNet-152 is the one that Figure 1 draws."""
    (gain,) = fm.relative_gains(candidates, references)
    assert fm.gain_consistent_with(gain, _drawn(gain))


def _drawn(gain):
    """The figure's number. How far it may have been misread is the only spread there is: the figure prints none."""
    candidate, reference = gain.candidates[0].cell, gain.references[0].cell
    if reference.backbone != "imagenet_deitb16":  # a user's own
        pytest.skip(f"Figure 1 has no bar of {candidate.backbone} over {reference.backbone}")
    bar = BAR_OF[candidate.backbone, candidate.regime]
    return fm.Published(value=bar.gain, source=bar.source, spread=READING_ERROR, spread_is="interval")


def _bar_of(gain):
    cell = gain.candidates[0].cell
    return BAR_OF[cell.backbone, cell.regime]

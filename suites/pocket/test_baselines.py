"""Every pocket cell still scores, image by image, what it scored when its baseline was recorded."""

import pytest

IMAGENET = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2"]
REGIMES = ["knn", "linear_probe"]


@pytest.mark.fm_cells(
    backbones=[*IMAGENET, *(f"{name}.random" for name in IMAGENET), "shortcut.metadata"],
    datasets=["br35h"],
    regimes=REGIMES,
)
def test_unchanged(candidate, baseline):
    """Nothing moved since the baseline was recorded."""
    assert candidate.unchanged_from(baseline)


@pytest.mark.fm_cells(backbones=["pocket.lite0_at_96", "shortcut.metadata"], datasets=["br35h.naive"], regimes=["knn"])
def test_unchanged_on_the_naive_split(candidate, baseline):
    """Nothing moved on the naive split either."""
    assert candidate.unchanged_from(baseline)

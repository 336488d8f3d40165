"""What packaged ImageNet weights are worth on 511 brain MRI slices.

The dataset is small and confounded, and the suite says so: several claims are known to be inconclusive,
because 205 test images cannot show a difference below about .03 to .06 in AUC. Every expectation below is
what the first run found.
"""

import pytest

IMAGENET = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2"]
REGIMES = ["knn", "linear_probe"]
POCKET = "pytest-fmtransfer, pocket suite"


@pytest.mark.fm_cells(backbones=IMAGENET, datasets=["br35h"], regimes=REGIMES, reference="{backbone}.random")
@pytest.mark.fm_claim(source=POCKET, family_size=4)
def test_beats_random_weights(candidate, reference):
    """ImageNet weights transfer better than the same architecture with random weights."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite1", "efficientnet_lite2"],
    datasets=["br35h"],
    regimes=REGIMES,
    reference="efficientnet_lite0",
)
@pytest.mark.fm_claim(source=POCKET, family_size=2)
def test_larger_beats_lite0(candidate, reference):
    """A larger EfficientNet-Lite transfers better than the smallest."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=IMAGENET, datasets=["br35h"], regimes=["linear_probe"], reference="{backbone}-{dataset}-knn"
)
@pytest.mark.fm_claim(source=POCKET, family_size=4)
def test_linear_probe_beats_knn(candidate, reference):
    """A linear probe makes more of frozen features than nearest neighbours do."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=IMAGENET, datasets=["br35h"], regimes=REGIMES, reference="shortcut.metadata")
@pytest.mark.fm_claim(source=POCKET, family_size=4)
def test_beats_the_shortcut(candidate, reference):
    """With near copies removed, looking at the picture tells more than the file's size, shape and grey levels."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["shortcut.metadata"], datasets=["br35h.naive"], regimes=REGIMES, reference="efficientnet_lite0"
)
@pytest.mark.fm_claim(source=POCKET, family_size=1)
def test_shortcut_is_not_worse(candidate, reference):
    """On the naive split, a file's size, shape and grey levels do as well as a pretrained backbone.

    All 3,000 images are kept and split at random, so that most test images have a near copy among the
    training images. Whatever recognises a file again scores high, and the benchmark can no longer tell
    a backbone from a shortcut: what it says about backbones is worth nothing.
    """
    assert candidate.not_worse_than(reference)

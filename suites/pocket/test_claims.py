"""What packaged ImageNet weights are worth on 318 brain MRI slices.

The dataset is small and confounded, and the suite says so: several claims are known to be inconclusive, because
128 test images cannot show a small difference. Every known exception below is what the first run on these images
found, at the margin that was fixed before it. Until then the suite had 511 images, some of which were copies of one
another on two sides. The scores of lite0 and of the shortcut probe were not unseen: see `test_shortcut_is_not_worse`.
"""

import pytest

IMAGENET = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2"]
REGIMES = ["knn", "linear_probe"]
SOURCE = "pytest-fmtransfer"


@pytest.mark.fm_cells(backbones=IMAGENET, datasets=["br35h"], regimes=REGIMES, reference="{backbone}.random")
@pytest.mark.fm_claim(source=SOURCE, where="pocket suite", family_size=4)
def test_beats_random_weights(candidate, reference):
    """ImageNet weights transfer better than the same architecture with random weights."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite1", "efficientnet_lite2"],
    datasets=["br35h"],
    regimes=REGIMES,
    reference="efficientnet_lite0",
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=2,
    expected={
        "efficientnet_lite1-br35h-knn": ("inconclusive", "found +.036, and 128 images can show .082"),
        "efficientnet_lite1-br35h-linear_probe": ("inconclusive", "found +.026, and 128 images can show .075"),
        "efficientnet_lite2-br35h-knn": ("inconclusive", "found +.022, and 128 images can show .080"),
        "efficientnet_lite2-br35h-linear_probe": ("inconclusive", "found +.006, and 128 images can show .059"),
    },
)
def test_larger_beats_lite0(candidate, reference):
    """A larger EfficientNet-Lite transfers better than the smallest."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=IMAGENET, datasets=["br35h"], regimes=["linear_probe"], reference="{backbone}-{dataset}-knn"
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=4,
    expected={
        "efficientnet_lite0-br35h-linear_probe": ("inconclusive", "found +.049, and 128 images can show .105"),
        "efficientnet_lite1-br35h-linear_probe": ("inconclusive", "found +.039, and 128 images can show .078"),
        "efficientnet_lite2-br35h-linear_probe": ("inconclusive", "found +.033, and 128 images can show .077"),
        "mobilenetv2-br35h-linear_probe": ("inconclusive", "found +.044, and 128 images can show .063"),
    },
)
def test_linear_probe_beats_knn(candidate, reference):
    """A linear probe makes more of frozen features than nearest neighbours do."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=IMAGENET, datasets=["br35h"], regimes=REGIMES, reference="shortcut.metadata")
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=4,
    expected={
        "efficientnet_lite0-br35h-knn": ("inconclusive", "found +.119, and 128 images can show .173"),
    },
)
def test_beats_the_shortcut(candidate, reference):
    """With copies removed, the picture tells more than the file's size, shape and grey levels."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(backbones=["efficientnet_lite0"], datasets=["br35h"], regimes=REGIMES)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=1,
    expected={
        "efficientnet_lite0-br35h-knn": (
            "inconclusive",
            "the shortcut may come within .014 if few patients are lost, and the margin is .02",
        ),
    },
)
def test_tells_backbones_apart(controls):
    """Random weights, shuffled labels and the files' metadata fail where a pretrained backbone succeeds."""
    assert controls.tell_backbones_apart()


@pytest.mark.fm_cells(backbones=["pocket.lite0_at_96"], datasets=["br35h.naive"], regimes=["knn"])
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=1,
    expected={
        "pocket.lite0_at_96-br35h.naive-knn": ("inconclusive", "the shortcut comes within .018, and the margin is .02"),
    },
)
def test_the_naive_split_tells_backbones_apart(controls):
    """The same controls on 3,000 images split at random, where they do not fail.

    Near copies stand on both sides, and whatever recognises a file again scores high. What that split says about
    backbones is worth nothing.
    """
    assert controls.tell_backbones_apart()


@pytest.mark.fm_cells(
    backbones=["shortcut.metadata"], datasets=["br35h.naive"], regimes=["knn"], reference="pocket.lite0_at_96"
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=1,
    expected={
        "shortcut.metadata-br35h.naive-knn": ("inconclusive", "found -.018, the interval crosses -.02"),
    },
)
def test_shortcut_is_not_worse(candidate, reference):
    """On the naive split, a file's size, shape and grey levels do as well as a pretrained backbone.

    All 3,000 images are kept and split at random, so that most test images have a near copy among the training
    images. Whatever recognises a file again scores high.

    A demonstration, not a test of a fresh hypothesis: the probe's grids were made finer after exploratory runs on
    this very test side. The margin was .02, then .03 after those runs, when kNN was not worse; somebody who had seen
    no score on these images then set it, to .02 again.
    """
    assert candidate.not_worse_than(reference)

"""What ways of adapting one and the same backbone are worth on 318 brain MRI slices.

Regimes are held against one another on the same patients. What is trained by gradient runs at three seeds, few-shot
regimes at ten draws. Every known exception is what the first run found.
"""

import pytest

SOURCE = "pytest-fmtransfer"


@pytest.mark.fm_cells(
    backbones=["pocket.lite0_at_96"],
    datasets=["br35h"],
    regimes=["finetune_linear"],
    reference="{backbone}-{dataset}-linear_probe",
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=1,
    expected={
        "pocket.lite0_at_96-br35h-finetune_linear": (
            "inconclusive",
            "found -.047 over three seeds that differ by .11, which with 128 images can show .114",
        ),
    },
)
def test_finetuning_is_not_worse_than_the_probe(candidate, reference):
    """Training the whole backbone loses nothing against a linear probe on frozen features.

    126 images are few to train a network on, and ten epochs short: the seeds lie far apart. At 112 px, where this
    was first run, the three lay together, at -.003 (-.039 to +.034), and that was inconclusive as well.
    """
    assert candidate.not_worse_than(reference)


@pytest.mark.fm_cells(
    backbones=["pocket.lite0_at_96"],
    datasets=["br35h"],
    regimes=["frozen_deitb", "frozen_deitb.small_random"],
    reference="{backbone}-{dataset}-frozen_linear",
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=1,
    expected={
        "pocket.lite0_at_96-br35h-frozen_deitb.small_random": (
            "inconclusive",
            "found -.010, and 128 images can show .029",
        ),
    },
)
def test_a_transformer_head_beats_a_linear_one(candidate, reference):
    """A transformer makes more of frozen tokens than a linear layer does of their mean.

    `frozen_deitb` begins with ImageNet-supervised DeiT-B, which no package carries: without its file that cell is
    skipped. `frozen_deitb.small_random` is the same construction in small, from random weights.
    """
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0", "mobilenetv2"],
    datasets=["br35h"],
    regimes=["fewshot5"],
    reference="{backbone}-{dataset}-fewshot1",
)
@pytest.mark.fm_claim(
    source=SOURCE,
    where="pocket suite",
    family_size=2,
    expected={
        "efficientnet_lite0-br35h-fewshot5": ("inconclusive", "found +.049, and ten draws can show .093"),
    },
)
def test_five_images_of_each_class_beat_one(candidate, reference):
    """A probe grows with its images: five of each class do better than one."""
    assert candidate.beats(reference)


@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0", "mobilenetv2"],
    datasets=["br35h"],
    regimes=["fewshot20"],
    reference="{backbone}-{dataset}-fewshot5",
)
@pytest.mark.fm_claim(source=SOURCE, where="pocket suite", family_size=2)
def test_twenty_images_of_each_class_beat_five(candidate, reference):
    """A probe grows with its images: twenty of each class do better than five."""
    assert candidate.beats(reference)

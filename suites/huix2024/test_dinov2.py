"""Palés Huix et al. 2024 (arXiv:2310.19522), abstract: DINOv2 against ImageNet pretraining."""

import pytest


@pytest.mark.fm_cells(
    backbones=["dinov2_vitb14"],
    datasets=["aptos2019", "chexpert", "ddsm", "isic2019"],
    regimes=["finetune_linear"],
    reference="imagenet_deitb16",
)
@pytest.mark.fm_claim(source="arXiv:2310.19522", where="abstract", family_size=5)
def test_beats_imagenet(candidate, reference):
    """DINOv2 consistently outperforms the standard practice of ImageNet pretraining."""
    assert candidate.beats(reference)

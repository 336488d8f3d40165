"""Backbones that can be trained: what they embed is what the folded ones do, and gradients reach what they embed by."""

import pytest
import torch
from timm.layers.drop import DropPath
from torch import nn

from pytest_fmtransfer.backbones.focalnet import Block
from tests.trained import NAMES, build, noise, relative, without_gradient


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", NAMES)
def test_in_evaluation_it_embeds_what_the_one_for_inference_does(name: str, channels: int) -> None:
    trainable, folded = (build(name, trainable=each, channels=channels) for each in (True, False))
    assert not any(module.training for module in trainable.modules())
    images = noise(name, channels=channels)
    with torch.inference_mode():
        found, expected = trainable(images), folded(images)
    assert relative(found.pooled_ND, expected.pooled_ND) < 1e-4
    assert relative(found.tokens_NTE, expected.tokens_NTE) < 1e-4


# What the pooled embedding does not depend on: SEEM's norms of the levels before the last, and the token that stands
# for a masked patch.
UNUSED = {
    "seem_focalt": {f"layers.{stage}.norm.{kind}" for stage in range(3) for kind in ("weight", "bias")},
    "hf": {"embeddings.mask_token"},
}


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter_that_the_embedding_depends_on(name: str) -> None:
    backbone = build(name)
    assert without_gradient(backbone, [backbone(noise(name)).pooled_ND]) == UNUSED.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_classifier_can_be_trained(name: str) -> None:
    fixed = {name for name, each in build(name).named_parameters() if not each.requires_grad}
    classifier = {"imagenet_deitb16": "network.head", "imagenet_resnet152": "network.fc"}.get(name)
    assert fixed == ({f"{classifier}.weight", f"{classifier}.bias"} if classifier else set())


@pytest.mark.parametrize("name", NAMES)
def test_the_one_for_inference_requires_no_gradient(name: str) -> None:
    assert not any(each.requires_grad for each in build(name, trainable=False).parameters())


@pytest.mark.parametrize("name", ["imagenet_resnet152", "efficientnet_lite0.tiny"])
def test_batch_normalisation_is_trained(name: str) -> None:
    backbone = build(name).train()
    norms = [each for each in backbone.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [each.running_mean.clone() for each in norms if each.running_mean is not None]
    backbone(noise(name))
    assert norms
    assert all(not torch.equal(each.running_mean, old) for each, old in zip(norms, before, strict=True))


def test_seem_drops_paths_at_the_published_rate_in_training() -> None:
    """Palés Huix et al. 2024: an unfrozen SEEM trains with drop-path 0.3, which rises to that from the first block."""
    backbone = build("seem_focalt")
    rates = [each.drop_prob for each in backbone.modules() if isinstance(each, DropPath)]
    assert rates == pytest.approx([rate for rate in (0.075, 0.15, 0.225, 0.3) for _half in range(2)])
    assert not any(each.folded for each in backbone.modules() if isinstance(each, Block))
    images = noise("seem_focalt", images=8)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        still, dropped = backbone(images).pooled_ND, backbone.train()(images).pooled_ND
        assert relative(dropped, still) > 1e-3
        assert torch.equal(backbone.eval()(images).pooled_ND, still)


@pytest.mark.parametrize("name", ["imagenet_resnet152", "efficientnet_lite0.tiny", "seem_focalt"])
def test_convolutional_networks_train_channels_last(name: str) -> None:
    plain, laid_out = (build(name) for _ in range(2))
    laid_out.lay_out(torch.channels_last)
    for backbone in (plain, laid_out):
        backbone(noise(name)).pooled_ND.square().sum().backward()
    for (key, expected), found in zip(plain.named_parameters(), laid_out.parameters(), strict=True):
        if expected.grad is not None:
            assert found.grad is not None, key
            assert relative(found.grad, expected.grad) < 1e-3, key

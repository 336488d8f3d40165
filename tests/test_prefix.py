"""A network split before a block: both parts together are the whole, and training the second trains it."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from transformers import DINOv3ViTConfig, DINOv3ViTModel, SwinConfig, SwinModel

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.cutting import cut_after
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.backbones.python import FunctionBackbone
from pytest_fmtransfer.backbones.transformers import TransformersBackbone
from pytest_fmtransfer.errors import InvalidInput
from tests import small
from tests.trained import NAMES, Network, build, noise, relative

EXACT = 1e-6


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def loss(pooled_ND: Tensor, tokens_NTE: Tensor) -> Tensor:
    return pooled_ND.square().mean() + tokens_NTE.sin().mean()


def equal(backbone: Backbone, number: int, images: Tensor) -> None:
    prefix, suffix = split_at(backbone, number, side=images.shape[-1])
    with torch.no_grad():
        whole, (pooled, tokens) = backbone(images), suffix(prefix(images))
    assert relative(pooled, whole.pooled_ND) <= EXACT
    assert relative(tokens, whole.tokens_NTE) <= EXACT


@pytest.mark.parametrize("channels", [3, 1])
def test_both_parts_together_are_the_whole(name: str, channels: int) -> None:
    for number in range(len(build(name).blocks)):
        equal(build(name, channels=channels), number, noise(name, images=3, channels=channels))


@pytest.mark.parametrize("training", [False, True])
def test_the_suffix_has_the_wholes_gradients(name: str, training: bool) -> None:
    """In training mode too: paths and features are dropped alike, and statistics are of the same batch."""
    images = noise(name, images=3)
    for number in range(len(build(name).blocks)):
        whole, backbone = build(name), build(name)
        train_from(whole, number)
        prefix, suffix = split_at(backbone, number)
        whole.train(training)
        suffix.train(training)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            found = whole(images)
            loss(found.pooled_ND, found.tokens_NTE).backward()
            torch.manual_seed(0)
            loss(*suffix(prefix(images))).backward()
        for (key, expected), mine in zip(whole.named_parameters(), backbone.parameters(), strict=True):
            if expected.requires_grad:
                assert expected.grad is not None, key
                assert mine.grad is not None, key
                torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-5, atol=1e-7, msg=key)
        for (key, expected), mine in zip(whole.named_buffers(), backbone.buffers(), strict=True):
            torch.testing.assert_close(mine, expected, msg=key)


@pytest.mark.parametrize("training", [False, True])
def test_who_wants_no_tokens_gets_the_same_embedding_and_gradients(name: str, training: bool) -> None:
    """timm's transformers compute their class token alone; others what they compute anyway."""
    images = noise(name, images=3)
    for number in range(len(build(name).blocks)):
        whole, backbone = build(name), build(name)
        train_from(whole, number)
        train_from(backbone, number)
        prefix, suffix = split_at(backbone, number, tokens=False)
        whole.train(training)
        suffix.train(training)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            expected = whole(images).pooled_ND
            expected.sin().mean().backward()
            torch.manual_seed(0)
            found, tokens = suffix(prefix(images))
            found.sin().mean().backward()
        assert relative(found.detach(), expected.detach()) <= EXACT
        assert (tokens.shape[1] == 0) == (name in ("dinov2_vitb14", "imagenet_deitb16"))
        for (key, theirs), mine in zip(whole.named_parameters(), backbone.parameters(), strict=True):
            assert theirs.requires_grad == mine.requires_grad, key
            assert (theirs.grad is None) == (mine.grad is None), key
            if theirs.grad is not None and mine.grad is not None:
                torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-7, msg=key)


def test_training_the_suffix_trains_the_whole(name: str) -> None:
    backbone, images = build(name), noise(name)
    number = len(backbone.blocks) - 1
    train_from(backbone, number)
    prefix, suffix = split_at(backbone, number)
    optimiser = torch.optim.SGD([each for each in suffix.parameters() if each.requires_grad], lr=0.01)
    before = backbone(images).pooled_ND.detach()
    activations = prefix(images)
    suffix.train()
    loss(*suffix(activations)).backward()
    optimiser.step()
    suffix.eval()
    with torch.no_grad():
        found = backbone(images)
        assert relative(found.pooled_ND, before) > 1e-5
        assert torch.equal(prefix(images), activations)
        torch.testing.assert_close(suffix(activations)[0], found.pooled_ND, rtol=EXACT, atol=EXACT)


def test_what_the_prefix_gives_is_what_the_block_is_given(name: str) -> None:
    backbone, images, seen = build(name), noise(name), list[Tensor]()
    prefix, _ = split_at(backbone, 1)
    backbone.blocks[1].register_forward_pre_hook(lambda _block, given: seen.append(given[0]))
    with torch.no_grad():
        backbone(images)
    assert torch.equal(prefix(images), seen[-1])
    assert not prefix(images).requires_grad


def test_split_parts_leave_the_whole_as_it_was(name: str) -> None:
    backbone, fresh = build(name).train(), build(name)
    split_at(backbone, 1)
    assert {key for key, _ in backbone.named_modules()} == {key for key, _ in fresh.named_modules()}
    assert backbone.training
    assert all(each.training for each in backbone.blocks[1].modules())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in backbone.modules())
    for (key, found), expected in zip(backbone.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert torch.equal(found, expected), key


def test_a_cut_network_is_split_too() -> None:
    for name in ("imagenet_resnet152", "seem_focalt", "blip_vitb16"):
        equal(cut_after(build(name), 1), 1, noise(name))
    two = cut_after(build("efficientnet_lite0.tiny"), 4)
    equal(two, 2, noise("efficientnet_lite0.tiny"))


def test_images_of_another_size() -> None:
    """Windows, tables of relative positions and position embeddings are another size's."""
    for name, side in (("sam_vitb16", 256), ("dinov2_vitb14", 84), ("openclip_vitb16", 96), ("seem_focalt", 96)):
        equal(build(name), 1, torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)))


def test_activations_of_another_size_are_refused() -> None:
    backbone = build("sam_vitb16")
    _, suffix = split_at(backbone, 1)
    with pytest.raises(InvalidInput, match=r"of shape \(4, 4, 48\), not \(14, 14, 48\); split it for"):
        suffix(torch.zeros(2, 14, 14, 48))


def test_channels_last() -> None:
    backbone, images = build("efficientnet_lite0.tiny"), noise("efficientnet_lite0.tiny")
    backbone.lay_out(torch.channels_last)
    equal(backbone, 2, images)


def test_rotary_positions_come_with_the_images_size() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DINOv3ViTModel(
            DINOv3ViTConfig(
                hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, image_size=64
            )
        )
    row = replace(small.BACKBONE, library="transformers", image_size=64)
    backbone = TransformersBackbone(row, network, pools=True, trainable=True)
    for side in (64, 96):
        equal(copy.deepcopy(backbone), 2, torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)))


class Bridged(Network):
    """A network that adds what its stem gives to what its blocks give."""

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return super().forward(images_NCHW) + self.stem(images_NCHW)


def of_function(network: nn.Module) -> Backbone:
    return FunctionBackbone(replace(small.BACKBONE, name="mine", image_size=64), network, trainable=True)


def test_a_network_that_goes_round_its_blocks_is_not_split_but_can_be_trained_in_part() -> None:
    backbone = of_function(Bridged())
    with pytest.raises(InvalidInput, match="what mine does from block 1 on depends on more than what that block"):
        split_at(backbone, 1)
    train_from(backbone, 1)
    frozen = {name for name, each in backbone.network.named_parameters() if not each.requires_grad}
    assert {name.partition(".")[0] for name in frozen} == {"stem", "blocks"}
    assert not any(name.startswith(("blocks.1", "blocks.2")) for name in frozen)


def test_stages_that_give_more_than_a_map_are_refused() -> None:
    config = SwinConfig(image_size=64, embed_dim=16, depths=[1, 1], num_heads=[1, 1], window_size=4)
    backbone = TransformersBackbone(
        replace(small.BACKBONE, name="mine", image_size=64), SwinModel(config), pools=True, trainable=True
    )
    assert len(backbone.blocks) == 2
    with pytest.raises(InvalidInput, match="cannot be run from stored activations"):
        split_at(backbone, 1)


def test_a_module_without_blocks_is_told_what_it_needs() -> None:
    network = Network()
    del network.blocks
    with pytest.raises(InvalidInput, match="give it an attribute `blocks`"):
        split_at(of_function(network), 0)


@pytest.mark.parametrize("number", [-1, 3])
def test_a_block_that_is_not_there_is_told_with_those_that_are(number: int) -> None:
    with pytest.raises(InvalidInput, match=f"has 3 blocks, 0 to 2; it has no block {number}"):
        split_at(of_function(Network()), number)

"""Training from a block on: what moves and what does not."""

import pytest
import torch
from torch import nn

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.errors import InvalidInput
from tests.trained import NAMES, TAIL, block_names, build, noise


def expected(name: str, backbone: Backbone, number: int) -> set[str]:
    """By name: the tensors of the blocks from one on, and those behind the last."""
    prefixes = tuple(block_names(name, at) for at in range(number, len(backbone.blocks))) + TAIL.get(name, ("norm.",))
    found = {each for each, _ in backbone.network.named_parameters() if each.startswith(prefixes)}
    # SEEM's stages have norms that serve where the network ends with them.
    unused = tuple(f"layers.{stage}.norm." for stage in range(3)) if name == "seem_focalt" else ()
    return {each for each in found if not unused or not each.startswith(unused)}


@pytest.mark.parametrize("name", NAMES)
def test_blocks_from_one_on_and_what_follows_them_are_trained(name: str) -> None:
    """From block 0 on the stem is not: no embedding of patches, places or class belongs to a block."""
    for number in range(len(build(name).blocks)):
        backbone = build(name)
        train_from(backbone, number)
        found = {each for each, tensor in backbone.network.named_parameters() if tensor.requires_grad}
        assert found == expected(name, backbone, number)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_moves_all_that_is_trained_and_nothing_else(name: str) -> None:
    backbone = build(name)
    number = len(backbone.blocks) - 1
    train_from(backbone, number)
    before = {each: tensor.clone() for each, tensor in backbone.network.state_dict().items()}
    backbone.train()
    optimiser = torch.optim.SGD([each for each in backbone.parameters() if each.requires_grad], lr=0.1)
    for seed in range(2):  # paths are dropped at random
        found = backbone(noise(name, images=4, seed=seed))
        (found.pooled_ND.square().sum() + found.tokens_NTE.square().sum()).backward()
    optimiser.step()
    moved = {each for each, tensor in backbone.network.state_dict().items() if not torch.equal(tensor, before[each])}
    trained = expected(name, backbone, number)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    prefixes = (block_names(name, number), *TAIL.get(name, ("norm.",)))
    assert {each for each in moved if not each.endswith(statistics)} == trained
    assert all(each.startswith(prefixes) for each in moved)
    norms = [each for each in backbone.blocks[number].modules() if isinstance(each, nn.BatchNorm2d)]
    assert bool(norms) == any(each.endswith(statistics) for each in moved)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_frozen_stays_in_evaluation_mode(name: str) -> None:
    backbone = build(name)
    train_from(backbone, 1)
    for _ in range(2):
        assert backbone.train() is backbone
        assert not any(each.training for each in backbone.blocks[0].modules())
        assert all(each.training for block in backbone.blocks[1:] for each in block.modules())
        assert not any(each.training for each in backbone.eval().modules())


def test_chance_does_not_reach_what_is_frozen() -> None:
    """SEEM drops paths, and the function's network features, in every block but the first."""
    for name in ("seem_focalt", "function"):
        backbone = build(name)
        train_from(backbone, 2)
        with torch.no_grad():
            still = backbone(noise(name), blocks=[1]).blocks[1]
            assert torch.equal(backbone.train()(noise(name), blocks=[1]).blocks[1], still)


@pytest.mark.parametrize(
    ("name", "told"),
    [("sam_vitb16", "has 4 blocks, 0 to 3; it has no block"), ("imagenet_resnet152", "has 4 blocks, 0 to 3")],
)
@pytest.mark.parametrize("number", [-1, 4])
def test_a_block_that_is_not_there_is_told_with_those_that_are(name: str, told: str, number: int) -> None:
    with pytest.raises(InvalidInput, match=told):
        train_from(build(name), number)


def test_a_network_for_inference_is_refused() -> None:
    with pytest.raises(InvalidInput, match="build it with trainable=True"):
        train_from(build("sam_vitb16", trainable=False), 0)

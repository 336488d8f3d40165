"""Networks cut off after a block: what is left gives what the whole gives there."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.cutting import cut_after
from pytest_fmtransfer.errors import InvalidInput
from tests.trained import NAMES, PYRAMIDS, block_names, build, noise, relative, without_gradient


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("trainable", [True, False])
def test_cut_after_its_last_block_it_is_whole(name: str, trainable: bool) -> None:
    whole, cut = (build(name, trainable=trainable) for _ in range(2))
    cut = cut_after(cut, len(cut.blocks) - 1)
    assert list(whole.state_dict()) == list(cut.state_dict())
    with torch.inference_mode():
        found, expected = cut(noise(name)), whole(noise(name))
    assert torch.equal(found.pooled_ND, expected.pooled_ND)
    assert torch.equal(found.tokens_NTE, expected.tokens_NTE)


def ended(name: str, backbone: Backbone, block: Tensor) -> tuple[Tensor, Tensor]:
    """The embedding and the tokens that the protocol makes of a block's output; told apart from how it is cut."""
    network = cast(Any, backbone.network)
    if name in PYRAMIDS:
        tokens = backbone.block_tokens(block)
        return tokens.mean(dim=1), tokens
    match name:
        case "dinov2_vitb14":
            return network.norm(block)[:, 0], block[:, 1:]
        case "imagenet_deitb16":
            return network.norm(block)[:, 0], network.norm(block)[:, 1:]
        case "blip_vitb16":
            return network.post_layernorm(block)[:, 0], network.post_layernorm(block)[:, 1:]
        case "hf":
            return network.layernorm(block)[:, 0], network.layernorm(block)[:, 1:]
        case "openclip_vitb16":
            return network.ln_post(block[:, 0]) @ network.proj, block[:, 1:]
        case "sam_vitb16":
            return block.mean(dim=(1, 2)), block.flatten(1, 2)
        case _:
            map_NCHW = network.norm(block) * network.scale
            return map_NCHW.mean(dim=(2, 3)), map_NCHW.flatten(2).transpose(1, 2)


def output_of(backbone: Backbone, number: int, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    hook = backbone.blocks[number].register_forward_hook(lambda _block, _given, output: kept.append(output))
    backbone(images)
    hook.remove()
    return kept[0]


@pytest.mark.parametrize("trainable", [True, False])
def test_what_is_left_ends_as_the_protocol_says(name: str, trainable: bool) -> None:
    whole, images = build(name, trainable=trainable), noise(name)
    for number in range(len(whole.blocks) - 1):
        cut = cut_after(build(name, trainable=trainable), number)
        with torch.inference_mode():
            found = cut(images, blocks=[number])
            pooled, tokens = ended(name, whole, output_of(whole, number, images))
            there = whole(images, blocks=[number]).blocks[number]
        assert relative(found.pooled_ND, pooled) < 1e-6
        assert relative(found.tokens_NTE, tokens) < 1e-6
        assert torch.equal(found.blocks[number], there)


def test_seems_stages_have_the_levels_widths() -> None:
    for number in range(4):
        cut = cut_after(build("seem_focalt"), number)
        found = cut(noise("seem_focalt"))
        assert found.pooled_ND.shape == (2, 16 * 2**number)
        assert found.tokens_NTE.shape == (2, (16 >> number) ** 2, 16 * 2**number)


def test_later_blocks_and_their_tensors_are_gone(name: str) -> None:
    cut = cut_after(build(name), 0)
    count = len(build(name).blocks)
    assert len(cut.blocks) == 1
    later = tuple(f"network.{block_names(name, number)}" for number in range(1, count))
    assert not [each for each in cut.state_dict() if each.startswith(later)]
    assert any(each.startswith(f"network.{block_names(name, 0)}") for each in cut.state_dict())


@pytest.mark.parametrize("name", PYRAMIDS)
def test_of_a_pyramid_nothing_is_left_that_its_last_stage_alone_met(name: str) -> None:
    cut = cut_after(build(name), 1)
    unused = {"layers.0.norm.weight", "layers.0.norm.bias"} if name == "seem_focalt" else set[str]()
    assert without_gradient(cut, [cut(noise(name)).tokens_NTE]) == unused


def test_it_is_trained_like_any_other(name: str) -> None:
    cut = cut_after(build(name).train(), 0)
    assert cut.training
    images = noise(name, images=4)
    cut.lay_out(torch.channels_last)
    cut(images).pooled_ND.square().sum().backward()
    named = [each for each, _ in cut.named_parameters() if each.startswith(f"network.{block_names(name, 0)}")]
    gradients = {each: tensor.grad for each, tensor in cut.named_parameters()}
    assert all(gradients[each] is not None for each in named)


@pytest.mark.parametrize("number", [-1, 4])
def test_a_block_that_is_not_there_is_told_with_those_that_are(number: int) -> None:
    with pytest.raises(InvalidInput, match=f"has 4 blocks, 0 to 3; it has no block {number}"):
        cut_after(build("sam_vitb16"), number)

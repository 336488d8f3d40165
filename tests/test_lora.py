"""Low-rank additions: what begins as the pretrained network, learns in few parameters, and merges into its layers."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pytest_fmtransfer.adapt.attention_layers import SelfAttention
from pytest_fmtransfer.adapt.lora import add_adapters, additions, linear_layers, merged, sides_of
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.backbones.python import FunctionBackbone
from pytest_fmtransfer.errors import InvalidInput
from tests import small
from tests.trained import ROUNDING, build, noise, relative

# Layers added to in each of the tiny networks, all of their blocks.
LAYERS = {
    "dinov2_vitb14": 2 * 4,  # qkv, proj, fc1, fc2
    "imagenet_deitb16": 2 * 4,
    "sam_vitb16": 4 * 4,
    "openclip_vitb16": 3 * 4,
    "blip_vitb16": 3 * 4,
    "hf": 3 * 6,  # query, key and value are layers of their own
    "seem_focalt": 5 * 5,  # f, h, proj, fc1, fc2
    "imagenet_resnet152": 4 * 2 + 3,  # either side of the 3 × 3 convolution, and shortcuts
    "efficientnet_lite0.tiny": 1 + 6 * 2,
    "convnext": 4 * 2,
}
NAMES = tuple(LAYERS)
RANK = 4


def embedded(backbone: Backbone, images: Tensor) -> Tensor:
    """With gradients, under which torch's own attention takes no shortcut that rounds otherwise."""
    return backbone(images).pooled_ND.detach()


def step(backbone: Backbone, images: Tensor) -> None:
    """Twice, since A has no gradient while B is zero."""
    optimiser = torch.optim.Adam(additions(backbone).values(), lr=1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        backbone(images).pooled_ND.square().mean().backward()
        optimiser.step()


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A network that was trained a little, set to train as a whole, and what it was before."""

    backbone: Backbone
    images: Tensor
    state: Mapping[str, Tensor]
    start_ND: Tensor


@pytest.fixture(scope="module", params=NAMES)
def taught(request: pytest.FixtureRequest) -> Taught:
    name = str(request.param)
    backbone, images = build(name), noise(name, images=1)
    for key, each in backbone.named_parameters():
        if key.endswith(".gamma") and name == "convnext":  # before training it is 1e-6, and so are gradients
            each.detach().fill_(1)
    add_adapters(backbone, RANK, seed=0)
    backbone.train()
    state = {key: each.clone() for key, each in backbone.state_dict().items()}
    start_ND = embedded(backbone, images)
    step(backbone, images)
    return Taught(backbone=backbone, images=images, state=state, start_ND=start_ND)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_begins_as_the_pretrained_one(name: str) -> None:
    """But for rounding: where attention passes its layers by, its products are written out."""
    plain, added = (build(name) for _ in range(2))
    add_adapters(added, RANK, seed=0)
    assert relative(embedded(added, noise(name)), embedded(plain, noise(name))) < ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_the_blocks_learns_rank_times_inputs_and_outputs(name: str) -> None:
    backbone = build(name)
    plain = build(name)
    add_adapters(backbone, RANK, seed=0)
    learnt = additions(backbone)
    shapes = [tuple(each.shape[:2]) for each in learnt.values()]
    assert len(learnt) == 2 * LAYERS[name]
    expected = sum(RANK * (inputs + outputs) for inputs, outputs in _sides(plain))
    assert sum(each.numel() for each in learnt.values()) == expected
    assert all(RANK in shape for shape in shapes)


def _sides(backbone: Backbone) -> list[tuple[int, int]]:
    """Inputs and outputs of what is to be added to, found otherwise than the library does."""
    found: list[tuple[int, int]] = []
    for block in backbone.blocks:
        for module in block.modules():
            if isinstance(module, nn.MultiheadAttention):
                width = module.embed_dim
                found += [(width, 3 * width)]
            elif isinstance(module, nn.Linear):
                found.append((module.in_features, module.out_features))
            elif isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
                found.append((module.in_channels, module.out_channels))
    return found


def test_only_additions_move_in_training_statistics_included(taught: Taught) -> None:
    now = taught.backbone.state_dict()
    assert {key for key, each in now.items() if not torch.equal(each, taught.state[key])} == set(
        additions(taught.backbone)
    )
    assert not any(module.training for module in taught.backbone.network.modules())
    assert relative(embedded(taught.backbone, taught.images), taught.start_ND) > 1e-4


def test_merged_into_the_layers_they_give_the_same_outputs(taught: Taught) -> None:
    whole, unmerged_ND = merged(taught.backbone), embedded(taught.backbone, taught.images)
    with torch.no_grad():
        assert relative(whole(taught.images).pooled_ND, unmerged_ND) < 1e-5
    assert not additions(whole)
    assert not any("lora" in key for key in whole.state_dict())
    assert torch.equal(embedded(taught.backbone, taught.images), unmerged_ND)


@pytest.mark.parametrize("name", ["imagenet_deitb16", "openclip_vitb16", "seem_focalt"])
def test_the_same_seed_draws_the_same_whatever_was_drawn_before(name: str) -> None:
    drawn: list[dict[str, nn.Parameter]] = []
    with torch.random.fork_rng(devices=[]):
        for before, seed in ((1, 0), (2, 0), (2, 1)):
            torch.manual_seed(before)
            backbone = build(name)
            state = torch.get_rng_state()
            add_adapters(backbone, RANK, seed=seed)
            assert torch.equal(torch.get_rng_state(), state)
            drawn.append(additions(backbone))
    first, second, other = drawn
    for key, expected in first.items():
        assert torch.equal(second[key], expected)
        assert torch.equal(other[key], expected) == ("lora_B" in key), key


@pytest.mark.parametrize("name", ["dinov2_vitb14", "openclip_vitb16", "sam_vitb16", "seem_focalt"])
def test_from_a_block_on_the_blocks_before_are_as_they_were(name: str) -> None:
    backbone, plain = build(name), build(name)
    add_adapters(backbone, RANK, 1, seed=0)
    step(backbone, noise(name, images=1))
    last = len(plain.blocks) - 1
    with torch.no_grad():  # with gradients torch's attention takes another way in blocks that learn
        found, expected = (each(noise(name), blocks=[0, last]) for each in (backbone, plain))
    assert torch.equal(found.blocks[0], expected.blocks[0])
    assert not torch.equal(found.blocks[last], expected.blocks[last])


@pytest.mark.parametrize("name", ["imagenet_deitb16", "seem_focalt"])
def test_behind_stored_activations_they_learn_the_same_and_the_rest_stays_still(name: str) -> None:
    whole, split, images = build(name), build(name), noise(name)
    for backbone in (whole, split):
        add_adapters(backbone, RANK, 1, seed=0)
    prefix, suffix = split_at(split, 1)
    suffix.train()
    assert not any(module.training for module in split.network.modules())
    pooled_ND, _tokens = suffix(prefix(images))
    pooled_ND.square().mean().backward()
    whole(images).pooled_ND.square().mean().backward()
    for key, expected in additions(whole).items():
        found = additions(split)[key]
        assert found.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-7)


def test_gates_of_channels_gain_nothing() -> None:
    """EfficientNet-B0's are 4 channels narrow where its blocks are 32 wide."""
    import timm

    from pytest_fmtransfer.backbones.timm import TimmBackbone

    network = timm.create_model("efficientnet_b0", pretrained=False, num_classes=0)
    backbone = TimmBackbone(small.BACKBONE, network, trainable=True)
    add_adapters(backbone, 8, seed=0)
    assert not any(".se." in name for name in additions(backbone))
    assert len(additions(backbone)) == 2 * (1 + 15 * 2)


def test_a_rank_that_a_layer_does_not_have_is_refused_with_the_highest() -> None:
    backbone = build("efficientnet_lite0.tiny")
    narrowest = min(min(sides_of(each)) for each in linear_layers(backbone, 0).values())
    with pytest.raises(
        InvalidInput, match=rf"rank 64 is above what layer \S+ has, {narrowest}; write lora{narrowest} "
    ):
        add_adapters(backbone, 64, seed=0)
    add_adapters(backbone, narrowest, seed=0)


@pytest.mark.parametrize(
    ("rank", "first", "message"),
    [
        (0, None, r"rank 0 are none; write lora<r>"),
        (4, 2, r"no block 2; write lora4\.from<k> with k from 0 to 1"),
        (4, -1, r"no block -1"),
    ],
)
def test_ranks_and_blocks_that_are_not_there_are_refused(rank: int, first: int | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        add_adapters(build("imagenet_deitb16"), rank, first, seed=0)


def test_a_network_without_such_layers_is_told_what_to_write() -> None:
    with pytest.raises(InvalidInput, match="write partial0_linear"):
        add_adapters(build("function"), RANK, seed=0)


class Torchs(nn.Module):
    """A user's network whose blocks are torch's own."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([block, nn.Linear(8, 8)])


@pytest.mark.parametrize(
    "block", [nn.TransformerEncoderLayer(8, 2), nn.MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2, kdim=4)]
)
def test_attention_that_passes_its_layers_by_is_refused(block: nn.Module) -> None:
    backbone = FunctionBackbone(small.BACKBONE, Torchs(block), trainable=True)
    with pytest.raises(InvalidInput, match=r"network\.blocks\.0 is a .* of torch's.*write finetune_linear"):
        add_adapters(backbone, 2, seed=0)


@pytest.mark.parametrize("bias", [True, False])
def test_attention_of_linear_layers_is_torchs(bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    theirs = nn.MultiheadAttention(24, 3, bias=bias, batch_first=True)
    with torch.no_grad():
        for each in theirs.parameters():
            each.copy_(torch.randn(each.shape, generator=generator) / 4)
    ours, tokens_NTE = SelfAttention(theirs), torch.randn(2, 5, 24, generator=generator)
    arguments = (tokens_NTE, tokens_NTE, tokens_NTE)
    found = ours(*arguments, need_weights=False)[0].detach()
    for need_weights in (False, True):  # with and without SDPA
        assert relative(found, theirs(*arguments, need_weights=need_weights)[0].detach()) < ROUNDING
    with pytest.raises(InvalidInput, match="without masks"):
        ours(*arguments)
    with pytest.raises(InvalidInput, match="without masks"):
        ours(tokens_NTE, tokens_NTE.clone(), tokens_NTE, need_weights=False)
    with pytest.raises(InvalidInput, match="without masks"):
        ours(*arguments, need_weights=False, attn_mask=torch.zeros(5, 5))


def test_peft_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    backbone = build("openclip_vitb16")
    add_adapters(backbone, RANK, seed=0)
    step(backbone, noise("openclip_vitb16", images=1))
    merged(backbone)
    assert capfd.readouterr() == ("", "")

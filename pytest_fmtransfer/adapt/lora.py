"""Low-rank additions: what is learnt of a layer W is a product B·A of rank r, added to it; all else stays as it is.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, through the library peft. Additions are
scaled by α / r with α = r, which is 1: section 4.1 sets α to the first r tried and does not tune it. B begins as zero,
so that the network begins as the pretrained one, and A as the authors' loralib draws it.
"""

import re
from copy import deepcopy
from typing import cast

import torch
from timm.layers.squeeze_excite import EffectiveSEModule, SEModule
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn

from pytest_fmtransfer.adapt.attention_layers import as_linear_layers
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.errors import Impossible, InvalidInput

# Gates of whole channels, by what an image is on average: neither attention nor an MLP, and a few channels narrow.
_GATES = (SEModule, EffectiveSEModule, SqueezeExcite)


def add_adapters(backbone: Backbone, rank: int, first_block: int | None = None, *, seed: int) -> None:
    """Add, in place, to every linear layer of the backbone's blocks, from `first_block` on where it is given.

    Linear layers are those of attention and MLPs, torch's attention included, and in convolutional networks the
    convolutions of one place (1 × 1, not grouped). A layer of a inputs and b outputs gains `rank` · (a + b)
    parameters, and these alone learn from then on: the network stays in evaluation mode, and so do the statistics of
    its norms, when it is set to train. The same seed draws the same additions, whatever was drawn before.

    Raises InvalidInput for a rank below 1; Impossible for one above what a layer has, a block that there is none of,
    and blocks without such layers.
    """
    if rank < 1:
        raise InvalidInput(f"additions of rank {rank} are none; write lora<r> with r from 1 on, such as lora8")
    last, first = len(backbone.blocks) - 1, first_block or 0
    if not 0 <= first <= last:
        raise Impossible(f"there is no block {first}; write lora{rank}.from<k> with k from 0 to {last}")
    as_linear_layers(backbone, _within(backbone, first))
    layers = linear_layers(backbone, first)
    if not layers:
        raise Impossible(
            f"no block from {first} on has a linear layer or a 1 × 1 convolution to add to; write partial{first}_linear"
        )
    narrowest = min(layers, key=lambda name: min(sides_of(layers[name])))
    if rank > (most := min(sides_of(layers[narrowest]))):
        raise Impossible(f"rank {rank} is above what layer {narrowest} has, {most}; write lora{most} or a lower one")
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds

    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        bias="none",
        target_modules="|".join(map(re.escape, layers)),  # of a text, peft takes the modules whose whole name matches
    )
    backbone.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, backbone)
    backbone.keep_still([backbone.network])


def additions(backbone: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name: A and B of every layer added to, and nothing else."""
    return {name: each for name, each in backbone.named_parameters() if each.requires_grad}


def merged(backbone: Backbone) -> Backbone:
    """A copy whose layers have taken their additions up: the same outputs in as many operations as before.

    Nothing of it learns.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    copied = deepcopy(backbone)
    for name, module in list(copied.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            copied.set_submodule(name, cast(nn.Module, module.get_base_layer()))
    copied.requires_grad_(False)
    return copied


def linear_layers(backbone: Backbone, first: int) -> dict[str, nn.Linear | nn.Conv2d]:
    """By name: what is linear at one place, in the blocks from one on."""
    inside = _within(backbone, first)
    gates = {each for gate in inside if isinstance(gate, _GATES) for each in gate.modules()}
    return {
        name: module
        for name, module in backbone.named_modules()
        if module in inside
        and module not in gates
        and isinstance(module, nn.Linear | nn.Conv2d)
        and _of_a_place(module)
    }


def sides_of(layer: nn.Linear | nn.Conv2d) -> tuple[int, int]:
    """How many inputs and outputs a layer has at a place."""
    outputs, inputs = cast(Tensor, layer.weight).shape[:2]
    return inputs, outputs


def _within(backbone: Backbone, first: int) -> set[nn.Module]:
    return {each for block in backbone.blocks[first:] for each in block.modules()}


def _of_a_place(layer: nn.Linear | nn.Conv2d) -> bool:
    return isinstance(layer, nn.Linear) or (layer.kernel_size == (1, 1) and layer.groups == 1)

"""DINOv3's files, of `facebookresearch/dinov3`, and timm's network of them.

The publisher masks the keys' third of each block's bias by a tensor of its own, which timm leaves out together with
that third. Periods of the rotary positions are in the file, rounded to bfloat16, where timm computes them: the file's
are taken. The token that stood for a masked patch in training is in it too.

Legend: E a token's width, W a head's width.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import check_tensors
from pytest_fmtransfer.errors import CheckpointMismatch

MASK, PERIODS = "mask_token", "rope_embed.periods"
_BIAS = re.compile(r"(blocks\.\d+\.attn\.)q_bias")


def load(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load the publisher's tensors into timm's network.

    Raises CheckpointMismatch, naming the first tensor that is missing, left over or of another shape, and where a
    block's mask does not blank the keys' bias and nothing else.
    """
    own = network.state_dict()
    periods_W = cast(Tensor, cast(Any, network).rope.periods)
    expected: dict[str, tuple[int, ...]] = {MASK: (1, own["cls_token"].shape[-1]), PERIODS: tuple(periods_W.shape)}
    for name, tensor in own.items():
        if found := _BIAS.fullmatch(name):
            expected |= {f"{found[1]}qkv.{each}": (3 * len(tensor),) for each in ("bias", "bias_mask")}
        elif not name.endswith("v_bias"):
            expected[_published(name)] = tuple(tensor.shape)
    check_tensors(tensors, expected, path)
    ours = {name: tensors[_published(name)] for name in own if not name.endswith(("q_bias", "v_bias"))}
    for name in own:
        if found := _BIAS.fullmatch(name):
            query_E, value_E = _unmasked(tensors, f"{found[1]}qkv.", path)
            ours |= {name: query_E, f"{found[1]}v_bias": value_E}
    network.load_state_dict(ours)
    periods_W.copy_(tensors[PERIODS])


def _published(name: str) -> str:
    name = re.sub(r"(?<=\.)gamma_([12])$", r"ls\1.gamma", name)
    return "storage_tokens" if name == "reg_token" else name


def _unmasked(tensors: Mapping[str, Tensor], layer: str, path: Path) -> tuple[Tensor, Tensor]:
    query_E, key_E, value_E = tensors[f"{layer}bias"].chunk(3)
    seen, blank, seen_too = tensors[f"{layer}bias_mask"].chunk(3)
    if not (torch.all(seen == 1) and torch.all(blank == 0) and torch.all(seen_too == 1) and key_E.isfinite().all()):
        raise CheckpointMismatch(
            f"{path}: tensor '{layer}bias_mask' does not blank the keys' bias alone; restore the published file"
        )
    return query_E, value_E

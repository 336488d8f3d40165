"""A stem that takes one channel: the protocol's way with grey images."""

import torch
from torch import nn


def take_one_channel(network: nn.Module) -> None:
    """Leave the convolution that meets the image, in place, the kernel of its first channel alone.

    Palés Huix et al. 2024, released code; timm would sum the three.
    """
    stem = next(each for each in network.modules() if isinstance(each, nn.Conv2d) and each.in_channels == 3)
    with torch.no_grad():
        stem.weight = nn.Parameter(stem.weight[:, :1].clone(), requires_grad=stem.weight.requires_grad)
    stem.in_channels = 1

"""VGG and DenseNet in stages: timm's are rows of layers, of which none can be trained from or cut after.

A stage is what works at one resolution. A VGG's ends with its pooling, of a DenseNet a stage begins with the transition
to it, as a ResNet's begins by stepping down; stem and last norm stay outside. So stages follow one another, and what
the earlier ones give is all that a later one sees.
"""

from typing import Any, cast

from timm.models.densenet import DenseBlock, DenseNet
from timm.models.vgg import VGG
from torch import nn

VGG_SIDE = (
    7  # places of the map that torchvision's classifier sees, at any size of picture; timm's slides over a larger
)


class Stage(nn.Sequential):
    """The layers of one resolution."""


def in_stages(network: nn.Module) -> nn.Module:
    """A VGG or a DenseNet, in place, with its layers in stages, and anything else as it is. Weights are loaded before.

    A VGG's last map is pooled to 7 × 7, as torchvision, whose weights these are, has it at any size of picture.
    """
    if isinstance(network, VGG):
        network.features = nn.Sequential(*_ending_with(network.features, nn.MaxPool2d))
        network.pre_logits = cast(Any, nn.Sequential(nn.AdaptiveAvgPool2d(VGG_SIDE), network.pre_logits))
    elif isinstance(network, DenseNet):
        layers = list(network.features.children())
        first = next(at for at, each in enumerate(layers) if isinstance(each, DenseBlock))
        *stages, last = _ending_with(layers[first:], DenseBlock)
        network.features = nn.Sequential(*layers[:first], *stages, *last)
    return network


def _ending_with(layers: "nn.Sequential | list[nn.Module]", kind: type[nn.Module]) -> list[Stage]:
    """What stands behind the last layer of that kind is a stage too."""
    stages, stage = list[Stage](), list[nn.Module]()
    for layer in layers:
        stage.append(layer)
        if isinstance(layer, kind):
            stages.append(Stage(*stage))
            stage = []
    return [*stages, *([Stage(*stage)] if stage else [])]

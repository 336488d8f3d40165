"""VGG in stages, as a pyramid: timm's is one row of layers, of which none can be trained from or cut after.

A stage is what works at one resolution, the pooling that ends it included; there are five. torchvision, whose weights
they are, pools the last map to 7 × 7 before its classifier's first layer, and so does what is built here: timm slides
that layer over a larger map.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, cast

from timm.models.vgg import VGG, cfgs
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import check_tensors

# Of timm's and torchvision's layers behind the map, the last of them the classifier.
_LAYERS = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}
_SIDE = 7  # places of the map that the first of them sees
_NARROW, _TINY_RATIO = 16, 1 / 64


class Stage(nn.Sequential):
    """The layers of one resolution, and the pooling behind them."""


def load(network: VGG, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load torchvision's tensors, whose linear layers are timm's convolutions.

    Raises CheckpointMismatch, naming the first tensor that is missing, left over or of another shape.
    """
    own = network.state_dict()
    theirs = {name: _published(name) for name in own}
    # Of the classifier itself timm has a linear layer too, and a vector or a matrix stays what it is.
    shapes = {
        name: (len(tensor), prod(tensor.shape[1:])) if _is_layer(name) else tensor.shape for name, tensor in own.items()
    }
    check_tensors(tensors, {theirs[name]: shape for name, shape in shapes.items()}, path)
    network.load_state_dict({name: tensors[theirs[name]].reshape(tensor.shape) for name, tensor in own.items()})


def in_stages(network: VGG) -> VGG:
    """The network, in place, with its layers in stages and its last map pooled; its weights are loaded before."""
    stages, stage = list[Stage](), list[nn.Module]()
    for layer in network.features:
        stage.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            stages.append(Stage(*stage))
            stage = []
    network.features = nn.Sequential(*stages)
    network.pre_logits = cast(Any, nn.Sequential(nn.AdaptiveAvgPool2d(_SIDE), network.pre_logits))
    return network


def tiny(architecture: str, num_classes: int) -> VGG:
    """As many layers of the same names, a sixteenth as wide; only the embedding keeps its width."""
    name = architecture.partition(".")[0]
    layers = [each if each == "M" else int(each) // _NARROW for each in cfgs[name.partition("_")[0]]]
    norm = nn.BatchNorm2d if "_bn" in name else None
    return VGG(layers, num_classes, mlp_ratio=_TINY_RATIO, norm_layer=norm)


def _published(name: str) -> str:
    for own, theirs in _LAYERS.items():
        if name.startswith(f"{own}."):
            return theirs + name.removeprefix(own)
    return name


def _is_layer(name: str) -> bool:
    return name.startswith(tuple(_LAYERS)) and name.endswith("weight")

"""VGG: torchvision's file into timm's network, and a narrow one of the same layers."""

from collections.abc import Mapping
from math import prod
from pathlib import Path

from timm.models.vgg import VGG, cfgs
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import check_tensors

# Of timm's and torchvision's layers behind the map, the last of them the classifier.
_LAYERS = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}
_NARROW, _TINY_RATIO = 16, 1 / 64


def load(network: VGG, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load torchvision's tensors, whose linear layers are timm's convolutions.

    Raises CheckpointMismatch, naming the first tensor that is missing, left over or of another shape.
    """
    own = network.state_dict()
    theirs = {name: _published(name) for name in own}
    check_tensors(tensors, {theirs[name]: _shape(name, tensor) for name, tensor in own.items()}, path)
    network.load_state_dict({name: tensors[theirs[name]].reshape(tensor.shape) for name, tensor in own.items()})


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


def _shape(name: str, own: Tensor) -> tuple[int, ...]:
    """Of torchvision's tensor, from timm's."""
    is_matrix = name.startswith(tuple(_LAYERS)) and name.endswith("weight")
    return (len(own), prod(own.shape[1:])) if is_matrix else tuple(own.shape)

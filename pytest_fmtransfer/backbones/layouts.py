"""Publishers' files and timm's architectures: how the names of the one become those of the other.

A layout takes the file's names and answers with the architecture's; every tensor of the file has its place, or the file
is refused.

Legend: T tokens with the class token, P places of the trained grid, E a token's width.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from timm.models.vgg import VGG
from torch import Size, Tensor, nn

from pytest_fmtransfer.backbones import aimv2, dinov3, vgg
from pytest_fmtransfer.backbones.checkpoints import load_in_order, load_tensors
from pytest_fmtransfer.catalog.specs import FileWeights, PackagedWeights, PublishedWeights
from pytest_fmtransfer.errors import CheckpointMismatch

MASK = "mask_token"
COUNTER = "num_batches_tracked"
TRUNK = "visual.trunk."  # timm's network in an open_clip model of both towers
_SWIGLU = (("w12", "fc1"), ("w3", "fc2"))


def load(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: Path,
    weights: PackagedWeights | PublishedWeights | FileWeights,
) -> None:
    """Load the tensors of a publisher's file into a timm network, its classifier included.

    Raises CheckpointMismatch, naming the first tensor that is missing, left over or of another shape.
    """
    if weights.layout == "same_order":
        load_in_order(network, tensors, path)
    elif weights.layout == "dinov2":
        _load_dinov2(network, tensors, path)
    elif weights.layout == "aimv2":
        aimv2.load(network, tensors, path)
    elif weights.layout == "dinov3":
        dinov3.load(network, tensors, path)
    elif weights.layout == "open_clip_trunk":
        _load_trunk(network, tensors, path)
    elif weights.layout == "torchvision" and isinstance(network, VGG):
        vgg.load(network, tensors, path)
    elif weights.layout == "torchvision":
        load_tensors(network, _with_counters(network, tensors), {}, path)
    else:
        load_tensors(network, tensors, {}, path)


def _load_dinov2(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """DINOv2 names the layers of SwiGLU otherwise, and keeps the token that stood for a masked patch in training."""
    if MASK not in tensors:
        raise CheckpointMismatch(f"{path}: tensor {MASK!r} of DINOv2 is not in the file; restore the published one")
    theirs = {name: _in_dinov2(name) if _has_swiglu(tensors) else name for name in network.state_dict()}
    if "reg_token" in theirs:
        theirs["reg_token"] = "register_tokens"
        tensors = _with_class_position(tensors, network.state_dict()["pos_embed"].shape, path)
    ours = {name: own for own, name in theirs.items()}
    load_tensors(
        network, {ours.get(name, name): tensor for name, tensor in tensors.items() if name != MASK}, theirs, path
    )


def _with_class_position(tensors: Mapping[str, Tensor], places_1PE: Size, path: Path) -> Mapping[str, Tensor]:
    """A network with registers has the class token's position in that token: timm adds positions to patches alone."""
    given_1TE, width = tensors.get("pos_embed"), places_1PE[2]
    if given_1TE is None:
        return tensors
    if given_1TE.shape != (1, 1 + places_1PE[1], width):
        raise CheckpointMismatch(
            f"{path}: tensor 'pos_embed' has shape {tuple(given_1TE.shape)}, its publisher's has "
            f"{(1, 1 + places_1PE[1], width)}; restore the published file"
        )
    class_11E = tensors.get("cls_token")
    moved = {} if class_11E is None or class_11E.shape != (1, 1, width) else {"cls_token": class_11E + given_1TE[:, :1]}
    return {**tensors, "pos_embed": given_1TE[:, 1:], **moved}


def _load_trunk(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """The image tower of open_clip's file; its text tower and temperature are other parts."""
    visual = {name.removeprefix(TRUNK): name for name in tensors if name.startswith("visual.")}
    theirs = {name: TRUNK + name for name in network.state_dict()} | visual
    load_tensors(network, {own: tensors[name] for own, name in visual.items()}, theirs, path)


def _has_swiglu(tensors: Mapping[str, Tensor]) -> bool:
    return any(".mlp.w" in name for name in tensors)


def _in_dinov2(name: str) -> str:
    for theirs, ours in _SWIGLU:
        name = re.sub(rf"(?<=\.mlp\.){ours}(?=\.)", theirs, name)
    return name


def _with_counters(network: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The file's tensors, and the batch counters that it lacks when it was written before torch kept any.

    A counter moves no feature. A file that holds some of them must hold all.
    """
    if any(name.endswith(COUNTER) for name in tensors):
        return tensors
    return {**tensors, **{name: value for name, value in network.state_dict().items() if name.endswith(COUNTER)}}

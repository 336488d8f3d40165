"""Backbones whose architecture is timm's.

Legend: N images, C channels, S the square side in pixels, H and W pixels, E a token's width.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pytest_fmtransfer.backbones import layouts, vgg
from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_only_tree, read_tensors
from pytest_fmtransfer.backbones.folding import faster
from pytest_fmtransfer.backbones.grids import grid_of, resized_map
from pytest_fmtransfer.backbones.positions import resized
from pytest_fmtransfer.backbones.stages import in_stages
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.backbones.timm_parts import cut_depth, parts, tiny_arguments, tokens_of
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    FileWeights,
    PackagedWeights,
    PublishedWeights,
    RandomWeights,
)
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput, nearest

# Architectures whose reference resizes position embeddings otherwise than timm, and its offset (`positions.resized`).
OFFSETS = {
    "deit_base_patch16_224.fb_in1k": 0.0,
    "deit_small_patch16_224.fb_in1k": 0.0,
    "vit_base_patch16_224.dino": 0.1,
}
DINOV2 = re.compile(r"vit_\w+_patch14_dinov2(\..*)?")
DINOV2_WITH_REGISTERS = re.compile(r"vit_\w+_patch14_reg4_dinov2(\..*)?")
# timm's default pools by the mean; the publisher's embedding is the class token.
DINOV3 = re.compile(r"vit_\w+_patch16_dinov3\w*(\..*)?")
# Families of timm's modules that take images of other sizes than they were trained at when they are asked to.
RESIZABLE = ("vision_transformer", "deit", "eva")


class TimmBackbone(Backbone):
    """A timm network; its embedding is what its classifier would be given, its tokens what is pooled for it.

    Batch normalisation is folded, unless the network is to be trained; its classifier is not trained.
    """

    def __init__(self, spec: BackboneSpec, network: nn.Module, *, channels: int = 3, trainable: bool = False) -> None:
        if trainable:
            for classifier in _classifiers(network):
                classifier.requires_grad_(False)
        elif any(isinstance(each, nn.BatchNorm2d) for each in network.modules()):
            probe_1CSS = torch.rand(
                1, channels, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(0)
            )
            network = faster(network, lambda each: _embed(each, probe_1CSS)[0])
        super().__init__(spec, network, channels=channels, trainable=trainable)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return parts(self.network)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        return _embed(self.network, images_NCHW)

    def block_tokens(self, output: Tensor) -> Tensor:
        return tokens_of(self.network, output)


class ReferenceVit(TimmBackbone):
    """A vision transformer that resizes its position embedding as its reference does, at any multiple of its patch.

    The embedding is the class token after the last norm. Tokens are those of the patches after it too, but DINOv2's
    before it, as the protocol of Palés Huix et al. 2024 feeds them to its DeiT head.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        network: VisionTransformer,
        *,
        offset: float,
        normed: bool,
        channels: int = 3,
        trainable: bool = False,
    ) -> None:
        super().__init__(spec, network, channels=channels, trainable=trainable)
        self.offset, self.normed = offset, normed

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        network = cast(Any, self.network)
        side: int = network.patch_embed.patch_size[0]
        if any(pixels % side for pixels in images_NCHW.shape[2:]):
            height, width = images_NCHW.shape[2:]
            raise InvalidInput(f"images of {height} × {width} pixels: give multiples of the patch, {side}")
        patches_NHWE = network.patch_embed(images_NCHW)
        rows, columns = patches_NHWE.shape[1:3]
        class_token = network.cls_token.expand(len(images_NCHW), -1, -1)
        tokens_NTE = torch.cat([class_token, patches_NHWE.flatten(1, 2)], dim=1)
        tokens_NTE = tokens_NTE + resized(network.pos_embed, rows, columns, offset=self.offset)
        last_NTE = network.blocks(network.norm_pre(network.pos_drop(tokens_NTE)))
        normed_NTE = network.norm(last_NTE)
        return normed_NTE[:, 0], (normed_NTE if self.normed else last_NTE)[:, 1:]


class RegisterVit(TimmBackbone):
    """DINOv2 with registers, at any multiple of its patch. Embedding and tokens are those of DINOv2 without.

    Its released code resizes positions otherwise than that of the models without registers does: to the grid's size,
    with antialiasing (`dinov2/hub/backbones.py`).
    """

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        network = cast(Any, self.network)
        grid = grid_of(images_NCHW, network.patch_embed.patch_size[0], self.spec.name)
        positions_1hwE = network.pos_embed.unflatten(1, network.patch_embed.grid_size)
        patches_NTE = (network.patch_embed(images_NCHW) + resized_map(positions_1hwE, grid)).flatten(1, 2)
        first = [each.expand(len(images_NCHW), -1, -1) for each in (network.cls_token, network.reg_token)]
        last_NTE = network.blocks(network.norm_pre(torch.cat([*first, patches_NTE], dim=1)))
        return network.norm(last_NTE)[:, 0], self.block_tokens(last_NTE)


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> TimmBackbone:
    """The backbone with its weights. Raises CheckpointMismatch when the file does not fit."""
    network = in_stages(build_network(spec, weights))
    if channels == 1:
        take_one_channel(network)
    if DINOV2_WITH_REGISTERS.fullmatch(spec.architecture):
        return RegisterVit(spec, network, channels=channels, trainable=trainable)
    dinov2 = DINOV2.fullmatch(spec.architecture) is not None
    offset = 0.1 if dinov2 else OFFSETS.get(spec.architecture)
    if offset is not None and isinstance(network, VisionTransformer):
        return ReferenceVit(spec, network, offset=offset, normed=not dinov2, channels=channels, trainable=trainable)
    return TimmBackbone(spec, network, channels=channels, trainable=trainable)


def build_network(spec: BackboneSpec, weights: Path | None) -> nn.Module:
    """The whole network in evaluation mode, with the classifier where the checkpoint has one.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a row that names no file or no model.
    """
    _check(spec)
    if isinstance(spec.weights, RandomWeights):
        return new_network(spec)
    if weights is None or not isinstance(spec.weights, PackagedWeights | PublishedWeights | FileWeights):
        raise InvalidInput(
            f"backbone {spec.name} names no file of weights; give it PackagedWeights, PublishedWeights or FileWeights"
        )
    return _load(spec, weights, spec.weights).eval()


def _load(spec: BackboneSpec, path: Path, weights: PackagedWeights | PublishedWeights | FileWeights) -> nn.Module:
    declared = 0 if isinstance(weights, FileWeights) else weights.num_classes
    networks: dict[int, nn.Module] = {}  # by the classes of the classifier, which a file may hold

    def load(tensors: Mapping[str, Tensor]) -> nn.Module:
        classes = declared
        if not classes and weights.layout == "same_keys":
            classes = _classes_of(spec, tensors)
            if networks and classes not in networks and not tensors.keys() & next(iter(networks.values())).state_dict():
                raise CheckpointMismatch(f"{path}: no tensor has a name of {spec.architecture}'s")
        if classes not in networks:
            networks[classes] = _create(spec, num_classes=classes)
        layouts.load(networks[classes], tensors, path, weights)
        return networks[classes]

    inside = weights.inside if isinstance(weights, PublishedWeights) else ""
    if inside or weights.layout != "same_keys":  # a publisher's own names and place
        return load(read_tensors(path, inside))
    return load_only_tree(path, load, lambda: next(iter(networks.values())).state_dict().keys())


def new_network(spec: BackboneSpec) -> nn.Module:
    """The network without weights and classifier, in evaluation mode. Raises InvalidInput for a model of no name."""
    _check(spec)
    with seeded(spec):
        return _create(spec, num_classes=0).eval()


def _check(spec: BackboneSpec) -> None:
    if not timm.is_model(spec.architecture):
        near = nearest(spec.architecture, timm.list_models())
        raise InvalidInput(f"timm {timm.__version__} has no model {spec.architecture!r} for {spec.name}; {near}")


def _classes_of(spec: BackboneSpec, tensors: Mapping[str, Tensor]) -> int:
    """Of the classifier among tensors in timm's names; 0 where there is none."""
    known = timm.get_pretrained_cfg(spec.architecture)
    names = known.classifier if known else None  # distilled networks have two
    name = names[0] if isinstance(names, tuple | list) else names
    tensor = tensors.get(f"{name}.weight")
    return 0 if tensor is None else len(tensor)


def _create(spec: BackboneSpec, num_classes: int) -> nn.Module:
    family = timm.model_entrypoint(spec.architecture.partition(".")[0]).__module__.rpartition(".")[2]
    if family == "vgg" and spec.tiny:
        return vgg.tiny(spec.architecture, num_classes)
    arguments: dict[str, Any] = {"dynamic_img_size": True} if family in RESIZABLE else {}
    if DINOV3.fullmatch(spec.architecture):
        arguments["global_pool"] = "token"
    narrow = tiny_arguments(spec.architecture, family) if spec.tiny else {}
    network = timm.create_model(spec.architecture, num_classes=num_classes, **arguments, **narrow)
    if spec.tiny:
        cut_depth(network)
    return network


def _classifiers(network: nn.Module) -> list[nn.Module]:
    """What comes after the embedding; distilled networks have two."""
    found = cast(Any, network).get_classifier()
    return [each for each in (found if isinstance(found, tuple | list) else [found]) if isinstance(each, nn.Module)]


def _embed(network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    timm_network = cast(Any, network)  # has these two, which nn.Module does not declare
    features = timm_network.forward_features(images_NCHW)
    return timm_network.forward_head(features, pre_logits=True), tokens_of(network, features)

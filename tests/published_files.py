"""Tiny files of weights in their publishers' names, shapes and nesting: those of MedMNIST+ 2025 and today's encoders.

Names are taken from the publishers' code, or from the library that wrote the file; numbers are random, none with its
usual value (`benchmarks/parity/published.py`).

Legend: E a token's width, D the width of a space shared with text.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import VGG, make_layers

from benchmarks.parity.published import TINY, Tensors, drawn, random_like, row, vit
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.backbones.timm import build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights

SIZE = TINY["timm"]
CLASSES, SHARED, REGISTERS = 1000, 512, 4
VGG16 = (4, 4, "M", 8, 8, "M", 16, 16, 16, "M", 32, 32, 32, "M", 32, 32, 32, "M")
SIGLIP_DEPTH, SIGLIP_HEADS, SIGLIP_WITHIN = 3, 4, 96

Shapes = dict[str, tuple[int, ...]]


def spec_of(name: str) -> BackboneSpec:
    return row(name, tiny=True)


def tensors_of(name: str) -> Tensors:
    """What the publisher's file of a row's tiny version holds, without its nesting. The mapping is the caller's."""
    return dict(_tensors_of(name))


def loaded(name: str, *, channels: int = 3, trainable: bool = False) -> Backbone:
    """A row's tiny version with the weights of that file, in evaluation mode; each call's is its own."""
    return copy.deepcopy(_loaded(name, channels, trainable))


def drawn_at_random(name: str, side: int) -> Backbone:
    """A row's `.tiny`, to be trained, for pictures of that size; each call's is its own."""
    return copy.deepcopy(_drawn_at_random(name, side))


def build(spec: BackboneSpec, path: Path | None, *, channels: int = 3, trainable: bool = False) -> Backbone:
    module = import_module(f"pytest_fmtransfer.backbones.{spec.library}")
    return module.build(spec, path, channels=channels, trainable=trainable)


@cache
def _loaded(name: str, channels: int, trainable: bool) -> Backbone:
    with TemporaryDirectory() as folder:
        path = write(name, _tensors_of(name), Path(folder))
        return build(spec_of(name), path, channels=channels, trainable=trainable).eval()


@cache
def _drawn_at_random(name: str, side: int) -> Backbone:
    spec = replace(Registry().backbone(f"{name}.tiny"), image_size=side)
    return build(spec, None, trainable=True).eval()


@cache
def _tensors_of(name: str) -> Tensors:
    match name:
        case "imagenet_vitb16":
            return vit(SIZE, 16, 14, classes=CLASSES)
        case "openclip_vitb16_in1k":
            return {"norm_pre.weight": drawn({"weight": (SIZE.width,)})["weight"]} | _clip_vit()
        case "imagenet_resnet18":
            return random_like(resnet18())
        case "imagenet_densenet121":
            return random_like(densenet121())
        case "imagenet_vgg16":
            return random_like(vgg16())
        case "imagenet_efficientnetb4":
            return efficientnet_b4()
        case "clip_vitb16":
            return random_like(build_model(replace(spec_of(name), weights=RandomWeights()), None))
        case "eva02_vitb16":
            return eva02()
        case "siglip2_vitb16":
            return siglip()
        case "pecore_vitb16":
            return perception_encoder(16, 14)
        case "pecore_vitl14":
            return perception_encoder(14, 24)
        case _ if name.startswith("dinov3_"):
            return dinov3()
        case _:
            registers = drawn({"register_tokens": (1, REGISTERS, SIZE.width)})
            return vit(SIZE, 14, 37, swiglu=name == "dinov2_vitg14_reg", scaled=True) | registers


def write(name: str, tensors: Mapping[str, Tensor], folder: Path) -> Path:
    weights = spec_of(name).weights
    assert isinstance(weights, PublishedWeights)
    path = folder / weights.file
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({key: each.contiguous() for key, each in tensors.items()}, path)
    else:
        torch.save(dict(tensors), path)
    return path


def resnet18() -> ResNet:
    """torchvision's, one narrow block deep in each stage; timm has its names."""
    network = ResNet(BasicBlock, [1, 1, 1, 1])
    network.inplanes = 64
    for number, planes in enumerate((16, 32, 64, 128), start=1):
        setattr(network, f"layer{number}", network._make_layer(BasicBlock, planes, 1, 1 if number == 1 else 2))
    network.fc = nn.Linear(128, CLASSES)
    return network


def densenet121() -> DenseNet:
    """torchvision's, two narrow layers deep in each block; timm has its names."""
    return DenseNet(growth_rate=8, block_config=(2, 2, 2, 2), num_init_features=16, num_classes=CLASSES)


def vgg16() -> VGG:
    """torchvision's, a sixteenth as wide; its embedding keeps its width."""
    with torch.device("meta"):  # its own classifier has 120 million weights
        network = VGG(nn.Sequential(), init_weights=False)
    network.features = make_layers([*VGG16])
    for number, (given, out) in {0: (32 * 49, 64), 3: (64, 4096), 6: (4096, CLASSES)}.items():
        network.classifier[number] = nn.Linear(given, out)
    return network


def efficientnet_b4() -> Tensors:
    """timm's own, and the classifier."""
    body = random_like(build_network(replace(spec_of("imagenet_efficientnetb4"), weights=RandomWeights()), None))
    return body | drawn({"classifier.weight": (CLASSES, 1792), "classifier.bias": (CLASSES,)})


def eva02() -> Tensors:
    """open_clip's model of both towers, the image tower in timm's names: the tensors of its text tower are two."""
    width, within = SIZE.width, int(SIZE.width * 4 * 2 / 3)
    shapes: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 14**2, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        **_layer("norm", width),
        **_layer("head", SHARED, width),
    }
    for block in (f"blocks.{number}" for number in range(SIZE.depth)):
        for each in ("norm1", "attn.norm", "norm2"):
            shapes |= _layer(f"{block}.{each}", width)
        for each in ("q_proj", "v_proj", "proj"):
            shapes |= _layer(f"{block}.attn.{each}", width, width)
        shapes |= {f"{block}.attn.k_proj.weight": (width, width)}
        shapes |= _layer(f"{block}.mlp.fc1_g", within, width) | _layer(f"{block}.mlp.fc1_x", within, width)
        shapes |= _layer(f"{block}.mlp.norm", within) | _layer(f"{block}.mlp.fc2", width, within)
    trunk = {f"visual.trunk.{name}": tensor for name, tensor in drawn(shapes).items()}
    return trunk | {"text.token_embedding.weight": torch.zeros(4, 4), "logit_scale": torch.tensor(4.6)}


def dinov3() -> Tensors:
    """`DinoVisionTransformer.state_dict` of facebookresearch/dinov3; periods as they are stored, in bfloat16."""
    width, head = SIZE.width, SIZE.width // SIZE.heads
    tensors = {name: each for name, each in vit(SIZE, 16, 14, scaled=True).items() if name != "pos_embed"}
    tensors |= drawn({"storage_tokens": (1, REGISTERS, width)})
    mask = torch.ones(3 * width)
    mask[width : 2 * width] = 0
    tensors |= {f"blocks.{number}.attn.qkv.bias_mask": mask.clone() for number in range(SIZE.depth)}
    periods = 100.0 ** (2 * torch.arange(head // 4) / (head // 2))
    return tensors | {"rope_embed.periods": periods.to(torch.bfloat16)}


def siglip() -> Tensors:
    """`SiglipModel.state_dict` of transformers, as Google publishes it; of the text side one tensor."""
    width, within = SIZE.width, SIGLIP_WITHIN
    shapes: Shapes = {
        "embeddings.patch_embedding.weight": (width, 3, 16, 16),
        "embeddings.patch_embedding.bias": (width,),
        "embeddings.position_embedding.weight": (14**2, width),
        **_layer("post_layernorm", width),
        "head.probe": (1, 1, width),
        "head.attention.in_proj_weight": (3 * width, width),
        "head.attention.in_proj_bias": (3 * width,),
        **_layer("head.attention.out_proj", width, width),
        **_layer("head.layernorm", width),
        **_layer("head.mlp.fc1", within, width),
        **_layer("head.mlp.fc2", width, within),
    }
    for block in (f"encoder.layers.{number}" for number in range(SIGLIP_DEPTH)):
        shapes |= _layer(f"{block}.layer_norm1", width) | _layer(f"{block}.layer_norm2", width)
        for each in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _layer(f"{block}.self_attn.{each}", width, width)
        shapes |= _layer(f"{block}.mlp.fc1", within, width) | _layer(f"{block}.mlp.fc2", width, within)
    vision = {f"vision_model.{name}": tensor for name, tensor in drawn(shapes).items()}
    other = {"text_model.head.bias": torch.zeros(width), "logit_scale": torch.zeros(1), "logit_bias": torch.zeros(1)}
    return vision | other


def perception_encoder(patch: int, grid: int) -> Tensors:
    """`CLIP.state_dict` of facebookresearch/perception_models; of the text side two tensors."""
    width = SIZE.width
    shapes: Shapes = {
        "class_embedding": (width,),
        "positional_embedding": (1 + grid**2, width),
        "proj": (width, 1024),
        "conv1.weight": (width, 3, patch, patch),
        **_layer("ln_pre", width),
        **_layer("ln_post", width),
        "attn_pool.probe": (1, 1, width),
        "attn_pool.attn.in_proj_weight": (3 * width, width),
        "attn_pool.attn.in_proj_bias": (3 * width,),
        **_layer("attn_pool.attn.out_proj", width, width),
        **_layer("attn_pool.layernorm", width),
        **_layer("attn_pool.mlp.c_fc", 4 * width, width),
        **_layer("attn_pool.mlp.c_proj", width, 4 * width),
    }
    for block in (f"transformer.resblocks.{number}" for number in range(SIZE.depth)):
        shapes |= _layer(f"{block}.ln_1", width) | _layer(f"{block}.ln_2", width)
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= _layer(f"{block}.attn.out_proj", width, width)
        shapes |= _layer(f"{block}.mlp.c_fc", 4 * width, width) | _layer(f"{block}.mlp.c_proj", width, 4 * width)
    visual = {f"visual.{name}": tensor for name, tensor in drawn(shapes).items()}
    return visual | {"token_embedding.weight": torch.zeros(4, 4), "logit_scale": torch.tensor(4.6)}


def _clip_vit() -> Tensors:
    """timm's vision transformer with a norm before its blocks, for which its stem has no bias."""
    tensors = vit(SIZE, 16, 14, classes=CLASSES) | drawn({"norm_pre.bias": (SIZE.width,)})
    return {name: each for name, each in tensors.items() if name != "patch_embed.proj.bias"}


def _layer(name: str, out: int, *given: int) -> Shapes:
    return {f"{name}.weight": (out, *given), f"{name}.bias": (out,)}

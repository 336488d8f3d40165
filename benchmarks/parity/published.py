"""Files of weights as the paper's eight backbones are published: names, shapes and nesting are the publishers', the
numbers are random.

No tensor has its usual value: norms do not have weight 1 and bias 0, nor layer scales 1e-4, so that none can be left
out unseen. Weights shrink with what they sum over, as trained ones do: attention is neither even nor a single token's.

Legend: T tokens with the class token, E a token's width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch
import torchvision
from segment_anything.build_sam import _build_sam
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a transformer: a token's width, blocks, heads, and the blocks of SAM that attend to the whole picture."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)


BASE = Size()
# What the rows' tiny versions are, by library.
TINY = {
    "timm": Size(width=48, depth=2, heads=3),
    "segment_anything": Size(width=48, depth=4, heads=2, global_blocks=(1, 3)),
    "open_clip": Size(width=64, depth=3, heads=2),
    "transformers": Size(width=48, depth=3, heads=4),
}


def size_of(spec: BackboneSpec) -> Size:
    """Of a row of the paper's eight, or of its tiny version. The two pyramids have sizes of their own."""
    return TINY.get(spec.library, BASE) if spec.tiny else BASE


def tensors_of(spec: BackboneSpec) -> Tensors:
    """What the publisher's file of a row holds, without its nesting."""
    size = size_of(spec)
    match spec.name:
        case "imagenet_resnet152" | "imagenet_resnet50":
            return resnet(tiny=spec.tiny)
        case "imagenet_deitb16" | "imagenet_deits16":
            return vit(size, 16, 14, classes=1000)
        case "dino_vitb16":
            return vit(size, 16, 14)
        case "sam_vitb16":
            return random_like(_build_sam(size.width, size.depth, size.heads, size.global_blocks))
        case "openclip_vitb16":
            return random_like(build_model(replace(spec, weights=RandomWeights()), None))
        case "blip_vitb16":
            return blip(size)
        case "seem_focalt":
            return seem(16, (1, 1, 2, 1)) if spec.tiny else seem(96, (2, 2, 6, 2))
        case name:
            return vit(size, 14, 37, swiglu=name == "dinov2_vitg14", scaled=True)


def write(spec: BackboneSpec, tensors: Mapping[str, Tensor], folder: Path) -> Path:
    """The publisher's file in a folder, its tensors in the entry where the publisher keeps them."""
    assert isinstance(spec.weights, PublishedWeights)
    path = folder / spec.weights.file
    inside = {"imagenet_deitb16": "model", "imagenet_deits16": "model", "blip_vitb16": "model"}.get(spec.name)
    torch.save({inside: dict(tensors)} if inside else dict(tensors), path)
    return path


def row(name: str, *, tiny: bool = False) -> BackboneSpec:
    """A row of the catalogue, its weights still to be read from the publisher's file though it be tiny."""
    return replace(Registry().backbone(name), tiny=tiny)


def vit(size: Size, patch: int, grid: int, *, swiglu: bool = False, scaled: bool = False, classes: int = 0) -> Tensors:
    """In the names of facebookresearch's dinov2, dino and deit, and of BLIP (`VisionTransformer.state_dict`)."""
    width = size.width
    hidden = (int(4 * width * 2 / 3) + 7) // 8 * 8  # dinov2/layers/swiglu_ffn.py, SwiGLUFFNFused
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + grid**2, width),
        **({"mask_token": (1, width)} if scaled else {}),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
    }
    mlp = {"w12": (2 * hidden, width), "w3": (width, hidden)} if swiglu else {}
    mlp = mlp or {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
    layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), **{f"mlp.{n}": s for n, s in mlp.items()}}
    for block in (f"blocks.{number}" for number in range(size.depth)):
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
        for layer, shape in layers.items():
            shapes |= {f"{block}.{layer}.weight": shape, f"{block}.{layer}.bias": shape[:1]}
        if scaled:
            shapes |= {f"{block}.ls{number}.gamma": (width,) for number in (1, 2)}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    if classes:
        shapes |= {"head.weight": (classes, width), "head.bias": (classes,)}
    return drawn(shapes)


def resnet_network(*, tiny: bool) -> ResNet:
    """torchvision's ResNet-152, or one that is one narrow bottleneck deep in each stage, as the tiny version is."""
    if not tiny:
        return torchvision.models.resnet152(weights=None)
    network = ResNet(Bottleneck, [1, 1, 1, 1])
    network.inplanes = 64
    for number, planes in enumerate((16, 32, 64, 128), start=1):
        setattr(network, f"layer{number}", network._make_layer(Bottleneck, planes, 1, 1 if number == 1 else 2))
    network.fc = nn.Linear(512, 1000)
    return network


def resnet(*, tiny: bool) -> Tensors:
    """The file is older than the counters of batches that torch keeps today, and holds none."""
    tensors = random_like(resnet_network(tiny=tiny))
    return {name: tensor for name, tensor in tensors.items() if "num_batches" not in name}


def blip(size: Size) -> Tensors:
    """The encoder, its momentum copy with other values, and something of the text side."""
    own = vit(size, 16, 14)
    return {
        **{f"visual_encoder.{name}": tensor for name, tensor in own.items()},
        **{f"visual_encoder_m.{name}": tensor + 1 for name, tensor in own.items()},
        "text_encoder.embeddings.LayerNorm.weight": torch.ones(4),
    }


def seem(width: int, depths: Sequence[int]) -> Tensors:
    """The image encoder, and two tensors of the decoder beside it.

    After UX-Decoder/Segment-Everything-Everywhere-All-At-Once, modeling/vision/backbone/focal_dw.py.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f"backbone.{name}.weight"] = shape
        if bias:
            shapes[f"backbone.{name}.bias"] = shape[:1]

    add("patch_embed.proj", width, 3, 7, 7)
    add("patch_embed.norm", width)
    for stage, depth in enumerate(depths):
        wide = width * 2**stage
        for block in (f"layers.{stage}.blocks.{at}" for at in range(depth)):
            shapes |= {f"backbone.{block}.gamma_{half}": (wide,) for half in (1, 2)}
            add(f"{block}.dw1", wide, 1, 3, 3)
            add(f"{block}.norm1", wide)
            add(f"{block}.modulation.f", 2 * wide + 4, wide)
            add(f"{block}.modulation.h", wide, wide, 1, 1)
            add(f"{block}.modulation.proj", wide, wide)
            for level in range(3):
                add(f"{block}.modulation.focal_layers.{level}.0", wide, 1, 3 + 2 * level, 3 + 2 * level, bias=False)
            add(f"{block}.dw2", wide, 1, 3, 3)
            add(f"{block}.norm2", wide)
            add(f"{block}.mlp.fc1", 4 * wide, wide)
            add(f"{block}.mlp.fc2", wide, 4 * wide)
        if stage < len(depths) - 1:
            add(f"layers.{stage}.downsample.proj", 2 * wide, wide, 3, 3)
            add(f"layers.{stage}.downsample.norm", 2 * wide)
    for stage in range(len(depths)):
        add(f"norm{stage}", width * 2**stage)
    return drawn(shapes) | {
        "sem_seg_head.predictor.query_embed.weight": torch.zeros(101, 512),
        "criterion.empty_weight": torch.zeros(134),
    }


def random_like(network: nn.Module) -> Tensors:
    """Random tensors in a network's names and shapes; whole numbers stay."""
    tensors = network.state_dict()
    counts = {name: tensor for name, tensor in tensors.items() if not tensor.is_floating_point()}
    return {**drawn({name: tuple(tensor.shape) for name, tensor in tensors.items() if name not in counts}), **counts}


def drawn(shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
    generator = torch.Generator().manual_seed(3)

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            return 0.5 + values.abs()
        if name.endswith("weight") and len(shape) == 1:  # of a norm
            return 1 + values / 5
        if "gamma" in name:
            return values / 2
        if name.endswith("weight") and len(shape) > 1:
            return values / prod(shape[1:]) ** 0.5
        return values / (len(values) ** 0.5 if name.endswith("proj") else 5)  # CLIP's projection is E × D

    return {name: draw(name, shape) for name, shape in shapes.items()}

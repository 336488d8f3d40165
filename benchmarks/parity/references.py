"""Second implementations of the paper's backbones, by other libraries, from the tensors of the publishers' files.

Each takes the tensors, the heads and colour images, and gives the pooled embedding, N × D, and the tokens, N × T × E.

Legend: N images, C channels, H and W pixels, P and R, Q places of a grid, D the embedding's width, T tokens, E a
token's width.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn as from_clip
from timm.models.vision_transformer_sam import VisionTransformerSAM
from timm.models.vision_transformer_sam import checkpoint_filter_fn as from_sam
from torch import Tensor, nn
from torch.nn import functional
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from benchmarks.parity import seem
from benchmarks.parity.published import Size, resnet_network
from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights

Tensors = Mapping[str, Tensor]
Second = Callable[[Tensors, Size, Tensor], tuple[Tensor, Tensor]]


def bicubic(places_P: int, places: int, scale: float) -> Tensor:
    """Weights of a cubic convolution (Keys 1981, a = -.75) from `places_P` samples to `places`; borders repeat."""
    weights = torch.zeros(places, places_P, dtype=torch.float64)
    for at in range(places):
        where = (at + 0.5) / scale - 0.5
        first = int(torch.floor(torch.tensor(where, dtype=torch.float64)))
        for near in range(first - 1, first + 3):
            x = abs(where - near)
            near_one = 1.25 * x**3 - 2.25 * x**2 + 1
            weight = near_one if x <= 1 else -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            weights[at, min(max(near, 0), places_P - 1)] += weight
    return weights


def positions(table_1TE: Tensor, rows: int, columns: int, offset: float) -> Tensor:
    """Position embeddings of another grid, by the definition of bicubic resizing.

    `offset` is added to both sides before they become a scale: `backbones/positions.py` says whose code does.
    """
    side = round((table_1TE.shape[1] - 1) ** 0.5)
    grid = table_1TE[0, 1:].double().unflatten(0, (side, side))
    down_RP = bicubic(side, rows, (rows + offset) / side)
    across_QP = bicubic(side, columns, (columns + offset) / side)
    patches = torch.einsum("rp,qs,pse->rqe", down_RP, across_QP, grid).flatten(0, 1).float()
    return torch.cat([table_1TE[:, :1], patches[None]], dim=1)


def vit_by_transformers(stored: Tensors, size: Size, images_NCHW: Tensor, *, offset: float) -> tuple[Tensor, Tensor]:
    """DINO, DeiT and DINOv2, whose tokens are those before the last norm. Square images."""
    dinov2, swiglu = "mask_token" in stored, "blocks.0.mlp.w12.weight" in stored
    patch, pixels, table = stored["patch_embed.proj.weight"].shape[-1], images_NCHW.shape[-1], stored["pos_embed"]
    if (pixels // patch) ** 2 + 1 != table.shape[1]:
        table = positions(table, pixels // patch, pixels // patch, offset)
    common: dict[str, Any] = {
        "hidden_size": size.width,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.heads,
        "image_size": pixels,
        "patch_size": patch,
        "layer_norm_eps": 1e-6,
        "attn_implementation": "eager",
    }
    if dinov2:
        model = Dinov2Model(Dinov2Config(use_swiglu_ffn=swiglu, mlp_ratio=4, **common))
    else:
        model = ViTModel(ViTConfig(intermediate_size=4 * size.width, **common), add_pooling_layer=False)
    given = dict(stored) | {"pos_embed": table}
    for number in range(size.depth):
        for kind in ("weight", "bias"):
            parts = given.pop(f"blocks.{number}.attn.qkv.{kind}").chunk(3)
            given |= {f"blocks.{number}.attn.{each}.{kind}": part for each, part in zip("qkv", parts, strict=True)}
            if swiglu:
                gate, up = given.pop(f"blocks.{number}.mlp.w12.{kind}").chunk(2)
                given |= {f"blocks.{number}.mlp.gate.{kind}": gate, f"blocks.{number}.mlp.up.{kind}": up}
    state = model.state_dict()
    renamed = {_theirs(key, state): tensor for key, tensor in given.items() if not key.startswith(("head.", "mask"))}
    if dinov2:
        renamed["embeddings.mask_token"] = stored["mask_token"]
    model.load_state_dict(renamed, strict=True)
    kept: list[Any] = []
    model.layernorm.register_forward_hook(lambda module, given, result: kept.append(given[0] if dinov2 else result))
    pooled_NE = model.eval()(pixel_values=images_NCHW).last_hidden_state[:, 0]
    return pooled_NE, kept[0][:, 1:]


_SHARED = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
_OF_A_BLOCK = {
    "attn.q": ("attention.attention.query", "attention.q_proj"),
    "attn.k": ("attention.attention.key", "attention.k_proj"),
    "attn.v": ("attention.attention.value", "attention.v_proj"),
    "attn.proj": ("attention.output.dense", "attention.o_proj"),
    "norm1": ("layernorm_before", "norm1"),
    "norm2": ("layernorm_after", "norm2"),
    "mlp.fc1": ("intermediate.dense", "mlp.fc1"),
    "mlp.fc2": ("output.dense", "mlp.fc2"),
    "mlp.gate": ("mlp.gate_proj",),
    "mlp.up": ("mlp.up_proj",),
    "mlp.w3": ("mlp.down_proj",),
    "ls1.gamma": ("layer_scale1.lambda1",),
    "ls2.gamma": ("layer_scale2.lambda1",),
}


def _theirs(key: str, state: Tensors) -> str:
    """transformers' name of a publisher's tensor, whichever of its spellings this version has."""
    stem, dot, kind = key.rpartition(".")
    if not key.startswith("blocks."):
        return _SHARED.get(key) or f"{_SHARED[stem]}{dot}{kind}"
    _, number, rest = key.split(".", 2)
    part, _, kind = rest.rpartition(".")
    endings = _OF_A_BLOCK.get(rest) or tuple(f"{each}.{kind}" for each in _OF_A_BLOCK[part])
    starts = (f"encoder.layer.{number}.", f"layers.{number}.")
    [found] = {start + ending for start in starts for ending in endings} & set(state)
    return found


def resnet_stages(stored: Tensors, images_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    """torchvision's pooled embedding, and the places of each stage's map as tokens."""
    network = resnet_network(tiny=len(stored["fc.weight"][0]) == 512)
    counters = {name: value for name, value in network.state_dict().items() if "num_batches" in name}
    network.load_state_dict({**counters, **stored})
    network.eval().fc = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    maps: list[Any] = []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        stage.register_forward_hook(lambda module, given, result: maps.append(result))
    return network(images_NCHW), [each.flatten(2).transpose(1, 2) for each in maps]


def resnet_by_torchvision(stored: Tensors, size: Size, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    pooled_NE, stages = resnet_stages(stored, images_NCHW)
    return pooled_NE, stages[-1]


def sam_by_timm(stored: Tensors, size: Size, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    network: Any = VisionTransformerSAM(
        img_size=1024,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.heads,
        global_attn_indexes=size.global_blocks,
        window_size=14,
        use_rel_pos=True,
        num_classes=0,
        norm_layer=cast(Any, partial(nn.LayerNorm, eps=1e-6)),
    )
    own = {name for name in network.state_dict() if not name.startswith("neck.")}
    told = network.eval().load_state_dict(from_sam(dict(stored), network), strict=False)
    assert not own & set(told.missing_keys), "timm took every tensor of the encoder"
    for at in size.global_blocks:  # the nearest row of each table
        attention = network.blocks[at].attn
        for name, side in zip(("rel_pos_h", "rel_pos_w"), images_NCHW.shape[2:], strict=True):
            table_RE, rows = getattr(attention, name), 2 * (side // 16) - 1
            setattr(attention, name, nn.Parameter(table_RE[torch.arange(rows) * len(table_RE) // rows].clone()))
    network.neck = nn.Identity()
    tokens_NTE = network.forward_features(images_NCHW).flatten(2).transpose(1, 2)
    return tokens_NTE.mean(dim=1), tokens_NTE


def clip_by_timm(stored: Tensors, size: Size, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    shape: dict[str, Any] = {"embed_dim": size.width, "depth": size.depth, "num_heads": size.heads}
    classes = stored["visual.proj"].shape[1]
    network: Any = timm.create_model(
        "vit_base_patch16_clip_224.laion2b", num_classes=classes, img_size=tuple(images_NCHW.shape[2:]), **shape
    )
    network.eval().load_state_dict(from_clip(dict(stored), network))
    last_NTE = network.blocks(network.norm_pre(network._pos_embed(network.patch_embed(images_NCHW))))
    return network(images_NCHW), last_NTE[:, 1:]


def encode_image(spec: BackboneSpec, stored: Tensors, images_NCHW: Tensor) -> Tensor:
    """The pooled embedding as open_clip's model of both towers gives it, N × D."""
    model = build_model(replace(spec, weights=RandomWeights()), None)
    model.load_state_dict(stored, strict=True)
    return model.encode_image(images_NCHW)


def blip_by_timm(stored: Tensors, size: Size, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    shape: dict[str, Any] = {"embed_dim": size.width, "depth": size.depth, "num_heads": size.heads}
    network: Any = timm.create_model(
        "vit_base_patch16_224", num_classes=0, img_size=tuple(images_NCHW.shape[2:]), **shape
    )
    prefix = "visual_encoder."
    tensors = {name.removeprefix(prefix): each for name, each in stored.items() if name.startswith(prefix)}
    grid_1EPP = tensors["pos_embed"][:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2)
    grid = [side // 16 for side in images_NCHW.shape[2:]]
    resized = functional.interpolate(grid_1EPP, size=grid, mode="bicubic", align_corners=False)
    tensors["pos_embed"] = torch.cat([tensors["pos_embed"][:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
    network.eval().load_state_dict(tensors)
    tokens_NTE = network.forward_features(images_NCHW)
    return tokens_NTE[:, 0], tokens_NTE[:, 1:]


def seem_by_algebra(stored: Tensors, size: Size, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    last_NTE = seem.levels(stored, images_NCHW)[-1]
    return last_NTE.mean(dim=1), last_NTE


# Of the paper's eight: who implements it a second time.
SECOND: dict[str, tuple[str, Second]] = {
    "sam_vitb16": ("timm", sam_by_timm),
    "seem_focalt": ("plain tensor algebra", seem_by_algebra),
    "dinov2_vitb14": ("transformers", partial(vit_by_transformers, offset=0.1)),
    "blip_vitb16": ("timm", blip_by_timm),
    "openclip_vitb16": ("timm", clip_by_timm),
    "imagenet_deitb16": ("transformers", partial(vit_by_transformers, offset=0.0)),
    "imagenet_resnet152": ("torchvision", resnet_by_torchvision),
    "dino_vitb16": ("transformers", partial(vit_by_transformers, offset=0.1)),
}


def colour(images_NCHW: Tensor) -> Tensor:
    """Grey images with two blank channels: a network that keeps its first kernel sees what the whole one sees then."""
    return functional.pad(images_NCHW, (0, 0, 0, 0, 0, 3 - images_NCHW.shape[1]))

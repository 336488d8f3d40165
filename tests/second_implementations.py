"""Second implementations of the backbones in `tests/published_files.py`, from the tensors of those files.

Each takes the tensors and colour images, and gives the pooled embedding, N × D, and the tokens, N × T × E.

Legend: N images, C channels, H and W pixels, P places of a grid, T tokens, E a token's width, h heads, F a head's
width, D the embedding's width.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
)

from benchmarks.parity.references import vit_by_transformers
from tests.published_files import (
    REGISTERS,
    SIGLIP_DEPTH,
    SIGLIP_HEADS,
    SIGLIP_WITHIN,
    SIZE,
    densenet121,
    resnet18,
    vgg16,
)

Stored = Mapping[str, Tensor]
Second = Callable[[Stored, Tensor], tuple[Tensor, Tensor]]


def renamed(stored: Stored, rules: Mapping[str, str]) -> dict[str, Tensor]:
    """Every tensor whose name a rule matches, under the name that the first such rule makes of it."""
    found: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        for pattern, theirs in rules.items():
            if re.fullmatch(pattern, name):
                found[re.sub(f"^{pattern}$", theirs, name)] = tensor
                break
    return found


def split(tensors: Stored, name: str, parts: tuple[str, ...]) -> dict[str, Tensor]:
    """Tensors whose names hold `name`, three in one, as three tensors that hold each of `parts` in its place."""
    done: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        pieces = zip(parts, tensor.chunk(3), strict=True) if name in key else ((name, tensor),)
        done |= {key.replace(name, part): piece for part, piece in pieces}
    return done


def smoothly(table_1PE: Tensor, places: int, grid: tuple[int, int]) -> Tensor:
    """A square grid's positions on another grid: bicubic with antialiasing."""
    places_1EPP = table_1PE.unflatten(1, (places, places)).permute(0, 3, 1, 2)
    resized = functional.interpolate(places_1EPP, size=grid, mode="bicubic", antialias=True)
    return table_1PE if grid == (places, places) else resized.flatten(2).transpose(1, 2)


def grid_of(images_NCHW: Tensor, patch: int) -> tuple[int, int]:
    return images_NCHW.shape[2] // patch, images_NCHW.shape[3] // patch


def vit(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    table_1TE = stored["pos_embed"]
    table_1TE = torch.cat([table_1TE[:, :1], smoothly(table_1TE[:, 1:], 14, grid_of(images_NCHW, 16))], dim=1)
    return vit_by_transformers({**stored, "pos_embed": table_1TE}, SIZE, images_NCHW, offset=0.0)


def common(images_NCHW: Tensor) -> dict[str, Any]:
    return {
        "hidden_size": SIZE.width,
        "num_hidden_layers": SIZE.depth,
        "num_attention_heads": SIZE.heads,
        "image_size": images_NCHW.shape[-1],
        "attn_implementation": "eager",
    }


def clip_of_timms_names(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    block, theirs = r"blocks\.(\d+)\.", r"encoder.layers.\1."
    rules = {
        "cls_token": "embeddings.class_embedding",
        "pos_embed": "embeddings.position_embedding.weight",
        r"patch_embed\.proj\.weight": "embeddings.patch_embedding.weight",
        r"norm_pre\.(\w+)": r"pre_layrnorm.\1",
        r"norm\.(\w+)": r"post_layernorm.\1",
        block + r"norm([12])\.(\w+)": theirs + r"layer_norm\2.\3",
        block + r"attn\.qkv\.(\w+)": theirs + r"self_attn.qkv.\2",
        block + r"attn\.proj\.(\w+)": theirs + r"self_attn.out_proj.\2",
        block + r"mlp\.(\w+)\.(\w+)": theirs + r"mlp.\2.\3",
    }
    tensors = split(renamed(stored, rules), "qkv", ("q_proj", "k_proj", "v_proj"))
    table = tensors["embeddings.position_embedding.weight"]
    tensors["embeddings.position_embedding.weight"] = torch.cat(
        [table[:, :1], smoothly(table[:, 1:], 14, grid_of(images_NCHW, 16))], dim=1
    )[0]
    tensors["embeddings.class_embedding"] = tensors["embeddings.class_embedding"].flatten()
    # Fine-tuned in timm, whose norms have this.
    config = CLIPVisionConfig(
        patch_size=16,
        intermediate_size=4 * SIZE.width,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
        **common(images_NCHW),
    )
    model: Any = CLIPVisionModel(config).eval()
    prefix = "vision_model." if any(each.startswith("vision_model.") for each in model.state_dict()) else ""
    model.load_state_dict({prefix + name: tensor for name, tensor in tensors.items()}, strict=True)
    told = model(pixel_values=images_NCHW)
    norm = model.get_submodule(f"{prefix}post_layernorm")
    return told.pooler_output, norm(told.last_hidden_state)[:, 1:]


def clip_of_open_clips_names(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    block, theirs = r"visual\.transformer\.resblocks\.(\d+)\.", r"vision_model.encoder.layers.\1."
    rules = {
        r"visual\.class_embedding": "vision_model.embeddings.class_embedding",
        r"visual\.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        r"visual\.conv1\.weight": "vision_model.embeddings.patch_embedding.weight",
        r"visual\.ln_pre\.(\w+)": r"vision_model.pre_layrnorm.\1",
        r"visual\.ln_post\.(\w+)": r"vision_model.post_layernorm.\1",
        r"visual\.proj": "visual_projection.weight",
        block + r"ln_([12])\.(\w+)": theirs + r"layer_norm\2.\3",
        block + r"attn\.in_proj_(\w+)": theirs + r"self_attn.qkv.\2",
        block + r"attn\.out_proj\.(\w+)": theirs + r"self_attn.out_proj.\2",
        block + r"mlp\.c_fc\.(\w+)": theirs + r"mlp.fc1.\2",
        block + r"mlp\.c_proj\.(\w+)": theirs + r"mlp.fc2.\2",
    }
    tensors = split(renamed(stored, rules), "qkv", ("q_proj", "k_proj", "v_proj"))
    table = tensors["vision_model.embeddings.position_embedding.weight"]
    tensors["vision_model.embeddings.position_embedding.weight"] = torch.cat(
        [table[:1], smoothly(table[None, 1:], 14, grid_of(images_NCHW, 16))[0]]
    )
    tensors["visual_projection.weight"] = tensors["visual_projection.weight"].T
    # Of open_clip's tiny version.
    size: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = CLIPVisionConfig(
        patch_size=16,
        intermediate_size=256,
        projection_dim=48,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
        **(common(images_NCHW) | size),
    )
    model: Any = CLIPVisionModelWithProjection(config).eval()
    model.load_state_dict(tensors, strict=True)
    told = model(pixel_values=images_NCHW)
    return told.image_embeds, told.last_hidden_state[:, 1:]


# What DINOv2 and DINOv3 call the parts of a block alike, and transformers' names of them.
_DINO_BLOCK = {
    r"blocks\.(\d+)\.norm([12])\.(\w+)": r"layer.\1.norm\2.\3",
    r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)": r"layer.\1.attention.qkv.\2",
    r"blocks\.(\d+)\.attn\.proj\.(\w+)": r"layer.\1.attention.o_proj.\2",
    r"blocks\.(\d+)\.ls([12])\.gamma": r"layer.\1.layer_scale\2.lambda1",
}


def dinov2_with_registers(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    swiglu = "blocks.0.mlp.w12.weight" in stored
    rules = {
        "(cls_token|mask_token|register_tokens)": r"embeddings.\1",
        "pos_embed": "embeddings.position_embeddings",
        r"patch_embed\.proj\.(\w+)": r"embeddings.patch_embeddings.projection.\1",
        r"norm\.(\w+)": r"layernorm.\1",
        **{ours: f"encoder.{theirs}" for ours, theirs in _DINO_BLOCK.items()},
        r"blocks\.(\d+)\.mlp\.w12\.(\w+)": r"encoder.layer.\1.mlp.weights_in.\2",
        r"blocks\.(\d+)\.mlp\.w3\.(\w+)": r"encoder.layer.\1.mlp.weights_out.\2",
        r"blocks\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"encoder.layer.\1.mlp.\2.\3",
    }
    config = Dinov2WithRegistersConfig(
        patch_size=14,
        mlp_ratio=4,
        num_register_tokens=REGISTERS,
        use_swiglu_ffn=swiglu,
        **{**common(images_NCHW), "image_size": 518},
    )
    model: Any = Dinov2WithRegistersModel(config).eval()
    tensors = split(renamed(stored, rules), "qkv", ("q_proj", "k_proj", "v_proj"))
    model.load_state_dict(_as_named_by(model, tensors), strict=True)
    kept: list[Tensor] = []
    model.layernorm.register_forward_hook(lambda module, given, result: kept.append(given[0]))
    pooled_NE = model(pixel_values=images_NCHW).last_hidden_state[:, 0]
    return pooled_NE, kept[0][:, 1 + REGISTERS :]


def _as_named_by(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A gated MLP's layers are one tensor in some versions of transformers, and two in others."""
    if any("mlp.gate_proj" in name for name in model.state_dict()):
        halves = {name: each for name, each in tensors.items() if "weights_in" in name}
        for name, each in halves.items():
            for part, half in zip(("gate_proj", "up_proj"), each.chunk(2), strict=True):
                tensors[name.replace("weights_in", part)] = half
            del tensors[name]
        return {name.replace("weights_out", "down_proj"): each for name, each in tensors.items()}
    return tensors


def dinov3(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    rules = {
        "(cls_token)": r"embeddings.\1",
        "storage_tokens": "embeddings.register_tokens",
        r"patch_embed\.proj\.(\w+)": r"embeddings.patch_embeddings.\1",
        r"norm\.(\w+)": r"norm.\1",
        **{ours: f"model.{theirs}" for ours, theirs in _DINO_BLOCK.items()},
        r"blocks\.(\d+)\.mlp\.fc1\.(\w+)": r"model.layer.\1.mlp.up_proj.\2",
        r"blocks\.(\d+)\.mlp\.fc2\.(\w+)": r"model.layer.\1.mlp.down_proj.\2",
    }
    tensors = split(renamed(stored, rules), "qkv", ("q_proj", "k_proj", "v_proj"))
    tensors = {name: each for name, each in tensors.items() if not name.endswith("k_proj.bias")}
    tensors["embeddings.mask_token"] = stored["mask_token"][None]
    config = DINOv3ViTConfig(
        patch_size=16, intermediate_size=4 * SIZE.width, num_register_tokens=REGISTERS, **common(images_NCHW)
    )
    model: Any = DINOv3ViTModel(config).eval()
    model.load_state_dict(tensors, strict=True)
    for module in model.modules():
        if hasattr(module, "inv_freq"):  # the publisher's periods are rounded
            module.inv_freq.copy_(1 / stored["rope_embed.periods"].float())
    told = model(pixel_values=images_NCHW)
    return told.pooler_output, told.last_hidden_state[:, 1 + REGISTERS :]


def siglip_by_timm(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    block = r"vision_model\.encoder\.layers\.(\d+)\."
    rules = {
        r"vision_model\.embeddings\.patch_embedding\.(\w+)": r"patch_embed.proj.\1",
        r"vision_model\.post_layernorm\.(\w+)": r"norm.\1",
        r"vision_model\.head\.probe": "attn_pool.latent",
        r"vision_model\.head\.attention\.out_proj\.(\w+)": r"attn_pool.proj.\1",
        r"vision_model\.head\.layernorm\.(\w+)": r"attn_pool.norm.\1",
        r"vision_model\.head\.mlp\.(fc[12])\.(\w+)": r"attn_pool.mlp.\1.\2",
        block + r"layer_norm([12])\.(\w+)": r"blocks.\1.norm\2.\3",
        block + r"self_attn\.out_proj\.(\w+)": r"blocks.\1.attn.proj.\2",
        block + r"mlp\.(fc[12])\.(\w+)": r"blocks.\1.mlp.\2.\3",
    }
    tensors = renamed(stored, rules)
    for kind in ("weight", "bias"):
        query, key, value = stored[f"vision_model.head.attention.in_proj_{kind}"].chunk(3)
        tensors |= {f"attn_pool.q.{kind}": query, f"attn_pool.kv.{kind}": torch.cat([key, value])}
        for number in range(SIGLIP_DEPTH):
            prefix = f"vision_model.encoder.layers.{number}.self_attn."
            parts = [stored[f"{prefix}{each}_proj.{kind}"] for each in "qkv"]
            tensors[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    grid = grid_of(images_NCHW, 16)
    table_1EPP = stored["vision_model.embeddings.position_embedding.weight"].T.unflatten(1, (14, 14))[None]
    resized = table_1EPP if grid == (14, 14) else functional.interpolate(table_1EPP, size=grid, mode="bicubic")
    tensors["pos_embed"] = resized.flatten(2).transpose(1, 2)
    network: Any = timm.create_model(
        "vit_base_patch16_siglip_224",
        num_classes=0,
        img_size=tuple(images_NCHW.shape[2:]),
        embed_dim=SIZE.width,
        depth=SIGLIP_DEPTH,
        num_heads=SIGLIP_HEADS,
        mlp_ratio=SIGLIP_WITHIN / SIZE.width,
        act_layer="gelu_tanh",
    )
    network.eval().load_state_dict(tensors, strict=True)
    tokens_NTE = network.forward_features(images_NCHW)
    return network.forward_head(tokens_NTE, pre_logits=True), tokens_NTE


def hooked(stages: list[Any]) -> list[Tensor]:
    """What the stages will give, as tokens, once the network has run."""
    maps: list[Tensor] = []
    for stage in stages:
        stage.register_forward_hook(lambda module, given, result: maps.append(result.flatten(2).transpose(1, 2)))
    return maps


def resnet_stages(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    network: Any = resnet18().eval()
    network.load_state_dict(stored, strict=True)
    network.fc = nn.Identity()
    maps = hooked([network.layer1, network.layer2, network.layer3, network.layer4])
    return network(images_NCHW), maps


def densenet_stages(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Maps of the four blocks, and that which is pooled: normed, and without what is negative."""
    network: Any = densenet121().eval()
    network.load_state_dict(stored, strict=True)
    network.classifier = nn.Identity()
    maps = hooked([getattr(network.features, f"denseblock{number}") for number in (1, 2, 3, 4)])
    pooled_NE = network(images_NCHW)
    return pooled_NE, [*(each.clone() for each in maps), network.features(images_NCHW).relu().flatten(2).mT]


def vgg_stages(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    network: Any = vgg16().eval()
    network.load_state_dict(stored, strict=True)
    network.classifier = network.classifier[:6]
    maps = hooked([each for each in network.features if isinstance(each, nn.MaxPool2d)])
    return network(images_NCHW), maps


def efficientnet_stages(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One block of each of B4's stages; timm's tensors stand in torchvision's order."""
    block = partial(MBConvConfig, num_layers=1, width_mult=1.4, depth_mult=1.0)
    settings = [
        block(1, 3, 1, 32, 16),
        block(6, 3, 2, 16, 24),
        block(6, 5, 2, 24, 40),
        block(6, 3, 2, 40, 80),
        block(6, 5, 1, 80, 112),
        block(6, 5, 2, 112, 192),
        block(6, 3, 1, 192, 320),
    ]
    network: Any = EfficientNet(settings, dropout=0.4).eval()
    counters = {name: each for name, each in network.state_dict().items() if each.ndim == 0}
    own = [name for name in network.state_dict() if name not in counters]
    tensors = [each for name, each in stored.items() if not name.endswith("num_batches_tracked")]
    network.load_state_dict({**counters, **dict(zip(own, tensors, strict=True))}, strict=True)
    network.classifier = nn.Identity()
    maps = hooked([*network.features[1:8], network.features[8]])
    return network(images_NCHW), maps


def turned(vectors_NhPF: Tensor, angles_PF: Tensor) -> Tensor:
    """Rotary positions: each pair of neighbours turned by its place's angle."""
    first, second = vectors_NhPF[..., 0::2], vectors_NhPF[..., 1::2]
    aside = torch.stack([-second, first], dim=-1).flatten(-2)
    return vectors_NhPF * angles_PF.cos() + aside * angles_PF.sin()


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int, angles_PF: Tensor | None = None) -> Tensor:
    """Attention by its definition, of N × T × E; `angles` turn all tokens but the first."""
    query, key, value = (each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    if angles_PF is not None:
        query, key = (torch.cat([each[:, :, :1], turned(each[:, :, 1:], angles_PF)], dim=2) for each in (query, key))
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def angles(first_P: Tensor, second_P: Tensor, width: int) -> Tensor:
    """Of places by two coordinates: half of a head's width for each, every frequency for a pair of neighbours."""
    frequencies = 10000.0 ** (-torch.arange(0, width // 2, 2) / (width // 2))
    return torch.cat([(each[:, None] * frequencies).repeat_interleave(2, dim=1) for each in (first_P, second_P)], dim=1)


def coordinates(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Row and column of each place, row by row."""
    rows, columns = grid
    return torch.arange(rows).repeat_interleave(columns).float(), torch.arange(columns).repeat(rows).float()


def patches_of(images_NCHW: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.conv2d(images_NCHW, kernel, bias, stride=kernel.shape[-1]).flatten(2).mT


def eva02_by_algebra(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Of square images. After Sun et al. 2023, eva_clip/eva_vit_model.py; at another size as timm stretches it."""
    own = {name.removeprefix("visual.trunk."): each for name, each in stored.items()}

    def linear(name: str, given: Tensor) -> Tensor:
        return functional.linear(given, own[f"{name}.weight"], own.get(f"{name}.bias"))

    def norm(name: str, given: Tensor) -> Tensor:
        return functional.layer_norm(given, given.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], 1e-6)

    grid = grid_of(images_NCHW, 16)
    table = own["pos_embed"]
    patches = patches_of(images_NCHW, own["patch_embed.proj.weight"], own["patch_embed.proj.bias"])
    tokens = torch.cat([own["cls_token"].expand(len(images_NCHW), -1, -1), patches], dim=1)
    tokens = tokens + torch.cat([table[:, :1], smoothly(table[:, 1:], 14, grid)], dim=1)
    row, column = (each / grid[0] * 16 for each in coordinates(grid))  # as if there were 16, as in its pre-training
    turns = angles(row, column, SIZE.width // SIZE.heads)
    for block in (f"blocks.{number}" for number in range(SIZE.depth)):
        seen = norm(f"{block}.norm1", tokens)
        query, key, value = (linear(f"{block}.attn.{each}_proj", seen) for each in "qkv")
        inner = norm(f"{block}.attn.norm", attended(query, key, value, SIZE.heads, turns))
        tokens = tokens + linear(f"{block}.attn.proj", inner)
        seen = norm(f"{block}.norm2", tokens)
        gated = functional.silu(linear(f"{block}.mlp.fc1_g", seen)) * linear(f"{block}.mlp.fc1_x", seen)
        tokens = tokens + linear(f"{block}.mlp.fc2", norm(f"{block}.mlp.norm", gated))
    tokens = norm("norm", tokens)
    return tokens[:, 0], tokens[:, 1:]


def bilinear(places_P: int, places: int) -> Tensor:
    """Weights of linear interpolation from `places_P` samples to `places`; borders repeat."""
    weights = torch.zeros(places, places_P)
    for at in range(places):
        where = max((at + 0.5) * places_P / places - 0.5, 0.0)
        low = int(where)
        weights[at, low] += 1 - (where - low)
        weights[at, min(low + 1, places_P - 1)] += where - low
    return weights


def perception_encoder_by_algebra(stored: Stored, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """After Bolya et al. 2025, core/vision_encoder/pe.py and rope.py."""
    own = {name.removeprefix("visual."): each for name, each in stored.items()}

    def linear(name: str, given: Tensor) -> Tensor:
        return functional.linear(given, own[f"{name}.weight"], own[f"{name}.bias"])

    def norm(name: str, given: Tensor) -> Tensor:
        return functional.layer_norm(given, given.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], 1e-5)

    def mlp(name: str, given: Tensor) -> Tensor:
        return linear(f"{name}.c_proj", functional.gelu(linear(f"{name}.c_fc", given)))

    table, kernel = own["positional_embedding"], own["conv1.weight"]
    places, grid = round((len(table) - 1) ** 0.5), grid_of(images_NCHW, kernel.shape[-1])
    resized = torch.einsum(
        "rp,cq,pqe->rce", bilinear(places, grid[0]), bilinear(places, grid[1]), table[1:].unflatten(0, (places, places))
    )
    class_N1E = own["class_embedding"].expand(len(images_NCHW), 1, -1)
    tokens = torch.cat([class_N1E, patches_of(images_NCHW, kernel)], dim=1)
    tokens = norm("ln_pre", tokens + torch.cat([table[:1], resized.flatten(0, 1)]))
    row, column = (each + 1 for each in coordinates(grid))
    turns = angles(column, row, SIZE.width // SIZE.heads)
    for block in (f"transformer.resblocks.{number}" for number in range(SIZE.depth)):
        seen = norm(f"{block}.ln_1", tokens)
        together = functional.linear(seen, own[f"{block}.attn.in_proj_weight"], own[f"{block}.attn.in_proj_bias"])
        tokens = tokens + linear(f"{block}.attn.out_proj", attended(*together.chunk(3, dim=2), SIZE.heads, turns))
        tokens = tokens + mlp(f"{block}.mlp", norm(f"{block}.ln_2", tokens))
    seen = norm("ln_post", tokens)
    weights, biases = (own[f"attn_pool.attn.in_proj_{kind}"].chunk(3) for kind in ("weight", "bias"))
    given = (own["attn_pool.probe"].expand(len(seen), -1, -1), seen, seen)
    query, key, value = (functional.linear(*each) for each in zip(given, weights, biases, strict=True))
    pooled = linear("attn_pool.attn.out_proj", attended(query, key, value, 8))
    pooled = pooled + mlp("attn_pool.mlp", norm("attn_pool.layernorm", pooled))
    return pooled[:, 0] @ own["proj"], tokens[:, 1:]

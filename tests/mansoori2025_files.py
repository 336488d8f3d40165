"""SAM 2.1, MAE and CoCa at tiny width: files as their authors publish them, and second implementations. AIMv2's and
VMamba's stand in files of their own.

Names and shapes are the publishers', written down from their code or, for CoCa, told by the library that trained it;
the numbers are random, and none has its usual value.

Legend: N images, C channels, H and W pixels, h and w patches, T tokens, E a token's width, Q queries, D the
embedding's width.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig, Sam2VisionConfig
from transformers.models.sam2.modeling_sam2 import Sam2VisionModel

from benchmarks.parity.published import TINY, Tensors, drawn, random_like, vit
from benchmarks.parity.references import vit_by_transformers
from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from tests.aimv2_files import aimv2, aimv2_by_transformers, bicubic
from tests.vmamba_files import vmamba, vmamba_by_algebra

Outcome = tuple[Tensor, Tensor]
Second = Callable[[BackboneSpec, Mapping[str, Tensor], Tensor], Outcome]

STAGES, HIERA_WIDTH, NECK = (1, 1, 3, 2), 16, 24
# Of B+ and L: facebookresearch/sam2, sam2/configs/sam2.1.
WINDOWS = {"sam2_hierabplus": (8, 4, 14, 7), "sam2_hieral": (8, 4, 16, 8)}
BACKGROUND = {"sam2_hierabplus": 14, "sam2_hieral": 7}


def sam2(spec: BackboneSpec) -> Tensors:
    """The image encoder, and a tensor of the mask decoder and of the memory.

    After facebookresearch/sam2, sam2/modeling/backbones/hieradet.py and image_encoder.py.
    """
    side = BACKGROUND[spec.name]
    shapes: dict[str, tuple[int, ...]] = {
        "trunk.pos_embed": (1, HIERA_WIDTH, side, side),
        "trunk.pos_embed_window": (1, HIERA_WIDTH, 8, 8),
        "trunk.patch_embed.proj.weight": (HIERA_WIDTH, 3, 7, 7),
        "trunk.patch_embed.proj.bias": (HIERA_WIDTH,),
    }

    def add(name: str, *shape: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    widths = [HIERA_WIDTH * 2**stage for stage, depth in enumerate(STAGES) for _ in range(depth)]
    for number, (given, wide) in enumerate(zip([HIERA_WIDTH, *widths], widths, strict=False)):
        block = f"trunk.blocks.{number}"
        add(f"{block}.norm1", given)
        add(f"{block}.attn.qkv", 3 * wide, given)
        add(f"{block}.attn.proj", wide, wide)
        add(f"{block}.norm2", wide)
        add(f"{block}.mlp.layers.0", 4 * wide, wide)
        add(f"{block}.mlp.layers.1", wide, 4 * wide)
        if given != wide:
            add(f"{block}.proj", wide, given)
    for number, stage in enumerate((3, 2, 1, 0)):
        add(f"neck.convs.{number}.conv", NECK, HIERA_WIDTH * 2**stage, 1, 1)
    encoder = {f"image_encoder.{name}": tensor for name, tensor in drawn(shapes).items()}
    return encoder | {
        "sam_mask_decoder.iou_token.weight": torch.zeros(1, 256),
        "memory_attention.norm.weight": torch.ones(256),
    }


def sam2_by_transformers(spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    side = BACKGROUND[spec.name]
    trunk = Sam2HieraDetConfig(
        hidden_size=HIERA_WIDTH,
        num_attention_heads=1,
        blocks_per_stage=list(STAGES),
        embed_dim_per_stage=[HIERA_WIDTH * 2**stage for stage in range(4)],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=list(WINDOWS[spec.name]),
        window_positional_embedding_background_size=[side, side],
        global_attention_blocks=[3],
    )
    config = Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=[HIERA_WIDTH * 2**stage for stage in (3, 2, 1, 0)],
        fpn_hidden_size=NECK,
    )
    renamed: Tensors = {}
    for name, tensor in stored.items():
        if name.startswith("image_encoder."):
            ours = name.removeprefix("image_encoder.").replace("trunk.", "backbone.").replace(".conv.", ".")
            for theirs, own in (
                ("patch_embed.proj.", "patch_embed.projection."),
                (".norm1.", ".layer_norm1."),
                (".norm2.", ".layer_norm2."),
                (".layers.0.", ".proj_in."),
                (".layers.1.", ".proj_out."),
            ):
                ours = ours.replace(theirs, own)
            renamed[ours] = tensor
    model = Sam2VisionModel(config).eval()
    model.load_state_dict(renamed, strict=True)
    # From the finest on; what SAM 2 calls the vision features is the last, for the coarsest is left out.
    map_NChw = model(images_NCHW).fpn_hidden_states[-1]
    tokens_NTE = map_NChw.flatten(2).transpose(1, 2)
    return tokens_NTE.mean(dim=1), tokens_NTE


def mae(spec: BackboneSpec) -> Tensors:
    patch = 14 if spec.name.endswith("14") else 16
    return vit(TINY["timm"], patch, 224 // patch)


def mae_by_transformers(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    encoder = {name: each for name, each in stored.items() if not name.startswith(("decoder_", "mask_token"))}
    _, tokens_NTE = vit_by_transformers(encoder, TINY["timm"], images_NCHW, offset=0.0)
    return tokens_NTE.mean(dim=1), tokens_NTE


def coca(spec: BackboneSpec) -> Tensors:
    """Image tower, text tower and the decoder that writes captions."""
    return random_like(build_model(replace(spec, weights=RandomWeights()), None))


def coca_by_transformers(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    """The tower by transformers' CLIP, what pools by plain tensor algebra."""
    visual = {name.removeprefix("visual."): each for name, each in stored.items() if name.startswith("visual.")}
    patch, pixels = visual["conv1.weight"].shape[-1], images_NCHW.shape[-1]
    width = visual["class_embedding"].shape[0]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=pixels,
        patch_size=patch,
        hidden_act="gelu",
    )
    table_TE = visual["positional_embedding"]
    if (side := pixels // patch) ** 2 + 1 != len(table_TE):
        table_TE = torch.cat([table_TE[:1], bicubic(table_TE[1:], side)])
    renamed = {
        "embeddings.class_embedding": visual["class_embedding"],
        "embeddings.position_embedding.weight": table_TE,
        "embeddings.patch_embedding.weight": visual["conv1.weight"],
    }
    for kind in ("weight", "bias"):
        renamed[f"pre_layrnorm.{kind}"] = visual[f"ln_pre.{kind}"]
        renamed[f"post_layernorm.{kind}"] = torch.ones(width)  # not what pools here
        for number in range(3):
            theirs, ours = f"transformer.resblocks.{number}", f"encoder.layers.{number}"
            parts = visual[f"{theirs}.attn.in_proj_{kind}"].chunk(3)
            renamed |= {f"{ours}.self_attn.{each}_proj.{kind}": part for each, part in zip("qkv", parts, strict=True)}
            for own, other in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                renamed[f"{ours}.{own}.{kind}"] = visual[f"{theirs}.{other}.{kind}"]
    model = CLIPVisionModel(config).eval()
    state = model.state_dict()
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in state) else ""
    model.load_state_dict({prefix + name: tensor for name, tensor in renamed.items()}, strict=True)
    last_NTE = model(images_NCHW).last_hidden_state
    return pooled_by_queries(visual, last_NTE, heads=8) @ visual["proj"], last_NTE[:, 1:]


def pooled_by_queries(visual: Mapping[str, Tensor], tokens_NTE: Tensor, *, heads: int) -> Tensor:
    """What the first query finds among all tokens, normed, N × D."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return scaled * visual[f"{name}.weight"] + visual[f"{name}.bias"]

    def project(x: Tensor, letter: str, number: int) -> Tensor:
        bias = visual["attn_pool.attn.in_proj_bias"].chunk(3)[number]
        return (x @ visual[f"attn_pool.attn.{letter}_proj_weight"].T + bias).unflatten(-1, (heads, -1))

    seen_NTE, asked_QD = norm(tokens_NTE, "attn_pool.ln_k"), norm(visual["attn_pool.query"], "attn_pool.ln_q")
    query, key, value = project(asked_QD, "q", 0)[0], project(seen_NTE, "k", 1), project(seen_NTE, "v", 2)
    share = torch.einsum("he,nthe->nht", query, key).div(query.shape[-1] ** 0.5).softmax(dim=-1)
    found = torch.einsum("nht,nthe->nhe", share, value).flatten(1)
    out = found @ visual["attn_pool.attn.out_proj.weight"].T + visual["attn_pool.attn.out_proj.bias"]
    return norm(out, "ln_post")


# Of each row: what its file holds, and who implements it a second time.
FILES: dict[str, tuple[Callable[[BackboneSpec], Tensors], Second]] = {
    "sam2_hierabplus": (sam2, sam2_by_transformers),
    "sam2_hieral": (sam2, sam2_by_transformers),
    "mae_vitb16": (mae, mae_by_transformers),
    "mae_vitl16": (mae, mae_by_transformers),
    "mae_vith14": (mae, mae_by_transformers),
    "coca_vitb32": (coca, coca_by_transformers),
    "coca_vitl14": (coca, coca_by_transformers),
    "aimv2_vitl14": (aimv2, aimv2_by_transformers),
    "aimv2_vith14": (aimv2, aimv2_by_transformers),
    "vmamba_s": (vmamba, vmamba_by_algebra),
    "vmamba_b": (vmamba, vmamba_by_algebra),
}

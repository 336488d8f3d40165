"""BiomedCLIP, RAD-DINO, MedSigLIP and RETFound at tiny width: files as their authors publish them, and second
implementations.

Names and shapes are the publishers', the numbers random.

Legend: N images, C channels, H and W pixels, h and w patches, T tokens, E a token's width.
"""

from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
from torch import Tensor
from torch.nn import functional
from transformers import SiglipConfig, SiglipModel

from benchmarks.parity.published import TINY, Tensors, drawn, random_like, vit
from benchmarks.parity.references import vit_by_transformers
from pytest_fmtransfer.catalog.specs import BackboneSpec
from tests.mansoori2025_files import Outcome, Second, mae_by_transformers

SHARED = 32
SIGLIP: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


def biomedclip(_spec: BackboneSpec) -> Tensors:
    """Both towers as open_clip saves them, of the text's a tensor each of its parts."""
    trunk = vit(TINY["timm"], 16, 14)
    return {
        **{f"visual.trunk.{name}": tensor for name, tensor in trunk.items()},
        **drawn({"visual.head.proj.weight": (SHARED, TINY["timm"].width)}),
        "logit_scale": torch.tensor(4.0),
        "text.transformer.embeddings.word_embeddings.weight": torch.zeros(8, 4),
        "text.proj.0.weight": torch.zeros(6, 4),
    }


def biomedclip_by_transformers(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    prefix = "visual.trunk."
    trunk = {name.removeprefix(prefix): each for name, each in stored.items() if name.startswith(prefix)}
    if (side := images_NCHW.shape[-1] // 16) != 14:
        table_1TE = trunk["pos_embed"]
        map_1Ehw = table_1TE[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2)
        resized = functional.interpolate(map_1Ehw, size=(side, side), mode="bicubic", antialias=True)
        trunk["pos_embed"] = torch.cat([table_1TE[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
    class_NE, tokens_NTE = vit_by_transformers(trunk, TINY["timm"], images_NCHW, offset=0.0)
    return class_NE @ stored["visual.head.proj.weight"].T, tokens_NTE


def raddino(_spec: BackboneSpec) -> Tensors:
    return vit(TINY["timm"], 14, 37, scaled=True)


def raddino_by_transformers(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    return vit_by_transformers(stored, TINY["timm"], images_NCHW, offset=0.1)


def medsiglip(_spec: BackboneSpec) -> Tensors:
    """Both sides as transformers saves them."""
    text = {**SIGLIP, "num_hidden_layers": 1, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
    vision = {**SIGLIP, "image_size": 448, "patch_size": 14}
    return random_like(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))


def medsiglip_by_timm(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> Outcome:
    network: Any = timm.create_model(
        "vit_so400m_patch14_siglip_384",
        num_classes=0,
        img_size=images_NCHW.shape[-1],
        embed_dim=48,
        depth=3,
        num_heads=4,
        mlp_ratio=2,
        act_layer="gelu_tanh",
    )
    prefix, renamed = "vision_model.", dict[str, Tensor]()
    vision = {name.removeprefix(prefix): each for name, each in stored.items() if name.startswith(prefix)}
    for kind in ("weight", "bias"):
        queries, *others = vision.pop(f"head.attention.in_proj_{kind}").chunk(3)
        renamed |= {f"attn_pool.q.{kind}": queries, f"attn_pool.kv.{kind}": torch.cat(others)}
        for number in range(3):
            parts = [vision.pop(f"encoder.layers.{number}.self_attn.{each}_proj.{kind}") for each in "qkv"]
            renamed[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    table_TE = vision.pop("embeddings.position_embedding.weight")
    if (side := images_NCHW.shape[-1] // 14) != 32:
        map_1Ehw = table_TE.unflatten(0, (32, 32)).permute(2, 0, 1).unsqueeze(0)
        table_TE = functional.interpolate(map_1Ehw, size=(side, side), mode="bicubic")[0].flatten(1).T
    renamed |= {"pos_embed": table_TE.unsqueeze(0), "attn_pool.latent": vision.pop("head.probe")}
    for name, tensor in vision.items():
        for theirs, ours in (
            ("embeddings.patch_embedding.", "patch_embed.proj."),
            ("encoder.layers.", "blocks."),
            (".self_attn.out_proj.", ".attn.proj."),
            (".layer_norm", ".norm"),
            ("post_layernorm.", "norm."),
            ("head.attention.out_proj.", "attn_pool.proj."),
            ("head.layernorm.", "attn_pool.norm."),
            ("head.mlp.", "attn_pool.mlp."),
        ):
            name = name.replace(theirs, ours)
        renamed[name] = tensor
    network.eval().load_state_dict(renamed, strict=True)
    tokens_NTE = network.forward_features(images_NCHW)
    return network.forward_head(tokens_NTE, pre_logits=True), tokens_NTE


def retfound(_spec: BackboneSpec) -> Tensors:
    """As it was saved while it learnt, with a decoder: the parts that rmaphoh/RETFound issue 25 lists."""
    width = TINY["timm"].width
    decoder = {
        "mask_token": (1, 1, 8),
        "decoder_pos_embed": (1, 197, 8),
        "decoder_embed.weight": (8, width),
        "decoder_embed.bias": (8,),
        "decoder_blocks.0.norm1.weight": (8,),
        "decoder_norm.weight": (8,),
        "decoder_pred.weight": (768, 8),
    }
    return vit(TINY["timm"], 16, 14) | drawn(decoder)


FILES: dict[str, tuple[Callable[[BackboneSpec], Tensors], Second]] = {
    "biomedclip_vitb16": (biomedclip, biomedclip_by_transformers),
    "raddino_vitb14": (raddino, raddino_by_transformers),
    "medsiglip_so400m14": (medsiglip, medsiglip_by_timm),
    "retfound_cfp_vitl16": (retfound, mae_by_transformers),
    "retfound_oct_vitl16": (retfound, mae_by_transformers),
}

"""AIMv2 at tiny width: its file in both names that Apple has used, and the network by transformers.

The numbers are random.

Legend: N images, C channels, H and W pixels, h and w patches, T tokens, E a token's width.
"""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional
from transformers import Aimv2VisionConfig, Aimv2VisionModel

from benchmarks.parity.published import TINY, Tensors, drawn
from pytest_fmtransfer.catalog.specs import BackboneSpec

# mlp_ratio of L and H, times the tiny width: apple/ml-aim, aim-v2/aim/v2/torch/models.py.
HIDDEN = {"aimv2_vitl14": 132, "aimv2_vith14": 128}


def aimv2(spec: BackboneSpec) -> Tensors:
    """In the names of apple/ml-aim: aim-v2/aim/v2/torch, and aim-v1/aim/v1/torch, which it builds on."""
    width, hidden = TINY["timm"].width, HIDDEN[spec.name]
    shapes: dict[str, tuple[int, ...]] = {
        "preprocessor.pos_embed": (1, 256, width),
        "preprocessor.patchifier.proj.weight": (width, 3, 14, 14),
        "preprocessor.patchifier.proj.bias": (width,),
        "preprocessor.patchifier.norm.weight": (width,),
    }
    for block in (f"trunk.blocks.{number}" for number in range(TINY["timm"].depth)):
        shapes |= {
            f"{block}.norm_1.weight": (width,),
            f"{block}.attn.qkv.weight": (3 * width, width),
            f"{block}.attn.proj.weight": (width, width),
            f"{block}.norm_2.weight": (width,),
            f"{block}.mlp.fc1.weight": (hidden, width),
            f"{block}.mlp.fc2.weight": (width, hidden),
            f"{block}.mlp.fc3.weight": (hidden, width),
        }
    return drawn(shapes | {"trunk.post_trunk_norm.weight": (width,)})


def aimv2_of_transformers(stored: Mapping[str, Tensor]) -> Tensors:
    """The same tensors in the names in which Apple has published them since 2025."""
    renamed: Tensors = {
        "embeddings.position_embedding.weight": stored["preprocessor.pos_embed"][0],
        "embeddings.patch_embed.weight": stored["preprocessor.patchifier.proj.weight"],
        "embeddings.patch_embed.bias": stored["preprocessor.patchifier.proj.bias"],
        "embeddings.rms_norm.weight": stored["preprocessor.patchifier.norm.weight"],
        "rms_norm.weight": stored["trunk.post_trunk_norm.weight"],
    }
    for number in range(TINY["timm"].depth):
        theirs, ours = f"trunk.blocks.{number}", f"encoder.layers.{number}"
        parts = stored[f"{theirs}.attn.qkv.weight"].chunk(3)
        renamed |= {f"{ours}.attention.{each}_proj.weight": part for each, part in zip("qkv", parts, strict=True)}
        for own, other in (
            ("attention.out_proj", "attn.proj"),
            ("rms_norm1", "norm_1"),
            ("rms_norm2", "norm_2"),
            ("ffn.gate_proj", "mlp.fc1"),
            ("ffn.up_proj", "mlp.fc3"),
            ("ffn.down_proj", "mlp.fc2"),
        ):
            renamed[f"{ours}.{own}.weight"] = stored[f"{theirs}.{other}.weight"]
    return renamed


def aimv2_by_transformers(
    spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor
) -> tuple[Tensor, Tensor]:
    size, pixels = TINY["timm"], images_NCHW.shape[-1]
    config = Aimv2VisionConfig(
        hidden_size=size.width,
        intermediate_size=HIDDEN[spec.name],
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        image_size=pixels,
        patch_size=14,
        use_head=False,
    )
    given, table = aimv2_of_transformers(stored), "embeddings.position_embedding.weight"
    if (side := pixels // 14) ** 2 != len(given[table]):
        given[table] = bicubic(given[table], side)
    model = Aimv2VisionModel(config).eval()
    model.load_state_dict(given, strict=True)
    tokens_NTE = model(images_NCHW).last_hidden_state
    return tokens_NTE.mean(dim=1), tokens_NTE


def bicubic(table_TE: Tensor, side: int) -> Tensor:
    """A square table of places on another square: with antialiasing."""
    grid = round(len(table_TE) ** 0.5)
    map_1Ehw = table_TE.unflatten(0, (grid, grid)).permute(2, 0, 1).unsqueeze(0)
    resized = functional.interpolate(map_1Ehw, size=(side, side), mode="bicubic", antialias=True)
    return resized[0].flatten(1).T

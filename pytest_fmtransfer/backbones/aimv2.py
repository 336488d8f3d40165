"""AIMv2's names of tensors, and timm's.

Apple has published this family under one file name in the names of its own code (github.com/apple/ml-aim, aim-v2) and,
since 2025, in those of the library transformers, where queries, keys and values are apart. A file is met in whichever
names it is in.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import load_tensors

Names = tuple[tuple[str, str], ...]

# timm's names, and Apple's.
_APPLES: Names = (
    (r"pos_embed", "preprocessor.pos_embed"),
    (r"patch_embed\.", "preprocessor.patchifier."),
    (r"blocks\.(\d+)\.norm([12])\.", r"trunk.blocks.\1.norm_\2."),
    (r"blocks\.(\d+)\.mlp\.fc1_g\.", r"trunk.blocks.\1.mlp.fc1."),
    (r"blocks\.(\d+)\.mlp\.fc1_x\.", r"trunk.blocks.\1.mlp.fc3."),
    (r"blocks\.", "trunk.blocks."),
    (r"norm\.", "trunk.post_trunk_norm."),
)
# timm's names, and those of transformers' `Aimv2VisionModel`.
_TRANSFORMERS: Names = (
    (r"pos_embed", "embeddings.position_embedding.weight"),
    (r"patch_embed\.proj\.", "embeddings.patch_embed."),
    (r"patch_embed\.norm\.", "embeddings.rms_norm."),
    (r"blocks\.(\d+)\.norm([12])\.", r"encoder.layers.\1.rms_norm\2."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.attention.out_proj."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.attention.qkv_proj."),  # put together first
    (r"blocks\.(\d+)\.mlp\.fc1_g\.", r"encoder.layers.\1.ffn.gate_proj."),
    (r"blocks\.(\d+)\.mlp\.fc1_x\.", r"encoder.layers.\1.ffn.up_proj."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"encoder.layers.\1.ffn.down_proj."),
    (r"norm\.", "rms_norm."),
)
_APART = re.compile(r"(encoder\.layers\.\d+\.attention)\.q_proj\.(\w+)")


def load(network: nn.Module, stored: Mapping[str, Tensor], path: Path) -> None:
    """Load a file of Apple's, in either of its names, into timm's network.

    Raises CheckpointMismatch, naming the first tensor that is missing, left over or of another shape.
    """
    apples = any(name.startswith("preprocessor.") for name in stored)
    names, tensors = (_APPLES, stored) if apples else (_TRANSFORMERS, _together(stored))
    theirs = {ours: _renamed(ours, names) for ours in network.state_dict()}
    own = {name: ours for ours, name in theirs.items()}
    load_tensors(network, {own.get(name, name): tensor for name, tensor in tensors.items()}, theirs, path)


def published_names(ours: Iterable[str]) -> dict[str, str]:
    """What Apple's own code calls tensors of timm's."""
    return {name: _renamed(name, _APPLES) for name in ours}


def _renamed(name: str, names: Names) -> str:
    for pattern, theirs in names:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", theirs, name)
    return name


def _together(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With queries, keys and values in one tensor and a table of positions with an axis of images, as timm has them.

    A block of which one of the three is absent, or of another shape, stays as it is, and is told by its names.
    """
    tensors = dict(stored)
    for query in stored:
        if not (found := _APART.fullmatch(query)):
            continue
        parts = [f"{found[1]}.{letter}_proj.{found[2]}" for letter in "qkv"]
        if all(part in stored and stored[part].shape == stored[query].shape for part in parts):
            tensors[f"{found[1]}.qkv_proj.{found[2]}"] = torch.cat([tensors.pop(part) for part in parts])
    table = "embeddings.position_embedding.weight"
    if table in tensors and tensors[table].ndim == 2:
        tensors[table] = tensors[table].unsqueeze(0)
    return tensors

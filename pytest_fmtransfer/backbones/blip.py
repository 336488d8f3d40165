"""BLIP's image encoder: its authors' names of tensors, and those of the library transformers.

The file holds a second encoder, a momentum copy whose names begin alike (`visual_encoder_m.`), and the text side. These
are other parts: what is met, to the last tensor, is `visual_encoder.`.
"""

import re
from pathlib import Path

from torch import nn

from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors

PREFIX, INSIDE = "visual_encoder.", "model"

# The library's names, and the publisher's.
_NAMES = (
    (r"embeddings\.class_embedding", "cls_token"),
    (r"embeddings\.position_embedding", "pos_embed"),
    (r"embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"encoder\.layers\.(\d+)\.layer_norm([12])\.", r"blocks.\1.norm\2."),
    (r"encoder\.layers\.(\d+)\.self_attn\.qkv\.", r"blocks.\1.attn.qkv."),
    (r"encoder\.layers\.(\d+)\.self_attn\.projection\.", r"blocks.\1.attn.proj."),
    (r"encoder\.layers\.(\d+)\.mlp\.", r"blocks.\1.mlp."),
    (r"post_layernorm\.", "norm."),
)


def load(network: nn.Module, path: Path) -> None:
    """Load the publisher's file into the library's image encoder.

    Raises CheckpointMismatch, naming the first tensor of the encoder that is missing, left over or of another shape.
    """
    theirs = {ours: published_name(ours) for ours in network.state_dict()}
    own = {name: ours for ours, name in theirs.items()}
    tensors = {
        own.get(name, name): tensor for name, tensor in read_tensors(path, INSIDE).items() if name.startswith(PREFIX)
    }
    load_tensors(network, tensors, theirs, path)


def published_name(ours: str) -> str:
    """What the file calls a tensor of the library's encoder."""
    for pattern, theirs in _NAMES:
        if re.match(pattern, ours):
            return PREFIX + re.sub(f"^{pattern}", theirs, ours)
    return PREFIX + ours

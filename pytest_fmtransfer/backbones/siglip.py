"""SigLIP's image encoders of a fixed size, from Google's files in the names of transformers: SigLIP 2 and MedSigLIP.

The embedding is what the pooling head finds among all tokens, as the publisher compares it with text; tokens are those
of the patches after the last norm. A file holds the text side too, and the scale and bias of their comparison: what is
met, to the last tensor, is `vision_model.`.
"""

from pathlib import Path
from typing import Any

from transformers import SiglipVisionConfig, SiglipVisionModel

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.catalog.specs import BackboneSpec

PREFIX = "vision_model."
# config.json beside the publishers' files: base is the library's default; So400m is Zhai et al. 2023's.
_BASE: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_SO400M: dict[str, Any] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
}
_TINY: dict[str, Any] = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
# Each with the pixels of a side and of a patch.
ARCHITECTURES = {"siglip_base": (_BASE, 224, 16), "medsiglip_so400m": (_SO400M, 448, 14)}


def build_network(spec: BackboneSpec, weights: Path | None) -> SiglipVisionModel:
    """The encoder in evaluation mode, with random weights where there is no file.

    Raises CheckpointMismatch, naming the first tensor of the encoder that is missing, left over or of another shape.
    """
    shape, image_size, patch_size = ARCHITECTURES[spec.architecture]
    config = SiglipVisionConfig(**(_TINY if spec.tiny else shape), image_size=image_size, patch_size=patch_size)
    with seeded(spec):
        network = SiglipVisionModel(config).eval()
    if weights is not None:
        theirs = {ours: PREFIX + ours for ours in network.state_dict()}
        own = {name: ours for ours, name in theirs.items()}
        stored = {own.get(name, name): each for name, each in read_tensors(weights).items() if name.startswith(PREFIX)}
        load_tensors(network, stored, theirs, weights)
    return network

"""The image encoder of SigLIP and SigLIP 2 at a fixed size, from Google's files, in the names of transformers.

The file holds the text encoder, the temperature and a bias too; these are other parts.
"""

from pathlib import Path

from transformers import SiglipVisionConfig, SiglipVisionModel

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.catalog.specs import BackboneSpec

PREFIX = "vision_model."
# Width, depth, heads, width within a block, pixels of a side and of a patch: google/siglip2-base-patch16-224.
ARCHITECTURES = {"siglip_base": (768, 12, 12, 3072, 224, 16)}
_TINY = (48, 3, 4, 96)


def build(spec: BackboneSpec, weights: Path | None) -> SiglipVisionModel:
    """The encoder, which pools by attention, with its weights. Raises CheckpointMismatch when the file does not fit."""
    *full, image_size, patch_size = ARCHITECTURES[spec.architecture]
    width, depth, heads, within = _TINY if spec.tiny else full
    config = SiglipVisionConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=within,
        image_size=image_size,
        patch_size=patch_size,
    )
    with seeded(spec):
        network = SiglipVisionModel(config)
    if weights is not None:
        visual = {
            name.removeprefix(PREFIX): each for name, each in read_tensors(weights).items() if name.startswith(PREFIX)
        }
        load_tensors(network, visual, {name: PREFIX + name for name in (*network.state_dict(), *visual)}, weights)
    return network

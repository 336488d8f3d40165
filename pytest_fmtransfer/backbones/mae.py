"""Masked autoencoders' image encoders, of timm's vision transformer: MAE and, on retinal images, RETFound.

The embedding is the mean over the tokens of the patches after the last norm, as the released code of Mansoori et al.
2025 pools MAE; tokens are those. Position embeddings are resized as MAE's fine-tuning does it: bicubic, without
antialiasing.

Legend: N images, C channels, H and W pixels, T tokens, E a token's width.
"""

from collections.abc import Mapping
from pathlib import Path

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.backbones.timm import ReferenceVit, new_network
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput

# What a file holds that was written while a network learnt: the decoder, and the token that stands for what is masked.
_DECODER = ("decoder_", "mask_token")


class MaskedAutoencoder(ReferenceVit):
    """An encoder, whose class token is no part of the embedding."""

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        _, tokens_NTE = super().embed(images_NCHW)
        return tokens_NTE.mean(dim=1), tokens_NTE


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> MaskedAutoencoder:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a row that names no file or another network.
    """
    network = new_network(spec)
    if not isinstance(network, VisionTransformer):
        raise InvalidInput(
            f"{spec.architecture} of {spec.name} is no vision transformer; write vit_base_patch16_224.mae"
        )
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights):
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        _load(network, read_tensors(weights, spec.weights.inside), weights)
    if channels == 1:
        take_one_channel(network)
    return MaskedAutoencoder(spec, network, offset=0.0, normed=True, channels=channels, trainable=trainable)


def _load(network: nn.Module, stored: Mapping[str, Tensor], path: Path) -> None:
    """Every tensor of the encoder into its place; the decoder's, where the file has them, are another part."""
    load_tensors(network, {name: each for name, each in stored.items() if not name.startswith(_DECODER)}, {}, path)

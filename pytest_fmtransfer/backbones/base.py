"""The one interface of every backbone: uint8 pixels in, pooled embeddings out.

Legend: N images, S the square side in pixels, D the embedding's width.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from pytest_fmtransfer.catalog.specs import BackboneSpec


class Backbone(nn.Module, ABC):
    """Normalises grey pixels as the publisher does colour ones, and returns the network's pooled embedding."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, pixels_NSS: Tensor) -> Tensor:
        """uint8 grey to float32 colour, N × 3 × S × S: the grey channel three times."""
        grey_N1SS = pixels_NSS.unsqueeze(1).to(torch.float32) / 255
        return (grey_N1SS - self.mean) / self.std

    @abstractmethod
    def pooled(self, images_N3SS: Tensor) -> Tensor:
        """The embedding of normalised images, N × D."""

    def forward(self, pixels_NSS: Tensor) -> Tensor:
        return self.pooled(self.normalise(pixels_NSS))

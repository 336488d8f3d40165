"""Position embeddings at another input size, as the references of DINO, DINOv2 and DeiT resize them.

Legend: T tokens with the class token, E a token's width, P places of the trained grid along one side.
"""

from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional


def resized(positions_1TE: Tensor, rows: int, columns: int, *, offset: float) -> Tensor:
    """Position embeddings of a grid of rows × columns, 1 × (1 + rows · columns) × E, the class token's first.

    Bicubic without antialiasing. `offset` is added to both sides before they become a scale factor: .1 in the
    released code of DINO and DINOv2 (`interpolate_pos_encoding`), which moves every sample point; 0 in DeiT's
    (`main.py`, fine-tuning at another resolution), which asks for the size instead. In float32 whatever the dtype,
    under autocast too.
    """
    places = isqrt(positions_1TE.shape[1] - 1)
    if (rows, columns) == (places, places):
        return positions_1TE
    grid_1EPP = positions_1TE[:, 1:].float().unflatten(1, (places, places)).permute(0, 3, 1, 2)
    if offset:
        scale = ((rows + offset) / places, (columns + offset) / places)
        patches = functional.interpolate(grid_1EPP, scale_factor=scale, mode="bicubic")
    else:
        patches = functional.interpolate(grid_1EPP, size=(rows, columns), mode="bicubic")
    patches_1TE = patches.flatten(2).transpose(1, 2).to(positions_1TE.dtype)
    return torch.cat([positions_1TE[:, :1], patches_1TE], dim=1)

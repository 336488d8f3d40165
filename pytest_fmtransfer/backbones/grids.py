"""Grids of patches: which sizes have one, and positions learnt on one grid, on another.

Legend: N images, C channels, H and W pixels, h and w patches, E a token's width, R relative positions.
"""

from torch import Tensor
from torch.nn import functional

from pytest_fmtransfer.errors import InvalidInput


def grid_of(images_NCHW: Tensor, patch: int, name: str) -> tuple[int, int]:
    """Rows and columns of patches. Raises InvalidInput where they do not fill the picture: libraries would crop it."""
    height, width = images_NCHW.shape[-2:]
    if height % patch or width % patch or not height or not width:
        raise InvalidInput(
            f"{name} takes images whose sides are multiples of {patch} pixels, not {height} × {width}; "
            f"the next smaller is {max(height // patch, 1) * patch} × {max(width // patch, 1) * patch}"
        )
    return height // patch, width // patch


def resized_map(positions_1hwE: Tensor, grid: tuple[int, int]) -> Tensor:
    """A map of positions on another grid: bicubic with antialiasing, as timm and open_clip do."""
    if positions_1hwE.shape[1:3] == grid:
        return positions_1hwE
    positions_1Ehw = positions_1hwE.permute(0, 3, 1, 2).float()
    resized_1Ehw = functional.interpolate(positions_1Ehw, size=grid, mode="bicubic", antialias=True)
    return resized_1Ehw.permute(0, 2, 3, 1).to(positions_1hwE.dtype)


def resized_table(table_RE: Tensor, side: int) -> Tensor:
    """A table of relative positions for a side of so many patches: each row's nearest, 2·side − 1 rows."""
    rows = 2 * side - 1
    if table_RE.shape[0] == rows:
        return table_RE
    return functional.interpolate(table_RE.T.unsqueeze(0), size=rows, mode="nearest").squeeze(0).T

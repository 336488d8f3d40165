"""Images on their way to a network: resized, cropped, and in training augmented, a batch at a time where they lie.

What is done to an image does not depend on its batch, to the last bit: crops are resized one by one, and of the rest
every step is one operation that IEEE 754 rounds in one way, or a sum of whole numbers. Fused ones, such as
torchvision's blend of two images, round as a processor's instructions do, and a sum over floats as its threads share
it out. All is float32 in [0, 1], where torchvision rounds to 256 levels after each step of an image of Pillow's.

Legend: N images of a batch, C channels, H and W pixels, S the side of a crop, M images of a batch under one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from pytest_fmtransfer.data.augmentations import Colours, Draw, Recipe, draw
from pytest_fmtransfer.errors import InvalidInput

# A float32 in [0, 1] times this is a whole number, but for what lies below the last bit of numbers near 1.
_WHOLE = 2**24


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What chance is drawn by: an image's view is that of an epoch and a seed."""

    epoch: int
    seed: int


def shown(pixels: np.ndarray, rows_N: np.ndarray, recipe: Recipe, *, ids: Sequence[str], by: Shown | None) -> Tensor:
    """Stored images as an epoch shows them, or, `by` None, as they are tested: N × C × S × S float32 in [0, 1].

    `pixels` are uint8, every image's as the image store has them, grey or colour, and may be mapped from disk; `ids`
    are every image's too. Raises InvalidInput as `augment` does.
    """
    stored = torch.from_numpy(pixels[rows_N])
    images_NCHW = stored.unsqueeze(1) if stored.ndim == 3 else stored.movedim(-1, 1)
    if by is None:
        return prepare(images_NCHW, recipe)
    return augment(images_NCHW, recipe, ids=[ids[int(row)] for row in rows_N], epoch=by.epoch, seed=by.seed)


def augment(images_NCHW: Tensor, recipe: Recipe, *, ids: Sequence[str], epoch: int, seed: int) -> Tensor:
    """Images as they are learnt from in an epoch, N × C × S × S float32 in [0, 1], on their device.

    `images_NCHW` are uint8, or float in [0, 1], of one channel or three; `ids` name them, and draw for each what
    happens to it. Raises InvalidInput for anything else.
    """
    if len(ids) != len(images_NCHW):
        raise InvalidInput(f"{len(ids)} ids of {len(images_NCHW)} images; give one each")
    return apply(images_NCHW, recipe, [draw(recipe, image=image, epoch=epoch, seed=seed) for image in ids])


def apply(images_NCHW: Tensor, recipe: Recipe, draws: Sequence[Draw]) -> Tensor:
    """`augment`, of draws that are given."""
    images_NCSS = prepare(images_NCHW, recipe)
    if recipe.scale is not None:
        parts = [_part(image_CSS, each, recipe.crop) for image_CSS, each in zip(images_NCSS, draws, strict=True)]
        images_NCSS = torch.stack(parts)
    for axis, turned in ((-2, [each.flipped for each in draws]), (-1, [each.mirrored for each in draws])):
        turned_N = torch.tensor(turned, device=images_NCSS.device).view(-1, 1, 1, 1)
        images_NCSS = torch.where(turned_N, images_NCSS.flip(axis), images_NCSS)
    return _jittered(images_NCSS, [each.colours for each in draws])


def prepare(images_NCHW: Tensor, recipe: Recipe) -> Tensor:
    """Images as they are validated and tested on: stretched and their centre cut out, N × C × S × S float32 in [0, 1].

    Raises InvalidInput as `augment` does.
    """
    if images_NCHW.ndim != 4 or images_NCHW.shape[1] not in (1, 3) or images_NCHW.numel() == 0:
        raise InvalidInput(f"images of shape {tuple(images_NCHW.shape)}; give N × 1 × H × W or N × 3 × H × W, N ≥ 1")
    if images_NCHW.dtype != torch.uint8 and not images_NCHW.is_floating_point():
        raise InvalidInput(f"images of type {images_NCHW.dtype}; give uint8, or floats from 0 to 1")
    # Always copied, and laid out in one way: resizing may round otherwise where channels are last in memory.
    given_NCHW = images_NCHW.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if images_NCHW.dtype == torch.uint8:
        given_NCHW = given_NCHW / 255
    stretched = [_resized(image_CHW, recipe.resize) for image_CHW in given_NCHW]
    return functional.center_crop(torch.stack(stretched), [recipe.crop, recipe.crop])


def normalise(images_NCSS: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Each channel less its mean, by its standard deviation; both for images in [0, 1]."""
    return functional.normalize(images_NCSS, mean=list(mean), std=list(std))


def _resized(image_CHW: Tensor, side: int) -> Tensor:
    return functional.resize(
        image_CHW, [side, side], interpolation=functional.InterpolationMode.BILINEAR, antialias=True
    )


def _part(image_CSS: Tensor, each: Draw, side: int) -> Tensor:
    if (box := each.box) is None:
        return image_CSS
    return _resized(functional.crop(image_CSS, box.top, box.left, box.height, box.width), side)


def _jittered(images_NCSS: Tensor, colours: Sequence[Colours | None]) -> Tensor:
    """Step by step, those images together whose turn it is for the same."""
    for place in range(4):
        for step, jitter in enumerate((_brightened, _contrasted, _saturated, _turned)):
            chosen = [
                (row, each.factors[step])
                for row, each in enumerate(colours)
                if each is not None and each.order[place] == step
            ]
            if not chosen:
                continue
            rows_M = torch.tensor([row for row, _ in chosen], device=images_NCSS.device)
            factors_M = torch.tensor([factor for _, factor in chosen], dtype=torch.float64).view(-1, 1, 1, 1)
            images_NCSS[rows_M] = jitter(images_NCSS[rows_M], factors_M)
    return images_NCSS


def _brightened(images_MCSS: Tensor, factors_M: Tensor) -> Tensor:
    return (images_MCSS * _as(images_MCSS, factors_M)).clamp(0, 1)


def _contrasted(images_MCSS: Tensor, factors_M: Tensor) -> Tensor:
    """Away from the mean of the image's greys."""
    greys = _grey(images_MCSS) if images_MCSS.shape[1] == 3 else images_MCSS
    whole_M = (greys * _WHOLE).to(torch.int64).sum(dim=(-3, -2, -1), keepdim=True)
    mean_M = (whole_M.to("cpu", torch.float64) / (_WHOLE * greys[0].numel())).to(images_MCSS)
    return _blended(images_MCSS, mean_M, factors_M)


def _saturated(images_MCSS: Tensor, factors_M: Tensor) -> Tensor:
    """Away from the image in grey; grey stays as it is."""
    return images_MCSS if images_MCSS.shape[1] == 1 else _blended(images_MCSS, _grey(images_MCSS), factors_M)


def _turned(images_MCSS: Tensor, factors_M: Tensor) -> Tensor:
    """Hue turned around the wheel, the highest and the lowest channel's values kept; grey stays as it is.

    A channel's value is the highest less the span times how far its own hue is from the image's: in sixths of the
    wheel up to 1 and from 2 on, as in A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978.
    """
    if images_MCSS.shape[1] == 1:
        return images_MCSS
    red, green, blue = images_MCSS.unbind(1)
    highest, lowest = images_MCSS.amax(1), images_MCSS.amin(1)
    span = highest - lowest
    divisor = torch.where(span == 0, torch.ones_like(span), span)
    sixths = torch.where(
        highest == red,
        (green - blue) / divisor,
        torch.where(highest == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    turned = sixths + _as(images_MCSS, 6 * factors_M).view(-1, 1, 1)
    channels: list[Tensor] = []
    for own in (5, 3, 1):
        away = turned + own
        away = away - torch.floor(away / 6) * 6
        channels.append((highest - span * torch.minimum(away, 4 - away).clamp(0, 1)).clamp(0, 1))
    return torch.stack(channels, dim=1)


def _grey(images_MCSS: Tensor) -> Tensor:
    """Luma with torchvision's weights, one channel."""
    red, green, blue = images_MCSS.split(1, dim=1)
    return red * 0.2989 + green * 0.587 + blue * 0.114


def _blended(images_MCSS: Tensor, others: Tensor, factors_M: Tensor) -> Tensor:
    """So much of the images, and the rest of the others; in [0, 1]."""
    share_M, rest_M = _as(images_MCSS, factors_M), _as(images_MCSS, 1 - factors_M)
    return (images_MCSS * share_M + others * rest_M).clamp(0, 1)


def _as(images_MCSS: Tensor, factors_M: Tensor) -> Tensor:
    return factors_M.to(images_MCSS)

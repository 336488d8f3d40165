"""An image of any shape becomes the square that a backbone takes.

Legend: H, W pixels of an image, S the side of the square.
"""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from pytest_fmtransfer.catalog.specs import STRETCHED, BackboneSpec, Framing
from pytest_fmtransfer.data.augmentations import Recipe


def framed(pixels_HW: np.ndarray, size: int, framing: Framing = STRETCHED) -> np.ndarray:
    """The image as `size` × `size` pixels, uint8; Pillow's filters antialias when they shrink.

    Edges are rounded as torchvision, timm and transformers round them.
    """
    image = Image.fromarray(pixels_HW)
    side = resized_side(size, framing)
    resized = image.resize(_shape(image.size, side, framing), Image.Resampling[framing.interpolation.upper()])
    return np.asarray(resized) if resized.size == (size, size) else np.asarray(_cut(resized, size, framing))


def resized_side(size: int, framing: Framing) -> int:
    """What the image's edges, or one of them, are resized to before a square of `size` is cut out."""
    # As timm rounds, down, with 224 / (224 / 232) being 232 in spite of floating point.
    return max(1, math.floor(size / framing.crop + 1e-6))


def framing_under(spec: BackboneSpec, recipe: Recipe) -> Framing:
    """A backbone's framing under a recipe: one that cuts out centres itself cuts in the backbone's stead."""
    return spec.framing if recipe.resize == recipe.crop else replace(spec.framing, crop=1.0)


def _shape(shape: tuple[int, int], side: int, framing: Framing) -> tuple[int, int]:
    """Width and height of the resized image."""
    if framing.fit == "stretch":
        return side, side
    width, height = shape
    if framing.fit == "shortest":
        short = min(width, height)
        return int(side * width / short), int(side * height / short)
    long = max(width, height)
    return max(1, round(side * width / long)), max(1, round(side * height / long))


def _cut(image: Image.Image, size: int, framing: Framing) -> Image.Image:
    """The centre; an image that is smaller than it stands in its middle."""
    left, top = (_start(edge, size) for edge in image.size)
    red, green, blue = framing.fill
    fill = round(0.299 * red + 0.587 * green + 0.114 * blue) if image.mode == "L" else framing.fill
    square = Image.new(image.mode, (size, size), fill)
    square.paste(image, (-left, -top))
    return square


def _start(edge: int, size: int) -> int:
    """Where the centre begins along an edge; below 0 where the edge is shorter."""
    return round((edge - size) / 2) if edge >= size else -((size - edge) // 2)

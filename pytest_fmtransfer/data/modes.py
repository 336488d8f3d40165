"""What of an image is seen, eight bits a channel: whatever mode its file has, and whichever way it was held.

What no screen shows as it is becomes visible by one rule each. Values of more than eight bits, signed ones and
floating-point ones, grey or coloured, are brought to eight bits by the intensity of the dataset's row. By default the
lowest value of an image becomes 0 and its highest 255, because files of 12 bits in 16 are common and cutting them to
their high byte would make them black. What is transparent shows black, the ground of radiographs, slices and fundus
photographs and what transforms pad with. Colours are those of the file; no colour profile is applied.

Legend: H, W pixels, C channels, R rows of a part of an image.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.image_limits import UnsupportedImage

# How a picture is turned upright, by the EXIF tag that says how the camera was held (EXIF 2.32, 4.6.4).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


SCALED = "brought to eight bits"  # in an image's `info`
_PART = 2**22  # values that are stretched at once, so that floats of a large image take little memory


@dataclass(frozen=True, kw_only=True)
class DeepPixels:
    """Values that eight bits do not hold, as a file has them: H × W, or H × W × 3.

    `span` is what their type can hold, None for floating-point numbers. `counted_HW` says which pixels take part in an
    image's lowest and highest value. `alpha_HW` is 0 where nothing is seen and 1 where nothing shines through. Of a
    `negative` low values are bright. `orientation` is EXIF's.
    """

    values: np.ndarray
    span: tuple[float, float] | None
    counted_HW: np.ndarray | None = None
    alpha_HW: np.ndarray | None = None
    negative: bool = False
    orientation: int = 1


def span_of(dtype: np.dtype, bits: int | None = None) -> tuple[float, float] | None:
    """The lowest and highest value of a type, of which only so many bits are used; None for floating-point numbers."""
    if dtype.kind not in "iu":
        return None
    bits = bits or dtype.itemsize * 8
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def brought_to_eight_bits(deep: DeepPixels, intensity: Intensity) -> Image.Image:
    """Mode "L" or "RGB", not turned. Raises UnsupportedImage for intensity "dtype" of floating-point numbers."""
    if intensity == "dtype":
        if deep.span is None:
            raise UnsupportedImage(
                "floating-point pixels, whose type has no lowest and highest value to show; say intensity=LOW/HIGH"
            )
        ends = deep.span
    elif intensity == "image":
        values_MC = deep.values if deep.counted_HW is None else deep.values[deep.counted_HW]
        ends = finite_ends(values_MC) or finite_ends(deep.values)
        if ends is None:
            raise UnsupportedImage("none of its pixels is a number")
    else:
        ends = intensity
    seen = stretched(deep.values, *ends)
    if deep.negative:
        seen = 255 - seen
    if deep.alpha_HW is not None:
        alpha = deep.alpha_HW if seen.ndim == 2 else deep.alpha_HW[..., None]
        seen = np.rint(seen * alpha).astype(np.uint8)
    image = Image.fromarray(seen)
    image.info[SCALED] = True
    if deep.orientation != 1:
        image.getexif()[ExifTags.Base.Orientation] = deep.orientation
    return image


def finite_ends(values: np.ndarray) -> tuple[float, float] | None:
    """The lowest and the highest number; None where there is none."""
    finite = values if values.dtype.kind != "f" else values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def stretched(values: np.ndarray, lowest: float | None = None, highest: float | None = None) -> np.ndarray:
    """uint8: `lowest` and what lies below is 0, `highest` and what lies above 255; a uniform image is 0.

    The ends are by default those of the finite values. What is no number is 0.
    """
    ends = finite_ends(values)
    if ends is None:
        return np.zeros(values.shape, dtype=np.uint8)
    low = ends[0] if lowest is None else float(lowest)
    high = ends[1] if highest is None else float(highest)
    seen = np.zeros(values.shape, dtype=np.uint8)
    if high <= low:
        return seen
    rows = max(1, _PART * len(values) // values.size)
    for first in range(0, len(values), rows):
        part_RWC = values[first : first + rows].astype(np.float64)
        share_RWC = (np.clip(part_RWC, low, high) - low) / (high - low)
        seen[first : first + rows] = np.rint(np.nan_to_num(share_RWC) * 255).astype(np.uint8)
    return seen


def shown(image: Image.Image) -> Image.Image:
    """The image in eight bits a channel and without transparency; one that is so already comes back itself."""
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        if seen.getchannel("A").getextrema() != (255, 255):
            return Image.alpha_composite(Image.new("RGBA", seen.size, (0, 0, 0, 255)), seen).convert("RGB")
    return image


def in_mode(image: Image.Image, mode: Literal["L", "RGB"]) -> np.ndarray:
    """What is seen of an image, uint8, H × W of mode "L" and H × W × 3 of mode "RGB"."""
    return np.asarray(shown(image).convert(mode))


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; broken EXIF says nothing, as in every viewer."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)

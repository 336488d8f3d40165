"""What of an image is seen, eight bits a channel: whatever mode its file has, and whichever way it was held.

What no screen shows as it is becomes visible by one rule each. Greys of more than eight bits, and floating-point
greys, are stretched: the lowest value of the image becomes 0 and the highest 255, because files of 12 bits in 16 are
common and Pillow would clip them to white. What is transparent shows black, the ground of radiographs, slices and
fundus photographs and what transforms pad with. Colours are those of the file; no colour profile is applied.

Legend: H, W pixels.
"""

from typing import Literal

import numpy as np
from PIL import ExifTags, Image

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


def stretched(values_HW: np.ndarray, lowest: float | None = None, highest: float | None = None) -> np.ndarray:
    """uint8: `lowest` and what lies below is 0, `highest` and what lies above 255; a uniform image is 0.

    The ends are by default those of the finite values. What is no number is 0.
    """
    finite = values_HW if values_HW.dtype.kind != "f" else values_HW[np.isfinite(values_HW)]
    if finite.size == 0:
        return np.zeros(values_HW.shape, dtype=np.uint8)
    low = float(finite.min() if lowest is None else lowest)
    high = float(finite.max() if highest is None else highest)
    if high <= low:
        return np.zeros(values_HW.shape, dtype=np.uint8)
    share_HW = (np.clip(values_HW.astype(np.float64), low, high) - low) / (high - low)
    return np.rint(np.nan_to_num(share_HW) * 255).astype(np.uint8)


def shown(image: Image.Image) -> Image.Image:
    """The image in eight bits a channel and without transparency; one that is so already comes back itself."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(stretched(np.asarray(image)))
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

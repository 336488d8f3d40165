"""PNG, JPEG, JPEG 2000 and PNM files of more than eight bits, which Pillow cuts to eight or does not read.

Legend: H, W pixels.
"""

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import ExifTags, Image

from pytest_fmtransfer.data.image_limits import UnsupportedImage, check_size
from pytest_fmtransfer.data.modes import DeepPixels, span_of

_PNG, _JPEG, _CODESTREAM = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
_SYCC = b"colr\x01\0\0\0\0\0\x12"  # the box that says that colours are Y'CbCr
_PNM = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
# Of frames of a JPEG file, all that hold pixels: ITU-T T.81, table B.1.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HEAD = 2**18  # bytes at a file's begin, in which its header is looked for


def read_deep(file: BinaryIO) -> DeepPixels | None:
    """The pixels of a file, None where they have eight bits or the file is of another format.

    Raises UnsupportedImage for what is too large, and what imagecodecs raises for broken files.
    """
    head = file.read(_HEAD)

    def whole() -> bytes:
        return head + file.read()

    if head.startswith(_PNG):
        return _png(head, whole)
    if head.startswith(_JPEG):
        return _jpeg(head, whole)
    if head.startswith((_JP2, _CODESTREAM)):
        return _jpeg2000(head, whole)
    if head[:2] in _PNM and head[2:3].isspace():
        return _pnm(head, whole)
    return None


def _png(head: bytes, whole: Callable[[], bytes]) -> DeepPixels | None:
    if len(head) < 26 or head[24] != 16:
        return None
    width, height = struct.unpack(">II", head[16:24])
    check_size(width, height, 2 * {0: 1, 2: 3, 4: 2, 6: 4}.get(head[25], 4))
    data = whole()
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise UnsupportedImage("several frames in one PNG; save the frame that is the image in a file of its own")
        try:
            orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
        except Exception:  # broken EXIF says nothing
            orientation = 1
    return _with_alpha(imagecodecs.png_decode(data), bits=16, orientation=orientation)


def _jpeg(head: bytes, whole: Callable[[], bytes]) -> DeepPixels | None:
    """Of 12 or 16 bits, or without loss."""
    frame = _frame(head)
    if frame is None:
        return None
    kind, (bits, height, width, channels) = frame[0], struct.unpack(">BHHB", frame[1])
    if bits == 8 and kind not in (0xC3, 0xC7, 0xCB, 0xCF):
        return None
    check_size(width, height, 2 * channels)
    if channels != 1:
        raise UnsupportedImage(f"a JPEG of {channels} channels of {bits} bits; save it as PNG or TIFF")
    values_HW = imagecodecs.jpeg_decode(whole())
    return DeepPixels(values=values_HW, span=(0, 2**bits - 1))


def _frame(data: bytes) -> tuple[int, bytes] | None:
    """The marker and the first bytes of a JPEG file's frame header, None where the file ends before it."""
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAMES:
            return marker, data[place + 4 : place + 10]
        if marker == 0xFF:  # a byte that only fills
            place += 1
            continue
        place += 2 if marker in (0x01, *range(0xD0, 0xD9)) else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _jpeg2000(head: bytes, whole: Callable[[], bytes]) -> DeepPixels | None:
    begin = head.find(_CODESTREAM)
    header = head[begin + 4 : begin + 44]
    if begin < 0 or len(header) < 40:
        return None
    width, height, left, top = struct.unpack(">IIII", header[4:20])
    channels, depths = struct.unpack(">H", header[36:38])[0], header[38]
    bits, signed = (depths & 0x7F) + 1, bool(depths & 0x80)
    if bits <= 8 and not signed:
        return None
    check_size(width - left, height - top, channels * -(-bits // 8))
    if channels > 1 and _SYCC in head[:begin]:
        raise UnsupportedImage(f"a JPEG 2000 of Y'CbCr of {bits} bits; save it as RGB")
    return _with_alpha(imagecodecs.jpeg2k_decode(whole()), bits=bits)


def _with_alpha(values: np.ndarray, *, bits: int, orientation: int = 1) -> DeepPixels:
    """Pixels whose second or fourth channel is how much is seen of the others."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    if channels > 4:
        raise UnsupportedImage(f"{channels} channels a pixel; save the image as grey or RGB")
    span = span_of(values.dtype, bits)
    alpha_HW = values[..., -1] / (2**bits - 1) if channels in (2, 4) else None
    if values.ndim == 3:
        values = values[..., 0] if channels < 3 else values[..., :3]
    counted_HW = None if alpha_HW is None else alpha_HW > 0
    return DeepPixels(values=values, span=span, alpha_HW=alpha_HW, counted_HW=counted_HW, orientation=orientation)


def _pnm(head: bytes, whole: Callable[[], bytes]) -> DeepPixels | None:
    """Of Netpbm's formats, those whose highest value is above 255."""
    numbers: list[int] = []
    place = 2
    while len(numbers) < 3:
        while head[place : place + 1].isspace():
            place += 1
        if head[place : place + 1] == b"#":
            place = head.find(b"\n", place)
            if place < 0:
                return None
            continue
        end = place
        while head[end : end + 1].isdigit():
            end += 1
        if end == place:
            return None  # Pillow says what is wrong with it
        numbers.append(int(head[place:end]))
        place = end
    width, height, most = numbers
    if not 255 < most < 65536:
        return None
    channels = _PNM[head[:2]]
    check_size(width, height, 2 * channels)
    count, data = width * height * channels, whole()
    if head[:2] in (b"P5", b"P6"):
        values = np.frombuffer(data, dtype=">u2", count=count, offset=place + 1).astype(np.uint16)
    else:
        values = np.array(data[place:].split(maxsplit=count)[:count], dtype=np.uint16)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return DeepPixels(values=values.reshape(shape), span=(0, most))

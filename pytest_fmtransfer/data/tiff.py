"""TIFF files: what Pillow reads right is left to it, tifffile reads the rest, and what neither reads is refused.

Pillow cuts colours of more than eight bits to their high byte, does not turn 16-bit greys over where white is zero,
takes signed numbers for unsigned ones, and reads the first of several pages.

Legend: H, W pixels, C channels.
"""

import logging
import math
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image

from pytest_fmtransfer.data.image_limits import UnsupportedImage, check_size
from pytest_fmtransfer.data.modes import DeepPixels, brought_to_eight_bits, span_of

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of alpha: already multiplied into the colours, or not yet
_COPY = 1 | 4  # kinds of page: smaller than another one, or its mask
# None, three of fax machines, LZW, two of JPEG, deflate under two numbers, and PackBits.
_BY_PILLOW = (1, 2, 3, 4, 5, 6, 7, 8, 32946, 32773)
_ZIPPED = (8, 32946, 50013, 5, 34925, 50000, 34926)  # deflate, LZW, LZMA and Zstandard: a little may unpack to a lot
_MOST = 4096  # times that deflate or LZW may unpack to

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong with a file is in our error


def read_tiff(file: BinaryIO) -> DeepPixels | Image.Image | None:
    """Pixels of more than eight bits, or an image of eight, or None for what Pillow reads as it should.

    Raises UnsupportedImage for what is not one image or of a kind that nobody reads, and what tifffile raises for
    broken files.
    """
    with tifffile.TiffFile(file) as tiff:
        page = _only_page(tiff)
        bits, kind, samples = page.bitspersample, page.photometric, page.samplesperpixel
        if not isinstance(bits, int) or page.dtype is None or page.sampleformat not in (1, 2, 3, 4):
            raise UnsupportedImage(f"a TIFF of {bits} bits a sample in format {page.sampleformat}; save it as PNG")
        check_size(page.imagewidth, page.imagelength, samples * bits / 8)
        if kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and samples > 1 + (_alpha_of(page) is not None):
            raise UnsupportedImage(f"a grey TIFF of {samples} channels, of which nothing says which one is the image")
        few = bits <= 8 and page.sampleformat in (_UNSIGNED, _VOID)
        if few and kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR):
            if page.is_subsampled and page.compression == 1:
                raise UnsupportedImage("a TIFF of Y'CbCr whose colours have fewer pixels; save it as RGB")
            to_pillow = page.compression in _BY_PILLOW or kind in (_PALETTE, _CMYK)
            if to_pillow and not (tiff.is_bigtiff and tiff.byteorder == ">"):  # which Pillow does not know
                return None
        if kind not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or (kind == _RGB and samples < 3):
            name = getattr(kind, "name", kind)
            raise UnsupportedImage(
                f"a TIFF of {samples} channels of {bits} bits and colours of kind {name}, compressed as "
                f"{getattr(page.compression, 'name', page.compression)}; save it as RGB or grey"
            )
        if page.compression not in tifffile.TIFF.DECOMPRESSORS:
            name = getattr(page.compression, "name", page.compression)
            raise UnsupportedImage(f"a TIFF compressed as {name}; save it with deflate, or without compression")
        _check_parts(file, page)
        deep = _deep(page)
        return brought_to_eight_bits(deep, "dtype") if few else deep


def _only_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """The page that is the image; smaller copies and masks of it are no pages of their own."""
    first = tiff.pages[0]
    if not isinstance(first, tifffile.TiffPage) or first.subfiletype & _COPY:
        raise UnsupportedImage("a TIFF whose first page is a small copy or a mask of another; save the image alone")
    pages = sum(not (page.subfiletype & _COPY) for page in tiff.pages if isinstance(page, tifffile.TiffPage))
    if pages == 1 and (first.is_imagej or first.is_shaped or first.is_stk):  # one header may stand before many images
        pages = sum(math.prod(series.shape) for series in tiff.series) // max(1, math.prod(first.shape))
    pages = max(pages, first.imagedepth)
    if pages > 1:
        raise UnsupportedImage(f"{pages} pages in one TIFF; save the page that is the image in a file of its own")
    return first


def _alpha_of(page: tifffile.TiffPage) -> int | None:
    """Which kind of alpha follows the colours, where one does."""
    kind = int(page.extrasamples[0]) if page.extrasamples else 0
    return kind if kind in (_ASSOCIATED, _UNASSOCIATED) else None


def _check_parts(file: BinaryIO, page: tifffile.TiffPage) -> None:
    """Raises ValueError for strips or tiles that are not in the file, or unpack to more than they should."""
    end = file.seek(0, 2)
    whole = math.prod(page.chunks) * page.dtype.itemsize if page.dtype else 0
    limit = 2 * whole + 2**16
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if size <= 0 or offset + size > end:
            raise ValueError("a part of its pixels is not in the file")
        if page.compression in _ZIPPED and (page.compression in _ZIPPED[4:] or size * _MOST > 2**30):
            file.seek(offset)
            if len(tifffile.TIFF.DECOMPRESSORS[page.compression](file.read(size), out=limit)) >= limit:
                raise ValueError("its pixels unpack to more than it declares")


def _deep(page: tifffile.TiffPage) -> DeepPixels:
    values = page.asarray(maxworkers=1)
    if page.axes == "SYX":  # each channel in a plane of its own
        values = np.moveaxis(values, 0, -1)
    kind, bits = page.photometric, int(page.bitspersample)
    colours = 3 if kind == _RGB else 1
    span, alpha, alpha_HW, counted_HW = span_of(values.dtype, bits), _alpha_of(page), None, None
    if alpha is not None:
        share_HW = values[..., colours].astype(np.float64) / (span[1] if span else 1)
        share_HW = np.clip(np.nan_to_num(share_HW), 0, 1)
        counted_HW, alpha_HW = share_HW > 0, share_HW if alpha == _UNASSOCIATED else None
    if values.ndim == 3:
        values = values[..., 0] if colours == 1 else values[..., :3]
    return DeepPixels(
        values=values,
        span=span,
        counted_HW=counted_HW,
        alpha_HW=alpha_HW,
        negative=kind == _WHITE_IS_ZERO,
        orientation=int(page.tags.valueof(274, 1)),
    )

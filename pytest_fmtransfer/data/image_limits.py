"""How large an image may be, and the error of an image that is sound and not read all the same.

What a file declares is checked before anything is unpacked: 4 MB of a hostile file may unpack to gigabytes.
"""

from typing import BinaryIO

LARGEST_IMAGE = 2**30  # bytes of one image's pixels as its file has them: 18,900 × 18,900 pixels of RGB
PART = 2**20  # bytes that are unpacked at once while their number is found


class UnsupportedImage(Exception):
    """A file that may be sound, of a kind that this version does not read. It is never left out as damaged."""


class NoDecoder(UnsupportedImage):
    """A file may be sound, but nothing that is installed decodes its compression."""


def check_size(width: int, height: int, bytes_per_pixel: float, *, images: int = 1) -> None:
    """Raises UnsupportedImage for pixels that take more than `LARGEST_IMAGE` bytes."""
    size = width * height * bytes_per_pixel * images
    if size > LARGEST_IMAGE:
        raise UnsupportedImage(
            f"{width} × {height} pixels, {size / 2**30:.1f} GiB unpacked; an image may take {LARGEST_IMAGE / 2**30:g} "
            "GiB: save it smaller"
        )


def check_unpacked(file: BinaryIO, *, wbits: int) -> None:
    """Raises UnsupportedImage when the rest of a file, compressed by zlib, unpacks to more than `LARGEST_IMAGE` bytes.

    It is unpacked in parts that are thrown away, as far as the end or the limit. The file is left where it was.
    """
    import zlib

    begin, unpacked, stream = file.tell(), 0, zlib.decompressobj(wbits)
    while not stream.eof and (part := file.read(PART)):
        while part:
            unpacked += len(stream.decompress(part, PART))
            part = stream.unconsumed_tail
            if unpacked > LARGEST_IMAGE:
                raise UnsupportedImage(
                    f"more than {LARGEST_IMAGE / 2**30:g} GiB unpacked, which is all that an image may take: save it "
                    "smaller"
                )
    file.seek(begin)

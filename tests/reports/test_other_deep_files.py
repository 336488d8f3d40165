"""PNG, JPEG, JPEG 2000 and PNM files of more than eight bits, or of odd kinds: the right pixels, or a sentence.

Legend: H, W pixels.
"""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.decoding import open_image, read_grey, read_pixels
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS
from tests.reports.test_tiff_files import COLOURS_HW3, GREY_HW, SMOOTH_HW3, scaled, stretched

DEEP_HW3 = COLOURS_HW3.astype(np.uint16) * 12 + 30


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: bytes, width: int, height: int, bits: int, colour: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(rows)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *more, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def deep_png(values: np.ndarray, *more: bytes) -> bytes:
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(rows, width, height, 16, {2: 0, 3: 2}[values.ndim], *more)


@pytest.mark.parametrize(
    ("intensity", "ends"), [("image", None), ("dtype", (0, 65535)), ((100.0, 2000.0), (100, 2000))]
)
def test_a_png_of_16_bit_colours_is_stretched_and_not_cut(
    intensity: Intensity, ends: tuple[float, float] | None, tmp_path: Path
) -> None:
    (tmp_path / "c.png").write_bytes(deep_png(DEEP_HW3))
    expected = stretched(DEEP_HW3) if ends is None else scaled(DEEP_HW3, *ends)
    np.testing.assert_array_equal(read_pixels(tmp_path / "c.png", channels=3, intensity=intensity), expected)


@pytest.mark.parametrize("channels", [2, 4])
def test_a_png_of_16_bits_with_alpha_is_seen_on_black(channels: int, tmp_path: Path) -> None:
    values = np.dstack([DEEP_HW3[..., : channels - 1], np.full(GREY_HW.shape, 65535, dtype=np.uint16)])
    values[:5, :, -1] = 0
    values[:5, :, :-1] = 65535  # the colour of what is not seen takes no part in the range
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    seen = read_pixels(tmp_path / "a.png", channels=1 if channels == 2 else 3)
    below = DEEP_HW3[5:, :, 0] if channels == 2 else DEEP_HW3[5:]
    assert not seen[:5].any()
    np.testing.assert_array_equal(seen[5:], stretched(below))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_grey_of_a_png_is_black(bits: int, tmp_path: Path) -> None:
    values_HW = np.array([[200, 10, 90, 200]], dtype=np.uint16) * (257 if bits == 16 else 1)
    clear = chunk(b"tRNS", struct.pack(">H", int(values_HW[0, 0])))
    rows = b"\0" + values_HW.astype(">u2" if bits == 16 else "u1").tobytes()
    (tmp_path / "t.png").write_bytes(png(rows, 4, 1, bits, 0, clear))
    expected = [0, 10, 90, 0] if bits == 8 else [0, 0, 255, 0]  # of two values that are seen, black and white
    assert read_grey(tmp_path / "t.png").tolist() == [expected]


def test_the_transparent_white_of_a_png_of_one_bit_is_black(tmp_path: Path) -> None:
    clear = chunk(b"tRNS", struct.pack(">H", 1))
    (tmp_path / "t.png").write_bytes(png(b"\0\xa0", 4, 1, 1, 0, clear))
    assert read_grey(tmp_path / "t.png").tolist() == [[0, 0, 0, 0]]


def test_a_palette_of_partly_transparent_colours_is_seen_on_black(tmp_path: Path) -> None:
    palette, clear = chunk(b"PLTE", bytes([200, 100, 50, 80, 80, 80])), chunk(b"tRNS", bytes([0, 128]))
    (tmp_path / "p.png").write_bytes(png(b"\0\0\1", 2, 1, 8, 3, palette, clear))
    assert read_pixels(tmp_path / "p.png", channels=3).tolist() == [[[0, 0, 0], [40, 40, 40]]]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_deep_png_is_upright(orientation: int, tmp_path: Path) -> None:
    turned_HW = np.rot90(GREY_HW, {1: 0, 3: 2, 6: 1}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "e.png").write_bytes(deep_png(turned_HW, chunk(b"eXIf", exif.tobytes()[6:])))
    np.testing.assert_array_equal(read_grey(tmp_path / "e.png"), stretched(GREY_HW))


@pytest.mark.parametrize("cut", [20, 60, 400])
def test_a_truncated_deep_png_is_damaged(cut: int, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(deep_png(DEEP_HW3)[:-cut])
    with pytest.raises(UnreadableImage) as raised:
        read_grey(tmp_path / "x.png")
    assert raised.value.damaged


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_2000_of_twelve_bits_keeps_its_values(colour: bool, tmp_path: Path) -> None:
    values = (COLOURS_HW3 if colour else GREY_HW).astype(np.uint16) * 13
    data = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, bitspersample=12)
    (tmp_path / "j.jp2").write_bytes(data)
    read = {"channels": 3 if colour else 1}
    np.testing.assert_array_equal(read_pixels(tmp_path / "j.jp2", **read), stretched(values))
    dtype = read_pixels(tmp_path / "j.jp2", **read, intensity="dtype")
    np.testing.assert_array_equal(dtype, scaled(values, 0, 4095))


def test_jpeg_of_twelve_bits_and_jpeg_without_loss_are_read(tmp_path: Path) -> None:
    values_HW = SMOOTH_HW3[..., 0].astype(np.uint16) * 13
    (tmp_path / "12.jpg").write_bytes(imagecodecs.jpeg_encode(values_HW, bitspersample=12, level=98))
    (tmp_path / "lossless.jpg").write_bytes(imagecodecs.ljpeg_encode(values_HW, bitspersample=16))
    np.testing.assert_allclose(read_grey(tmp_path / "12.jpg").astype(int), stretched(values_HW), atol=3)
    np.testing.assert_array_equal(read_grey(tmp_path / "lossless.jpg"), stretched(values_HW))


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_netpbm_of_more_bits_keeps_its_values(kind: str, tmp_path: Path) -> None:
    values = GREY_HW.astype(np.uint16) * 13 if kind in ("P2", "P5") else DEEP_HW3
    height, width = values.shape[:2]
    text = " ".join(map(str, values.ravel().tolist())).encode()
    body = text if kind in ("P2", "P3") else values.astype(">u2").tobytes()
    (tmp_path / "n.pnm").write_bytes(f"{kind}\n# made\n{width} {height}\n4095\n".encode() + body)
    channels = 1 if values.ndim == 2 else 3
    np.testing.assert_array_equal(read_pixels(tmp_path / "n.pnm", channels=channels), stretched(values))
    dtype = read_pixels(tmp_path / "n.pnm", channels=channels, intensity="dtype")
    np.testing.assert_array_equal(dtype, scaled(values, 0, 4095))


def test_a_jpeg_in_colours_of_print_is_not_negative(tmp_path: Path) -> None:
    ink_HW4 = np.dstack([255 - SMOOTH_HW3, np.zeros_like(SMOOTH_HW3[..., 0])])
    Image.fromarray(ink_HW4, "CMYK").save(tmp_path / "c.jpg", quality=98)  # inverted, and marked so, as Adobe does
    np.testing.assert_allclose(read_pixels(tmp_path / "c.jpg", channels=3).astype(int), SMOOTH_HW3, atol=8)


def test_a_truncated_progressive_jpeg_is_damaged(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(COLOURS_HW3).resize((200, 200)).save(stream, "JPEG", progressive=True)
    for part in (0.4, 0.7, 0.95):
        (tmp_path / "p.jpg").write_bytes(stream.getvalue()[: int(part * len(stream.getvalue()))])
        with pytest.raises(UnreadableImage, match="truncated") as raised:
            read_grey(tmp_path / "p.jpg")
        assert raised.value.damaged


def test_of_a_cameras_mpo_the_first_picture_is_the_image(tmp_path: Path) -> None:
    pictures = [Image.fromarray(SMOOTH_HW3), Image.fromarray(255 - SMOOTH_HW3)]
    pictures[0].save(tmp_path / "m.jpg", "MPO", save_all=True, append_images=pictures[1:], quality=98, subsampling=0)
    assert open_image(tmp_path / "m.jpg").format == "MPO"
    np.testing.assert_allclose(read_pixels(tmp_path / "m.jpg", channels=3).astype(int), SMOOTH_HW3, atol=5)


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_which_of_several_frames_is_the_image_is_for_its_owner_to_say(suffix: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(SMOOTH_HW3), Image.fromarray(255 - SMOOTH_HW3)]
    frames[0].save(tmp_path / f"f.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImage, match="2 frames in one") as raised:
        read_grey(tmp_path / f"f.{suffix}")
    assert not raised.value.damaged


def test_a_colour_profile_is_not_applied(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(COLOURS_HW3).save(tmp_path / "i.png", icc_profile=profile)
    np.testing.assert_array_equal(read_pixels(tmp_path / "i.png", channels=3), COLOURS_HW3)


def vast_png() -> bytes:
    return png(b"", 2**16, 2**16, 8, 0)


def vast_deep_png() -> bytes:
    return png(b"", 2**15, 2**15, 16, 2)


def vast_netpbm() -> bytes:
    return b"P6\n40000 40000\n4095\n"


def vast_tiff() -> bytes:
    entries = [(256, 4, 60000), (257, 4, 60000), (258, 3, 16), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 60000), (279, 4, 4)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 12) + b"zzzz" + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize("made", [vast_png, vast_deep_png, vast_netpbm, vast_tiff])
def test_what_would_unpack_to_gigabytes_is_refused_by_its_header_and_is_not_damaged(made, tmp_path: Path) -> None:
    (tmp_path / "vast").write_bytes(made())
    with pytest.raises(UnreadableImage, match=r"vast \(.*(GiB unpacked|exceeds limit).*save it smaller\)$") as raised:
        read_grey(tmp_path / "vast")
    assert not raised.value.damaged


@given(
    values=st.lists(st.integers(0, 65535), min_size=6, max_size=6),
    colour=st.booleans(),
    intensity=st.one_of(
        st.sampled_from(["image", "dtype"]),
        st.tuples(st.integers(-100, 30000).map(float), st.integers(30001, 70000).map(float)),
    ),
)
@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_grey_and_colour_of_a_png_obey_the_same_rule(
    values: list[int], colour: bool, intensity: Intensity, tmp_path: Path
) -> None:
    array = np.array(values, dtype=np.uint16).reshape((1, 2, 3) if colour else (2, 3))
    ends = {"image": (float(array.min()), float(array.max())), "dtype": (0.0, 65535.0)}
    low, high = ends[intensity] if isinstance(intensity, str) else intensity
    (tmp_path / "v.png").write_bytes(deep_png(array))
    seen = read_pixels(tmp_path / "v.png", channels=3 if colour else 1, intensity=intensity)
    expected = scaled(array, low, high) if high > low else np.zeros(array.shape, dtype=np.uint8)
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_a_tiff_whose_pixels_unpack_to_more_than_it_declares_is_damaged(compression: str, tmp_path: Path) -> None:
    number = {"zstd": 50000, "lzma": 34925}[compression]
    strip = getattr(imagecodecs, f"{compression}_encode")(bytes(10_000_000))
    entries = [(256, 4, 10), (257, 4, 10), (258, 3, 16), (259, 3, number), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 10), (279, 4, len(strip))]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip
    (tmp_path / "b.tiff").write_bytes(head + struct.pack("<H", len(entries)) + directory + bytes(4))
    with pytest.raises(UnreadableImage, match=r"b\.tiff \((its pixels unpack to more|.*too small)") as raised:
        read_grey(tmp_path / "b.tiff")
    assert raised.value.damaged

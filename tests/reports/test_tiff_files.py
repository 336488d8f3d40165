"""TIFF files of every photometric interpretation, layout and sample format: the right pixels, or a sentence.

Legend: H, W pixels, C channels.
"""

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.decoding import read_pixels
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS

GREY_HW = np.random.default_rng(0).integers(0, 256, (24, 17), dtype=np.uint8)
COLOURS_HW3 = np.random.default_rng(1).integers(0, 256, (24, 17, 3), dtype=np.uint8)
SMOOTH_HW3 = np.stack(np.broadcast_arrays(np.arange(0, 240, 5)[:, None], np.arange(0, 96, 2)[None], 90), -1)
SMOOTH_HW3 = SMOOTH_HW3.astype(np.uint8)


def written(folder: Path, values: np.ndarray, **more: Any) -> Path:
    path = folder / "image.tiff"
    tifffile.imwrite(path, values, **more)
    return path


def seen(path: Path, *, channels: int = 1, intensity: Intensity = "image") -> np.ndarray:
    return read_pixels(path, channels=channels, intensity=intensity)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((np.clip(values.astype(np.float64), low, high) - low) / (high - low) * 255).astype(np.uint8)


def stretched(values: np.ndarray) -> np.ndarray:
    return scaled(values, float(values.min()), float(values.max()))


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "lzma", "packbits", "png", "jpegxl"])
def test_eight_bits_stay_as_they_are(compression: str | None, byteorder: str, bigtiff: bool, tmp_path: Path) -> None:
    more = {"compression": compression, "byteorder": byteorder, "bigtiff": bigtiff}
    np.testing.assert_array_equal(seen(written(tmp_path, GREY_HW, photometric="minisblack", **more)), GREY_HW)
    colours = seen(written(tmp_path, COLOURS_HW3, photometric="rgb", **more), channels=3)
    np.testing.assert_array_equal(colours, COLOURS_HW3)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits"])
@pytest.mark.parametrize("dtype", ["u2", ">u2", "i2", "u4", "i4", "f2", "f4", "f8"])
def test_greys_of_more_bits_are_stretched_by_their_values(dtype: str, compression: str | None, tmp_path: Path) -> None:
    values_HW = ((GREY_HW.astype(np.float64) - 100) * 13 + (1300 if "u" in dtype else 0)).astype(dtype)
    more = {"byteorder": dtype[0]} if dtype[0] in "<>" else {}
    path = written(tmp_path, values_HW, photometric="minisblack", compression=compression, **more)
    np.testing.assert_array_equal(seen(path), stretched(values_HW))


def test_signed_bytes_are_not_taken_for_unsigned_ones(tmp_path: Path) -> None:
    values_HW = (GREY_HW.astype(np.int16) - 128).astype(np.int8)
    path = written(tmp_path, values_HW)
    np.testing.assert_array_equal(seen(path), stretched(values_HW))
    np.testing.assert_array_equal(seen(path, intensity="dtype"), GREY_HW)


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_colours_of_more_bits_are_stretched_as_greys_are(dtype: str, planarconfig: str, tmp_path: Path) -> None:
    values_HWC = (COLOURS_HW3.astype(np.float64) * 13 + 70).astype(dtype)
    laid = np.moveaxis(values_HWC, -1, 0) if planarconfig == "separate" else values_HWC
    path = written(tmp_path, laid, photometric="rgb", planarconfig=planarconfig)
    np.testing.assert_array_equal(seen(path, channels=3), stretched(values_HWC))  # the high byte would be 0 to 13


def test_planes_of_eight_bits_are_put_together(tmp_path: Path) -> None:
    path = written(tmp_path, np.moveaxis(COLOURS_HW3, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(seen(path, channels=3), COLOURS_HW3)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_where_white_is_zero_low_values_are_bright(dtype: str, tmp_path: Path) -> None:
    path = written(tmp_path, GREY_HW.astype(dtype), photometric="miniswhite")
    np.testing.assert_array_equal(seen(path), 255 - (GREY_HW if dtype == "u1" else stretched(GREY_HW)))


def test_bits_are_black_and_white(tmp_path: Path) -> None:
    for photometric, expected_HW in (("minisblack", GREY_HW > 90), ("miniswhite", GREY_HW <= 90)):
        path = written(tmp_path, GREY_HW > 90, photometric=photometric)
        np.testing.assert_array_equal(seen(path), np.where(expected_HW, 255, 0))


def test_twelve_bits_in_twelve_are_read(tmp_path: Path) -> None:
    values_HW = GREY_HW.astype(np.uint16) * 16
    path = written(tmp_path, values_HW, bitspersample=12)
    np.testing.assert_array_equal(seen(path), stretched(values_HW))
    np.testing.assert_array_equal(seen(path, intensity="dtype"), scaled(values_HW, 0, 4095))


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_in_tiff_keeps_its_colours(photometric: str, tmp_path: Path) -> None:
    given_HW3 = SMOOTH_HW3 if photometric == "rgb" else np.asarray(Image.fromarray(SMOOTH_HW3).convert("YCbCr"))
    more = {"compressionargs": {"level": 98}}
    path = written(tmp_path, given_HW3, photometric=photometric, compression="jpeg", **more)
    np.testing.assert_allclose(seen(path, channels=3).astype(int), SMOOTH_HW3, atol=6)


def test_jpeg_as_pillow_puts_it_into_tiff_keeps_its_colours(tmp_path: Path) -> None:
    Image.fromarray(SMOOTH_HW3).save(tmp_path / "j.tiff", compression="jpeg", quality=98)
    np.testing.assert_allclose(seen(tmp_path / "j.tiff", channels=3).astype(int), SMOOTH_HW3, atol=6)


def test_colours_of_print_are_those_of_the_screen(tmp_path: Path) -> None:
    ink_HW4 = np.dstack([255 - COLOURS_HW3, np.zeros_like(GREY_HW)])
    path = written(tmp_path, ink_HW4, photometric="separated")
    np.testing.assert_allclose(seen(path, channels=3).astype(int), COLOURS_HW3, atol=1)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    colours_3K = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    path = written(tmp_path, GREY_HW, photometric="palette", colormap=colours_3K)
    np.testing.assert_array_equal(seen(path, channels=3), (colours_3K.T // 257)[GREY_HW])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_what_is_transparent_is_black(dtype: str, tmp_path: Path) -> None:
    most = np.iinfo(dtype).max
    alpha_HW = np.full_like(GREY_HW, most, dtype=dtype)
    alpha_HW[:4] = 0
    values_HWC = np.dstack([COLOURS_HW3.astype(dtype) * (most // 255), alpha_HW])
    path = written(tmp_path, values_HWC, photometric="rgb", extrasamples=["unassalpha"])
    expected = COLOURS_HW3.copy()
    expected[:4] = 0
    np.testing.assert_allclose(seen(path, channels=3).astype(int), expected, atol=0 if dtype == "u1" else 1)


@pytest.mark.parametrize(
    ("intensity", "ends"), [("image", None), ("dtype", (0, 65535)), ((100.0, 2000.0), (100, 2000))]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_rule_that_the_row_states_is_that_of_grey_and_of_colour(
    intensity: Intensity, ends: tuple[float, float] | None, channels: int, tmp_path: Path
) -> None:
    values = (GREY_HW if channels == 1 else COLOURS_HW3).astype(np.uint16) * 12
    expected = stretched(values) if ends is None else scaled(values, *ends)
    photometric = "minisblack" if channels == 1 else "rgb"
    path = written(tmp_path, values, photometric=photometric)
    np.testing.assert_array_equal(seen(path, channels=channels, intensity=intensity), expected)


def two_pages(path: Path) -> None:
    tifffile.imwrite(path, np.stack([GREY_HW, GREY_HW]), photometric="minisblack")


def imagej_stack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([GREY_HW] * 3), imagej=True)
    data = path.read_bytes()  # as ImageJ writes large stacks: one header before all images
    offset = struct.unpack("<I", data[4:8])[0] if data[:2] == b"II" else struct.unpack(">I", data[4:8])[0]
    order = "<" if data[:2] == b"II" else ">"
    entries = struct.unpack(order + "H", data[offset : offset + 2])[0]
    end = offset + 2 + 12 * entries
    path.write_bytes(data[:end] + bytes(4) + data[end + 4 :])


def lab(path: Path) -> None:
    tifffile.imwrite(path, COLOURS_HW3, photometric="cielab")


def deep_print(path: Path) -> None:
    tifffile.imwrite(path, np.dstack([COLOURS_HW3, GREY_HW]).astype(np.uint16), photometric="separated")


def many_channels(path: Path) -> None:
    tifffile.imwrite(path, np.dstack([COLOURS_HW3, COLOURS_HW3]), photometric="minisblack", planarconfig="contig")


def two_channels(path: Path) -> None:
    tifffile.imwrite(path, COLOURS_HW3[..., :2].astype(np.uint16), photometric="minisblack", planarconfig="contig")


def complex_numbers(path: Path) -> None:
    tifffile.imwrite(path, GREY_HW.astype(np.complex64))


def volume(path: Path) -> None:
    tifffile.imwrite(path, np.stack([GREY_HW] * 16), photometric="minisblack", volumetric=True, tile=(16, 16, 16))


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (two_pages, "2 pages in one TIFF; save the page that is the image in a file of its own"),
        (imagej_stack, "3 pages in one TIFF"),
        (volume, "16 pages in one TIFF"),
        (lab, "colours of kind CIELAB"),
        (deep_print, "4 channels of 16 bits and colours of kind SEPARATED"),
        (many_channels, "a grey TIFF of 6 channels"),
        (two_channels, "a grey TIFF of 2 channels"),
        (complex_numbers, "64 bits a sample in format 6"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_read_is_said_and_not_called_damaged(write: Any, told: str, tmp_path: Path) -> None:
    write(tmp_path / "odd.tiff")
    with pytest.raises(UnreadableImage, match=rf"odd\.tiff \(.*{told}") as raised:
        seen(tmp_path / "odd.tiff", channels=3)
    assert not raised.value.damaged


def test_a_smaller_copy_beside_the_image_is_no_second_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "p.tiff") as file:
        file.write(GREY_HW.astype(np.uint16), photometric="minisblack")
        file.write(GREY_HW[::2, ::2].astype(np.uint16), photometric="minisblack", subfiletype=1)
    np.testing.assert_array_equal(seen(tmp_path / "p.tiff"), stretched(GREY_HW))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_truncated_file_is_damaged(dtype: str, tmp_path: Path) -> None:
    path = written(tmp_path, GREY_HW.astype(dtype))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableImage) as raised:
        seen(path)
    assert raised.value.damaged


def test_a_deep_image_is_upright_whichever_way_it_was_held(tmp_path: Path) -> None:
    stored_HW = np.rot90(GREY_HW).astype(np.uint16)  # 6: the first row is the right side
    path = written(tmp_path, stored_HW, photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(seen(path), stretched(GREY_HW))


def test_the_range_of_floating_point_pixels_has_to_be_said(tmp_path: Path) -> None:
    path = written(tmp_path, GREY_HW.astype(np.float32))
    with pytest.raises(UnreadableImage, match=r"whose type has no lowest and highest value .*; say intensity=LOW/HIGH"):
        seen(path, intensity="dtype")
    np.testing.assert_array_equal(seen(path, intensity=(0.0, 255.0)), GREY_HW)


@given(
    dtype=st.sampled_from(["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"]),
    photometric=st.sampled_from(["minisblack", "miniswhite", "rgb", "cielab", "separated", "ycbcr"]),
    planarconfig=st.sampled_from(["contig", "separate"]),
    compression=st.sampled_from([None, "deflate", "lzw", "zstd", "packbits"]),
    byteorder=st.sampled_from(["<", ">"]),
    channels=st.integers(1, 5),
    tiled=st.booleans(),
    seed=st.integers(0, 2**16),
)
@example(
    dtype="u2",
    photometric="rgb",
    planarconfig="separate",
    compression=None,
    byteorder=">",
    channels=3,
    tiled=False,
    seed=0,
)
@example(
    dtype="i1",
    photometric="miniswhite",
    planarconfig="contig",
    compression=None,
    byteorder="<",
    channels=1,
    tiled=False,
    seed=0,
)
@settings(LAWS, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_tifffile_writes_gives_the_pixels_that_were_written_or_a_sentence(
    dtype: str,
    photometric: str,
    planarconfig: str,
    compression: str | None,
    byteorder: str,
    channels: int,
    tiled: bool,
    seed: int,
    tmp_path: Path,
) -> None:
    values_HWC = np.random.default_rng(seed).integers(0, 256, (19, 23, channels)).astype(np.uint8)
    values_HWC = values_HWC > 99 if dtype == "?" else values_HWC.astype(dtype)
    if channels == 1:
        values_HWC = values_HWC[..., 0]
    laid = np.moveaxis(values_HWC, -1, 0) if channels > 1 and planarconfig == "separate" else values_HWC
    more: dict[str, Any] = {"planarconfig": planarconfig} if channels > 1 else {}
    if photometric == "rgb" and channels > 3:
        more["extrasamples"] = ["unspecified"] * (channels - 3)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = written(
                tmp_path,
                laid,
                photometric=photometric,
                compression=compression,
                byteorder=byteorder,
                tile=(16, 16) if tiled else None,
                **more,
            )
    except (ValueError, TypeError, NotImplementedError):
        return  # there is no such file
    try:
        pixels = seen(path, channels=3)
    except UnreadableImage as error:
        assert "image.tiff" in str(error)  # noqa: PT017
        assert not error.damaged  # noqa: PT017
        return
    assert photometric in ("minisblack", "miniswhite", "rgb", "separated", "ycbcr")
    if photometric in ("separated", "ycbcr"):
        assert dtype == "u1"
        return
    deep = dtype not in ("?", "u1")
    colours = values_HWC[..., :3] if photometric == "rgb" else values_HWC
    expected = stretched(colours) if deep else colours.astype(np.uint8) * (255 if dtype == "?" else 1)
    if photometric == "miniswhite":
        expected = 255 - expected
    np.testing.assert_array_equal(pixels, expected if expected.ndim == 3 else np.dstack([expected] * 3))

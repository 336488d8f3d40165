"""DICOM files as hospitals have them: empty elements, no meta header, odd padding, palettes and windows.

Legend: H, W pixels.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import MPEG2MPML, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data import image_limits, npz_rows
from pytest_fmtransfer.data.decoding import read_grey, read_pixels
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS
from tests.test_decoding import COLOURS_HW3
from tests.test_dicom import RAMP_HW, dicom, scaled, written

PLAIN_HW = scaled(RAMP_HW, 0, float(RAMP_HW.max()))


def grey(dataset: FileDataset, folder: Path, intensity: Intensity = "image") -> np.ndarray:
    return read_grey(written(dataset, folder / "image.dcm"), intensity=intensity)


@pytest.mark.parametrize(
    "empty",
    [
        ("WindowCenter", "WindowWidth"),
        ("WindowWidth",),
        ("RescaleSlope", "RescaleIntercept"),
        ("PixelPaddingValue",),
        ("VOILUTFunction",),
    ],
)
def test_an_element_without_a_value_is_no_element(empty: tuple[str, ...], tmp_path: Path) -> None:
    more = {"WindowCenter": 5} if empty == ("WindowWidth",) else {}
    dataset = dicom(RAMP_HW, **more, **dict.fromkeys(empty))
    np.testing.assert_array_equal(grey(dataset, tmp_path), PLAIN_HW)


@pytest.mark.parametrize("name", ["image.dcm", "image"])
@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_a_meta_header_is_read(implicit: bool, name: str, tmp_path: Path) -> None:
    stream, bare = DicomBytesIO(), pydicom.Dataset()
    stream.is_implicit_VR, stream.is_little_endian = implicit, True
    bare.update({element.tag: element for element in dicom(RAMP_HW)})
    write_dataset(stream, bare)
    (tmp_path / name).write_bytes(stream.getvalue())
    np.testing.assert_array_equal(read_grey(tmp_path / name), PLAIN_HW)


@pytest.mark.parametrize(("name", "dtype"), [("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")])
def test_floating_point_pixels_are_read(name: str, dtype: str, tmp_path: Path) -> None:
    dataset = dicom(RAMP_HW)
    for each in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, each)
    dataset.BitsAllocated = 32 if dtype == "f4" else 64
    setattr(dataset, name, RAMP_HW.astype(dtype).tobytes())
    np.testing.assert_array_equal(grey(dataset, tmp_path), PLAIN_HW)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")  # as pydicom says while the file is made
@pytest.mark.parametrize(("centre", "width"), [("NaN", "100"), ("1", "NaN"), ("1", "inf"), ("inf", "100"), ("1", "0")])
def test_a_window_that_shows_nothing_is_an_error_and_no_black_picture(centre: str, width: str, tmp_path: Path) -> None:
    dataset = dicom(RAMP_HW, WindowCenter=centre, WindowWidth=width)
    with pytest.raises(
        UnreadableImage, match=r"a window of width .*write the right one, .*intensity=LOW/HIGH"
    ) as raised:
        grey(dataset, tmp_path)
    assert not raised.value.damaged
    np.testing.assert_array_equal(grey(dataset, tmp_path, (0.0, float(RAMP_HW.max()))), PLAIN_HW)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize(("slope", "intercept"), [("0", "0"), ("NaN", "0"), ("1", "NaN"), ("inf", "0")])
def test_a_slope_that_shows_nothing_is_an_error_and_no_black_picture(
    slope: str, intercept: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableImage, match=r"a rescale slope of .*; write the right ones") as raised:
        grey(dicom(RAMP_HW, RescaleSlope=slope, RescaleIntercept=intercept), tmp_path)
    assert not raised.value.damaged


def test_a_slope_without_an_intercept_counts(tmp_path: Path) -> None:
    seen_HW = grey(dicom(RAMP_HW, RescaleSlope=2), tmp_path, (0.0, 8190.0))
    np.testing.assert_array_equal(seen_HW, scaled(RAMP_HW * 2, 0, 8190))


def test_padding_written_as_the_bits_of_a_negative_number_is_left_aside(tmp_path: Path) -> None:
    padded_HW = RAMP_HW.astype(np.int16) + 100
    padded_HW[:5] = -2000
    dataset = dicom(padded_HW, bits=16)
    dataset.add_new(0x00280120, "US", 63536)
    inside_HW = padded_HW[5:]
    np.testing.assert_array_equal(grey(dataset, tmp_path), scaled(padded_HW, inside_HW.min(), inside_HW.max()))


@pytest.mark.parametrize(
    ("intensity", "ends"), [("image", (50, 250)), ("dtype", (-1024, 4095 * 2 - 1024)), ((-1000.0, 400.0), (-1000, 400))]
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_a_stated_range_is_of_rescaled_values_and_stands_in_the_place_of_windows(
    intensity: Intensity, ends: tuple[float, float], kind: str, tmp_path: Path
) -> None:
    more = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 150, "WindowWidth": 200}
    dataset = dicom(RAMP_HW, kind, VOILUTFunction="LINEAR_EXACT", **more)
    expected_HW = scaled(RAMP_HW.astype(float) * 2 - 1024, *ends)
    seen_HW = grey(dataset, tmp_path, intensity)
    np.testing.assert_array_equal(seen_HW, 255 - expected_HW if kind == "MONOCHROME1" else expected_HW)


@pytest.mark.parametrize("planes", [0, 1])
def test_planes_of_colour_are_put_together(planes: int, tmp_path: Path) -> None:
    dataset = dicom(COLOURS_HW3, "RGB", bits=8, PlanarConfiguration=planes)
    dataset.PixelData = (np.moveaxis(COLOURS_HW3, -1, 0) if planes else COLOURS_HW3).tobytes()
    np.testing.assert_array_equal(read_pixels(written(dataset, tmp_path / "c.dcm"), channels=3), COLOURS_HW3)


@pytest.mark.parametrize("compressed", [False, True])
def test_colours_of_video_become_those_of_the_screen(compressed: bool, tmp_path: Path) -> None:
    stream = io.BytesIO()
    image = Image.fromarray(COLOURS_HW3)
    image.save(stream, "JPEG", quality=100, subsampling=0)
    dataset = dicom(np.asarray(image.convert("YCbCr")), "YBR_FULL", bits=8)
    if compressed:
        dataset.PixelData, dataset.file_meta.TransferSyntaxUID = encapsulate([stream.getvalue()]), JPEGBaseline8Bit
    seen = read_pixels(written(dataset, tmp_path / "y.dcm"), channels=3)
    np.testing.assert_allclose(seen.astype(int), COLOURS_HW3, atol=4)


@pytest.mark.parametrize(("intensity", "ends"), [("image", None), ("dtype", (0, 4095))])
def test_colours_of_more_bits_are_stretched_as_greys_are(
    intensity: Intensity, ends: tuple[float, float] | None, tmp_path: Path
) -> None:
    values = COLOURS_HW3.astype(np.uint16) * 9
    path = written(dicom(values, "RGB", bits=12), tmp_path / "c.dcm")
    expected = scaled(values, *(ends or (values.min(), values.max())))
    np.testing.assert_array_equal(read_pixels(path, channels=3, intensity=intensity), expected)


@pytest.mark.parametrize(("bits", "dtype", "times"), [(8, "u1", 1), (8, "<u2", 1), (16, "<u2", 257)])
def test_a_palette_is_looked_up_whichever_way_its_entries_are_packed(
    bits: int, dtype: str, times: int, tmp_path: Path
) -> None:
    dataset = dicom(np.array([[0, 1, 2, 9]], dtype=np.uint8), "PALETTE COLOR", bits=8)
    for name, values in {"Red": (0, 255, 100), "Green": (0, 0, 1), "Blue": (0, 0, 255)}.items():
        data = np.array([value * times for value in values], dtype=dtype).tobytes()
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [3, 0, bits])
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", data + bytes(len(data) % 2))
    seen = read_pixels(written(dataset, tmp_path / "p.dcm"), channels=3)
    assert seen[0].tolist() == [[0, 0, 0], [255, 0, 0], [100, 1, 255], [100, 1, 255]]


def frames() -> FileDataset:
    return dicom(np.stack([RAMP_HW, RAMP_HW]), NumberOfFrames=2)


def video() -> FileDataset:
    dataset = dicom(RAMP_HW, PixelData=encapsulate([b"abcd"]))
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    return dataset


def report() -> FileDataset:
    dataset = dicom(RAMP_HW)
    del dataset.PixelData
    return dataset


def vast() -> FileDataset:
    return dicom(RAMP_HW, Rows=40000, Columns=40000)


def nothing() -> FileDataset:
    dataset = dicom(RAMP_HW, BitsAllocated=32)
    del dataset.PixelData
    dataset.FloatPixelData = np.full(RAMP_HW.shape, np.nan, dtype=np.float32).tobytes()
    return dataset


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (frames, "2 frames in one DICOM file"),
        (video, "compressed as MPEG2"),
        (report, "without pixels"),
        (vast, "40000 × 40000 pixels, 3.0 GiB unpacked"),
        (nothing, "none of its pixels is a number"),
        (lambda: dicom(RAMP_HW, "ODD"), "ODD"),
        (lambda: dicom(RAMP_HW, WindowCenter=5, WindowWidth=9, VOILUTFunction="ODD"), "function 'ODD'"),
    ],
)
def test_what_is_sound_and_not_read_is_not_called_damaged(
    made: Callable[[], FileDataset], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableImage, match=told) as raised:
        grey(made(), tmp_path)
    assert not raised.value.damaged


def test_jpeg_of_twelve_bits_names_the_decoder_that_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    from imagecodecs import jpeg_encode
    from pydicom.pixels.decoders.base import get_decoder

    if any("pylibjpeg" in name for name in get_decoder(JPEGExtended12Bit).available_plugins):
        pytest.skip("the decoder is installed")
    dataset = dicom(RAMP_HW, PixelData=encapsulate([jpeg_encode(RAMP_HW, bitspersample=12, level=98)]))
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    with pytest.raises(UnreadableImage, match="pip install pylibjpeg") as raised:
        grey(dataset, tmp_path)
    assert not raised.value.damaged


def test_fewer_pixels_than_declared_are_damage(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="less than expected") as raised:
        grey(dicom(RAMP_HW, Rows=21), tmp_path)
    assert raised.value.damaged


def test_a_deflated_file_is_read_and_one_that_unpacks_to_too_much_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dicom(RAMP_HW)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    np.testing.assert_array_equal(grey(dataset, tmp_path), PLAIN_HW)
    monkeypatch.setattr(image_limits, "LARGEST_IMAGE", 1000)
    inflated: list[bytes] = []
    monkeypatch.setattr(zlib, "decompress", lambda data, *_: inflated.append(data))
    with pytest.raises(
        UnreadableImage, match="unpacked, which is all that an image may take: save it smaller"
    ) as raised:
        read_grey(tmp_path / "image.dcm")
    assert not raised.value.damaged
    assert inflated == []  # pydicom was not asked


@pytest.mark.parametrize(("shape", "read"), [((1, 2**16, 2**15), "images"), ((2**31, 1), "labels")])
def test_an_array_of_an_npz_that_would_unpack_to_gigabytes_is_refused_by_its_header(
    shape: tuple[int, ...], read: str, tmp_path: Path
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue())
    info = zipfile.ZipFile(tmp_path / "a.npz").getinfo("x.npy")
    declared = len(header.getvalue()) + int(np.prod(shape))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the directory, whose size of the member is believed
    data[at + 24 : at + 28] = declared.to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(data)
    assert info.file_size < 1000
    with pytest.raises(ValueError, match="GiB"):
        npz_rows.open_npz(tmp_path / "a.npz", "x") if read == "images" else npz_rows.read_array(tmp_path / "a.npz", "x")


@given(
    values=st.lists(st.integers(-2048, 2047), min_size=6, max_size=6),
    slope=st.sampled_from([None, 0.5, 1, 3, -1]),
    negative=st.booleans(),
    intensity=st.one_of(
        st.sampled_from(["image", "dtype"]),
        st.tuples(st.integers(-3000, 0).map(float), st.integers(1, 3000).map(float)),
    ),
)
@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_grey_file_shows_its_rescaled_values_between_the_ends_of_the_rule(
    values: list[int], slope: float | None, negative: bool, intensity: Intensity, tmp_path: Path
) -> None:
    stored_HW = np.array(values, dtype=np.int16).reshape(3, 2)
    more = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": 10}
    rescaled_HW = stored_HW * float(slope or 1) + (0 if slope is None else 10)
    span = sorted(end * float(slope or 1) + (0 if slope is None else 10) for end in (-2048, 2047))
    ends = {"image": (rescaled_HW.min(), rescaled_HW.max()), "dtype": (span[0], span[1])}
    low, high = ends[intensity] if isinstance(intensity, str) else intensity
    expected_HW = scaled(rescaled_HW, low, high) if high > low else np.zeros((3, 2))
    dataset = dicom(stored_HW, "MONOCHROME1" if negative else "MONOCHROME2", bits=12, **more)
    np.testing.assert_array_equal(grey(dataset, tmp_path, intensity), 255 - expected_HW if negative else expected_HW)

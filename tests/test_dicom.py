"""A DICOM file is the picture that a viewer shows first; what is not one picture is refused.

Legend: H, W pixels.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLossless, RLELossless

from pytest_fmtransfer.backbones.metadata import embed
from pytest_fmtransfer.data.decoding import open_image, read_grey, read_pixels
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS
from tests.test_decoding import COLOURS_HW3, DAMAGE, damaged

RAMP_HW = (np.arange(20 * 32, dtype=np.uint16).reshape(20, 32) * 6) % 4096
CLASS = "1.2.840.10008.5.1.4.1.1.1.2"  # digital mammography


def dicom(pixels: np.ndarray, kind: str = "MONOCHROME2", *, bits: int = 12, **more: Any) -> FileDataset:
    """A file of stored values, with whatever other elements are named."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, UID(CLASS)
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(CLASS), UID("1.2.3")
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if pixels.ndim < 3 or pixels.shape[-1] != 3 else pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = kind
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = pixels.dtype.itemsize * 8, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def written(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def seen(folder: Path, pixels: np.ndarray, kind: str = "MONOCHROME2", **more: Any) -> np.ndarray:
    return read_grey(written(dicom(pixels, kind, **more), folder / "image.dcm"))


def scaled(values_HW: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((np.clip(values_HW.astype(float), low, high) - low) / (high - low) * 255)


def test_without_a_window_the_range_of_the_pixels_is_seen(tmp_path: Path) -> None:
    np.testing.assert_array_equal(seen(tmp_path, RAMP_HW), scaled(RAMP_HW, 0, RAMP_HW.max()))


def test_of_monochrome1_low_values_are_bright(tmp_path: Path) -> None:
    np.testing.assert_array_equal(seen(tmp_path, RAMP_HW, "MONOCHROME1"), 255 - seen(tmp_path, RAMP_HW))


def test_padding_does_not_take_part_in_the_range(tmp_path: Path) -> None:
    padded_HW = RAMP_HW.astype(np.int16) + 100
    padded_HW[:5], padded_HW[5:7] = -2000, -1990
    more = {"bits": 16, "PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    inside_HW = padded_HW[7:]
    expected_HW = scaled(padded_HW, inside_HW.min(), inside_HW.max())
    np.testing.assert_array_equal(seen(tmp_path, padded_HW, **more), expected_HW)
    assert seen(tmp_path, np.full((4, 4), -2000, dtype=np.int16), **more).max() == 0


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("slope", [None, 0.5, 2])
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_the_first_window_is_that_of_pydicom(
    function: str | None, slope: float | None, kind: str, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"WindowCenter": [900, 5], "WindowWidth": [1200, 9]}
    more |= {"VOILUTFunction": function} if function else {}
    more |= {"RescaleSlope": slope, "RescaleIntercept": -100} if slope else {}
    dataset = dicom(RAMP_HW, kind, **more)
    theirs_HW = apply_windowing(apply_modality_lut(RAMP_HW, dataset), dataset)
    low, high = (value * (slope or 1) - (100 if slope else 0) for value in (0, 4095))
    expected_HW = scaled(theirs_HW, low, high)
    expected_HW = 255 - expected_HW if kind == "MONOCHROME1" else expected_HW
    np.testing.assert_allclose(read_grey(written(dataset, tmp_path / "w.dcm")), expected_HW, atol=1)


def test_hounsfield_units_are_windowed_after_slope_and_intercept(tmp_path: Path) -> None:
    stored_HW = np.array([[0, 984, 1064, 1144, 3000]], dtype=np.uint16)
    more = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40.5, "WindowWidth": 161}
    assert seen(tmp_path, stored_HW, **more).tolist() == [[0, 0, 128, 255, 255]]


def lookup(entries: list[int], first: int, bits: int) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", entries)
    return pydicom.Sequence([item])


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095)])
def test_a_table_of_the_voi_comes_before_a_window_and_ends_hold_beyond_it(bits: int, top: int, tmp_path: Path) -> None:
    stored_HW = np.array([[0, 1000, 1001, 1299, 4000]], dtype=np.uint16)
    table = lookup([top - round(top * n / 299) for n in range(300)], 1000, bits)
    more = {"VOILUTSequence": table, "WindowCenter": 5, "WindowWidth": 9}
    assert seen(tmp_path, stored_HW, **more).tolist() == [[255, 255, 254, 0, 0]]


def test_a_table_of_the_modality_is_looked_up(tmp_path: Path) -> None:
    table = lookup([n * 100 for n in range(5)], 0, 16)
    table[0].ModalityLUTType = "US"
    assert seen(tmp_path, np.array([[0, 1, 2, 4]], dtype=np.uint16), ModalityLUTSequence=table).tolist() == [
        [0, 64, 128, 255]
    ]


def test_colour_is_read(tmp_path: Path) -> None:
    path = written(dicom(COLOURS_HW3, "RGB", bits=8), tmp_path / "c.dcm")
    np.testing.assert_array_equal(read_pixels(path, channels=3), COLOURS_HW3)


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    dataset = dicom(np.array([[0, 1, 2, 2]], dtype=np.uint8), "PALETTE COLOR", bits=8)
    for name, values in {"Red": (0, 65535, 25700), "Green": (0, 0, 257), "Blue": (0, 0, 65535)}.items():
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [3, 0, 16])
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", np.array(values, dtype="<u2").tobytes())
    path = written(dataset, tmp_path / "p.dcm")
    assert read_pixels(path, channels=3)[0].tolist() == [[0, 0, 0], [255, 0, 0], [100, 1, 255], [100, 1, 255]]


@pytest.mark.parametrize(("syntax", "form"), [(JPEGBaseline8Bit, "JPEG"), (JPEG2000Lossless, "JPEG2000")])
def test_what_pillow_can_decompress_is_read(syntax: str, form: str, tmp_path: Path) -> None:
    grey_HW, stream = COLOURS_HW3[..., 0], io.BytesIO()
    Image.fromarray(grey_HW).save(stream, form, **({"quality": 100} if form == "JPEG" else {"no_jp2": True}))
    dataset = dicom(grey_HW, bits=8, PixelData=encapsulate([stream.getvalue()]), WindowCenter=128, WindowWidth=256)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    np.testing.assert_allclose(read_grey(written(dataset, tmp_path / "j.dcm")), grey_HW, atol=2)


def test_run_lengths_are_read(tmp_path: Path) -> None:
    dataset = dicom(RAMP_HW)
    dataset.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read_grey(written(dataset, tmp_path / "r.dcm")), scaled(RAMP_HW, 0, RAMP_HW.max()))


def test_a_missing_decoder_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    monkeypatch.setattr(get_decoder(JPEGLossless), "_available", {})
    dataset = dicom(RAMP_HW, PixelData=encapsulate([b"\xff\xd8 lossless"]))
    dataset.file_meta.TransferSyntaxUID = JPEGLossless
    told = r"l\.dcm \(its pixels are compressed as JPEG Lossless.*; pip install pylibjpeg pylibjpeg-libjpeg\)$"
    with pytest.raises(UnreadableImage, match=told) as raised:
        read_grey(written(dataset, tmp_path / "l.dcm"))
    assert not raised.value.damaged  # so it is never left out as a bad image


def many_frames() -> FileDataset:
    return dicom(np.stack([RAMP_HW, RAMP_HW]), NumberOfFrames=2)


def no_pixels() -> FileDataset:
    dataset = dicom(RAMP_HW)
    del dataset.PixelData
    return dataset


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (many_frames, "2 frames in one DICOM file; save the frame that is the image in a file of its own"),
        (no_pixels, "a DICOM file of Digital Mammography X-Ray Image Storage.* without pixels"),
        (lambda: dicom(RAMP_HW, WindowCenter=5, WindowWidth=0), "a window of width 0"),
        (lambda: dicom(RAMP_HW, WindowCenter=5, WindowWidth=9, VOILUTFunction="ODD"), "function 'ODD'"),
        (lambda: dicom(RAMP_HW, "ODD"), "ODD"),
        (
            lambda: dicom(RAMP_HW, Rows=60000, Columns=60000),
            "60000 × 60000 pixels, 6.7 GiB unpacked; an image may take 1 GiB: save it smaller",
        ),
        (lambda: dicom(RAMP_HW, Rows=21), "less than expected"),
    ],
)
def test_what_is_not_one_picture_is_refused(dataset: Callable[[], FileDataset], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=rf"bad\.dcm \(.*({reason})"):
        read_grey(written(dataset(), tmp_path / "bad.dcm"))


def test_a_dicom_file_is_known_by_its_magic_too(tmp_path: Path) -> None:
    path = written(dicom(RAMP_HW), tmp_path / "IM0001")
    np.testing.assert_array_equal(read_grey(path), scaled(RAMP_HW, 0, RAMP_HW.max()))


def test_another_file_with_the_suffix_is_no_dicom(tmp_path: Path) -> None:
    Image.fromarray(COLOURS_HW3).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.dcm")
    with pytest.raises(UnreadableImage, match=r"x\.dcm"):
        read_grey(tmp_path / "x.dcm")


def test_the_audit_and_the_shortcut_probe_see_a_dicom_file_as_an_image(tmp_path: Path) -> None:
    path = written(dicom(RAMP_HW), tmp_path / "a.dcm")
    assert (open_image(path).mode, open_image(path).size) == ("L", (32, 20))
    features_ND = embed(FilePictures(folder=tmp_path, ids=("a.dcm",), decode=read_grey), 1)
    assert np.isfinite(features_ND).all()


@given(damage=DAMAGE, compressed=st.booleans())
@settings(LAWS, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_named_and_nothing_else(
    damage: tuple[list[tuple[float, int]], float | None], compressed: bool, tmp_path: Path
) -> None:
    dataset = dicom(RAMP_HW, WindowCenter=900, WindowWidth=1200, RescaleSlope=1, RescaleIntercept=0)
    if compressed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    (tmp_path / "broken.dcm").write_bytes(damaged(stream.getvalue(), damage, 700))
    try:
        assert read_grey(tmp_path / "broken.dcm").dtype == np.uint8
    except UnreadableImage as error:
        assert "broken.dcm" in str(error)  # noqa: PT017

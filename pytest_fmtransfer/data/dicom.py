"""A DICOM file as the picture that a viewer shows first, read by pydicom.

Greys go the way of PS3.3: stored values through the modality's table or rescale slope and intercept (C.11.1), then
through the first VOI table, else the first window (C.11.2). A file with neither is stretched from its lowest to its
highest value, values that only pad (C.7.5.1.1.2) left aside. Where the dataset's row has another intensity than
"image", that stands in the place of tables and windows. MONOCHROME1 means that low values are bright. Colour and
palettes become RGB. A file of several frames is refused: which of them is the image is for its owner to say.

An element without a value is no element. A file without a meta header is read by the encoding that pydicom sees in it.

Legend: H, W pixels.
"""

import math
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import Dataset, FileDataset, dcmread
from pydicom.filereader import (
    _read_file_meta_info,  # the public one opens a path, and does not say where the header ends
)
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.image_limits import NoDecoder, UnsupportedImage, check_size, check_unpacked
from pytest_fmtransfer.data.modes import SCALED, DeepPixels, brought_to_eight_bits, span_of, stretched

GREYS = ("MONOCHROME1", "MONOCHROME2")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_MAY_BE_EMPTY = (
    "FloatPixelPaddingValue",
    "ModalityLUTSequence",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTFunction",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
)

# The packages that decode what pydicom and Pillow do not, as pydicom's list of what is missing names them.
_DECODERS = ("pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle")


def read_dicom(file: BinaryIO, intensity: Intensity = "image") -> Image.Image:
    """The image of a file, mode "L" or "RGB".

    Raises UnsupportedImage for what is not one image and for what a broken header leaves open, NoDecoder, with what to
    install, and whatever pydicom raises for a broken file.
    """
    dataset = _dataset(file)
    if not any(name in dataset for name in _PIXELS):
        raise UnsupportedImage(f"a DICOM file of {_class_of(dataset)} without pixels")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnsupportedImage(
            f"{frames} frames in one DICOM file; save the frame that is the image in a file of its own"
        )
    samples = int(dataset.get("SamplesPerPixel") or 1)
    check_size(dataset.Columns, dataset.Rows, samples * int(dataset.BitsAllocated) / 8)
    kind = str(dataset.PhotometricInterpretation)
    if kind not in GREYS and kind != "PALETTE COLOR" and samples != 3:
        raise UnsupportedImage(f"DICOM pixels of kind {kind!r}, which this version does not read")
    _decodable(dataset.file_meta.TransferSyntaxUID, int(dataset.get("BitsStored") or 0))
    stored = pixel_array(dataset)  # Y'CbCr is RGB already
    if kind in GREYS:
        return _grey(stored, dataset, intensity, negative=kind == "MONOCHROME1")
    if kind == "PALETTE COLOR":
        return Image.fromarray(_coloured(stored, dataset))
    bits = int(dataset.BitsStored)
    if bits != 8:
        return brought_to_eight_bits(DeepPixels(values=stored, span=span_of(stored.dtype, bits)), intensity)
    return Image.fromarray(stored.astype(np.uint8))


def _dataset(file: BinaryIO) -> FileDataset:
    """What is in a file, less elements without a value. Raises ValueError for a file that is no DICOM file."""
    begins = file.read(132)[128:] == b"DICM"
    if begins:
        if _read_file_meta_info(file).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            check_unpacked(file, wbits=-zlib.MAX_WBITS)
        file.seek(0)
        dataset = dcmread(file)
    else:
        file.seek(0)
        dataset = dcmread(file, force=True)
        if "Rows" not in dataset and "SOPClassUID" not in dataset:
            raise ValueError("no DICOM file")
    if not dataset.file_meta.get("TransferSyntaxUID"):
        name = next((name for name in _PIXELS if name in dataset), None)
        if name and dataset[name].is_undefined_length:
            raise UnsupportedImage(
                "its pixels are compressed, and no meta header says how; write the file anew with one"
            )
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    for name in _MAY_BE_EMPTY:
        if name in dataset and dataset[name].is_empty:
            del dataset[name]
    return dataset


def _class_of(dataset: Dataset) -> str:
    return UID(str(dataset.get("SOPClassUID", "no class"))).name


def _decodable(syntax: UID, bits: int) -> None:
    """Raises NoDecoder where nothing here can decompress a transfer syntax."""
    if not syntax.is_compressed or syntax.is_deflated:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnsupportedImage(f"its pixels are compressed as {syntax.name}, which pydicom does not read") from None
    by_pillow_alone = all(name.startswith("pillow") for name in decoder.available_plugins)
    if not decoder.is_available or (syntax == JPEGExtended12Bit and bits > 8 and by_pillow_alone):
        text = " ".join(decoder.missing_dependencies)
        packages = next((f"pylibjpeg {name}" for name in _DECODERS if name in text), "python-gdcm")
        raise NoDecoder(f"its pixels are compressed as {syntax.name}; pip install {packages}")


def _grey(stored_HW: np.ndarray, dataset: Dataset, intensity: Intensity, *, negative: bool) -> Image.Image:
    """Mode "L", bright where the image is bright."""
    slope, intercept = _rescale(dataset)
    table = "ModalityLUTSequence" in dataset
    values_HW = apply_modality_lut(stored_HW, dataset)
    if not table and (slope, intercept) != (1, 0) and not {"RescaleSlope", "RescaleIntercept"} <= set(dataset.dir()):
        values_HW = stored_HW * slope + intercept  # pydicom wants both, and takes neither without the other
    seen_HW = None
    if intensity == "image" and dataset.get("VOILUTSequence"):
        seen_HW = _looked_up(values_HW, dataset.VOILUTSequence[0])
    elif intensity == "image" and "WindowCenter" in dataset and "WindowWidth" in dataset:
        seen_HW = _windowed(values_HW, dataset)
    if seen_HW is not None:
        image = Image.fromarray(255 - seen_HW if negative else seen_HW)
        image.info[SCALED] = True
        return image
    span = span_of(stored_HW.dtype, int(dataset.get("BitsStored") or 0) or None)
    if span is not None and table:
        span = (0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    elif span is not None:
        ends = sorted(end * slope + intercept for end in span)
        span = (ends[0], ends[1])
    deep = DeepPixels(values=values_HW, span=span, counted_HW=~_padding(stored_HW, dataset), negative=negative)
    return brought_to_eight_bits(deep, intensity)


def _rescale(dataset: Dataset) -> tuple[float, float]:
    """Slope and intercept, 1 and 0 where there are none. Raises UnsupportedImage for what makes no picture."""
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        raise UnsupportedImage(
            f"a rescale slope of {slope:g} and intercept of {intercept:g}; write the right ones there"
        )
    return slope, intercept


def _coloured(stored_HW: np.ndarray, dataset: Dataset) -> np.ndarray:
    """H × W × 3 uint8, through the palette; values beyond its ends take its first or last colour (C.7.6.3.1.5)."""
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    if not all(f"{name}Data" in dataset for name in names):  # in segments
        colours_HW3 = apply_color_lut(stored_HW, dataset)
        return (colours_HW3 >> 8 if colours_HW3.dtype == np.uint16 else colours_HW3).astype(np.uint8)
    channels: list[np.ndarray] = []
    for name in names:
        entries, first, bits = (int(number) for number in dataset[f"{name}Descriptor"].value)
        data = dataset[f"{name}Data"].value
        count = entries or 2**16
        # Entries of eight bits are bytes, or words whose high byte is empty; an odd number of bytes is padded.
        table = np.frombuffer(data, dtype="<u2" if len(data) >= 2 * count else np.uint8)[:count]
        rows_HW = np.clip(stored_HW.astype(np.int64) - first, 0, len(table) - 1)
        channels.append((table >> (bits - 8) if bits > 8 else table)[rows_HW].astype(np.uint8))
    return np.stack(channels, axis=-1)


def _looked_up(values_HW: np.ndarray, item: Dataset) -> np.ndarray:
    """Through a table of the VOI; values beyond its ends take its first or last entry (C.11.2.1.1)."""
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):  # OW: words of two bytes, or of one where the entries are so packed
        data = np.frombuffer(data, dtype=np.uint8 if len(data) == (entries or 2**16) else "<u2")
    table = np.asarray(data)
    rows_HW = np.clip(np.rint(values_HW) - first, 0, len(table) - 1).astype(np.int64)
    return stretched(table[rows_HW], 0, 2**bits - 1)


def _windowed(values_HW: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Through the first window (C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (float(np.ravel(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if not (0 < width < math.inf and math.isfinite(centre)):
        raise UnsupportedImage(
            f"a window of width {width:g} about {centre:g}; write the right one, or one for all images of the "
            "dataset: intensity=LOW/HIGH"
        )
    if function == "SIGMOID":
        return stretched(1 / (1 + np.exp(np.clip(-4 * (values_HW - centre) / width, -700, 700))), 0, 1)
    if function == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    elif function != "LINEAR_EXACT":
        raise UnsupportedImage(f"a window of function {function!r}, which is not in the standard")
    return stretched(values_HW, centre - width / 2, centre + width / 2)


def _padding(stored_HW: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Which pixels only fill the frame up, bool."""
    value = dataset.get("PixelPaddingValue", dataset.get("FloatPixelPaddingValue"))
    if value is None:
        return np.zeros(stored_HW.shape, dtype=bool)
    ends = [value, dataset.get("PixelPaddingRangeLimit", value)]
    if stored_HW.dtype.kind == "i":  # some write -2000 as 63536, its bits
        half = 2 ** (int(dataset.BitsAllocated) - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return (stored_HW >= min(ends)) & (stored_HW <= max(ends))

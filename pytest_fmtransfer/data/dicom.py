"""A DICOM file as the picture that a viewer shows first, read by pydicom.

Greys go the way of PS3.3: stored values through the modality's table or rescale slope and intercept (C.11.1), then
through the first VOI table, else the first window (C.11.2). A file with neither is stretched from its lowest to its
highest value, values that only pad (C.7.5.1.1.2) left aside. MONOCHROME1 means that low values are bright. Colour and
palettes become RGB. A file of several frames is refused: which of them is the image is for its owner to say.

Legend: H, W pixels.
"""

from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from pytest_fmtransfer.data.decoding import NoDecoder
from pytest_fmtransfer.data.modes import stretched

GREYS = ("MONOCHROME1", "MONOCHROME2")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# The packages that decode what pydicom and Pillow do not, as pydicom's list of what is missing names them.
_DECODERS = ("pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle")


def read_dicom(file: BinaryIO) -> Image.Image:
    """The image of a file, mode "L" or "RGB".

    Raises NoDecoder, with what to install, ValueError for what is not one image, and whatever pydicom raises for a
    broken file.
    """
    dataset = dcmread(file)
    if not any(name in dataset for name in _PIXELS):
        raise ValueError(f"a DICOM file of {_class_of(dataset)} without pixels")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ValueError(f"{frames} frames in one DICOM file; save the frame that is the image in a file of its own")
    most = 2 * (Image.MAX_IMAGE_PIXELS or 2**40)  # as Pillow does: a broken header may ask for any amount of memory
    if dataset.Rows * dataset.Columns > most:
        raise ValueError(f"{dataset.Rows} × {dataset.Columns} pixels, more than Pillow would read")
    _decodable(dataset.file_meta.TransferSyntaxUID)
    stored = pixel_array(dataset)  # Y'CbCr is RGB already
    kind = str(dataset.PhotometricInterpretation)
    if kind in GREYS:
        return Image.fromarray(_grey(stored, dataset, negative=kind == "MONOCHROME1"))
    if kind == "PALETTE COLOR":
        colours = apply_color_lut(stored, dataset)
        return Image.fromarray((colours >> 8 if colours.dtype == np.uint16 else colours).astype(np.uint8))
    if stored.ndim == 3 and stored.shape[2] == 3:
        bits = int(dataset.BitsStored)
        return Image.fromarray(stretched(stored, 0, 2**bits - 1) if bits != 8 else stored.astype(np.uint8))
    raise ValueError(f"DICOM pixels of kind {kind!r}, which this version does not read")


def _class_of(dataset: Dataset) -> str:
    return UID(str(dataset.get("SOPClassUID", "no class"))).name


def _decodable(syntax: UID) -> None:
    """Raises NoDecoder where nothing here can decompress a transfer syntax."""
    if not syntax.is_compressed or syntax.is_deflated:
        return
    decoder = get_decoder(syntax)  # NotImplementedError for what pydicom knows no decoder of
    if not decoder.is_available:
        text = " ".join(decoder.missing_dependencies)
        packages = next((f"pylibjpeg {name}" for name in _DECODERS if name in text), "python-gdcm")
        raise NoDecoder(f"its pixels are compressed as {syntax.name}; pip install {packages}")


def _grey(stored_HW: np.ndarray, dataset: Dataset, *, negative: bool) -> np.ndarray:
    """uint8, H × W, bright where the image is bright."""
    values_HW = apply_modality_lut(stored_HW, dataset)
    if dataset.get("VOILUTSequence"):
        seen_HW = _looked_up(values_HW, dataset.VOILUTSequence[0])
    elif "WindowCenter" in dataset and "WindowWidth" in dataset:
        seen_HW = _windowed(values_HW, dataset)
    else:
        image_M = values_HW[~_padding(stored_HW, dataset)]  # M of the pixels
        ends = (image_M.min(), image_M.max()) if image_M.size else (None, None)
        seen_HW = stretched(values_HW, *ends)
    return 255 - seen_HW if negative else seen_HW


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
    if not width > 0:
        raise ValueError(f"a window of width {width:g}")
    if function == "SIGMOID":
        return stretched(1 / (1 + np.exp(np.clip(-4 * (values_HW - centre) / width, -700, 700))), 0, 1)
    if function == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    elif function != "LINEAR_EXACT":
        raise ValueError(f"a window of function {function!r}, which is not in the standard")
    return stretched(values_HW, centre - width / 2, centre + width / 2)


def _padding(stored_HW: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Which pixels only fill the frame up, bool."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored_HW.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    return (stored_HW >= min(value, limit)) & (stored_HW <= max(value, limit))

"""What the search for copies knows of each image: whether pixels are equal, and maps of local contrast at four sizes.

Every image is looked at in two views, as the file has it and as the reader decodes it. A reader that crops to the
content takes off the border that tells a copy from its original; the whole picture is safe from a crop gone wrong.

Legend: N images, V views, S the square side in pixels, D = S² of the coarsest maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pytest_fmtransfer.data.alignment import local_contrast
from pytest_fmtransfer.data.bad_images import each_image
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import picture_digest, resize
from pytest_fmtransfer.data.modes import SCALED, shown
from pytest_fmtransfer.disk import new_array
from pytest_fmtransfer.progress import progress

# Side of a map in pixels: the two scales of its local contrast, in those pixels. Chosen on Br35H: docs/audit.md.
SCALES = {128: (1.0, 3.0), 64: (1.0, 4.0), 32: (1.0, 4.0), 16: (0.5, 2.0)}
FINE, SECOND, FIRST, COARSE = SCALES
_STEPS = 32  # maps are kept as bytes, contrast in 32nds


@dataclass(frozen=True, kw_only=True)
class Descriptors:
    """`contents_N` number the distinct pictures; `coarse_VND` are unit vectors, 0 for a blank picture; `maps` are
    V × N × S × S bytes by side, on disk. `scaled` are the rows of images that were brought to eight bits."""

    contents_N: np.ndarray
    coarse_VND: np.ndarray
    maps: Mapping[int, np.ndarray]
    scaled: tuple[int, ...] = ()


def describe(dataset: Dataset, scratch: Path) -> Descriptors:
    """Decode every image, and write 22 KB of maps per image and view into `scratch`.

    Raises UnreadableImage for broken files, with their number and the first of them.
    """
    ids: list[str] = dataset.table.ids_N.tolist()
    images = len(ids)

    def one(row: int) -> tuple[str, bool, list[np.ndarray]]:
        kept = dataset.pictures.image(row)
        image = shown(kept)
        seen = dataset.pictures.pixels(row)
        seen_HW = seen if seen.ndim == 2 else np.asarray(Image.fromarray(seen).convert("L"))
        views = (np.asarray(image.convert("L")), seen_HW)
        maps = _maps(np.stack([resize(view_HW, FINE) for view_HW in views]))
        return picture_digest(np.asarray(image.convert("RGB"))), SCALED in kept.info, maps

    maps = {side: new_array(scratch / f"maps{side}.npy", np.int8, (2, images, side, side)) for side in SCALES}
    contents: list[str] = []
    scaled: list[int] = []
    with progress(f"audit {dataset.spec.name}: decode", total=images, unit="image") as bar:
        for row, (content, is_scaled, maps_of_image) in enumerate(each_image(one, ids, about=dataset.spec.name)):
            contents.append(content)
            scaled += [row] if is_scaled else []
            for side, maps_VSS in zip(SCALES, maps_of_image, strict=True):
                maps[side][:, row] = maps_VSS
            bar.update(1)
    coarse_VNSS = maps.pop(COARSE)
    views = 1 if np.array_equal(*coarse_VNSS) else 2  # a reader that decodes files as they are gives one view
    coarse_VND = np.array(coarse_VNSS[:views], dtype=np.float32).reshape(views, images, -1)
    coarse_VND -= coarse_VND.mean(axis=2, keepdims=True)
    coarse_VND /= np.maximum(np.linalg.norm(coarse_VND, axis=2, keepdims=True), 1e-6)
    return Descriptors(
        contents_N=np.unique(contents, return_inverse=True)[1], coarse_VND=coarse_VND, maps=maps, scaled=tuple(scaled)
    )


def _maps(pixels_VSS: np.ndarray) -> list[np.ndarray]:
    """Local contrast at every scale, each V × S × S, as bytes."""
    maps: list[np.ndarray] = []
    shrunk_VSS = pixels_VSS.astype(np.float32)
    for fine, coarse in SCALES.values():
        map_VSS = np.rint(local_contrast(shrunk_VSS, fine, coarse) * _STEPS)
        maps.append(np.clip(map_VSS, -127, 127).astype(np.int8))
        pairs_VSS = shrunk_VSS[:, ::2] + shrunk_VSS[:, 1::2]
        shrunk_VSS = (pairs_VSS[:, :, ::2] + pairs_VSS[:, :, 1::2]) / 4
    return maps

"""The images behind the rows of a table, wherever they are kept: files in a folder, or rows of an array.

Legend: H, W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.data.decoding import open_image, picture_digest
from pytest_fmtransfer.errors import DatasetError, first_few
from pytest_fmtransfer.store import FileState, file_state, remembered_digest


class Pictures(Protocol):
    """Images by row of the table. Every method may be called from several threads at once."""

    def manifest(self) -> list[FileState]:
        """The state of every file that is read: as long as these stay, so does an image.

        Raises DatasetError when files are missing, with their number and the first of them.
        """
        ...

    def digest(self, row: int) -> str:
        """32 hex digits over an image's bytes as they are kept."""
        ...

    def picture(self, row: int) -> str:
        """Equal for images that are known to be decoded to one and the same picture: a backbone sees it once."""
        ...

    def size(self, row: int) -> int:
        """Bytes that an image takes where it is kept."""
        ...

    def image(self, row: int) -> Image.Image:
        """An image whole and as it is kept, in its own mode; of more than eight bits in mode L or RGB.

        Raises UnreadableImage, naming it.
        """
        ...

    def pixels(self, row: int) -> np.ndarray:
        """An image as its reader wants it seen, uint8, H × W or H × W × 3. Raises UnreadableImage, naming it."""
        ...


@dataclass(frozen=True, kw_only=True)
class FilePictures:
    """One file per image. `decode` gives its pixels; `by_pixels`: files are one picture where their pixels are.

    `intensity` is how an image of more than eight bits is brought to eight where it is asked for whole.
    """

    folder: Path
    ids: tuple[str, ...]
    decode: Callable[[Path], np.ndarray]
    by_pixels: bool = False
    intensity: Intensity = "image"

    def path(self, row: int) -> Path:
        return self.folder / self.ids[row]

    def manifest(self) -> list[FileState]:
        found: list[FileState] = []
        missing: list[str] = []
        strange: list[str] = []
        for name in self.ids:
            try:
                found.append(file_state(self.folder / name))
            except OSError:
                missing.append(name)
                continue
            if not (self.folder / name).is_file():  # to read a device or a pipe may never end
                strange.append(name)
        if missing:
            hint = "; paths use backslashes: write /" if any("\\" in name for name in missing) else ""
            raise DatasetError(
                f"{len(missing)} of {len(self.ids)} images are not in {self.folder}: {first_few(missing)}{hint}"
            )
        if strange:
            raise DatasetError(
                f"{len(strange)} of {len(self.ids)} images in {self.folder} are no files but folders, devices or the "
                f"like: {first_few(strange)}; put files there"
            )
        return found

    def digest(self, row: int) -> str:
        return remembered_digest(self.path(row))  # asked for twice, for a file that is a picture of its own

    def picture(self, row: int) -> str:
        return picture_digest(self.pixels(row)) if self.by_pixels else self.digest(row)

    def size(self, row: int) -> int:
        return self.path(row).stat().st_size

    def image(self, row: int) -> Image.Image:
        return open_image(self.path(row), intensity=self.intensity)

    def pixels(self, row: int) -> np.ndarray:
        return self.decode(self.path(row))


@dataclass(frozen=True, kw_only=True)
class SomePictures:
    """Of `pictures`, the rows named, in their order."""

    pictures: Pictures
    rows: tuple[int, ...]

    def manifest(self) -> list[FileState]:
        return self.pictures.manifest()

    def digest(self, row: int) -> str:
        return self.pictures.digest(self.rows[row])

    def picture(self, row: int) -> str:
        return self.pictures.picture(self.rows[row])

    def size(self, row: int) -> int:
        return self.pictures.size(self.rows[row])

    def image(self, row: int) -> Image.Image:
        return self.pictures.image(self.rows[row])

    def pixels(self, row: int) -> np.ndarray:
        return self.pictures.pixels(self.rows[row])

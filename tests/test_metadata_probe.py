"""The shortcut probe sees the file and not the picture.

Legend: N images, D features, H and W pixels.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer.backbones import metadata
from pytest_fmtransfer.data.decoding import read_grey
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS
from tests.pictures import head, save

# (octaves, steps per octave) of the grids: file size, width, height, shape, bytes per pixel.
GRIDS = [octaves * steps + 1 for octaves in (14, 8, 8, 4, 10) for steps in (8, 64)]
MODES, GREYS = 5, 64
SIDES = st.integers(1, 300)


def grids_of(features_D: np.ndarray) -> list[np.ndarray]:
    return np.split(features_D[: sum(GRIDS)], np.cumsum(GRIDS)[:-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


def embedded(paths: list[Path]) -> np.ndarray:
    """Features of files, wherever they are."""
    names = tuple(path.as_posix() for path in paths)
    pictures = FilePictures(folder=Path("/"), ids=names, decode=read_grey)
    return metadata.embed(pictures, len(paths))


def flat(folder: Path, width: int, height: int, *, mode: str = "L", level: int = 90) -> Path:
    """An uncompressed picture of one grey."""
    path = folder / f"{width}x{height}{mode}{level}.tiff"
    Image.new("L", (width, height), level).convert(mode).save(path)
    return path


@given(SIDES, SIDES)
@LAWS
def test_in_every_grid_neighbouring_hats_sum_to_one(folder: Path, width: int, height: int) -> None:
    (features_D,) = embedded([flat(folder, width, height)])
    for hats_G in grids_of(features_D):
        above = np.flatnonzero(hats_G)
        assert hats_G.sum() == pytest.approx(1, abs=1e-5)
        assert (hats_G >= 0).all()
        assert np.ptp(above) <= 1


@given(SIDES, SIDES, SIDES, SIDES)
@LAWS
def test_a_different_size_gives_different_features(folder: Path, w1: int, h1: int, w2: int, h2: int) -> None:
    one_D, other_D = embedded([flat(folder, w1, h1), flat(folder, w2, h2)])
    # Below 32 pixels a side counts as 32: the grids end there.
    same = (max(w1, 32), max(h1, 32)) == (max(w2, 32), max(h2, 32))
    assert same or not np.array_equal(one_D, other_D)


def test_features_are_finite_and_one_row_per_file(tmp_path: Path) -> None:
    paths = [save(head(seed), tmp_path / f"{seed}.png") for seed in range(3)]
    features_ND = embedded(paths)
    assert (features_ND.shape, features_ND.dtype) == ((3, sum(GRIDS) + MODES + GREYS), np.float32)
    assert np.isfinite(features_ND).all()


def test_features_are_the_same_every_time_and_keep_the_order_of_the_files(tmp_path: Path) -> None:
    paths = [save(head(seed), tmp_path / f"{seed}.jpg") for seed in range(5)]
    features_ND = embedded(paths)
    np.testing.assert_array_equal(embedded(paths), features_ND)
    np.testing.assert_array_equal(embedded(paths[::-1]), features_ND[::-1])


def test_another_picture_with_the_same_file_information_has_the_same_features(tmp_path: Path) -> None:
    picture_HW = head(0)
    shuffled_HW = np.random.default_rng(0).permutation(picture_HW.ravel()).reshape(picture_HW.shape)
    one_D, other_D = embedded([save(picture_HW, tmp_path / "a.bmp"), save(shuffled_HW, tmp_path / "b.bmp")])
    np.testing.assert_array_equal(one_D, other_D)


def test_width_is_not_height(folder: Path) -> None:
    wide, high = (grids_of(row_D) for row_D in embedded([flat(folder, 80, 50), flat(folder, 50, 80)]))
    np.testing.assert_array_equal(wide[2], high[4])
    np.testing.assert_array_equal(wide[4], high[2])
    np.testing.assert_allclose(wide[6], high[6][::-1], atol=1e-6)  # 80/50 is not 50/80 the other way round, but nearly


@pytest.mark.parametrize(("mode", "at"), [("L", 0), ("RGB", 1), ("RGBA", 2), ("P", 3), ("CMYK", 4)])
def test_the_mode_is_one_of_five(folder: Path, mode: str, at: int) -> None:
    (features_D,) = embedded([flat(folder, 64, 64, mode=mode)])
    assert features_D[-GREYS - MODES : -GREYS].tolist() == np.eye(MODES)[at].tolist()


@pytest.mark.parametrize(("level", "bin_"), [(0, 0), (3, 0), (4, 1), (255, 63)])
def test_greys_are_counted_in_bins_of_four(folder: Path, level: int, bin_: int) -> None:
    (features_D,) = embedded([flat(folder, 64, 64, level=level)])
    np.testing.assert_array_equal(features_D[-GREYS:], np.eye(GREYS)[bin_])


def test_the_histogram_has_length_one(tmp_path: Path) -> None:
    (features_D,) = embedded([save(head(0), tmp_path / "a.png")])
    assert np.linalg.norm(features_D[-GREYS:]) == pytest.approx(1, abs=1e-6)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    good, broken = save(head(0), tmp_path / "good.jpg"), tmp_path / "broken.jpg"
    broken.write_bytes(good.read_bytes()[:100])
    with pytest.raises(UnreadableImage, match=r"broken\.jpg"):
        embedded([good, broken])

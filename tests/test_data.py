"""The pieces that a dataset is read with: splits, decoding, cropping.

Legend: N images, H and W pixels, S the square side.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.filters import threshold_otsu

from pytest_fmtransfer.data.decoding import in_parallel, open_image, read_grey
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.data.splits import stratified_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import UnreadableImage
from tests.helpers import LAWS
from tests.pictures import SIDE, head, save

LABELS = st.lists(st.integers(0, 3), max_size=60).map(np.array)
FRACTIONS = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5))
SEEDS = st.integers(0, 2**31)


@given(LABELS, FRACTIONS, SEEDS)
@LAWS
def test_a_split_holds_its_proportions_in_every_class(
    labels_N: np.ndarray, fractions: tuple[float, float], seed: int
) -> None:
    validation, test = fractions
    split_N = stratified_split(labels_N, validation=validation, test=test, seed=seed)
    assert len(split_N) == len(labels_N)
    assert set(split_N.tolist()) <= {TRAIN, VALIDATION, TEST}
    for label in np.unique(labels_N):
        members, of_class = (labels_N == label).sum(), Counter(split_N[labels_N == label].tolist())
        assert abs(of_class[TEST] - test * members) <= 0.5 + 1e-9
        assert abs(of_class[VALIDATION] - validation * members) <= 0.5 + 1e-9


@given(LABELS, FRACTIONS, SEEDS)
@LAWS
def test_a_split_of_one_class_does_not_depend_on_the_others(
    labels_N: np.ndarray, fractions: tuple[float, float], seed: int
) -> None:
    def split(chosen_N: np.ndarray) -> list[str]:
        return stratified_split(chosen_N, validation=fractions[0], test=fractions[1], seed=seed).tolist()

    together_N = np.array(split(labels_N), dtype=str)
    for label in np.unique(labels_N):
        assert split(labels_N[labels_N == label]) == together_N[labels_N == label].tolist()


def test_a_split_is_the_same_on_every_machine_and_moves_with_its_seed() -> None:
    def tested(seed: int) -> list[int]:
        split_N = stratified_split(np.zeros(10), validation=0.2, test=0.4, seed=seed)
        return np.flatnonzero(split_N == TEST).tolist()

    assert tested(42) == [2, 3, 7, 8]
    assert tested(43) != tested(42)


def test_a_table_tells_its_sides() -> None:
    column_N = np.array(["a", "b", "c"])
    split_N = np.array([TEST, TRAIN, VALIDATION])
    table = Table(ids_N=column_N, labels_N=np.arange(3), patients_N=column_N, split_N=split_N, found=3)
    assert table.side(TEST).tolist() == [0]
    assert table.side(TRAIN, VALIDATION).tolist() == [1, 2]


def test_columns_of_different_lengths_are_refused() -> None:
    one = np.array(["a"])
    with pytest.raises(ValueError, match="different lengths"):
        Table(ids_N=one, labels_N=np.arange(2), patients_N=one, split_N=one, found=1)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"no image", lambda _: b""], ids=["half", "text", "empty"]
)
def test_a_broken_image_is_named(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = save(head(0), tmp_path / "broken.jpg")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnreadableImage, match=r"cannot read image .*/broken\.jpg \("):
        open_image(path)


def test_work_in_parallel_comes_back_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(20)]
    assert list(in_parallel(lambda path: path.name, paths)) == [path.name for path in paths]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_every_usual_mode_is_read_as_grey(mode: str, tmp_path: Path) -> None:
    ramp_HW = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (20, 1))
    Image.fromarray(ramp_HW).convert(mode).save(tmp_path / "ramp.png")
    assert open_image(tmp_path / "ramp.png").mode == mode
    grey_HW = read_grey(tmp_path / "ramp.png")
    assert (grey_HW.dtype, grey_HW.shape) == (np.uint8, (20, 32))
    np.testing.assert_allclose(grey_HW, ramp_HW, atol=1)


@given(st.tuples(*[st.integers(0, 40)] * 4), SEEDS)
@LAWS
def test_a_head_is_cut_out_of_its_border(border: tuple[int, int, int, int], seed: int) -> None:
    top, bottom, left, right = border
    alone_HW = br35h.crop_to_head(head(seed))
    padded_HW = np.pad(head(seed), ((top, bottom), (left, right)))
    cropped_HW = br35h.crop_to_head(padded_HW)
    assert all(SIDE - 12 <= side <= SIDE for side in cropped_HW.shape)
    assert all(abs(a - b) <= 6 for a, b in zip(cropped_HW.shape, alone_HW.shape, strict=True))


def test_a_letter_in_the_corner_is_cut_off() -> None:
    lettered_HW = np.pad(head(0), 40)
    lettered_HW[2:8, 2:6] = 255
    np.testing.assert_array_equal(br35h.crop_to_head(lettered_HW), br35h.crop_to_head(np.pad(head(0), 40)))


def test_the_dim_rim_of_a_head_is_kept() -> None:
    rim_HW = np.full((60, 50), 100, dtype=np.uint8)
    rim_HW[15:45, 15:35] = 230
    assert br35h.otsu_threshold(np.pad(rim_HW, 5)) > 50
    np.testing.assert_array_equal(br35h.crop_to_head(np.pad(rim_HW, 5)), rim_HW)


@pytest.mark.parametrize("line", [np.s_[10, :], np.s_[:, 10]], ids=["row", "column"])
def test_a_picture_of_one_line_stays_whole(line: tuple[int | slice, int | slice]) -> None:
    pixels_HW = np.zeros((20, 30), dtype=np.uint8)
    pixels_HW[line] = 200
    np.testing.assert_array_equal(br35h.crop_to_head(pixels_HW), pixels_HW)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_uniform_picture_stays_whole(level: int) -> None:
    pixels_HW = np.full((20, 30), level, dtype=np.uint8)
    np.testing.assert_array_equal(br35h.crop_to_head(pixels_HW), pixels_HW)


@given(st.integers(20, 100), st.integers(130, 230), st.floats(0.1, 0.9), SEEDS)
@LAWS
def test_otsus_threshold_is_that_of_scikit_image(dark: int, bright: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    peaks_HW = random.normal(np.where(random.random((40, 40)) < share, dark, bright), 15)
    peaks_HW[:16, :16] = np.arange(256).reshape(16, 16)  # no level is empty, so that the best one is the only one
    pixels_HW = np.clip(peaks_HW, 0, 255).astype(np.uint8)
    assert abs(br35h.otsu_threshold(pixels_HW) - threshold_otsu(pixels_HW)) <= 1

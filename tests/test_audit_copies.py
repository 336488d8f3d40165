"""Copies are found in every orientation and after mild changes, and different pictures are not taken for copies.

Legend: N images, H and W pixels, S the square side.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer.data import near_copies as search
from pytest_fmtransfer.data.alignment import align, correlation, in_place, local_contrast
from pytest_fmtransfer.data.copies import Copy, exact_copies, kinds
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.descriptors import describe
from pytest_fmtransfer.data.likeness import ORIENTATIONS, SAME, limits
from pytest_fmtransfer.data.near_copies import near_copies
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from tests.datasets import Row, dataset_of, table_of
from tests.helpers import LAWS
from tests.pictures import eye, noisy, save, scan

Change = Callable[[np.ndarray], np.ndarray]


def found(dataset: Dataset, tmp_path: Path) -> tuple[list[Copy], list[Copy]]:
    """Exact and near copies."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    described = describe(dataset, scratch)
    return exact_copies(described.contents_N, dataset.table), near_copies(described, dataset.table, limits(described))


def pairs(copies: list[Copy]) -> set[tuple[int, int]]:
    return {(copy.first, copy.second) for copy in copies}


def ten(make: Callable[[int], np.ndarray] = scan) -> dict[Row, np.ndarray]:
    """Ten different pictures, five for training and five for testing."""
    return {Row(f"{number}.png", TEST if number % 2 else TRAIN): make(number) for number in range(10)}


def resized(factor: float) -> Change:
    def change(pixels_HW: np.ndarray) -> np.ndarray:
        side = round(len(pixels_HW) * factor)
        return np.asarray(Image.fromarray(pixels_HW).resize((side, side)))

    return change


CHANGES: dict[str, tuple[Change, str]] = {
    "mirrored": (np.fliplr, "mirrored"),
    "upside down": (np.flipud, "upside down"),
    "a quarter": (lambda pixels: np.rot90(pixels, 1), "turned by 270°"),
    "half": (lambda pixels: np.rot90(pixels, 2), "turned by 180°"),
    "three quarters": (lambda pixels: np.rot90(pixels, 3), "turned by 90°"),
    "transposed": (np.transpose, "mirrored, then turned by 90°"),
    "anti-transposed": (lambda pixels: np.rot90(pixels, 2).T, "mirrored, then turned by 270°"),
    "smaller": (resized(0.6), "as it is"),
    "larger": (resized(1.5), "as it is"),
    "darker": (lambda pixels: pixels // 2, "as it is"),
    "brighter": (lambda pixels: np.clip(pixels * 1.25, 0, 255), "as it is"),
    "noisy": (noisy, "as it is"),
    "cropped": (lambda pixels: pixels[4:, :-3], "as it is"),
    "several": (lambda pixels: resized(0.8)(np.fliplr(pixels[2:, 3:])) // 2 + 40, "mirrored"),
}


@pytest.mark.parametrize(("change", "orientation"), CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change: Change, orientation: str, tmp_path: Path) -> None:
    pictures = ten() | {Row("copy.jpg", TEST): np.asarray(change(scan(2)), dtype=np.uint8)}
    exact, near = found(dataset_of(tmp_path / "images", pictures), tmp_path)
    assert not exact
    assert [(copy.first, copy.second, copy.orientation) for copy in near] == [(2, 10, orientation)]
    assert SAME[128] <= near[0].likeness < 1


@pytest.mark.parametrize("quality", [75, 30])
def test_a_recompressed_copy_is_found(quality: int, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(scan(3)).save(tmp_path / "images" / "copy.jpg", quality=quality)
    exact, near = found(dataset_of(tmp_path / "images", ten() | {Row("copy.jpg"): scan(3)}), tmp_path)
    assert (exact, pairs(near)) == ([], {(3, 10)})


@pytest.mark.parametrize("make", [scan, eye])
def test_different_pictures_are_no_copies(make: Callable[[int], np.ndarray], tmp_path: Path) -> None:
    assert found(dataset_of(tmp_path / "images", ten(make)), tmp_path) == ([], [])


def test_pictures_that_share_a_rim_are_told_from_copies(tmp_path: Path) -> None:
    """Their likeness is far above the limit that holds elsewhere."""
    pictures = ten(eye) | {Row("copy.png"): np.rot90(eye(4)).copy()}
    dataset = dataset_of(tmp_path / "images", pictures)
    described = describe(dataset, tmp_path)
    assert limits(described).min() > SAME[128]
    assert pairs(near_copies(described, dataset.table, limits(described))) == {(4, 10)}
    floors = np.array(list(SAME.values()))[:, None]
    assert len(near_copies(described, dataset.table, np.broadcast_to(floors, (2, 2)))) > 1


def test_equal_pixels_in_another_format_are_an_exact_copy(tmp_path: Path) -> None:
    images = tmp_path / "images"
    save(np.repeat(scan(0)[:, :, None], 3, axis=2), images / "colour.bmp")
    pictures = ten() | {Row("copy.bmp", TEST): scan(0), Row("colour.bmp", TEST): scan(0)}
    exact, near = found(dataset_of(images, pictures), tmp_path)
    assert pairs(exact) == {(0, 10), (0, 11), (10, 11)}
    assert not near


def test_one_pixel_makes_an_exact_copy_a_near_one(tmp_path: Path) -> None:
    pixels_HW = scan(0).copy()
    pixels_HW[5, 5] += 1
    exact, near = found(dataset_of(tmp_path / "images", ten() | {Row("copy.png"): pixels_HW}), tmp_path)
    assert (exact, pairs(near)) == ([], {(0, 10)})
    assert near[0].likeness < 1


def test_blank_pictures_are_exact_copies_only(tmp_path: Path) -> None:
    blank_HW = np.zeros((50, 60), dtype=np.uint8)
    pictures = ten() | {Row(f"blank{number}.png"): blank_HW for number in range(3)} | {Row("white.png"): blank_HW + 255}
    exact, near = found(dataset_of(tmp_path / "images", pictures), tmp_path)
    assert {row for pair in pairs(exact) for row in pair} == {10, 11, 12}
    assert not near


def test_a_copy_with_another_border_is_seen_where_the_reader_crops(tmp_path: Path) -> None:
    pictures = {Row(row.name, row.side): np.pad(pixels, 20) for row, pixels in ten().items()}
    dataset = dataset_of(tmp_path / "images", pictures | {Row("wide.png"): np.pad(scan(2), ((60, 20), (5, 90)))})
    assert pairs(found(dataset, tmp_path)[1]) == {(2, 10)}


def test_a_reader_that_decodes_files_as_they_are_gives_one_view(tmp_path: Path) -> None:
    pictures = ten() | {Row("copy.png"): np.flipud(scan(1)).copy()}
    dataset = dataset_of(tmp_path / "images", {row: np.pad(pixels, 10) for row, pixels in pictures.items()})
    assert len(describe(dataset, tmp_path).coarse_VND) == 2
    assert isinstance(dataset.pictures, FilePictures)
    whole = replace(dataset.pictures, decode=lambda path: np.asarray(Image.open(path).convert("L")))
    described = describe(replace(dataset, pictures=whole), tmp_path)
    assert len(described.coarse_VND) == 1
    assert pairs(near_copies(described, dataset.table, limits(described))) == {(1, 10)}


def test_a_near_copy_of_every_kind_is_found(tmp_path: Path) -> None:
    """One copy does not keep the search from another that matters for another reason."""
    copies = {
        Row("beside.png", TRAIN, 0): noisy(scan(0)),
        Row("across.png", VALIDATION, 0): np.fliplr(scan(0)).copy(),
        Row("otherwise.png", TRAIN, 1): np.flipud(scan(0)).copy(),
    }
    dataset = dataset_of(tmp_path / "images", ten() | copies)
    near = found(dataset, tmp_path)[1]
    partners = np.array([copy.first + copy.second for copy in near if 0 in (copy.first, copy.second)])
    assert kinds(dataset.table, np.zeros_like(partners), partners).any(axis=1).all()
    assert {row for pair in pairs(near) for row in pair} == {0, 10, 11, 12}


def test_rows_compared_at_a_time_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path / "images", ten() | {Row("copy.png"): np.fliplr(scan(9)).copy()})
    described = describe(dataset, tmp_path)
    whole = near_copies(described, dataset.table, limits(described))
    monkeypatch.setattr(search, "_BLOCK", 3 * len(dataset.table.ids_N))
    monkeypatch.setattr(search, "BATCH", 1)
    assert near_copies(described, dataset.table, limits(described)) == whole != []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
@LAWS
def test_every_exact_copy_stands_in_a_pair_of_each_kind_that_it_has(images: list[tuple[int, int, int]]) -> None:
    contents_N = np.array([content for content, _, _ in images])
    sides = (TRAIN, VALIDATION, TEST)
    table = table_of(Row(str(number), sides[side], label) for number, (_, side, label) in enumerate(images))
    copies = exact_copies(contents_N, table)
    assert len(copies) <= 3 * len(images)
    assert all(contents_N[copy.first] == contents_N[copy.second] and copy.first < copy.second for copy in copies)
    rows = np.arange(len(images))
    told_NR = np.zeros((len(images), 3), dtype=bool)
    for copy in copies:
        both = np.array([copy.first, copy.second])
        told_NR[both] |= kinds(table, both, both[::-1]).T
    for row in rows:
        others = rows[(contents_N == contents_N[row]) & (rows != row)]
        assert told_NR[row].tolist() == kinds(table, np.full(len(others), row), others).any(axis=1).tolist()


@given(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(0.95, 1.05), st.floats(0.95, 1.05))
@LAWS
def test_a_placement_is_found_again(down: float, right: float, tall: float, wide: float) -> None:
    large_SS = Image.fromarray(scan(0, 512))
    rows, columns = (256 * (1 + down), 256 * (1 + right))
    box = (columns - 200 * wide, rows - 200 * tall, columns + 200 * wide, rows + 200 * tall)
    still, moved = (
        local_contrast(np.asarray(large_SS.resize((64, 64), Image.Resampling.BICUBIC, box=at)), 1, 4)[None]
        for at in (box, (56, 56, 456, 456))
    )
    placed_KP = align(still, moved, in_place(1), 12)
    expected = [down * 256 / 200, tall, right * 256 / 200, wide]
    np.testing.assert_allclose(placed_KP[0], expected, atol=0.01)
    assert correlation(still, moved, placed_KP)[0] > 0.95


@given(st.floats(0.5, 1), st.integers(0, 60))
@LAWS
def test_light_moves_local_contrast_little(gain: float, offset: int) -> None:
    plain, lit = (local_contrast(pixels, 1, 3)[None] for pixels in (scan(0), scan(0) * gain * 0.75 + offset))
    assert correlation(plain, lit, in_place(1))[0] > 0.98


def test_the_orientations_are_the_eight_of_a_square() -> None:
    assert len(set(ORIENTATIONS)) == 8

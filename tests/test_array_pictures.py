"""Rows of arrays are images: right in any order, from any thread, with a few of them in memory, and named when damaged.

Legend: R rows, H, W pixels.
"""

import pickle
import random
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer.data import npz_rows
from pytest_fmtransfer.data.array_pictures import ArrayPictures, check_images, check_labels, row_ids
from pytest_fmtransfer.data.npz_rows import MappedRows, NpzRows, open_npz, read_array
from pytest_fmtransfer.errors import DatasetError, UnreadableImage
from pytest_fmtransfer.store import file_state
from tests.helpers import LAWS

Save = Callable[..., None]
SAVES = pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def pictures_of(file: Path, rows: int) -> ArrayPictures:
    return ArrayPictures(ids=tuple(row_ids("train", rows)), rows={"train": open_npz(file, "images")}, remedy="get it")


@SAVES
@pytest.mark.parametrize("shape", [(9, 5, 5), (9, 5, 5, 3)], ids=["grey", "colour"])
def test_every_row_is_the_arrays_own(tmp_path: Path, save: Save, shape: tuple[int, ...]) -> None:
    images = noise(*shape)
    save(tmp_path / "a.npz", other=noise(3, 2), images=images)
    pictures = pictures_of(tmp_path / "a.npz", 9)
    for row in (0, 1, 8, 3, 2, 0):
        np.testing.assert_array_equal(pictures.pixels(row), images[row])
        np.testing.assert_array_equal(np.asarray(pictures.image(row)), images[row])
        assert pictures.size(row) == images[row].nbytes
    assert pictures.image(0).mode == ("L" if len(shape) == 3 else "RGB")


def test_what_is_compressed_is_read_as_a_stream_and_what_is_not_is_mapped(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=noise(4, 3, 3))
    np.savez(tmp_path / "b.npz", images=noise(4, 3, 3))
    assert isinstance(open_npz(tmp_path / "a.npz", "images"), NpzRows)
    assert isinstance(open_npz(tmp_path / "b.npz", "images"), MappedRows)


@LAWS
@given(data=st.data())
def test_any_order_of_rows_is_right_with_any_window(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    images = noise(40, 4, 4)
    file = tmp_path_factory.getbasetemp() / "order.npz"
    if not file.exists():
        np.savez_compressed(file, images=images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz_rows, "WINDOW", 0)
        patch.setattr(npz_rows, "ROWS_KEPT", data.draw(st.integers(1, 50)))
        rows = open_npz(file, "images")
        for row in data.draw(st.lists(st.integers(0, 39), max_size=20)):
            np.testing.assert_array_equal(rows.row(row), images[row])


def test_reading_forward_unpacks_once_and_keeps_only_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=noise(500, 4, 4))
    monkeypatch.setattr(npz_rows, "WINDOW", 0)
    opened = 0
    real = zipfile.ZipFile.open

    def counted(*arguments: object, **named: object) -> object:
        nonlocal opened
        opened += 1
        return real(*arguments, **named)  # type: ignore[arg-type]

    rows = open_npz(tmp_path / "a.npz", "images")
    monkeypatch.setattr(zipfile.ZipFile, "open", counted)
    assert isinstance(rows, NpzRows)
    for row in range(500):
        rows.row(row)
        assert len(rows._window) <= npz_rows.ROWS_KEPT  # pyright: ignore[reportPrivateUsage]
        rows.row(max(0, row - 60))  # a thread that comes late
    assert opened == 1


@SAVES
def test_threads_get_the_rows_that_they_ask_for(tmp_path: Path, save: Save) -> None:
    images = noise(300, 6, 6, 3)
    save(tmp_path / "a.npz", images=images)
    pictures = pictures_of(tmp_path / "a.npz", 300)
    order = list(range(300))
    random.Random(0).shuffle(order)
    near = sorted(range(300), key=lambda row: row + order[row] % 20)
    with ThreadPoolExecutor(8) as pool:
        for row, pixels_HW3 in zip(near, pool.map(pictures.pixels, near), strict=True):
            np.testing.assert_array_equal(pixels_HW3, images[row])


@SAVES
def test_rows_travel_to_another_process(tmp_path: Path, save: Save) -> None:
    save(tmp_path / "a.npz", images=noise(4, 3, 3))
    pictures = pictures_of(tmp_path / "a.npz", 4)
    pictures.pixels(2)
    again = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(again.pixels(1), noise(4, 3, 3)[1])


def test_a_digest_is_over_pixels_and_shape(tmp_path: Path) -> None:
    images = np.stack([noise(2, 8), noise(2, 8), noise(2, 8) + 1])
    np.savez(tmp_path / "a.npz", images=images)
    np.savez_compressed(tmp_path / "b.npz", images=images.reshape(3, 4, 4))
    flat, square = pictures_of(tmp_path / "a.npz", 3), pictures_of(tmp_path / "b.npz", 3)
    assert flat.digest(0) == flat.digest(1) == flat.picture(0) != flat.digest(2)
    assert flat.digest(0) != square.digest(0)


def test_the_manifest_is_the_files_state(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, images=noise(4, 3, 3))
    pictures = pictures_of(file, 4)
    assert pictures.manifest() == [file_state(file)]
    file.unlink()
    with pytest.raises(DatasetError, match=r"a\.npz is not there .*; get it"):
        pictures.manifest()


def test_ids_sort_as_the_rows_do() -> None:
    ids = row_ids("val", 1200)
    assert (ids[0], ids[-1]) == ("val/00000000", "val/00001199")
    assert sorted(ids) == ids


def test_a_row_that_is_not_there_is_named(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", images=noise(4, 3, 3))
        told = r"cannot read image train/00000004 \(row 4 of images in .*a\.npz: IndexError: row 4 of 4\); get it"
        with pytest.raises(UnreadableImage, match=told):
            pictures_of(tmp_path / "a.npz", 5).pixels(4)


def test_damage_in_a_compressed_array_is_found_by_its_last_row_at_the_latest(tmp_path: Path) -> None:
    file, images = tmp_path / "a.npz", noise(50, 64, 64)
    np.savez_compressed(file, images=images)
    broken = bytearray(file.read_bytes())
    broken[broken.rindex(b"PK\x01\x02") + 16] ^= 1  # the checksum in the directory
    file.write_bytes(broken)
    pictures = pictures_of(file, 50)
    np.testing.assert_array_equal(pictures.pixels(30), images[30])
    with pytest.raises(UnreadableImage, match=r"train/00000049 .*BadZipFile: Bad CRC-32"):
        pictures.pixels(49)
    np.testing.assert_array_equal(pictures.pixels(3), images[3])  # and reading begins anew


def test_behind_a_damaged_place_every_row_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.npz"
    np.savez_compressed(file, images=noise(50, 64, 64) // 64)  # of which something can be packed
    pictures = pictures_of(file, 50)
    broken = bytearray(file.read_bytes())
    broken[20_000:40_000] = np.random.default_rng(0).bytes(20_000)
    file.write_bytes(broken)
    good = [row for row in range(50) if not _bad(pictures, row)]
    assert good == list(range(len(good)))
    assert 5 < len(good) < 45
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked again"))
    with pytest.raises(UnreadableImage, match=rf"train/00000049 .*, found in row {len(good)}\); get it"):
        pictures.pixels(49)


def _bad(pictures: ArrayPictures, row: int) -> bool:
    try:
        pictures.pixels(row)
    except UnreadableImage:
        return True
    return False


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 3, 3)), "an array of float64"),
        (np.zeros((4, 3), dtype=np.uint8), "not one of images"),
        (np.asfortranarray(noise(4, 3, 3)), "column by column"),
        (np.array([{}, {}]), "object"),
    ],
)
def test_an_array_that_is_not_one_of_images_is_refused(tmp_path: Path, array: np.ndarray, told: str) -> None:
    np.savez(tmp_path / "a.npz", images=array)
    with pytest.raises(ValueError, match=told):
        open_npz(tmp_path / "a.npz", "images")


def test_an_array_that_announces_more_than_its_file_holds_is_never_made(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=noise(4, 3, 3))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole.replace(b"(4, 3, 3)", b"(4, 3, 9)"))
    for read in (open_npz, read_array):
        with pytest.raises((ValueError, zipfile.BadZipFile), match=r"has not the bytes|Bad CRC"):
            read(tmp_path / "a.npz", "images")


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=noise(4, 3, 3))
    rows = open_npz(tmp_path / "a.npz", "images")
    check_images(rows, channels=1, side=3)
    with pytest.raises(DatasetError, match=r"images in .*a\.npz has the shape \(4, 3, 3\), not N × 3 × 3 × 3;"):
        check_images(rows, channels=3, side=3)
    with pytest.raises(DatasetError, match="not N × 4 × 4"):
        check_images(rows, channels=1, side=4)


@pytest.mark.parametrize(
    ("labels", "columns", "told"),
    [
        (np.array([[0], [1], [3]]), 1, "1 label outside 0 to 2, the first of them 3 in row 2"),
        (np.array([[0], [-1], [-1]]), 1, "2 labels outside 0 to 2, the first of them -1 in row 1"),
        (np.array([0.0, 1.0, 2.0]), 1, r"holds float64 of shape \(3,\), not 1 whole number for each of 3 images"),
        (np.array([0, 1]), 1, r"holds int64 of shape \(2,\)"),
        (np.array([[0, 1], [1, 1], [0, 0]]), 1, r"holds int64 of shape \(3, 2\)"),
        (np.array([0, 1, 2]), 14, "not 14 whole numbers for each of 3 images"),
        (np.array(1), 1, r"of shape \(\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray, columns: int, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        check_labels(labels, where="here", images=3, columns=columns, below=3)


def test_labels_of_any_whole_type_and_form_are_class_indices() -> None:
    for labels in (np.array([[0], [2]], dtype=np.uint8), np.array([0, 2]), np.array([[[[0]]], [[[2]]]])):
        found_N = check_labels(labels, where="here", images=2, columns=1, below=3)
        assert (found_N.dtype, found_N.tolist()) == (np.int64, [0, 2])

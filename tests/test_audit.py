"""An audit is made once, and a dataset with a severe finding is used only where its row says why."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.catalog.specs import FINDING_KINDS, DataRoot, DatasetSpec, FindingKind
from pytest_fmtransfer.data import audit as audits
from pytest_fmtransfer.data.audit import Audit, audit, check
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, Table
from pytest_fmtransfer.errors import DatasetError, InvalidInput
from tests.datasets import Row, dataset_of
from tests.pictures import save, scan

EVERYTHING_SEVERE: dict[FindingKind, str] = {
    "exact_copies_across_sides": "made",
    "patients_on_two_sides": "made",
    "conflicting_labels_of_exact_copies": "made",
    "class_too_small": "made",
}


def found(audited: Audit) -> dict[str, str]:
    return {finding.kind: finding.severity for finding in audited.findings}


@pytest.fixture
def made(tmp_path: Path) -> Dataset:
    """Fifty test patients of each class, and nothing wrong."""
    rows = [Row(f"{n:03}.png", TRAIN if n < 4 else TEST, n % 2) for n in range(104)]
    return dataset_of(tmp_path / "images", {row: scan(number, 64) for number, row in enumerate(rows)})


@pytest.fixture
def own(tmp_path: Path) -> Places:
    return Places(store=tmp_path / "store")


def with_rows(made: Dataset, extra: dict[Row, np.ndarray]) -> Dataset:
    table = made.table
    rows = [
        Row(str(name), str(side), int(label))
        for name, side, label in zip(table.ids_N, table.split_N, table.labels_N, strict=True)
    ]
    return dataset_of(made.folder, dict.fromkeys(rows, np.zeros(0)) | extra)


def test_nothing_is_found_where_nothing_is_wrong(made: Dataset, own: Places) -> None:
    assert audit(made, own) == Audit(images=104, findings=())
    check(made, own)


def test_every_planted_defect_is_found(made: Dataset, own: Places) -> None:
    planted = {
        Row("exact across.png", TEST, 0): scan(0, 64),
        Row("exact beside.png", TRAIN, 1): scan(1, 64),
        Row("near across.png", TEST, 0): np.fliplr(scan(2, 64)).copy(),
        Row("near beside.png", TRAIN, 1): np.rot90(scan(3, 64)).copy(),
        Row("exact other label.png", TRAIN, 1): scan(104 - 2, 64),
        Row("near other label.png", TEST, 0): np.flipud(scan(105 - 2, 64)).copy(),
        Row("somebody.png", TRAIN, 0, "010.png"): scan(200, 64),
    }
    assert found(audit(with_rows(made, planted), own)) == {
        "exact_copies_across_sides": "severe",
        "near_copies_across_sides": "severe",
        "patients_on_two_sides": "severe",
        "conflicting_labels_of_exact_copies": "severe",
        "conflicting_labels_of_near_copies": "note",
        "exact_copies_on_one_side": "note",
        "near_copies_on_one_side": "note",
    }


def test_severe_findings_come_first(made: Dataset, own: Places) -> None:
    table = made.table
    columns = {field.name: getattr(table, field.name)[:30] for field in fields(Table) if field.name != "found"}
    few = replace(table, **columns)
    beside = with_rows(replace(made, table=few), {Row("copy.png", TEST, 0): np.fliplr(scan(8, 64)).copy()})
    assert [finding.severity for finding in audit(beside, own).findings] == ["severe", "note"]


def test_an_audit_is_made_once_for_each_content(made: Dataset, own: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look_over = audits._look_over

    def counted(dataset: Dataset, scratch: Path) -> Audit:
        looked.append(dataset.fingerprint)
        return look_over(dataset, scratch)

    monkeypatch.setattr(audits, "_look_over", counted)
    first = audit(made, own)
    assert audit(made, own) == first
    assert audit(replace(made, spec=replace(made.spec, acknowledged=EVERYTHING_SEVERE)), own) == first
    other = with_rows(made, {Row("copy.png", TEST, 0): scan(0, 64)})
    assert audit(other, own) != first
    assert looked == [made.fingerprint, other.fingerprint]


def test_only_its_findings_are_left_in_the_store(made: Dataset, own: Places) -> None:
    audit(made, own)
    (entry,) = (own.store / "audits").glob("*/*")
    assert sorted(path.name for path in entry.iterdir()) == ["audit.json", "entry.json"]
    assert json.loads((entry / "audit.json").read_text()) == {"images": 104, "findings": [], "copies": []}


def test_a_severe_finding_is_an_error_that_says_what_to_type(made: Dataset, own: Places) -> None:
    copied = with_rows(made, {Row("copy.png", TEST, 0): scan(0, 64)})
    with pytest.raises(DatasetError) as raised:
        check(copied, own)
    message = str(raised.value)
    assert "scores on made could not be trusted" in message
    assert "2 of 105 images have an exact copy on another side" in message
    assert "000.png (train) and copy.png (test)" in message
    assert "`fmtransfer audit made --all`" in message
    assert 'acknowledged={"exact_copies_across_sides": "…"}' in message


def test_only_what_is_acknowledged_passes(made: Dataset, own: Places) -> None:
    copied = with_rows(made, {Row("copy.png", TEST, 0): scan(0, 64)})

    def acknowledging(*kinds: FindingKind) -> Dataset:
        return replace(copied, spec=replace(copied.spec, acknowledged=dict.fromkeys(kinds, "made")))

    check(acknowledging("exact_copies_across_sides"), own)
    with pytest.raises(DatasetError, match="exact_copies_across_sides"):
        check(acknowledging("near_copies_across_sides"), own)


@pytest.mark.parametrize(
    ("acknowledged", "message"),
    [
        ({"exact_copies": "why"}, "acknowledged 'exact_copies' of mine; did you mean exact_copies"),
        ({"class_absent": " "}, "acknowledged 'class_absent' of mine says no reason"),
    ],
    ids=["kind", "reason"],
)
def test_a_row_acknowledges_known_kinds_with_a_reason(acknowledged: dict[FindingKind, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Registry().register(replace(Registry().dataset("br35h"), name="mine", acknowledged=acknowledged))


@pytest.fixture
def row(tmp_path: Path) -> DatasetSpec:
    """A folder in the layout of Br35H, in which one picture is in two files, and 30 images are a few."""
    for number in range(30):
        name = "no" if number % 2 else "yes"
        save(scan(number, 64), tmp_path / "MRI" / name / f"{number:02}.jpg")
    for number in range(8):
        path = tmp_path / "MRI" / "yes" / f"copy{number}.jpg"
        path.write_bytes((tmp_path / "MRI" / "yes" / "00.jpg").read_bytes())
    return replace(
        Registry().dataset("br35h.naive"),
        name="mri",
        location=DataRoot(folder="MRI", url="https://example.org"),
        expected_images=None,
        acknowledged={},
    )


def test_a_transfer_refuses_what_is_severe_until_the_row_says_why(row: DatasetSpec, tmp_path: Path) -> None:
    own, cell = Places(store=tmp_path / "store", data_root=tmp_path), Cell("shortcut.metadata", "mri", "knn")

    def registry(acknowledged: dict[FindingKind, str]) -> Registry:
        ours = Registry()
        ours.register(replace(row, acknowledged=acknowledged))
        return ours

    with pytest.raises(DatasetError, match="exact_copies_across_sides"):
        transfer(cell, registry=registry({}), places=own)
    assert not list((own.store / "results").glob("*/*"))
    assert transfer(cell, registry=registry(EVERYTHING_SEVERE), places=own).origin == "computed"
    # What was computed is looked up, without an audit.
    assert transfer(cell, registry=registry({}), places=own).origin == "store"


def test_br35h_has_nothing_severe(places: Places) -> None:
    dataset = open_dataset(Registry().dataset("br35h"), places)
    assert not dataset.spec.acknowledged
    assert audit(dataset, places).findings == ()


def test_real_scans_are_told_from_their_planted_copies(places: Places, tmp_path: Path) -> None:
    """Forty heads of which no two are one scan, one of them again, turned, smaller and recompressed."""
    dataset = open_dataset(Registry().dataset("br35h"), places)
    alone = dataset.table.ids_N[:80].tolist()
    pictures = {
        Row(name.replace("/", "-"), TEST if n // 2 % 2 else TRAIN, n % 2): np.asarray(
            Image.open(dataset.folder / name).convert("L")
        )
        for n, name in enumerate(alone)
    }
    original = next(iter(pictures.values()))
    small = Image.fromarray(original).rotate(90, expand=True).resize((180, 200))
    planted = {Row("planted.jpg", TEST, 0): np.asarray(small)}
    own = Places(store=tmp_path / "store")
    assert found(audit(dataset_of(tmp_path / "plain", pictures), own)) == {"class_small": "note"}
    near = next(
        each
        for each in audit(dataset_of(tmp_path / "planted", pictures | planted), own).findings
        if each.kind == "near_copies_across_sides"
    )
    assert near.examples[0].startswith(f"{next(iter(pictures)).name} (train) and planted.jpg (test), turned by 270°")
    assert len(near.examples) == 1


def test_every_kind_that_a_row_of_ours_acknowledges_exists() -> None:
    for name in Registry().names(DatasetSpec):
        assert set(Registry().dataset(name).acknowledged) <= set(FINDING_KINDS)

"""MedMNIST: rows as the package tells of its files, files read to the last label, scores as its Evaluator counts them.

Legend: N images, C classes or labels.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.availability import dataset_ready
from pytest_fmtransfer.catalog.medmnist import MEDMNIST, METRICS, SIZES, file_name
from pytest_fmtransfer.catalog.medmnist_sets import COLLECTIONS, Collection
from pytest_fmtransfer.catalog.specs import DataRoot, DatasetSpec, Download
from pytest_fmtransfer.data.dataset import open_dataset, read_table
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.data.readers.medmnist import SIDES, pictures
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import DatasetError, FmTransferError, Unavailable
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.missing import Missing
from tests import small
from tests.helpers import LAWS
from tests.pictures import head

REGISTRY = Registry()
COLLECTION = pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda collection: collection.name)
COUNTS = {"train": 12, "val": 5, "test": 7}


def arrays(collection: Collection, size: int, counts: dict[str, int] = COUNTS) -> dict[str, np.ndarray]:
    """What a file holds: every label stands on every side in turn, and every image is another."""
    made: dict[str, np.ndarray] = {}
    generator = np.random.default_rng(0)
    for side, count in counts.items():
        shape = (count, size, size, 3) if collection.channels == 3 else (count, size, size)
        made[f"{side}_images"] = generator.integers(0, 256, shape, dtype=np.uint8)
        if collection.task == "multi-label, binary-class":
            labels = generator.integers(0, 2, (count, len(collection.labels)))
        else:
            labels = np.arange(count)[:, None] % len(collection.labels)
        made[f"{side}_labels"] = labels.astype(np.uint8)
    return made


def write(root: Path, collection: Collection, size: int, **other: np.ndarray) -> Path:
    (root / "MedMNIST").mkdir(parents=True, exist_ok=True)
    file = root / "MedMNIST" / file_name(collection, size)
    np.savez_compressed(file, **arrays(collection, size) | other)
    return file


def spec_of(collection: Collection, size: int, **fields: object) -> DatasetSpec:
    row = REGISTRY.dataset(f"medmnist.{file_name(collection, size).removesuffix('.npz')}")
    return replace(row, **{"expected_images": None, **fields})


def places(root: Path) -> Places:
    return Places(store=root / "store", data_root=root)


@COLLECTION
def test_a_row_says_what_the_package_says(collection: Collection) -> None:
    info = pytest.importorskip("medmnist").INFO[collection.name]
    assert collection.task == info["task"]
    assert dict(enumerate(collection.labels)) == {int(label): name for label, name in info["label"].items()}
    assert (collection.channels, collection.licence) == (info["n_channels"], info["license"])
    assert collection.samples == tuple(info["n_samples"][side] for side in ("train", "val", "test"))
    assert collection.origin in info["description"]
    for size, md5 in zip(SIZES, collection.md5, strict=True):
        suffix = "" if size == 28 else f"_{size}"
        row = REGISTRY.dataset(f"medmnist.{collection.name}{suffix}")
        file, url = f"{collection.name}{suffix}.npz", info[f"url{suffix}"]
        download = Download(file=file, url=url, md5=info[f"MD5{suffix}"])
        assert row.location == DataRoot(folder="MedMNIST", url=url, files=(file,), downloads=(download,))
        assert md5 == info[f"MD5{suffix}"]
        assert row.expected_images == sum(info["n_samples"].values())
        assert row.classes == collection.labels


def test_the_rows_are_all_flat_sets_of_the_package_at_all_its_sizes() -> None:
    medmnist = pytest.importorskip("medmnist")
    flat = {name for name in medmnist.INFO if not name.endswith("3d")}
    assert {collection.name for collection in COLLECTIONS} == flat
    assert list(SIZES) == medmnist.PathMNIST.available_sizes
    assert len(MEDMNIST) == len(flat) * len(SIZES)


def test_margins_are_a_quarter_of_the_published_range_in_steps_and_say_so() -> None:
    margins = {collection.name: collection.margin for collection in COLLECTIONS}
    assert margins["bloodmnist"] == 0.005
    assert margins["tissuemnist"] == pytest.approx(0.01)
    assert margins["retinamnist"] == pytest.approx(0.03)
    for row in MEDMNIST:
        assert "nobody's measurement" in row.margin_reason


@COLLECTION
@pytest.mark.parametrize("size", [28, 64])
def test_every_count_label_side_and_pixel_is_read_back(tmp_path: Path, collection: Collection, size: int) -> None:
    write(tmp_path, collection, size)
    made = arrays(collection, size)
    dataset = open_dataset(spec_of(collection, size), places(tmp_path))
    table = dataset.table
    assert table.found == len(table.ids_N) == 24
    assert table.ids_N.tolist() == sorted(table.ids_N.tolist())
    assert table.patients_N.tolist() == table.ids_N.tolist()
    for side, name in SIDES.items():
        rows = table.side(name)
        assert table.ids_N[rows].tolist() == [f"{side}/{row:08}" for row in range(COUNTS[side])]
        labels = made[f"{side}_labels"]
        expected = labels if collection.task == "multi-label, binary-class" else labels[:, 0]
        np.testing.assert_array_equal(table.labels_N[rows], expected)
        for row, image in zip(rows, made[f"{side}_images"], strict=True):
            np.testing.assert_array_equal(dataset.pictures.pixels(row), image)
    assert len(set(dataset.contents.digests_N.tolist())) == 24


def test_images_of_one_channel_are_stored_with_one_and_seen_with_three(tmp_path: Path) -> None:
    for collection, shape in ((COLLECTIONS[0], (24, 14, 14, 3)), (COLLECTIONS[3], (24, 14, 14))):
        write(tmp_path, collection, 28)
        dataset = open_dataset(spec_of(collection, 28), places(tmp_path))
        pixels = load_images(dataset, 14, places(tmp_path))
        assert pixels.shape == shape
        first = Image.fromarray(arrays(collection, 28)["test_images"][0])
        np.testing.assert_array_equal(pixels[0], np.asarray(first.resize((14, 14), Image.Resampling.BICUBIC)))
        assert dataset.spec.channels == (3 if len(shape) == 4 else "repeat")


def test_a_table_is_read_without_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, COLLECTIONS[3], 28)
    monkeypatch.setattr("pytest_fmtransfer.data.npz_rows.NpzRows.row", lambda *_: pytest.fail("an image was opened"))
    assert len(read_table(spec_of(COLLECTIONS[3], 28), places(tmp_path))[1].ids_N) == 24


def test_a_file_that_is_not_there_is_missing_with_its_address_though_others_are(tmp_path: Path) -> None:
    write(tmp_path, COLLECTIONS[0], 28)
    row = REGISTRY.dataset("medmnist.octmnist_64")
    found = dataset_ready(row, places(tmp_path))
    assert isinstance(found, Missing)
    assert f"get octmnist_64.npz from {row.location.url} and put it into {tmp_path / 'MedMNIST'}" in str(found)  # type: ignore[union-attr]
    with pytest.raises(Unavailable, match=r"octmnist_64\.npz from https://zenodo\.org"):
        open_dataset(row, places(tmp_path))


def test_a_file_with_other_counts_than_the_official_ones_is_refused(tmp_path: Path) -> None:
    write(tmp_path, COLLECTIONS[6], 28)
    with pytest.raises(
        DatasetError, match=r"breastmnist\.npz has 7 images for test, medmnist\.breastmnist has 156; get"
    ):
        open_dataset(REGISTRY.dataset("medmnist.breastmnist"), places(tmp_path))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"val_images": np.zeros((0, 28, 28), np.uint8), "val_labels": np.zeros((0, 1), np.uint8)}, "has 0 images for"),
        ({"val_images": np.zeros((5, 28, 28, 3), np.uint8)}, r"has the shape \(5, 28, 28, 3\), not N × 28 × 28;"),
        ({"val_images": np.zeros((5, 64, 64), np.uint8)}, "not N × 28 × 28;"),
        ({"val_images": np.zeros((5, 28, 28))}, "an array of float64"),
        ({"val_images": np.zeros((4, 28, 28), np.uint8)}, "for each of 4 images"),
        ({"val_labels": np.full((5, 1), 4, np.uint8)}, "5 labels outside 0 to 3, the first of them 4 in row 0"),
        ({"val_labels": np.full((5, 2), 0, np.uint8)}, r"val_labels in .* holds uint8 of shape \(5, 2\)"),
        ({"val_labels": np.full((5, 1), 0.5)}, "holds float64"),
    ],
)
def test_a_file_that_is_not_medmnists_is_refused(tmp_path: Path, other: dict[str, np.ndarray], told: str) -> None:
    write(tmp_path, COLLECTIONS[3], 28, **other)
    with pytest.raises(DatasetError, match=told):
        open_dataset(spec_of(COLLECTIONS[3], 28), places(tmp_path))


@pytest.mark.parametrize("name", ["train_images", "test_labels"])
def test_an_array_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, COLLECTIONS[3], 28)
    made = arrays(COLLECTIONS[3], 28)
    del made[name]
    np.savez(file, **made)
    with pytest.raises(
        DatasetError, match=f"cannot read .*octmnist.npz .*no array {name}, only .*; get the file again"
    ):
        open_dataset(spec_of(COLLECTIONS[3], 28), places(tmp_path))


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    made: list[bytes] = []
    for save in (np.savez, np.savez_compressed):
        file = tmp_path_factory.mktemp("whole") / "file.npz"
        save(file, **arrays(COLLECTIONS[6], 28, {"train": 3, "val": 2, "test": 2}))
        made.append(file.read_bytes())
    return made


@LAWS
@given(data=st.data())
def test_only_our_errors_come_out_of_a_damaged_file(
    tmp_path_factory: pytest.TempPathFactory, whole_files: list[bytes], data: st.DataObject
) -> None:
    root = tmp_path_factory.getbasetemp() / "damaged"
    (root / "MedMNIST").mkdir(parents=True, exist_ok=True)
    broken = bytearray(data.draw(st.sampled_from(whole_files)))
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(0, len(broken))) :]
    # Headers are where the ways to go wrong are: half of the flips hit the first bytes of a member or the directory.
    heads = [at for at in range(len(broken)) if broken[at : at + 3] in (b"PK\x01", b"PK\x03", b"PK\x05", b"\x93NU")]
    for _ in range(data.draw(st.integers(0, 4))):
        if broken:
            start = data.draw(st.sampled_from([*heads, 0]))
            at = min(start + data.draw(st.integers(0, 120)), len(broken) - 1)
            broken[at] = data.draw(st.integers(0, 255))
    (root / "MedMNIST" / "breastmnist.npz").write_bytes(broken)
    spec = spec_of(COLLECTIONS[6], 28)
    try:
        folder, table = read_table(spec, places(root))
        found = pictures(folder, table, spec)
        for row in range(len(table.ids_N)):
            assert found.pixels(row).shape == (28, 28)
    except FmTransferError as error:
        assert "breastmnist" in str(error)  # noqa: PT017


def softmax(scores_NC: np.ndarray) -> np.ndarray:
    odds_NC = np.exp(scores_NC - scores_NC.max(axis=1, keepdims=True))
    return odds_NC / odds_NC.sum(axis=1, keepdims=True)


@COLLECTION
def test_our_metrics_are_the_official_ones(tmp_path: Path, collection: Collection) -> None:
    """To 1e-9, for scores of which none is tied; where a tie breaks differently they could part."""
    medmnist = pytest.importorskip("medmnist")
    counts = {"train": 2, "val": 2, "test": 400}
    np.savez(tmp_path / f"{collection.name}.npz", **arrays(collection, 28, counts))
    labels = arrays(collection, 28, counts)["test_labels"].astype(np.int64)
    noise_NC = np.random.default_rng(1).normal(size=(400, len(collection.labels)))
    multilabel = collection.task == "multi-label, binary-class"
    scores_NC = noise_NC + (labels if multilabel else np.eye(len(collection.labels))[labels[:, 0]])
    probabilities_NC = 1 / (1 + np.exp(-scores_NC)) if multilabel else softmax(scores_NC)
    official = medmnist.Evaluator(collection.name, "test", root=tmp_path).evaluate(probabilities_NC)

    auc = evaluate(METRICS[collection.task], labels if multilabel else labels[:, 0], scores_NC).value
    if multilabel:  # the mean over labels: a label is given where its score is above 0, its probability above 0.5
        each = [
            evaluate("accuracy", label_N, np.stack([np.zeros(400), score_N], axis=1)).value
            for label_N, score_N in zip(labels.T, scores_NC.T, strict=True)
        ]
        accuracy = float(np.mean(each))
    else:
        accuracy = evaluate("accuracy", labels[:, 0], scores_NC).value
    assert (auc, accuracy) == (pytest.approx(official.AUC, abs=1e-9), pytest.approx(official.ACC, abs=1e-9))


def test_a_file_goes_the_whole_way_to_a_result(tmp_path: Path) -> None:
    """Stripes across or along, of 32 pixels a side; nearest neighbours tell them apart by random features."""
    stripes_W = 40 * np.sign(np.sin(np.arange(28) * np.pi / 3 + 0.1))
    made: dict[str, np.ndarray] = {}
    seed = 0
    for side, count in {"train": 80, "val": 40, "test": 60}.items():
        images, labels_N = np.empty((count, 28, 28), np.uint8), np.arange(count) % 2
        for row, label in enumerate(labels_N):
            seed += 1
            pattern_HW = np.asarray(Image.fromarray(head(seed, grain=9)).resize((28, 28))).astype(float)
            across_HW = np.clip(pattern_HW + stripes_W, 0, 255).astype(np.uint8)
            images[row] = across_HW if label else across_HW.T
        made |= {f"{side}_images": images, f"{side}_labels": labels_N[:, None].astype(np.uint8)}
    (tmp_path / "MedMNIST").mkdir()
    np.savez_compressed(tmp_path / "MedMNIST" / "breastmnist.npz", **made)
    small.write_weights(tmp_path / "weights")
    registry = small.catalogue()
    registry.register(spec_of(COLLECTIONS[6], 28, name="striped"))
    own = replace(places(tmp_path), weights=tmp_path / "weights")
    result = transfer(Cell("tiny", "striped", "knn"), registry=registry, places=own)
    side = named_test_side(open_dataset(registry.dataset("striped"), own))
    assert result.ids_N.tolist() == side.images_T.tolist()
    assert sorted(side.ids_T.tolist()) == [f"test/{row:08}" for row in range(60)]
    assert result.labels_N.tolist() == [int(name[-1]) % 2 for name in side.ids_T.tolist()]
    assert evaluate("roc_auc", result.labels_N, result.scores_SNC[0]).value > 0.8
    assert transfer(Cell("tiny", "striped", "knn"), registry=registry, places=own).origin == "store"


def test_sides_are_the_tables(tmp_path: Path) -> None:
    write(tmp_path, COLLECTIONS[3], 28)
    table = read_table(spec_of(COLLECTIONS[3], 28), places(tmp_path))[1]
    assert {side: len(table.side(side)) for side in (TRAIN, VALIDATION, TEST)} == {TRAIN: 12, VALIDATION: 5, TEST: 7}

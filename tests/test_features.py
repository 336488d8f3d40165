"""One forward pass per distinct image and backbone, whatever asks for the features and however often."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.backbones.timm import TimmBackbone
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.errors import CheckpointMismatch, Unavailable
from pytest_fmtransfer.features import load_features


@pytest.fixture
def small(registry: Registry) -> BackboneSpec:
    """Real weights at a small input, which costs a tenth."""
    return replace(registry.backbone("mobilenetv2"), name="small", image_size=64)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> "Counter[bytes]":
    """How often each picture went through a backbone; the blanks that fill up a batch are no pictures."""
    passes: Counter[bytes] = Counter()
    normalise = TimmBackbone.normalise

    def counted(self: TimmBackbone, pixels_NSS: torch.Tensor) -> torch.Tensor:
        passes.update(image.numpy().tobytes() for image in pixels_NSS.cpu() if image.any())
        return normalise(self, pixels_NSS)

    monkeypatch.setattr(TimmBackbone, "normalise", counted)
    return passes


def shared_scans(places: Places, tmp_path: Path) -> Places:
    """A store of its own that has the data set's scan already, so that it is not scanned again."""
    (places.store / "scans").mkdir(parents=True, exist_ok=True)
    (tmp_path / "scans").symlink_to(places.store / "scans")
    return Places(store=tmp_path)


def test_one_pass_per_distinct_image(
    registry: Registry, places: Places, small: BackboneSpec, seen: "Counter[bytes]", tmp_path: Path
) -> None:
    open_dataset(registry.dataset("br35h"), places)  # scan once for all
    own = shared_scans(places, tmp_path)
    ours = Registry()
    ours.register(small)
    for regime in ("knn", "linear_probe", "knn"):
        transfer(Cell("small", "br35h", regime), registry=ours, places=own)
    assert len(seen) == 318
    assert set(seen.values()) == {1}
    # The naive split holds the same 318 pictures, 2,682 more, and exact copies among them.
    naive = load_features(open_dataset(ours.dataset("br35h.naive"), own), small, "float32", own)
    files = np.unique(open_dataset(ours.dataset("br35h.naive"), own).contents.digests_N)
    assert len(seen) == 318 + naive.forward_passes
    assert len(seen) <= len(files) < 3000
    assert set(seen.values()) == {1}
    few = load_features(open_dataset(ours.dataset("br35h"), own), small, "float32", own)
    assert few.forward_passes == 318
    assert set(seen.values()) == {1}


def test_the_order_in_which_datasets_are_asked_for_changes_no_feature(
    registry: Registry, places: Places, small: BackboneSpec, tmp_path: Path
) -> None:
    some = replace(registry.dataset("br35h"), name="br35h")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = shared_scans(places, tmp_path / "one"), shared_scans(places, tmp_path / "two")
    tiny = replace(small, image_size=32)
    first = load_features(open_dataset(some, one), tiny, "float32", one).pooled_ND
    load_features(open_dataset(registry.dataset("br35h.naive"), two), tiny, "float32", two)
    second = load_features(open_dataset(some, two), tiny, "float32", two)
    assert second.forward_passes == 0
    np.testing.assert_array_equal(first, second.pooled_ND)


def test_whatever_moves_a_feature_is_in_its_key(
    registry: Registry, places: Places, small: BackboneSpec, tmp_path: Path
) -> None:
    own = shared_scans(places, tmp_path)
    dataset = open_dataset(registry.dataset("br35h"), own)
    tiny = replace(small, image_size=32)
    usual = load_features(dataset, tiny, "float32", own).pooled_ND
    others = [
        load_features(dataset, replace(tiny, mean=(0.5, 0.5, 0.5)), "float32", own),
        load_features(dataset, replace(tiny, std=(0.5, 0.5, 0.5)), "float32", own),
        load_features(dataset, replace(tiny, image_size=48), "float32", own),
        load_features(dataset, replace(tiny, weights=registry.backbone("mobilenetv2.random").weights), "float32", own),
    ]
    for other in others:
        assert other.forward_passes == 318
        assert not np.allclose(other.pooled_ND, usual, rtol=1e-3)


def test_a_corrupt_entry_is_computed_again_with_one_warning(
    registry: Registry, places: Places, small: BackboneSpec, seen: "Counter[bytes]", tmp_path: Path
) -> None:
    own = shared_scans(places, tmp_path)
    dataset = open_dataset(registry.dataset("br35h"), own)
    tiny = replace(small, image_size=32)
    first = load_features(dataset, tiny, "float32", own).pooled_ND
    [stored] = (own.store / "features").rglob("pooled.npy")
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    with pytest.warns(UserWarning, match="is corrupt; it is computed again") as told:
        second = load_features(dataset, tiny, "float32", own).pooled_ND
    assert len(told) == 1
    assert len(seen) == 318
    assert set(seen.values()) == {2}
    np.testing.assert_array_equal(first, second)


def test_threads_and_precision_are_left_as_they_were(
    registry: Registry, places: Places, small: BackboneSpec, tmp_path: Path
) -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled()
    own = shared_scans(places, tmp_path)
    load_features(open_dataset(registry.dataset("br35h"), own), replace(small, image_size=32), "float32", own)
    assert before == (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled())


def test_a_checkpoint_of_another_architecture_names_the_first_tensor(
    registry: Registry, places: Places, small: BackboneSpec
) -> None:
    wrong = replace(small, architecture="mobilenetv2_140")
    with pytest.raises(CheckpointMismatch, match=r"'features\.0\.0\.weight' has shape \(32, 3, 3, 3\)"):
        load_features(open_dataset(registry.dataset("br35h"), places), wrong, "float32", places)


def test_what_cannot_run_says_so_before_it_is_tried(registry: Registry, places: Places) -> None:
    with pytest.raises(Unavailable, match="dinov2_vitb14"):
        transfer(Cell("dinov2_vitb14", "aptos2019", "finetune_linear"), registry=registry, places=places)


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from pytest_fmtransfer import Cell, Places, Registry, transfer
registry = Registry()
registry.register(replace(registry.backbone("mobilenetv2"), name="small", image_size=96))
result = transfer(Cell("small", "br35h", "linear_probe"), registry=registry, places=Places(store=Path(sys.argv[1])))
print(result.scores_SNC.tobytes().hex(), result.cost.forward_passes, result.origin)
"""


def start(store: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(store)], stdout=subprocess.PIPE, text=True)


def test_killed_during_extraction_it_finishes_with_the_same_scores(places: Places, tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    killed, whole = shared_scans(places, tmp_path / "killed"), shared_scans(places, tmp_path / "whole")
    process = start(killed.store)
    deadline = time.monotonic() + 120
    while not list((killed.store / "features").glob("*/.*")):  # the scratch folder: extraction has begun
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not list((killed.store / "features").rglob("entry.json"))
    again, never_killed = (start(folder.store).communicate()[0].split() for folder in (killed, whole))
    assert again == never_killed
    assert again[1:] == ["318", "computed"]
    assert not list((killed.store / "features").glob("*/.*"))


def test_two_processes_compute_features_once(places: Places, tmp_path: Path) -> None:
    own = shared_scans(places, tmp_path)
    both = [start(own.store), start(own.store)]
    told = [process.communicate()[0].split() for process in both]
    assert told[0][0] == told[1][0]
    assert sorted(line[2] for line in told) == ["computed", "store"]
    assert len(list((own.store / "features").rglob("entry.json"))) == 1


def test_every_row_names_a_dataset_that_is_read_or_says_why_not(registry: Registry) -> None:
    for name in registry.names(DatasetSpec):
        spec = registry.dataset(name)
        assert (
            spec.reader is None
            or (Path(__file__).parents[1] / f"pytest_fmtransfer/data/readers/{spec.reader}.py").is_file()
        )

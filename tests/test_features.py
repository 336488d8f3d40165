"""One forward pass per distinct image and backbone, whatever asks for the features and however often."""

import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.availability import data_folder
from pytest_fmtransfer.backbones.timm import TimmBackbone
from pytest_fmtransfer.catalog.specs import BackboneSpec, DataRoot, DatasetSpec
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.errors import CheckpointMismatch, Unavailable
from pytest_fmtransfer.features import load_features
from tests.trained import ROUNDING

# Of the packaged heads, every 55th and three pairs that are one picture, one pair of which is so byte by byte.
EVERY, SAME = 55, ((355, 532), (361, 475), (364, 551))
FILES, CONTENTS, PICTURES, GROUPS = 61, 60, 58, 45  # a last batch of one when one of each group is asked for first


@pytest.fixture(scope="module")
def folder(registry: Registry, places: Places, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of br35h's own files in its layout: a law about real images needs few of them."""
    whole = data_folder(registry.dataset("br35h"), places)
    names = sorted(path.relative_to(whole).as_posix() for path in whole.glob("*/*.jpg"))
    some = {*names[::EVERY], *(f"no/no{number}.jpg" for pair in SAME for number in pair)}
    root = tmp_path_factory.mktemp("some")
    for name in sorted(some):
        (root / "heads" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "heads" / name).symlink_to(whole / name)
    return root


def catalogue() -> Registry:
    """Real weights at a small input, which cost a tenth; the heads, one of each group and all of them."""
    ours = Registry()
    ours.register(replace(ours.backbone("mobilenetv2"), name="small", image_size=64))
    for name, like in (("heads", "br35h"), ("heads.all", "br35h.naive")):
        row = replace(ours.dataset(like), name=name, location=DataRoot(folder="heads", url="https://example.org"))
        ours.register(replace(row, expected_images=None, acknowledged={"class_too_small": "few serve as well"}))
    return ours


@pytest.fixture
def ours() -> Registry:
    return catalogue()


@pytest.fixture
def small(ours: Registry) -> BackboneSpec:
    return ours.backbone("small")


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Places:
    """The heads, with an empty store."""
    return Places(store=tmp_path / "store", data_root=folder)


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


def test_one_pass_per_distinct_image(ours: Registry, own: Places, small: BackboneSpec, seen: "Counter[bytes]") -> None:
    for regime in ("knn", "linear_probe", "knn"):
        transfer(Cell("small", "heads", regime), registry=ours, places=own)
    assert len(seen) == GROUPS
    assert set(seen.values()) == {1}
    # All of them are the same pictures, more, and copies among them, of which two are other files.
    everything = open_dataset(ours.dataset("heads.all"), own)
    assert (len(everything.table.ids_N), len(np.unique(everything.contents.digests_N))) == (FILES, CONTENTS)
    assert load_features(everything, small, "float32", own).forward_passes == PICTURES - GROUPS
    assert len(seen) == PICTURES
    assert set(seen.values()) == {1}
    few = load_features(open_dataset(ours.dataset("heads"), own), small, "float32", own)
    assert few.forward_passes == GROUPS
    assert set(seen.values()) == {1}


def test_the_order_in_which_datasets_are_asked_for_changes_no_feature(
    ours: Registry, own: Places, small: BackboneSpec, tmp_path: Path
) -> None:
    other = replace(own, store=tmp_path / "other")
    first = load_features(open_dataset(ours.dataset("heads"), own), small, "float32", own).pooled_ND
    load_features(open_dataset(ours.dataset("heads.all"), other), small, "float32", other)
    second = load_features(open_dataset(ours.dataset("heads"), other), small, "float32", other)
    assert second.forward_passes == 0
    # Pictures stand in other places of other batches, where they may be added up in another order.
    np.testing.assert_allclose(first, second.pooled_ND, rtol=0, atol=ROUNDING * np.abs(first).max())


def test_whatever_moves_a_feature_is_in_its_key(ours: Registry, own: Places, small: BackboneSpec) -> None:
    dataset = open_dataset(ours.dataset("heads"), own)
    usual = load_features(dataset, small, "float32", own).pooled_ND
    others = [
        load_features(dataset, replace(small, mean=(0.5, 0.5, 0.5)), "float32", own),
        load_features(dataset, replace(small, std=(0.5, 0.5, 0.5)), "float32", own),
        load_features(dataset, replace(small, image_size=48), "float32", own),
        load_features(dataset, replace(small, weights=ours.backbone("mobilenetv2.random").weights), "float32", own),
    ]
    for other in others:
        assert other.forward_passes == GROUPS
        assert not np.allclose(other.pooled_ND, usual, rtol=1e-3)


def test_a_corrupt_entry_is_computed_again_with_one_warning(
    ours: Registry, own: Places, small: BackboneSpec, seen: "Counter[bytes]"
) -> None:
    dataset = open_dataset(ours.dataset("heads"), own)
    first = load_features(dataset, small, "float32", own).pooled_ND
    [stored] = (own.store / "features").rglob("pooled.npy")
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    with pytest.warns(UserWarning, match="is corrupt; it is computed again") as told:
        second = load_features(dataset, small, "float32", own).pooled_ND
    assert len(told) == 1
    assert len(seen) == GROUPS
    assert set(seen.values()) == {2}
    np.testing.assert_array_equal(first, second)


def test_threads_and_precision_are_left_as_they_were(ours: Registry, own: Places, small: BackboneSpec) -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled()
    load_features(open_dataset(ours.dataset("heads"), own), small, "float32", own)
    assert before == (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_inference_mode_enabled())


def test_a_checkpoint_of_another_architecture_names_the_first_tensor(
    ours: Registry, own: Places, small: BackboneSpec
) -> None:
    wrong = replace(small, architecture="mobilenetv2_140")
    with pytest.raises(CheckpointMismatch, match=r"'features\.0\.0\.weight' has shape \(32, 3, 3, 3\)"):
        load_features(open_dataset(ours.dataset("heads"), own), wrong, "float32", own)


def test_what_cannot_run_says_so_before_it_is_tried(registry: Registry, places: Places) -> None:
    with pytest.raises(Unavailable, match="dinov2_vitb14"):
        transfer(Cell("dinov2_vitb14", "aptos2019", "finetune_linear"), registry=registry, places=places)


SCRIPT = """
import os, signal, sys
from pathlib import Path
from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.backbones.timm import TimmBackbone
from tests.test_features import catalogue
places, killed_at = Places(store=Path(sys.argv[1]), data_root=Path(sys.argv[2])), int(sys.argv[3])
normalise, passed = TimmBackbone.normalise, []
def counted(self, pixels_NSS):
    passed.append(sum(bool(image.any()) for image in pixels_NSS))
    if len(passed) == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return normalise(self, pixels_NSS)
TimmBackbone.normalise = counted
print("ready", flush=True)
input()
for regime in sys.argv[4:]:
    result = transfer(Cell("small", "heads", regime), registry=catalogue(), places=places)
    print(regime, result.scores_SNC.tobytes().hex(), result.origin)
print(sum(passed))
"""


def start(places: Places, *regimes: str, killed_at: int = 0) -> "subprocess.Popen[str]":
    """Another process that has imported everything, and asks for cells once it is given a line.

    It is killed at the batch of that number.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(places.store), str(places.data_root), str(killed_at), *regimes],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_during_extraction_it_finishes_with_the_same_scores(
    ours: Registry, own: Places, seen: "Counter[bytes]", tmp_path: Path
) -> None:
    process = start(own, "linear_probe", killed_at=6)  # of twelve batches
    process.communicate("go\n")
    assert process.returncode == -signal.SIGKILL
    assert not list((own.store / "features").rglob("entry.json"))
    assert list((own.store / "features").glob("*/.*"))  # what a killed process leaves
    cell = Cell("small", "heads", "linear_probe")
    again, never_killed = (
        transfer(cell, registry=ours, places=places) for places in (own, replace(own, store=tmp_path / "other"))
    )
    np.testing.assert_array_equal(again.scores_SNC, never_killed.scores_SNC)
    assert (again.cost.forward_passes, again.origin) == (GROUPS, "computed")
    assert (never_killed.cost.forward_passes, never_killed.origin) == (GROUPS, "computed")
    assert set(seen.values()) == {2}
    assert not list((own.store / "features").glob("*/.*"))


def test_two_processes_compute_everything_once(ours: Registry, own: Places, seen: "Counter[bytes]") -> None:
    """Two cells, which share features, asked for by both in another order at the same time."""
    process = start(own, "knn", "linear_probe")
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    found = [transfer(Cell("small", "heads", name), registry=ours, places=own) for name in ("linear_probe", "knn")]
    here = [[each.cell.regime, each.scores_SNC.tobytes().hex(), each.origin] for each in found]
    *there, [passed] = (line.split() for line in process.communicate()[0].splitlines())
    for (regime, scores, origin), (same_regime, same_scores, other_origin) in zip(here, reversed(there), strict=True):
        assert (regime, scores) == (same_regime, same_scores)
        assert {origin, other_origin} == {"computed", "store"}
    assert seen.total() + int(passed) == GROUPS
    assert len(list((own.store / "features").rglob("entry.json"))) == 1


def test_every_row_names_a_dataset_that_is_read_or_says_why_not(registry: Registry) -> None:
    for name in registry.names(DatasetSpec):
        spec = registry.dataset(name)
        assert (
            spec.reader is None
            or (Path(__file__).parents[1] / f"pytest_fmtransfer/data/readers/{spec.reader}.py").is_file()
        )

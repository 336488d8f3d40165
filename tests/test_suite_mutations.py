"""The gate goes red when something is wrong: each mutation is one plugin loaded into a run of the pocket suite."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store

ROOT = Path(__file__).parents[1]
BASELINE = "suites/pocket/test_baselines.py::test_unchanged[efficientnet_lite0-br35h-{}]"
CLAIM = "suites/pocket/test_claims.py::test_beats_random_weights[efficientnet_lite0-br35h-{}]"
SUITE = [item.format(regime) for item in (BASELINE, CLAIM) for regime in ("knn", "linear_probe")]

# A wrong normalisation: the publisher's 0.5 taken for ImageNet's mean and deviation.
NORMALISATION = """
from pytest_fmtransfer.backbones.base import Backbone
import torch
init = Backbone.__init__
def wrong(self, *arguments, **more):
    init(self, *arguments, **more)
    self.mean.copy_(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
    self.std.copy_(torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
Backbone.__init__ = wrong
"""

# Training labels shuffled; those of the test side stay.
LABELS = """
import dataclasses, numpy as np
import pytest_fmtransfer._transfer as transfer
sides_of = transfer.sides_of
def shuffled(dataset, pooled_ND):
    sides = sides_of(dataset, pooled_ND)
    labels = np.random.default_rng(0).permutation(sides.train_labels_A)
    validation = np.random.default_rng(1).permutation(sides.validation_labels_V)
    return dataclasses.replace(sides, train_labels_A=labels, validation_labels_V=validation)
transfer.sides_of = shuffled
"""

# Random weights under the name of the real ones: those of the twin. Another draw could beat the twin by luck.
WEIGHTS = """
import timm, torch
import pytest_fmtransfer.backbones.timm as home
def random_weights(network, *_):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        twin = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    network.load_state_dict(twin.state_dict(), strict=False)
home.layouts.load = random_weights
"""

# Everything as it is: the same selection is green.
NOTHING = ""

# What images are made of and how they were found to be, which no mutation touches, and the locks it is computed under.
OF_IMAGES = ("audits", "contents", "images", "locks")


@pytest.fixture
def own(places: Places, tmp_path: Path) -> Path:
    """A store that has, and shares, what this run knows of images: what a mutated run computes is seen by no other."""
    for kind in OF_IMAGES:
        share(places.store / kind, tmp_path / "store" / kind)
    return tmp_path / "store"


def share(folder: Path, link: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder)


def share_features(places: Places, own: Path, backbone: str) -> None:
    """Those that are there already of a backbone whose features a mutation leaves as they are."""
    for entry in Store(root=places.store).entries("features"):
        if json.loads((entry / "entry.json").read_text(encoding="utf-8"))["about"]["backbone"] == backbone:
            share(entry, own / "features" / entry.parent.name / entry.name)


@pytest.mark.parametrize(
    ("mutation", "red", "same"),
    [
        (NOTHING, [], []),
        (NORMALISATION, SUITE[:2], []),
        (LABELS, SUITE, ["efficientnet_lite0", "efficientnet_lite0.random"]),
        (WEIGHTS, SUITE, ["efficientnet_lite0.random"]),
    ],
    ids=["nothing", "normalisation", "labels", "weights"],
)
def test_a_mutation_turns_the_suite_red(
    mutation: str,
    red: list[str],
    same: list[str],
    own: Path,
    places: Places,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every baseline sees every mutation; claims see those after which nothing was learnt.

    `same` are the backbones whose features stay as they are.
    """
    (tmp_path / "mutation.py").write_text(mutation)
    # What is obtained waits beside a baseline: here beside a copy, and not among the project's own.
    shutil.copytree(
        ROOT / "suites" / "baselines", tmp_path / "baselines", ignore=shutil.ignore_patterns("*.obtained.*")
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if mutation:
        for backbone in same:
            share_features(places, own, backbone)
        monkeypatch.setenv("FMTRANSFER_STORE", str(own))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "mutation", "-p", "no:cacheprovider", "-q"),
            *("-o", f"fm_baselines={tmp_path / 'baselines'}", *SUITE),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (pytest.ExitCode.TESTS_FAILED if red else pytest.ExitCode.OK), done.stdout
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert failed == red

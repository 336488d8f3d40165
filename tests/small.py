"""A synthetic dataset and a small backbone, for tests that go the whole way from files to a verdict in a second.

Pictures of the one class are striped across, of the other along, over a pattern of their own: what a file
tells, its size and grey levels, is the same in both. The backbone's weights are random convolutions, which see the
stripes; nothing was trained.

Legend: H, W pixels.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import timm
import torch

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DataRoot, PublishedWeights
from tests.pictures import SIDE, head, save

EACH = 60  # images of each class, 24 of them on the test side
FILE_SIZE = 8192
WEIGHTS = "tiny.pt"
ARCHITECTURE = "test_efficientnet"

DATASET = replace(
    Registry().dataset("br35h"),
    name="stripes",
    location=DataRoot(folder="stripes", url="https://example.org"),
    expected_images=2 * EACH,
    margin_reason="synthetic",
    licence="none",
    source="made by tests/small.py",
    caveats=("synthetic",),
    patient_unit="image",
)
BACKBONE = BackboneSpec(
    name="tiny",
    library="timm",
    architecture=ARCHITECTURE,
    weights=PublishedWeights(file=WEIGHTS, url="https://example.org"),
    image_size=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    licence="none",
    source="made by tests/small.py",
)


def register(registry: Registry, backbone: BackboneSpec = BACKBONE) -> None:
    """What a conftest's `pytest_fmtransfer_register` does."""
    registry.register(DATASET)
    registry.register(backbone)


def catalogue(backbone: BackboneSpec = BACKBONE) -> Registry:
    registry = Registry()
    register(registry, backbone)
    return registry


def write_images(root: Path) -> None:
    """The dataset, in the layout of br35h; every file has the same size."""
    stripes_W = 18 * np.sign(np.sin(np.arange(SIDE) * np.pi / 4 + 0.1))
    for number in range(EACH):
        for label, name in enumerate(("no", "yes")):
            pattern_HW = head(2 * number + label, grain=10)
            across_HW = np.where(pattern_HW > 0, np.clip(pattern_HW + stripes_W, 1, 255), 0).astype(np.uint8)
            path = save(across_HW if label else across_HW.T, root / "stripes" / name / f"{number:02}.jpg")
            path.write_bytes(path.read_bytes().ljust(FILE_SIZE, b"\0"))  # what follows a picture's end is not read


def write_weights(root: Path, *, seed: int = 0, scale: float = 1.0) -> None:
    """A checkpoint; with `scale` 0 one that sees nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = timm.create_model(ARCHITECTURE, num_classes=0)
    tensors = {
        name: tensor * scale if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()
    }
    root.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, root / WEIGHTS)

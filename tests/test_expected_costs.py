"""What absent cells would take, one after the other: by seeds, batches and sides, and each thing that is kept once."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_fmtransfer.catalog.expected import Expected
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.augmentations import recipe_named
from pytest_fmtransfer.expected_costs import ExpectedCost, ExpectedWalk

SIZES = Expected(train=40, validation=10, test=20, source="counted")
ALL = 40 + 10 + 20
SIDE = 32


def on(
    walk: ExpectedWalk,
    regime: str,
    *,
    backbone: str = "mobilenetv2",
    dataset: str = "ddsm",
    seeds: int = 3,
    **changed: Any,
) -> ExpectedCost:
    """Of two epochs in batches of 16, where the regime has such, at a small input."""
    registry = Registry()
    settings = registry.regime(regime).settings
    if isinstance(settings, TrainingSettings):
        settings = replace(settings, **({"epochs": 2, "batch": 16} | changed))
    spec = replace(registry.backbone(backbone), image_size=SIDE)
    return walk.on(Cell(backbone, dataset, regime), spec, settings, seeds, registry.dataset(dataset), SIZES)


def test_steps_are_of_all_seeds_and_images_of_whole_batches_or_of_a_side_that_is_smaller() -> None:
    tuned = on(ExpectedWalk(), "finetune_linear")
    assert (tuned.training_steps, tuned.trained_images, tuned.forward_passes) == (3 * 2 * 2, 3 * 2 * 2 * 16, 0)
    small = on(ExpectedWalk(), "finetune_linear", batch=64)
    assert (small.training_steps, small.trained_images) == (3 * 2, 3 * 2 * 40)
    frozen = on(ExpectedWalk(), "frozen_linear")
    assert (frozen.training_steps, frozen.trained_images) == (3 * 2 * 2, 0)
    knn = on(ExpectedWalk(), "knn")
    assert (knn.training_steps, knn.trained_images, knn.forward_passes) == (0, 0, ALL)


def test_a_view_that_is_new_in_every_epoch_passes_for_every_seed() -> None:
    assert on(ExpectedWalk(), "frozen_linear.every").forward_passes == 10 + 20 + 3 * 2 * 2 * 16
    assert on(ExpectedWalk(), "partial5_linear.unaugmented").forward_passes == ALL


def test_a_view_passes_once_for_a_backbone_its_cut_and_what_its_head_takes() -> None:
    walk = ExpectedWalk()
    assert on(walk, "frozen_linear", views=2).forward_passes == 10 + 20 + 2 * 40
    assert on(walk, "frozen_linear", views=2).forward_passes == 0
    assert on(walk, "frozen_linear", views=3, epochs=9).forward_passes == 40  # the third
    for other in (
        {"backbone": "efficientnet_lite0"},
        {"dataset": "aptos2019"},
        {"head": "attention"},
        {"cut_after": 3},
        {"recipe": "plain"},
    ):
        told: dict[str, Any] = {"views": 1} | other
        assert on(walk, "frozen_linear", **told).forward_passes == 10 + 20 + 40, other
        assert on(walk, "frozen_linear", **told).forward_passes == 0, other


def test_labels_are_shuffled_and_no_picture() -> None:
    walk = ExpectedWalk()
    on(walk, "knn")
    shuffled = on(walk, "knn", dataset="ddsm.shuffled")
    assert (shuffled.forward_passes, shuffled.bytes) == (0, 0)


def test_a_probe_of_files_passes_no_network_and_keeps_no_picture() -> None:
    probe = on(ExpectedWalk(), "knn", backbone="shortcut.metadata")
    assert (probe.forward_passes, probe.bytes) == (0, 0)


@pytest.mark.parametrize(("dataset", "channels"), [("aptos2019", 3), ("medmnist.chestmnist", 1)])
def test_pictures_are_kept_once_a_size_in_the_channels_that_they_have(dataset: str, channels: int) -> None:
    walk = ExpectedWalk()
    assert on(walk, "knn", dataset=dataset).bytes == ALL * SIDE**2 * channels
    assert on(walk, "knn", dataset=dataset, backbone="efficientnet_lite0").bytes == 0
    larger = recipe_named("huix2024").at(SIDE).resize
    assert larger > SIDE
    assert on(walk, "finetune_linear", dataset=dataset).bytes == ALL * larger**2 * channels
    assert on(walk, "frozen_linear", dataset=dataset).bytes == 0

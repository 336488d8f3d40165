"""A linear layer on a frozen backbone over 100 epochs: ours against a loop that recomputes the forward pass.

    python benchmarks/frozen.py [--backbone NAME] [--size PIXELS] [--images N] [--epochs N]

Both train on the same N images of br35h, validate on half as many in every epoch and test on a quarter as many in the
end, without augmentation, from decoded images that lie ready. The plain loop passes every batch through the backbone
when its turn comes, in evaluation mode and without gradients, as the protocol's own code does; its images are resized,
normalised and laid out beforehand, its backbone is the same as ours, its steps are torch's. Ours passes each image
once, writes features to a fresh store and trains from there (`pytest_fmtransfer.adapt.frozen`), one seed and then
five. Both build the backbone. Printed are seconds of the clock and of the processor, which others on the machine move
less, and the ratios; the target is 50. Losses and test scores of both are compared to show that they do the same.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pytest_fmtransfer import Cell, Places, Registry
from pytest_fmtransfer.adapt import frozen
from pytest_fmtransfer.adapt.heads import build_head
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.order import batches
from pytest_fmtransfer.adapt.schedule import share_of_rate, warm_up_of
from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.computing import training_context
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.regime_families import regime_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.regime_specs import Caps, Profile
from pytest_fmtransfer.catalog.resolving import backbone_under, settings_on
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.data.augmentations import NONE
from pytest_fmtransfer.data.capped import capped
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.data.transforms import prepare
from pytest_fmtransfer.features import met_by
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.metrics import evaluate

T = TypeVar("T")
REGIME = "frozen_linear.unaugmented"
EVALUATED = 32  # images that the plain loop passes at once where nothing is learnt


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives; seconds of the clock, and of the processor over all threads."""
    started, spent = time.perf_counter(), time.process_time()
    made = work()
    return made, time.perf_counter() - started, time.process_time() - spent


def plain_loop(job: Job, settings: TrainingSettings, images_N: Tensor, seed: int) -> tuple[list[float], np.ndarray]:
    """Mean loss of every epoch, and scores of the test side at the best."""
    backbone = build(job.spec, weights_file(job.spec, job.places), channels=job.spec.channels)
    backbone.lay_out(torch.channels_last)

    def embedded(rows: np.ndarray) -> Tensor:
        with torch.no_grad():
            return backbone(images_N[torch.from_numpy(rows)]).pooled_ND

    def scored(side: str) -> np.ndarray:
        rows = job.rows[side]
        parts = [rows[start : start + EVALUATED] for start in range(0, len(rows), EVALUATED)]
        with torch.no_grad():
            return torch.cat([head(embedded(part)) for part in parts]).numpy()

    train, labels = job.rows[TRAIN], torch.from_numpy(job.labels_of(TRAIN, seed))
    width = embedded(train[:1]).shape[1]
    head = build_head("linear", width=width, tokens=0, classes=job.classes, seed=seed)
    weight, bias = list(head.parameters())
    optimiser = torch.optim.AdamW(
        [
            {"params": [weight], "weight_decay": settings.weight_decay},
            {"params": [bias], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        fused=True,
    )
    best, best_weights = -np.inf, head.state_dict()
    losses: list[float] = []
    step, warm_up = 0, warm_up_of(settings, len(train) // settings.batch)
    for epoch in range(settings.epochs):
        epoch_losses: list[Tensor] = []
        for rows_B in batches(len(train), settings.batch, seed=seed, epoch=epoch):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * share_of_rate(step, warm_up)
            loss = nn.functional.cross_entropy(head(embedded(train[rows_B])), labels[rows_B])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), settings.clip)
            optimiser.step()
            epoch_losses.append(loss.detach())
            step += 1
        losses.append(float(torch.stack(epoch_losses).mean()))
        metric = evaluate("roc_auc", job.labels_of(VALIDATION, seed), scored(VALIDATION)).value
        if metric > best:
            best, best_weights = metric, {name: tensor.clone() for name, tensor in head.state_dict().items()}
    head.load_state_dict(best_weights)
    return losses, scored(TEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    images: int = arguments.images
    registry, regime = Registry(), regime_of(REGIME)
    assert regime is not None
    profile = Profile(
        name="frozen", forward_dtype="float32", head_epochs=arguments.epochs, batch=16, size=arguments.size
    )
    row = registry.dataset("br35h")
    settings = settings_on(regime, row, profile)
    assert isinstance(settings, TrainingSettings)
    spec: BackboneSpec = met_by(backbone_under(registry.backbone(arguments.backbone), profile), row)
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(store=Path(scratch) / "store")
        dataset = capped(open_dataset(row, places), Caps(train=images, validation=images // 2, test=images // 4))

        def job(name: str) -> Job:
            # Decoded images are shared, features are not.
            own = Places(store=Path(scratch) / name)
            own.store.mkdir()
            (own.store / "images").symlink_to(places.store / "images")
            return Job(
                cell=Cell(arguments.backbone, "br35h", REGIME),
                dataset=dataset,
                spec=spec,
                dtype="float32",
                training_dtype="float32",
                places=own,
                workspace=Path(scratch) / name / "workspace",
            )

        shown = NONE.at(spec.image_size)
        pixels = torch.from_numpy(np.array(load_images(dataset, shown.resize, places)))
        prepared = prepare(pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(-1, 1), shown)
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (spec.mean, spec.std))
        images_N = ((prepared - mean) / std).contiguous(memory_format=torch.channels_last)

        def ours(name: str, seeds: tuple[int, ...]) -> Ran:
            return frozen.run(job(name), settings, seeds)

        ours("warm-up", (0,))  # imports, and kernels that are picked at their first call
        with training_context("float32"):
            (losses, scores_TC), *plain = timed(lambda: plain_loop(job("plain"), settings, images_N, 0))
        one, *single = timed(lambda: ours("one", (0,)))
        _, *five = timed(lambda: ours("five", (0, 1, 2, 3, 4)))
    sides = ", ".join(f"{len(dataset.table.side(side))} {side}" for side in (TRAIN, VALIDATION, TEST))
    print(f"{arguments.backbone} at {spec.image_size} px, {settings.epochs} epochs; images: {sides}; {cores()} cores")
    for what, (clock, processor) in {
        "plain loop, one seed": plain,
        "ours, one seed": single,
        "ours, five": five,
    }.items():
        print(f"{what:24}{clock:9.2f} s of the clock{processor:9.2f} s of the processor")
    for what, (clock, processor), times in (("one seed", single, 1), ("five seeds, each", five, 5)):
        print(
            f"plain / ours, {what:18}{times * plain[0] / clock:7.0f} by the clock{times * plain[1] / processor:7.0f}"
            " by the processor"
        )
    apart = max(abs(a - row["loss"]) for a, row in zip(losses, one.training[0]["history"], strict=True))
    moved = float(np.abs(one.adapted[0].scores_TC - scores_TC).max())
    print(f"largest difference of an epoch's loss {apart:.1e}, of a test score {moved:.1e}")


if __name__ == "__main__":
    main()

"""Regimes whose backbone learns: end to end, from a block on, by low-rank additions, or from random weights.

Where nothing before a block learns and nothing is augmented, what the block is given is computed once for each image;
training then passes images through the rest alone.

Legend: N images of a dataset, C classes or labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from pytest_fmtransfer.adapt.activations import store_activations
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.finished import finish, finished
from pytest_fmtransfer.adapt.heads import Head, build_head
from pytest_fmtransfer.adapt.inputs import Feed, ImageInputs, Inputs, StoredInputs
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.loop import Course, Trained, train
from pytest_fmtransfer.adapt.micro_batches import first_guess
from pytest_fmtransfer.adapt.networks import Headed, NetworkLearner
from pytest_fmtransfer.adapt.sides import Adapted
from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.computing import torch_device, training_context
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.specs import without_learning
from pytest_fmtransfer.data.augmentations import Recipe, recipe_named
from pytest_fmtransfer.data.framing import framing_under
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.table import TRAIN, VALIDATION
from pytest_fmtransfer.metrics import metric_of


def run(job: Job, settings: TrainingSettings, seeds: Sequence[int]) -> Ran:
    """Each seed after the other; one that a killed run has finished is not trained again.

    Raises as weights, images and training do, and InvalidInput for a block that a backbone does not have.
    """
    recipe = recipe_named(settings.recipe).at(job.spec.image_size)
    device, places = torch_device(job.places.device, job.places.card), job.places
    job.workspace.mkdir(parents=True, exist_ok=True)
    with training_context("float32", places.device, places.deterministic, places.card), torch.random.fork_rng():
        done = [_trained(job, settings, seed, recipe, device) for seed in seeds]
    return Ran(
        adapted=tuple(Adapted(scores_TC=each.scores_RTC[0], chosen={"epoch": int(each.epoch_R[0])}) for each in done),
        training=tuple(each.training[0] for each in done),
        earlier_seconds=sum(each.earlier_seconds for each in done),
    )


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What learns of a backbone and its head, as one module, and what that is given."""

    learning: Headed
    inputs: Inputs


def _trained(job: Job, settings: TrainingSettings, seed: int, recipe: Recipe, device: torch.device) -> Trained:
    """One seed, unless a killed run has finished it."""
    kept = job.workspace / f"seed{seed}.npz"
    if (found := finished(kept)) is None:
        checkpoint = job.workspace / f"seed{seed}.pt"
        found = _train(job, settings, seed, recipe, device, Checkpoints(checkpoint))
        finish(kept, found)
        checkpoint.unlink(missing_ok=True)
    return found


def _train(
    job: Job, settings: TrainingSettings, seed: int, recipe: Recipe, device: torch.device, checkpoints: Checkpoints
) -> Trained:
    parts = _parts(job, settings, seed, recipe, device)
    batch = min(settings.batch, len(job.rows[TRAIN]))

    def example(images: int) -> torch.Tensor:
        return parts.inputs.evaluation(job.rows[TRAIN][:images]).to(device)

    micro = first_guess(parts.learning, example, batch, device)
    feed = Feed(parts.inputs, loaders=job.loaders, pinned=device.type == "cuda")
    try:
        learner = NetworkLearner(
            parts.learning,
            feed,
            rows=job.rows,
            labels_A=job.labels_of(TRAIN, seed),
            settings=settings,
            seed=seed,
            micro=micro,
            dtype=job.training_dtype,
            device=device,
            compiled=job.places.compiled,
        )
        course = Course(
            settings=settings,
            metric=job.dataset.spec.metric,
            metric_of=metric_of(job.dataset.spec.metric, job.dataset.spec.classes),
            seeds=(seed,),
            ids=tuple(job.dataset.table.ids_N[job.rows[TRAIN]].tolist()),
            validation_labels={seed: job.labels_of(VALIDATION, seed)},
            what=f"{job.cell} seed {seed}",
        )
        found = train(learner, course, checkpoints)
    finally:
        feed.close()
    return replace(found, training=({**found.training[0], "batch": batch, "micro_batch": learner.micro},))


def _parts(job: Job, settings: TrainingSettings, seed: int, recipe: Recipe, device: torch.device) -> Parts:
    """Raises as `run` does."""
    backbone = _backbone(job, settings, seed).to(device)
    pixels = load_images(job.dataset, recipe.resize, job.places, framing_under(job.spec, recipe))
    inputs: Inputs = ImageInputs(pixels, tuple(job.dataset.table.ids_N.tolist()), recipe, backbone)
    head = _head(job, settings, seed, backbone, recipe).to(device)
    if settings.recipe == "none" and settings.first_block:
        from pytest_fmtransfer.backbones.prefix import split_at

        prefix, suffix = split_at(backbone, settings.first_block, side=recipe.crop, tokens=head.takes == "tokens")
        stored_N = store_activations(prefix, inputs, len(job.dataset.table.ids_N), job, device)
        return Parts(learning=Headed(suffix, head), inputs=StoredInputs(stored_N))
    return Parts(learning=Headed(backbone, head), inputs=inputs)


def _backbone(job: Job, settings: TrainingSettings, seed: int) -> Backbone:
    """As the regime begins with it: cut, frozen up to a block, or with additions."""
    spec = job.spec
    if settings.initial == "random":  # a training seed draws them
        spec = replace(spec, weights=without_learning(spec.weights, seed=seed))
    backbone = build_backbone(spec, job.places, trainable=True)
    if settings.trained == "lora":
        from pytest_fmtransfer.adapt.lora import add_adapters  # peft takes seconds to import

        assert settings.rank is not None, "regime_families gives every lora its rank"
        add_adapters(backbone, settings.rank, settings.first_block, seed=seed)
    elif settings.first_block is not None:
        from pytest_fmtransfer.backbones.partial import train_from

        train_from(backbone, settings.first_block)
    if sum(isinstance(each, nn.Conv2d) for each in backbone.modules()) > 1:
        backbone.lay_out(torch.channels_last)
    return backbone


def _head(job: Job, settings: TrainingSettings, seed: int, backbone: Backbone, recipe: Recipe) -> Head:
    """The head that fits what the backbone gives."""
    with torch.no_grad():
        side = recipe.crop
        made = backbone(torch.zeros(1, backbone.channels, side, side, device=backbone.mean.device))
    return build_head(
        settings.head,
        width=(made.pooled_ND if settings.head_takes == "pooled" else made.tokens_NTE).shape[-1],
        tokens=made.tokens_NTE.shape[1],
        classes=job.classes,
        seed=seed,
        weights=weights_file(job.head_spec, job.places) if job.head_spec else None,
        spec=job.head_spec,
    )

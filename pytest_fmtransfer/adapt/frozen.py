"""Regimes whose backbone does not learn: a head trained on features of views, every seed and every point of a grid at
once.

Stored views are passed through the backbone once, and cycled over the epochs; the same for every seed, which fixes
the head's first weights and the order of images. With a new view in every epoch the backbone is passed in every
epoch, and a seed fixes what chance does to the images too.

Legend: S seeds, G points of a grid, R replicas, A, V, T images of the training, validation and test side, C classes or
labels.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.embeddings import check_embeddings
from pytest_fmtransfer.adapt.feature_rows import Array, Batches
from pytest_fmtransfer.adapt.finished import finish, finished
from pytest_fmtransfer.adapt.heads import Head, build_head
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.loop import Course, Trained, train
from pytest_fmtransfer.adapt.passed_rows import PassedRows
from pytest_fmtransfer.adapt.sides import Adapted
from pytest_fmtransfer.adapt.stacked import Point, StackedLearner, groups
from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.computing import torch_device, training_context
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.data.augmentations import recipe_named
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import first_few
from pytest_fmtransfer.metrics import metric_of
from pytest_fmtransfer.views import View, Views


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a head is given. `training` of the seeds that are trained together, and of an epoch, is their features."""

    training: Callable[[Sequence[int], int], Array | Batches]
    validation: np.ndarray
    test: np.ndarray
    seen: tuple[View, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one seed at one point: scores of the test side, T × C, at the best epoch, and the metric that chose it."""

    point: Point
    scores_TC: np.ndarray
    best: float
    epoch: int
    training: Mapping[str, Any]


def run(job: Job, settings: TrainingSettings, seeds: Sequence[int]) -> Ran:
    """All seeds, each at the point of the grid with the best validation metric, the first of equals.

    A killed run is gone on with: views from their last whole chunk, training from its last checkpoint. Raises as
    weights, images, `Views` and `train` do, and InvalidInput for a block to cut after that the backbone does not have.
    """
    job.workspace.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    inputs, points = _inputs(job, settings), _grid(settings)
    loading = time.perf_counter() - started
    with training_context("float32", job.places.device, job.places.deterministic, job.places.card):
        outcomes, earlier = _trained(job, settings, seeds, points, inputs)
    chosen = [max(outcomes[seed], key=lambda each: each.best) for seed in seeds]  # the first of equals
    return Ran(
        adapted=tuple(Adapted(scores_TC=each.scores_TC, chosen=_chosen(each, settings)) for each in chosen),
        training=tuple(
            {**each.training, **_sweep(outcomes[seed], settings)} for seed, each in zip(seeds, chosen, strict=True)
        ),
        forward_passes=sum(each.forward_passes for each in inputs.seen),
        forward_seconds=sum(each.seconds for each in inputs.seen),
        feature_bytes=sum(each.bytes for each in inputs.seen),
        loading_seconds=loading,
        earlier_seconds=earlier,
    )


def _trained(
    job: Job, settings: TrainingSettings, seeds: Sequence[int], points: Sequence[Point], inputs: Inputs
) -> tuple[dict[int, list[Outcome]], float]:
    """Outcomes of each seed, in the order of the points; and the seconds that a killed run had spent on them."""
    outcomes: dict[int, list[Outcome]] = {seed: [] for seed in seeds}
    earlier = 0.0
    device = torch_device(job.places.device, job.places.card)
    together = groups(_head(job, settings, inputs, seeds[0]), seeds, points, device)
    for number, (some_seeds, some_points) in enumerate(together):
        kept = job.workspace / f"heads{number}.npz"
        found = finished(kept)
        if found is None:
            checkpoint = job.workspace / f"heads{number}.pt"
            found = _train(job, settings, some_seeds, some_points, inputs, Checkpoints(checkpoint))
            finish(kept, found)
            checkpoint.unlink(missing_ok=True)
        earlier += found.earlier_seconds
        for replica, (seed, point) in enumerate(product(some_seeds, some_points)):
            outcomes[seed].append(
                Outcome(
                    point=point,
                    scores_TC=found.scores_RTC[replica],
                    best=float(found.best_R[replica]),
                    epoch=int(found.epoch_R[replica]),
                    training=found.training[replica],
                )
            )
    return outcomes, earlier


def _train(
    job: Job,
    settings: TrainingSettings,
    seeds: Sequence[int],
    points: Sequence[Point],
    inputs: Inputs,
    checkpoints: Checkpoints,
) -> Trained:
    """Seeds and points that are trained together."""
    learner = StackedLearner(
        heads=[_head(job, settings, inputs, seed) for seed in seeds],
        points=points,
        training=lambda epoch: inputs.training(seeds, epoch),
        labels=[job.labels_of(TRAIN, seed) for seed in seeds],
        validation=inputs.validation,
        test=inputs.test,
        clip=settings.clip,
        device=torch_device(job.places.device, job.places.card),
        dtype=job.training_dtype,
    )
    course = Course(
        settings=settings,
        metric=job.dataset.spec.metric,
        metric_of=metric_of(job.dataset.spec.metric, job.dataset.spec.classes),
        seeds=tuple(seed for seed in seeds for _ in points),
        rates=tuple(point.rate for _ in seeds for point in points),
        ids=tuple(job.dataset.table.ids_N[job.rows[TRAIN]].tolist()),
        validation_labels={seed: job.labels_of(VALIDATION, seed) for seed in seeds},
        what=f"{job.cell} seed{'s'[: len(seeds) - 1]} {first_few([str(seed) for seed in seeds])}",
    )
    return train(learner, course, checkpoints)


def _inputs(job: Job, settings: TrainingSettings) -> Inputs:
    kept = settings.head_takes
    views = Views(
        dataset=job.dataset,
        spec=job.spec,
        dtype=job.dtype,
        places=job.places,
        recipe=recipe_named(settings.recipe),
        kept=kept,
        cut_after=settings.cut_after,
        loaders=job.loaders,
    )
    tested, validation = views.evaluation()
    tested_N = _features(tested)
    check_embeddings(job, tested_N, np.concatenate([job.rows[VALIDATION], job.rows[TEST]]).tolist())
    if settings.sees_anew:
        viewer = views.viewer

        def passed(seeds: Sequence[int], epoch: int) -> Batches:
            return PassedRows(viewer, job.rows[TRAIN], kept=kept, seeds=seeds, epoch=epoch, places=job.places)

        training, stored = passed, ()
    else:
        stored = views.training(settings.stored_views)
        for each in stored:
            check_embeddings(job, _features(each), job.rows[TRAIN].tolist())

        def cycled(seeds: Sequence[int], epoch: int) -> np.ndarray:
            return _features(stored[epoch % len(stored)])

        training = cycled
    return Inputs(
        training=training,
        validation=tested_N[:validation],
        test=tested_N[validation:],
        seen=(tested, *stored),
    )


def _features(view: View) -> np.ndarray:
    return view.pooled_ND if view.tokens_NTE is None else view.tokens_NTE


def _head(job: Job, settings: TrainingSettings, inputs: Inputs, seed: int) -> Head:
    return build_head(
        settings.head,
        width=inputs.test.shape[-1],
        tokens=inputs.test.shape[1] if inputs.test.ndim == 3 else 0,
        classes=job.classes,
        seed=seed,
        weights=weights_file(job.head_spec, job.places) if job.head_spec else None,
        spec=job.head_spec,
    )


def _grid(settings: TrainingSettings) -> list[Point]:
    rates, decays = settings.rates or (settings.learning_rate,), settings.decays or (settings.weight_decay,)
    return [Point(rate=rate, decay=decay) for rate, decay in product(rates, decays)]


def _is_sweep(settings: TrainingSettings) -> bool:
    return bool(settings.rates or settings.decays)


def _chosen(outcome: Outcome, settings: TrainingSettings) -> dict[str, Any]:
    point = {"rate": outcome.point.rate, "decay": outcome.point.decay} if _is_sweep(settings) else {}
    return {"epoch": outcome.epoch, **point}


def _sweep(outcomes: Sequence[Outcome], settings: TrainingSettings) -> dict[str, Any]:
    """The best validation metric of every point, signed so that more is better."""
    if not _is_sweep(settings):
        return {}
    return {"sweep": [{"rate": each.point.rate, "decay": each.point.decay, "best": each.best} for each in outcomes]}

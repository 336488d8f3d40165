"""The one training loop: epochs, order, learning rate, the best epoch by validation, history and survival.

How a step is made and what is learnt is a `Learner`'s: `stacked` for heads on stored features, all seeds at once,
`networks` for a backbone. Several replicas are trained together, each on batches of its own.

Legend: R replicas, A images of the training side, V of the validation side, T of the test side, K steps of an epoch,
B images of a batch, C classes or labels.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.order import batches, steps_of
from pytest_fmtransfer.adapt.schedule import share_of_rate, warm_up_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.errors import DatasetError, InvalidInput, TrainingDiverged, first_few
from pytest_fmtransfer.metrics import evaluate, metric_named
from pytest_fmtransfer.progress import progress

ROUNDING = 1e-9  # of a metric: the same ranking of images may give .6 and .6000000000000001


class Learner(Protocol):
    """What is trained. Row numbers are positions on the training side."""

    @property
    def replicas(self) -> int:
        """How many are trained together."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What did not go as planned."""
        ...

    def begin(self, epoch: int, rows_KRB: Tensor) -> None:
        """Told before the first step of an epoch, with the rows of all; epochs count from 0."""
        ...

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        """One step of every replica at a part of its rate: the losses, R, on the device, nothing waited for."""
        ...

    def scores(self, side: Literal["validation", "test"]) -> Tensor:
        """Decision values R × V × C or R × T × C in evaluation mode, float32, on the CPU."""
        ...

    def keep_best(self, better_R: Tensor) -> None:
        """Remember the weights of the replicas marked."""
        ...

    def use_best(self) -> None:
        """Take up the weights remembered."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that it takes to go on from here."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is asked of a training: `seeds` of each replica, and validation labels as each seed has them.

    `ids` name the images of the training side in messages; `what` is the line of progress. `rates` are the replicas'
    full learning rates, where they are not all the settings'. `metric_of` is the metric with the class
    that it is of, where it is of one.
    """

    settings: TrainingSettings
    metric: str
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    validation_labels: Mapping[int, np.ndarray]
    what: str
    rates: tuple[float, ...] = ()
    metric_of: str = ""

    def rate_of(self, replica: int) -> float:
        """The full learning rate of a replica."""
        return self.rates[replica] if self.rates else self.settings.learning_rate


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Scores of the test side at each replica's best epoch, R × T × C, and the course of each.

    `best_R` are the validation metrics there, signed so that more is better, and `epoch_R` the epochs, from 1 on.
    `seconds` is what training took, `earlier_seconds` how much of it a run took that was killed: as far as its last
    checkpoint, since what came after it is done again.
    """

    scores_RTC: np.ndarray
    best_R: np.ndarray
    epoch_R: np.ndarray
    training: tuple[dict[str, Any], ...]
    seconds: float
    earlier_seconds: float


def train(learner: Learner, course: Course, checkpoints: Checkpoints) -> Trained:
    """Train to the last epoch, from where a killed run left off, and test at the first best epoch by validation.

    Raises TrainingDiverged where a loss is not finite, naming step, rate and images; DatasetError where the
    validation side has no metric.
    """
    settings, images = course.settings, len(course.ids)
    steps = steps_of(images, settings.batch)
    batch, warm_up = min(settings.batch, images), warm_up_of(settings, steps)
    best_R, epoch_R = np.full(learner.replicas, -np.inf), np.zeros(learner.replicas, dtype=np.int64)
    history: list[dict[str, Any]] = []
    begun, earlier, resumed = time.perf_counter(), 0.0, list[int]()
    if (saved := checkpoints.load()) is not None:
        learner.load(saved["learner"])
        best_R, epoch_R, history = np.array(saved["best"]), np.array(saved["epochs"]), list(saved["history"])
        earlier, resumed = float(saved["seconds"]), [*saved["resumed"], len(history)]
    what = f"{course.what}, resumed after epoch {resumed[-1]}" if resumed else course.what

    def state() -> dict[str, Any]:
        return {
            "learner": learner.state(),
            "best": best_R.tolist(),
            "epochs": epoch_R.tolist(),
            "history": list(history),
            "seconds": earlier + time.perf_counter() - begun,
            "resumed": resumed,
        }

    total = settings.epochs * steps * batch * learner.replicas
    with progress(what, total=total, unit="image") as bar:
        bar.update(len(history) * steps * batch * learner.replicas)
        for epoch in range(len(history), settings.epochs):
            started = time.perf_counter()
            rows = {seed: batches(images, batch, seed=seed, epoch=epoch) for seed in set(course.seeds)}
            rows_KRB = torch.from_numpy(np.stack([rows[seed] for seed in course.seeds], axis=1))
            learner.begin(epoch, rows_KRB)
            made: list[Tensor] = []
            for step in range(steps):
                made.append(learner.step(rows_KRB[step], epoch, share_of_rate(epoch * steps + step, warm_up)))
                bar.update(batch * learner.replicas)
            losses_KR = torch.stack(made).double().cpu().numpy()  # the first time that anything waits for the device
            seconds = time.perf_counter() - started
            _check(losses_KR, rows_KRB.numpy(), course, epoch=epoch, warm_up=warm_up)
            validation_R = _validated(learner, course)
            signed_R = validation_R if metric_named(course.metric).higher_is_better else -validation_R
            better_R = signed_R > best_R + ROUNDING
            learner.keep_best(torch.from_numpy(better_R))
            best_R, epoch_R = np.where(better_R, signed_R, best_R), np.where(better_R, epoch + 1, epoch_R)
            history.append(
                {
                    "epoch": epoch + 1,
                    "loss": losses_KR.mean(axis=0).tolist(),
                    "validation": validation_R.tolist(),
                    "share": share_of_rate((epoch + 1) * steps - 1, warm_up),
                    "seconds": round(seconds, 3),
                    "images_per_second": round(steps * batch * learner.replicas / max(seconds, 1e-9), 1),
                }
            )
            bar.set_postfix_str(
                f"epoch {epoch + 1}/{settings.epochs}, loss {losses_KR.mean():.4f}, "
                f"{course.metric_of or course.metric} {validation_R.mean():.4f}"
            )
            checkpoints.save(state, last=epoch + 1 == settings.epochs)
    learner.use_best()
    scores_RTC = learner.scores("test").numpy()
    return Trained(
        scores_RTC=scores_RTC,
        best_R=best_R,
        epoch_R=epoch_R,
        training=tuple(
            _course_of(history, learner.notes, replica, course.rate_of(replica), resumed)
            for replica in range(learner.replicas)
        ),
        seconds=earlier + time.perf_counter() - begun,
        earlier_seconds=earlier,
    )


def _validated(learner: Learner, course: Course) -> np.ndarray:
    """The headline metric of every replica."""
    scores_RVC = learner.scores("validation").numpy()
    try:
        values = [
            evaluate(course.metric, course.validation_labels[seed], scores_VC).value
            for seed, scores_VC in zip(course.seeds, scores_RVC, strict=True)
        ]
    except InvalidInput as error:
        raise DatasetError(
            f"{course.what}: no best epoch can be told by validation ({error}); put images of every class on that side"
        ) from error
    return np.array(values, dtype=np.float64)


def _check(losses_KR: np.ndarray, rows_KRB: np.ndarray, course: Course, *, epoch: int, warm_up: int) -> None:
    bad = np.argwhere(~np.isfinite(losses_KR))
    if len(bad) == 0:
        return
    step, replica = (int(each) for each in bad[0])
    whole = epoch * len(losses_KR) + step
    ids = [course.ids[row] for row in rows_KRB[step, replica]]
    raise TrainingDiverged(
        f"{course.what}, seed {course.seeds[replica]}: the loss is {losses_KR[step, replica]} at step {whole + 1} "
        f"(epoch {epoch + 1}), at {share_of_rate(whole, warm_up):.3g} of the learning rate "
        f"{course.rate_of(replica):g}, on {len(ids)} images: {first_few(ids)}; look at these images, or register the "
        "regime with a lower learning_rate"
    )


def _course_of(
    history: Sequence[Mapping[str, Any]], notes: Sequence[str], replica: int, rate: float, resumed: Sequence[int]
) -> dict[str, Any]:
    own = [
        {
            "epoch": row["epoch"],
            "loss": row["loss"][replica],
            "validation": row["validation"][replica],
            "rate": row["share"] * rate,
            "seconds": row["seconds"],
            "images_per_second": row["images_per_second"],
        }
        for row in history
    ]
    told = {"notes": list(notes), "resumed": list(resumed)}
    return {"history": own, **{name: each for name, each in told.items() if each}}

"""The training loop: order, rates, the first best epoch, survival, and what it says when a loss is no number.

Legend: R replicas, A images of the training side, V of the validation side, K steps, B images of a batch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.loop import Course, Learner, Trained, train
from pytest_fmtransfer.adapt.order import batches, steps_of
from pytest_fmtransfer.adapt.schedule import share_of_rate, warm_up_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.errors import DatasetError, TrainingDiverged
from tests.helpers import LAWS

IMAGES, LABELS_V = 10, np.array([0, 1, 0, 1])
IDS = tuple(f"image{n}.png" for n in range(IMAGES))
# Scores of the second class on four validation images, and the AUC that they have.
WORST, MIDDLE, BEST = (1.0, 0.0, 1.0, 0.0), (0.0, 0.5, 1.0, 2.0), (0.0, 1.0, 0.0, 1.0)


class Stopped(Exception):
    """The process was killed, as far as a test can do that."""


@dataclass
class Scripted:
    """A learner whose validation scores are written down beforehand, one row an epoch and replica.

    Its weight counts steps, so that what is remembered and gone on with can be seen.
    """

    script: tuple[tuple[tuple[float, ...], ...], ...]
    dies_in: int | None = None
    loss: float = 0.5
    seen: list[tuple[int, tuple[int, ...], float]] = field(default_factory=list)
    weight: float = 0.0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = len(self.script[0])
        self.best_R = torch.zeros(self.replicas)
        self.epoch = -1

    def begin(self, epoch: int, rows_KRB: Tensor) -> None:
        if epoch == self.dies_in:
            raise Stopped
        self.epoch, self.rows = epoch, rows_KRB

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        self.seen.append((epoch, tuple(rows_RB[0].tolist()), share))
        self.weight += 1
        return torch.full((self.replicas,), self.loss if self.weight != 4 else abs(self.loss))

    def scores(self, side: Literal["validation", "test"]) -> Tensor:
        if side == "test":
            return self.best_R.view(-1, 1, 1).expand(-1, 1, 2)
        columns_RV = torch.tensor(self.script[self.epoch])
        return torch.stack([torch.zeros_like(columns_RV), columns_RV], dim=-1)

    def keep_best(self, better_R: Tensor) -> None:
        self.best_R = torch.where(better_R, torch.tensor(self.weight), self.best_R)

    def use_best(self) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"weight": torch.tensor(self.weight), "best": self.best_R}

    def load(self, state: Mapping[str, Any]) -> None:
        self.weight, self.best_R = float(state["weight"]), state["best"]


def course(epochs: int, *, batch: int = 4, seeds: tuple[int, ...] = (0,), **more: Any) -> Course:
    return Course(
        settings=TrainingSettings(epochs=epochs, batch=batch, warm_up_epochs=1, **more),
        metric="roc_auc",
        seeds=seeds,
        ids=IDS,
        validation_labels=dict.fromkeys(seeds, LABELS_V),
        what="a-b-c",
    )


def trained(learner: Learner, asked: Course, folder: Path) -> Trained:
    return train(learner, asked, Checkpoints(folder / "training.pt", seconds=0))


def test_every_epoch_sees_images_once_and_leaves_the_last_ones_out(tmp_path: Path) -> None:
    learner = Scripted(((MIDDLE,),) * 3)
    trained(learner, course(3), tmp_path)
    by_epoch = [[rows for epoch, rows, _ in learner.seen if epoch == number] for number in range(3)]
    assert [len(rows) for rows in by_epoch] == [2, 2, 2]  # of ten images in fours, two are left out
    assert all(len({image for batch in rows for image in batch}) == 8 for rows in by_epoch)
    assert by_epoch[0] != by_epoch[1]
    assert {len(rows) for _, rows, _ in learner.seen} == {4}


@LAWS
@given(images=st.integers(1, 60), batch=st.integers(1, 70), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_batches_are_whole_and_their_order_is_of_seed_and_epoch(images: int, batch: int, seed: int, epoch: int) -> None:
    rows_KB = batches(images, batch, seed=seed, epoch=epoch)
    assert rows_KB.shape == (steps_of(images, batch), min(batch, images))
    assert len(np.unique(rows_KB)) == rows_KB.size
    assert np.array_equal(rows_KB, batches(images, batch, seed=seed, epoch=epoch))


def test_other_seeds_and_epochs_have_other_orders() -> None:
    orders = {batches(50, 10, seed=seed, epoch=epoch).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@LAWS
@given(step=st.integers(0, 50), warm_up=st.integers(0, 20))
def test_the_rate_rises_in_a_line_and_stays(step: int, warm_up: int) -> None:
    assert share_of_rate(step, warm_up) == (min(1.0, (step + 1) / warm_up) if warm_up else 1.0)


def test_steps_of_the_warm_up_are_given_or_follow_from_epochs() -> None:
    assert warm_up_of(TrainingSettings(), 40) == 200
    assert warm_up_of(TrainingSettings(warm_up_steps=1000), 40) == 1000
    assert warm_up_of(TrainingSettings(warm_up_epochs=0.5), 7) == 4


def test_learners_are_told_the_share_of_the_rate(tmp_path: Path) -> None:
    learner = Scripted(((MIDDLE,),) * 2)
    trained(learner, course(2), tmp_path)
    assert [share for _, _, share in learner.seen] == [0.5, 1.0, 1.0, 1.0]


def test_the_first_best_epoch_is_tested_for_each_replica(tmp_path: Path) -> None:
    script = ((WORST, BEST), (BEST, MIDDLE), (BEST, BEST))
    found = trained(Scripted(script), course(3, seeds=(0, 1)), tmp_path)
    assert found.epoch_R.tolist() == [2, 1]
    assert found.scores_RTC[:, 0, 0].tolist() == [4.0, 2.0]  # the steps that had been made by then
    assert found.best_R.tolist() == [1.0, 1.0]


def test_of_a_loss_the_smallest_is_best(tmp_path: Path) -> None:
    asked = course(2)
    worse = Course(**{**vars(asked), "metric": "log_loss"})
    found = trained(Scripted(((WORST,), (BEST,))), worse, tmp_path)
    assert found.epoch_R.tolist() == [2]


def test_history_holds_every_epoch_of_a_replica(tmp_path: Path) -> None:
    found = trained(Scripted(((WORST, BEST), (BEST, WORST))), course(2, seeds=(0, 1)), tmp_path)
    first, second = (each["history"] for each in found.training)
    assert [row["epoch"] for row in first] == [1, 2]
    assert [row["validation"] for row in first] == [0.0, 1.0]
    assert [row["validation"] for row in second] == [1.0, 0.0]
    assert [row["loss"] for row in first] == [0.5, 0.5]
    assert [row["rate"] for row in first] == [1e-4, 1e-4]


@pytest.mark.parametrize("dies_in", [0, 1, 2, 3])
def test_a_killed_training_goes_on_to_the_same_end(tmp_path: Path, dies_in: int) -> None:
    script = ((WORST,), (BEST,), (MIDDLE,), (BEST,))
    whole = trained(Scripted(script), course(4), tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(Scripted(script, dies_in=dies_in), course(4), tmp_path)
    second = Scripted(script)
    found = trained(second, course(4), tmp_path)
    assert {epoch for epoch, _, _ in second.seen} == set(range(dies_in, 4))
    assert found.scores_RTC.tolist() == whole.scores_RTC.tolist()
    assert found.epoch_R.tolist() == whole.epoch_R.tolist()
    assert [row["validation"] for row in found.training[0]["history"]] == [0.0, 1.0, MIDDLE_AUC, 1.0]


MIDDLE_AUC = 0.75


def test_a_damaged_checkpoint_begins_again(tmp_path: Path) -> None:
    (tmp_path / "training.pt").write_bytes(b"half a file")
    learner = Scripted(((MIDDLE,),) * 2)
    with pytest.warns(UserWarning, match=r"training\.pt is damaged; what it held is computed again"):
        trained(learner, course(2), tmp_path)
    assert {epoch for epoch, _, _ in learner.seen} == {0, 1}


def test_short_epochs_are_not_worth_a_file_each(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "training.pt", seconds=1000)
    checkpoints.save(dict, last=False)
    assert checkpoints.load() is None
    checkpoints.save(dict, last=True)
    assert checkpoints.load() == {}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_with_step_rate_and_images(tmp_path: Path, loss: float) -> None:
    learner = Scripted(((MIDDLE,),), loss=-loss if math.isinf(loss) else loss)
    with pytest.raises(TrainingDiverged) as caught:
        trained(learner, course(1), tmp_path)
    rows = batches(IMAGES, 4, seed=0, epoch=0)[0]
    told = str(caught.value)
    assert "a-b-c, seed 0" in told
    assert "step 1 (epoch 1), at 0.5 of the learning rate 0.0001" in told
    assert ", ".join(IDS[row] for row in rows) in told
    assert not (tmp_path / "training.pt").exists()


def test_no_metric_on_the_validation_side_is_said(tmp_path: Path) -> None:
    asked = Course(**{**vars(course(1)), "validation_labels": {0: np.zeros(4, dtype=np.int64)}})
    with pytest.raises(
        DatasetError,
        match=r"no best epoch can be told by validation \(roc_auc needs .*put images of every class on that side",
    ):
        trained(Scripted(((MIDDLE,),)), asked, tmp_path)


def test_seconds_are_of_every_leg_and_the_epochs_of_each_resumption_are_kept(tmp_path: Path) -> None:
    script = ((WORST,), (BEST,), (MIDDLE,), (BEST,))
    whole = trained(Scripted(script), course(4), tmp_path / "whole")
    assert (whole.earlier_seconds, "resumed" in whole.training[0]) == (0.0, False)
    for dies_in in (2, 3):
        with pytest.raises(Stopped):
            trained(Scripted(script, dies_in=dies_in), course(4), tmp_path)
        checkpoint = Checkpoints(tmp_path / "training.pt")
        kept = checkpoint.load()
        assert kept is not None
        later = kept | {"seconds": kept["seconds"] + 1000}  # as if it had taken so long
        checkpoint.save(partial(dict, later), last=True)
    spent = float(kept["seconds"]) + 1000
    found = trained(Scripted(script), course(4), tmp_path)
    assert found.training[0]["resumed"] == [2, 3]
    assert found.earlier_seconds == spent > 2000
    assert found.seconds > spent

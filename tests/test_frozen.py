"""Regimes whose backbone does not learn, from files to scores: stored views, views made anew, sweeps, and survival."""

import dataclasses
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.adapt import frozen
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.stacked import StackedLearner
from pytest_fmtransfer.catalog.regime_families import PAPER, regime_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import Unavailable
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.work import Tally, counting
from tests.small import BACKBONE, DATASET, catalogue
from tests.test_views import VIT

FEW = dataclasses.replace(PAPER["frozen_linear"], epochs=4, batch=8, views=4)
TOKENS = dataclasses.replace(FEW, head="attention")


def job(small: Places, workspace: Path, *, spec: BackboneSpec = BACKBONE, shuffled: bool = False, **more: Any) -> Job:
    dataset = open_dataset(dataclasses.replace(DATASET, shuffled=shuffled), small)
    given: dict[str, Any] = {"dtype": "float32", "training_dtype": "float32", "loaders": 2} | more
    cell = Cell(spec.name, "stripes", "frozen_linear")
    return Job(cell=cell, dataset=dataset, spec=spec, places=small, workspace=workspace, **given)


def scores_of(ran: Ran) -> np.ndarray:
    return np.stack([each.scores_TC for each in ran.adapted])


def area(job: Job, scores_TC: np.ndarray) -> float:
    return evaluate("roc_auc", job.dataset.table.labels_N[job.rows[TEST]], scores_TC).value


@pytest.mark.parametrize("settings", [FEW, TOKENS], ids=["pooled", "tokens"])
def test_a_new_view_in_every_epoch_is_as_many_stored_views_as_epochs(
    settings: TrainingSettings, small: Places, tmp_path: Path
) -> None:
    """Stored views are drawn at seed 0, as a training of seed 0 draws its own."""
    stored = frozen.run(job(small, tmp_path / "stored"), settings, [0])
    anew = frozen.run(job(small, tmp_path / "anew"), dataclasses.replace(settings, views="every"), [0])
    assert stored.adapted[0].chosen == anew.adapted[0].chosen
    np.testing.assert_allclose(scores_of(stored), scores_of(anew), rtol=1e-5, atol=1e-6)


def test_with_a_new_view_in_every_epoch_each_seed_has_its_own(small: Places, tmp_path: Path) -> None:
    """Both in one learner, and each as if alone."""
    settings = dataclasses.replace(FEW, views="every")
    both = scores_of(frozen.run(job(small, tmp_path / "both"), settings, [0, 1]))
    alone = scores_of(frozen.run(job(small, tmp_path / "alone"), settings, [1]))
    np.testing.assert_allclose(both[1], alone[0], rtol=1e-5, atol=1e-6)


def test_views_are_cycled_over_the_epochs(small: Places, tmp_path: Path) -> None:
    """Two views and four epochs are the views 0, 1, 0, 1; one view is another training."""
    losses: list[list[float]] = []
    for views in (1, 2, 4):
        settings = dataclasses.replace(FEW, views=views)
        [training] = frozen.run(job(small, tmp_path / str(views)), settings, [0]).training
        losses.append([row["loss"] for row in training["history"]])
    one, two, four = losses
    assert one[0] == two[0] == four[0]
    assert two[1] == four[1] != one[1]
    assert two[2] != four[2]


def test_a_second_regime_makes_no_forward_pass(small: Places, tmp_path: Path) -> None:
    own = dataclasses.replace(small, store=tmp_path / "store")
    made: list[int] = []
    for number, settings in enumerate(
        (FEW, dataclasses.replace(FEW, views=2), dataclasses.replace(FEW, rates=(1e-3, 1e-2)))
    ):
        with counting(tally := Tally()):
            ran = frozen.run(job(own, tmp_path / str(number)), settings, [0, 1, 2])
        made.append(tally.forward_passes)
        assert ran.forward_passes > 0
        assert ran.feature_bytes > 0
    table = job(own, tmp_path).dataset.table
    assert made == [4 * len(table.side(TRAIN)) + len(table.side(VALIDATION, TEST)), 0, 0]


@pytest.mark.parametrize("views", [2, "every"])
def test_killed_half_way_it_ends_with_the_same_scores(
    views: Any, small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(FEW, views=views)
    never = frozen.run(job(small, tmp_path / "never"), settings, [0, 1])

    def every_epoch(file: Path) -> Checkpoints:
        return Checkpoints(file, seconds=0)

    monkeypatch.setattr(frozen, "Checkpoints", every_epoch)
    step = StackedLearner.step
    begun: list[int] = []

    def killed(self: StackedLearner, rows_RB: torch.Tensor, epoch: int, share: float) -> torch.Tensor:
        if epoch == 2:
            raise KeyboardInterrupt
        return step(self, rows_RB, epoch, share)

    def watched(self: StackedLearner, rows_RB: torch.Tensor, epoch: int, share: float) -> torch.Tensor:
        begun.append(epoch)
        return step(self, rows_RB, epoch, share)

    monkeypatch.setattr(StackedLearner, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        frozen.run(job(small, tmp_path / "killed"), settings, [0, 1])
    monkeypatch.setattr(StackedLearner, "step", watched)
    resumed = frozen.run(job(small, tmp_path / "killed"), settings, [0, 1])
    assert set(begun) == {2, 3}
    assert scores_of(resumed).tobytes() == scores_of(never).tobytes()
    assert [each.chosen for each in resumed.adapted] == [each.chosen for each in never.adapted]
    assert [course["resumed"] for course in resumed.training] == [[2], [2]]
    assert not any("resumed" in course for course in never.training)
    assert resumed.earlier_seconds > never.earlier_seconds == 0


def test_heads_that_a_killed_run_has_finished_are_not_trained_again(
    small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are their weights and moments kept."""
    settings = dataclasses.replace(FEW, rates=(1e-3, 1e-2))
    first = frozen.run(job(small, tmp_path), settings, [0, 1])
    assert [file.name for file in tmp_path.iterdir()] == ["heads0.npz"]

    def untouched(self: StackedLearner, rows_RB: torch.Tensor, epoch: int, share: float) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(StackedLearner, "step", untouched)
    again = frozen.run(job(small, tmp_path), settings, [0, 1])
    assert scores_of(again).tobytes() == scores_of(first).tobytes()
    assert again.training == first.training
    assert again.earlier_seconds > first.earlier_seconds == 0
    kept = (tmp_path / "heads0.npz").read_bytes()
    for damaged in (b"cut short", kept[: len(kept) // 2]):
        (tmp_path / "heads0.npz").write_bytes(damaged)
        with pytest.raises(AssertionError), pytest.warns(UserWarning, match=r"heads0\.npz is damaged"):
            frozen.run(job(small, tmp_path), settings, [0, 1])
    gc.collect()  # a file that is left open warns here


def test_no_more_views_are_stored_than_there_are_epochs(small: Places, tmp_path: Path) -> None:
    own = dataclasses.replace(small, store=tmp_path / "store")
    ran = frozen.run(job(own, tmp_path / "one"), dataclasses.replace(FEW, epochs=2, views=9), [0])
    table = job(own, tmp_path).dataset.table
    assert ran.forward_passes == 2 * len(table.side(TRAIN)) + len(table.side(VALIDATION, TEST))


def test_how_many_threads_load_changes_nothing(small: Places, tmp_path: Path) -> None:
    settings = dataclasses.replace(FEW, views="every")
    found = [
        scores_of(frozen.run(job(small, tmp_path / str(loaders), loaders=loaders), settings, [0])) for loaders in (1, 4)
    ]
    np.testing.assert_array_equal(found[0], found[1])


def test_a_sweep_takes_each_seed_to_the_pair_that_validation_prefers(small: Places, tmp_path: Path) -> None:
    settings = dataclasses.replace(FEW, rates=(1e-5, 1e-2), decays=(1e-5, 1e-1), epochs=12)
    ran = frozen.run(job(small, tmp_path / "sweep"), settings, [0, 1])
    for seed, (adapted, training) in enumerate(zip(ran.adapted, ran.training, strict=True)):
        table = {(row["rate"], row["decay"]): row["best"] for row in training["sweep"]}
        assert list(table) == [(1e-5, 1e-5), (1e-5, 1e-1), (1e-2, 1e-5), (1e-2, 1e-1)]
        pair = (adapted.chosen["rate"], adapted.chosen["decay"])
        assert table[pair] == max(table.values())
        assert pair == next(each for each in table if table[each] == table[pair])
        one = dataclasses.replace(settings, rates=(), decays=(), learning_rate=pair[0], weight_decay=pair[1])
        alone = frozen.run(job(small, tmp_path / f"{seed}"), one, [seed])
        np.testing.assert_allclose(alone.adapted[0].scores_TC, adapted.scores_TC, rtol=1e-4, atol=1e-5)
        assert training["history"][-1]["rate"] == pytest.approx(pair[0])
        assert alone.adapted[0].chosen == {"epoch": adapted.chosen["epoch"]}


def test_every_seed_of_a_control_learns_labels_of_its_own_and_nothing_of_the_stripes(
    small: Places, tmp_path: Path
) -> None:
    settings = dataclasses.replace(FEW, learning_rate=1e-2, epochs=12)
    seeds = range(20)
    told: dict[bool, Sequence[float]] = {}
    for shuffled in (False, True):
        each = job(small, tmp_path / str(shuffled), shuffled=shuffled)
        told[shuffled] = [area(each, scores_TC) for scores_TC in scores_of(frozen.run(each, settings, seeds))]
    assert np.mean(told[False]) > 0.9
    assert abs(np.mean(told[True]) - 0.5) < 4 * np.std(told[True]) / len(seeds) ** 0.5
    assert np.mean(told[False]) > np.mean(told[True]) + 0.2


@pytest.fixture(scope="module")
def regimes(small: Places) -> Registry:
    registry = catalogue()
    registry.register(VIT)
    return registry


@pytest.mark.parametrize(
    "cell",
    [
        "tiny-stripes-frozen_linear",
        "tiny-stripes-frozen_linear.views2",
        "tiny-stripes-frozen_linear.every",
        "tiny-stripes-frozen_linear.unaugmented",
        "tiny-stripes-frozen_linear.sweep",
        "tiny-stripes-attention_probe",
        "tinyvit-stripes-drop1_linear",
        "tinyvit-stripes-drop0_deitb.small_random.views2",
    ],
)
def test_each_regime_goes_from_files_to_scores(cell: str, regimes: Registry, small: Places) -> None:
    seeds = (0,) if "deitb" in cell else (0, 1)
    result = transfer(Cell.parse(cell), profile="smoke", seeds=seeds, registry=regimes, places=small)
    assert np.isfinite(result.scores_SNC).all()
    assert len(result.training) == len(seeds)
    assert result.training[0]["history"][-1]["validation"] is not None
    again = transfer(Cell.parse(cell), profile="smoke", seeds=seeds, registry=regimes, places=small)
    assert again.origin == "store"


def test_cut_off_after_its_last_block_a_backbone_is_whole_and_after_the_first_another(
    small: Places, tmp_path: Path
) -> None:
    losses: list[Any] = []
    for cut_after in (None, 1, 0):
        settings = dataclasses.replace(FEW, cut_after=cut_after)
        [training] = frozen.run(job(small, tmp_path / str(cut_after), spec=VIT), settings, [0]).training
        losses.append([row["loss"] for row in training["history"]])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    assert losses[2] != losses[0]


def test_the_papers_head_is_asked_for_by_its_weights(regimes: Registry, small: Places) -> None:
    with pytest.raises(Unavailable, match="imagenet_deitb16"):
        transfer(Cell("tinyvit", "stripes", "frozen_deitb"), profile="smoke", registry=regimes, places=small)


def test_probes_that_are_not_augmented_store_one_view() -> None:
    for name in ("attention_probe.sweep", "frozen_linear.unaugmented"):
        regime = regime_of(name)
        assert regime is not None
        assert isinstance(regime.settings, TrainingSettings)
        assert (regime.settings.recipe, regime.settings.views) == ("none", 1)

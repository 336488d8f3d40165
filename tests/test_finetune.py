"""Regimes whose backbone learns, from files to scores, on synthetic stripes: every one runs, and a killed run goes on.

Networks are tiny and their weights random.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_fmtransfer._transfer import transfer
from pytest_fmtransfer.adapt import finetune, loop
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.finished import finish, finished
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult
from pytest_fmtransfer.errors import InvalidInput, Unavailable
from pytest_fmtransfer.places import Places
from tests.small import catalogue

VIT, CONVOLUTIONS = "imagenet_deitb16.tiny", "tiny"
# Of both networks, and of one that has blocks of its own.
REGIMES = [
    (VIT, "finetune_linear"),
    (CONVOLUTIONS, "finetune_linear"),
    (VIT, "finetune_deitb.small_random"),
    (VIT, "partial1_linear"),
    (CONVOLUTIONS, "partial3_linear"),
    (VIT, "partial1_deitb.small_random"),
    (VIT, "partial1_linear.unaugmented"),
    (VIT, "lora2"),
    (CONVOLUTIONS, "lora2.unaugmented"),
    (VIT, "lora2.from1.unaugmented"),
    (VIT, "scratch"),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """With a profile that costs next to nothing."""
    registry = catalogue()
    registry.register(
        Profile(name="least", forward_dtype="float32", epochs=3, head_epochs=3, batch=16, size=32, seeds=2)
    )
    return registry


def assert_same(found: np.ndarray, expected: np.ndarray, places: Places) -> None:
    """To the bit on the processor; a card adds up in another order every time."""
    if places.device == "cpu":
        assert found.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def run(cell: str, places: Places, registry: Registry, **more: Any) -> CellResult:
    return transfer(Cell.parse(cell), profile="least", registry=registry, places=places, **more)


@pytest.mark.parametrize(("backbone", "regime"), REGIMES, ids=[f"{b}-{r}" for b, r in REGIMES])
def test_every_regime_trains_and_keeps_its_history(
    backbone: str, regime: str, small: Places, registry: Registry
) -> None:
    result = run(f"{backbone}-stripes-{regime}", small, registry)
    assert result.scores_SNC.shape == (2, 48, 2)
    assert np.isfinite(result.scores_SNC).all()
    assert not np.array_equal(result.scores_SNC[0], result.scores_SNC[1])  # each seed has its own order and head
    for choice, course in zip(result.chosen, result.training, strict=True):
        history = course["history"]
        assert [row["epoch"] for row in history] == [1, 2, 3]
        validations = [row["validation"] for row in history]
        best = next(n for n, each in enumerate(validations) if each > max(validations) - 1e-9)
        assert choice["epoch"] == 1 + best
        assert (course["batch"], course["micro_batch"]) == (16, 16)
    assert result.question.settings["epochs"] == 3
    assert result.subject["training_dtype"] == "float32"
    assert not list(small.store.glob("training/*/*"))


class Killed(BaseException):
    """What Ctrl-C and a signal look like from inside."""


@pytest.fixture
def killed_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Trainings die at the beginning of an epoch of theirs, counted over all seeds; checkpoints are written at once."""
    monkeypatch.setattr(finetune, "Checkpoints", lambda file: Checkpoints(file, seconds=0))
    begun: list[int] = []

    def arrange(number: int) -> None:
        original = finetune.NetworkLearner.begin

        def begin(self: Any, epoch: int, rows_KRB: Any) -> None:
            begun.append(epoch)
            if len(begun) == number:
                raise Killed
            original(self, epoch, rows_KRB)

        monkeypatch.setattr(finetune.NetworkLearner, "begin", begin)

    return arrange


def takes(file: Path, seconds: float) -> None:
    """As if a killed run had spent so many on what it kept there."""
    if file.suffix == ".pt":
        checkpoint = Checkpoints(file)
        saved = checkpoint.load()
        assert saved is not None
        checkpoint.save(lambda: saved | {"seconds": seconds}, last=True)
        return
    kept = finished(file)
    assert kept is not None
    finish(file, replace(kept, seconds=seconds))


@pytest.mark.parametrize("regime", ["finetune_linear", "lora2.from1.unaugmented"])
@pytest.mark.parametrize("number", [2, 5])
def test_a_killed_run_ends_with_the_scores_of_one_that_was_not(
    regime: str, number: int, small: Places, registry: Registry, tmp_path: Path, killed_in: Any
) -> None:
    cell = f"{VIT}-stripes-{regime}"
    whole = run(cell, small, registry)
    places = replace(small, store=tmp_path)
    killed_in(number)
    with pytest.raises(Killed):
        run(cell, places, registry)
    left = sorted(tmp_path.glob("training/*/seed*"))
    assert [file.name for file in left] == (["seed0.pt"] if number == 2 else ["seed0.npz", "seed1.pt"])
    for file in left:
        takes(file, 1000.0)
    found = run(cell, places, registry)  # the fixture kills once
    assert found.cost.adapt_seconds == pytest.approx(1000 * len(left), abs=300)  # every leg's
    assert [course.get("resumed") for course in found.training] == ([[1], None] if number == 2 else [None, [1]])
    assert found.record()["training"][number == 5]["resumed"] == [1]
    assert_same(found.scores_SNC, whole.scores_SNC, small)
    assert [dict(each) for each in found.chosen] == [dict(each) for each in whole.chosen]
    assert not list(tmp_path.glob("training/*/*"))


def test_a_seed_is_the_same_alone_and_among_others(small: Places, registry: Registry) -> None:
    cell = f"{VIT}-stripes-finetune_linear"
    both, second = run(cell, small, registry), run(cell, small, registry, seeds=(1,))
    assert_same(second.scores_SNC[0], both.scores_SNC[1], small)


def test_shuffled_labels_are_learnt_from_and_tested_on_sound_ones(small: Places, registry: Registry) -> None:
    sound = run(f"{CONVOLUTIONS}-stripes-finetune_linear", small, registry)
    shuffled = run(f"{CONVOLUTIONS}-stripes.shuffled-finetune_linear", small, registry)
    assert shuffled.seeds == sound.seeds  # a costly regime is shuffled as often as it has seeds
    assert np.array_equal(shuffled.labels_N, sound.labels_N)
    assert not np.array_equal(shuffled.scores_SNC, sound.scores_SNC)


def test_a_prefix_is_passed_once_for_all_seeds(small: Places, registry: Registry, tmp_path: Path) -> None:
    from pytest_fmtransfer.work import Tally, counting

    tally = Tally()
    with counting(tally):
        run(f"{VIT}-stripes-partial1_linear.unaugmented", replace(small, store=tmp_path), registry)
    assert tally.forward_passes == 120


def test_a_block_that_there_is_none_of_is_said(small: Places, registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="block"):
        run(f"{VIT}-stripes-partial9_linear", small, registry)


def test_the_papers_head_skips_where_its_weights_are_absent(small: Places, registry: Registry) -> None:
    with pytest.raises(Unavailable, match=r"no weights of imagenet_deitb16: put deit_base_patch16_224-b5f2ef4d\.pth"):
        run(f"{VIT}-stripes-finetune_deitb", small, registry)


def test_learning_from_nothing_needs_no_weights(small: Places, registry: Registry, tmp_path: Path) -> None:
    result = run("tiny-stripes-scratch", replace(small, weights=tmp_path), registry)
    assert result.subject["weights"] == "random, seed 0"


def test_a_probe_of_the_files_has_no_network_to_train(small: Places, registry: Registry) -> None:
    with pytest.raises(Unavailable, match="has no network to put a head on: choose a regime on pooled features"):
        run("shortcut.metadata-stripes-finetune_linear", small, registry)


def test_what_moves_scores_is_in_the_question(small: Places, registry: Registry) -> None:
    settings = run(f"{VIT}-stripes-finetune_linear", small, registry).question.settings
    asked = ("learning_rate", "weight_decay", "clip", "batch", "epochs", "warm_up_epochs", "recipe")
    assert [settings[name] for name in asked] == [1e-4, 1e-5, 1.0, 16, 3, pytest.approx(0.15), "huix2024"]


def test_a_stored_result_gives_its_history_back(small: Places, registry: Registry) -> None:
    cell = f"{VIT}-stripes-finetune_linear"
    first, again = run(cell, small, registry), run(cell, small, registry)
    assert again.origin == "store"
    assert json.loads(json.dumps(again.training)) == json.loads(json.dumps(first.training))


def test_a_loss_that_is_no_number_leaves_no_result(
    small: Places, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = finetune.NetworkLearner.step

    def step(self: Any, rows_RB: Any, epoch: int, share: float) -> Any:
        return original(self, rows_RB, epoch, share) * (torch.nan if epoch == 1 else 1)

    monkeypatch.setattr(finetune.NetworkLearner, "step", step)
    with pytest.raises(loop.TrainingDiverged, match=r"the loss is nan at step 4 \(epoch 2\)"):
        run(f"{VIT}-stripes-finetune_linear", replace(small, store=tmp_path), registry)
    assert not list(tmp_path.glob("results/*/*/entry.json"))

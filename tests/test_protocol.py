"""Training as Palés Huix et al. 2024 do it, held step by step against a second implementation of it.

The transforms are held against torchvision's in `test_transforms`, and what a network is from a block on, or cut after
one, in `test_partial` and `test_cutting`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pytest_fmtransfer.adapt import loop, networks, optimiser
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.adapt.heads import Head, build_head
from pytest_fmtransfer.adapt.inputs import Feed, StoredInputs
from pytest_fmtransfer.adapt.loop import Course
from pytest_fmtransfer.adapt.losses import summed_loss, terms_of
from pytest_fmtransfer.adapt.networks import Headed, NetworkLearner
from pytest_fmtransfer.adapt.order import batches, steps_of
from pytest_fmtransfer.adapt.schedule import share_of_rate, warm_up_of
from pytest_fmtransfer.adapt.stacked import Point, StackedLearner
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import seeds_on, settings_on
from pytest_fmtransfer.data.augmentations import recipe_named
from tests import protocol_oracle as oracle
from tests.trained import PYRAMIDS, build, noise

PAPER = (
    "frozen_linear",
    "frozen_deitb",
    "finetune_linear",
    "finetune_deitb",
    "partial9_linear",
    "partial6_deitb",
    "drop5_linear",
    "drop2_deitb",
)
SIDES = {"train": slice(0, 23), "validation": slice(23, 31), "test": slice(31, 36)}
SEED = 3
# Larger than the paper's, so that a dozen steps tell one way from another; of some steps the gradient is clipped.
SETTINGS = TrainingSettings(
    recipe="none", learning_rate=3e-3, weight_decay=0.3, clip=2.0, batch=5, epochs=3, warm_up_epochs=2.0
)


def settings_of(regime: str, dataset: str) -> TrainingSettings:
    registry = Registry()
    settings = settings_on(registry.regime(regime), registry.dataset(dataset), registry.profile("full"))
    assert isinstance(settings, TrainingSettings)
    return settings


@pytest.mark.parametrize("regime", PAPER)
@pytest.mark.parametrize("dataset", oracle.WARM_UP)
def test_the_full_profile_trains_with_the_papers_numbers(regime: str, dataset: str) -> None:
    settings = settings_of(regime, dataset)
    assert (settings.learning_rate, settings.weight_decay, settings.clip) == (oracle.RATE, oracle.DECAY, oracle.CLIP)
    assert (settings.batch, settings.epochs) == (oracle.BATCH, oracle.EPOCHS)
    assert not settings.rates
    registry = Registry()
    seeds = seeds_on(registry.regime(regime), registry.dataset(dataset), registry.profile("full"))
    assert seeds == tuple(range(oracle.REPEATS))


@pytest.mark.parametrize("dataset", oracle.WARM_UP)
def test_the_rate_of_every_step_is_the_papers_on_each_of_its_datasets(dataset: str) -> None:
    settings = settings_of("finetune_linear", dataset)
    for images in (oracle.TRAINING_IMAGES.get(dataset, 7000), 64, 1000, 178_000):
        steps = steps_of(images, settings.batch)
        warm_up = oracle.warm_up_steps(dataset, images)
        numbers = range(1, min(steps * settings.epochs, 2 * warm_up) + 1)
        found = [settings.learning_rate * share_of_rate(number - 1, warm_up_of(settings, steps)) for number in numbers]
        expected = [oracle.rate_at(number, warm_up) for number in numbers]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert len(found) >= min(warm_up, steps * settings.epochs)


def test_training_images_are_transformed_as_the_paper_says() -> None:
    recipe = recipe_named(settings_of("finetune_linear", "aptos2019").recipe)
    assert (recipe.resize, recipe.crop, recipe.scale) == (256, 224, (0.8, 1.2))
    assert (recipe.flipped, recipe.mirrored) == (0.5, 0.5)
    assert recipe.jitter is not None
    jitter = recipe.jitter
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (0.2, 0.2, 0.1, 0.1)
    assert jitter.probability == 0.8


@pytest.mark.parametrize(("images", "batch"), [(23, 5), (64, 64), (65, 64), (127, 64), (3, 64)])
def test_an_epoch_takes_each_image_once_at_most_and_leaves_out_what_fills_no_batch(images: int, batch: int) -> None:
    seen: list[tuple[int, ...]] = []
    for epoch in range(3):
        rows_KB = batches(images, batch, seed=0, epoch=epoch)
        size = min(batch, images)
        assert rows_KB.shape == (images // size, size)
        assert len(set(rows_KB.flatten().tolist())) == rows_KB.size
        assert set(rows_KB.flatten().tolist()) <= set(range(images))
        seen.append(tuple(rows_KB.flatten().tolist()))
        assert np.array_equal(rows_KB, batches(images, batch, seed=0, epoch=epoch))
        assert images < 10 or not np.array_equal(rows_KB, batches(images, batch, seed=1, epoch=epoch))
    assert images < 10 or len(set(seen)) == 3


def test_over_many_epochs_every_image_is_left_out_as_often_as_any_other() -> None:
    epochs, images = 2000, 23
    counts_N = np.zeros(images)
    for epoch in range(epochs):
        counts_N[batches(images, 5, seed=0, epoch=epoch).flatten()] += 1
    share = 20 / 23
    assert np.abs(counts_N / epochs - share).max() < 5 * (share * (1 - share) / epochs) ** 0.5


@pytest.mark.parametrize("dataset", oracle.LABELS)
def test_the_loss_of_each_dataset_is_the_papers(dataset: str) -> None:
    spec, labels = Registry().dataset(dataset), oracle.LABELS[dataset]
    assert len(spec.classes) == labels
    generator = torch.Generator().manual_seed(0)
    logits_BC = (3 * torch.randn(64, labels, generator=generator)).double().requires_grad_()
    shape = (64, labels) if spec.several_labels else (64,)
    labels_B = torch.randint(0, 2 if spec.several_labels else labels, shape, generator=generator)
    found, expected = summed_loss(logits_BC, labels_B) / terms_of(labels_B), oracle.LOSSES[dataset](logits_BC, labels_B)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(loss, logits_BC)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-8)


# Which parameters of the tiny networks learn; the head always does. Nothing depends on the classifier that a file of
# weights may hold, nor on SEEM's norms of levels other than the last.
MOVING = {
    ("imagenet_deitb16", None): r"body\.network\.(cls_token|pos_embed|(patch_embed|blocks|norm)\..*)",
    ("imagenet_deitb16", 1): r"body\.network\.(blocks\.1|norm)\..*",
    ("imagenet_resnet152", None): r"body\.network\.(conv1|bn1|layer\d)\..*",
    ("imagenet_resnet152", 2): r"body\.network\.layer[34]\..*",
    ("seem_focalt", None): r"body\.network\.(patch_embed\..*|layers\.(\d\.(downsample|blocks)|3\.norm)\..*)",
    ("seem_focalt", 2): r"body\.network\.layers\.([23]\.(downsample|blocks)|3\.norm)\..*",
}


def network_of(name: str, first_block: int | None = None) -> Headed:
    """In float64: of what has no gradient but rounding, such as the biases of keys, Adam would make a step of that."""
    backbone = build(name)
    if first_block is not None:
        train_from(backbone, first_block)
    with torch.no_grad():
        width = backbone(noise(name, images=1)).pooled_ND.shape[1]
    return Headed(backbone, build_head("linear", width=width, tokens=0, classes=2, seed=SEED)).double()


@dataclass
class Watched:
    """A learner, and what it did."""

    learner: NetworkLearner | StackedLearner
    network: nn.Module
    rates: list[float]
    weights: list[dict[str, Tensor]]
    losses: list[list[float]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learner, name)

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        losses_R = self.learner.step(rows_RB, epoch, share)
        self.rates.append(share * SETTINGS.learning_rate)
        self.losses.append(losses_R.tolist())
        self.weights.append({name: each.clone() for name, each in self.network.state_dict().items()})
        return losses_R


def labels_of(images: Tensor) -> Tensor:
    """What is learnt of noise: which half is the brighter one."""
    left, right = images.mean(1).chunk(2, dim=-1)
    return (left.mean((1, 2)) > right.mean((1, 2))).long()


def held_against_the_oracle(
    name: str, first_block: int | None, folder: Path, *, micro: int = SETTINGS.batch
) -> tuple[oracle.Trained, Headed]:
    """Both trained on the same images in the same order; AssertionError where they part."""
    ours, theirs = network_of(name, first_block), network_of(name)
    side = 32 if name in PYRAMIDS else 64
    images = noise(name, images=36)[..., :side, :side].double()
    labels_N = labels_of(images)
    rows = {side: np.arange(36)[each] for side, each in SIDES.items()}
    feed = Feed(StoredInputs(images.numpy()), loaders=1, pinned=False)
    learner = NetworkLearner(
        ours,
        feed,
        rows=rows,
        labels_A=labels_N[SIDES["train"]].numpy(),
        settings=SETTINGS,
        seed=SEED,
        micro=micro,
        dtype="float32",
        device=torch.device("cpu"),
    )
    watched = Watched(learner, ours, [], [], [])
    course = Course(
        settings=SETTINGS,
        metric="roc_auc",
        seeds=(SEED,),
        ids=tuple(map(str, rows["train"])),
        validation_labels={SEED: labels_N[SIDES["validation"]].numpy()},
        what="protocol",
    )
    with torch.random.fork_rng(devices=[]):
        found = loop.train(watched, course, Checkpoints(folder / "training.pt"))
        feed.close()
        sides = {side: oracle.Given(images=images[each], labels_N=labels_N[each]) for side, each in SIDES.items()}
        expected = oracle.train(
            theirs,
            rf"head\..*|{MOVING[name, first_block]}",
            order_of(SEED),
            **sides,
            rate=SETTINGS.learning_rate,
            decay=SETTINGS.weight_decay,
            most=SETTINGS.clip,
            warm_up=2 * 4,
            chance=chance_of(SEED),
        )
    assert len(watched.rates) == len(expected.steps) == 12
    np.testing.assert_allclose(watched.rates, [step.rate for step in expected.steps], rtol=1e-12)
    np.testing.assert_allclose(watched.losses, [[step.loss] for step in expected.steps], rtol=1e-5, atol=1e-7)
    for number, (weights, step) in enumerate(zip(watched.weights, expected.steps, strict=True)):
        for key, tensor in step.weights.items():
            torch.testing.assert_close(weights[key], tensor, atol=1e-5, rtol=1e-5, msg=f"{key} after step {number + 1}")
    np.testing.assert_allclose(
        [each["validation"] for each in found.training[0]["history"]], expected.validation_E, atol=1e-8
    )
    assert found.epoch_R.tolist() == [expected.best]
    np.testing.assert_allclose(found.scores_RTC[0], expected.scores_NC, rtol=1e-4, atol=1e-5)
    return expected, ours


def order_of(seed: int) -> np.ndarray:
    """Of the images in every epoch: what the oracle is fed."""
    return np.stack([batches(23, SETTINGS.batch, seed=seed, epoch=epoch) for epoch in range(SETTINGS.epochs)])


def chance_of(seed: int) -> Callable[[int], None]:
    """As `NetworkLearner.begin` has it: nothing in the protocol says which paths are dropped."""
    return lambda epoch: void(torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])))


def void(_value: object) -> None: ...


@pytest.mark.parametrize(("name", "first_block"), MOVING)
def test_losses_weights_and_the_best_epoch_are_the_oracles_at_every_step(
    name: str, first_block: int | None, tmp_path: Path
) -> None:
    expected, ours = held_against_the_oracle(name, first_block, tmp_path)
    norms = [step.norm for step in expected.steps]
    assert min(norms) < SETTINGS.clip < max(norms)
    start = network_of(name).state_dict()
    last = expected.steps[-1].weights
    moved = {key for key in start if not torch.equal(start[key], last[key])}
    learns = re.compile(rf"head\..*|{MOVING[name, first_block]}")
    assert moved == {key for key in start if learns.fullmatch(key)}
    assert {key for key, each in ours.named_parameters() if each.requires_grad} >= {
        key for key, _each in ours.named_parameters() if learns.fullmatch(key)
    }


def test_a_batch_in_parts_trains_as_the_oracle_does_with_it_whole(tmp_path: Path) -> None:
    held_against_the_oracle("imagenet_deitb16", None, tmp_path, micro=2)


def test_heads_of_several_seeds_trained_at_once_on_stored_features_are_the_oracles_one_by_one(tmp_path: Path) -> None:
    images = noise("imagenet_deitb16", images=36)
    with torch.no_grad():
        features_ND = build("imagenet_deitb16")(images).pooled_ND
    labels_N, seeds = labels_of(images), (3, 8)
    sides = {side: oracle.Given(images=features_ND[each], labels_N=labels_N[each]) for side, each in SIDES.items()}

    def head(seed: int) -> Head:
        return build_head("linear", width=features_ND.shape[1], tokens=0, classes=2, seed=seed)

    learner = StackedLearner(
        heads=[head(seed) for seed in seeds],
        points=[Point(rate=SETTINGS.learning_rate, decay=SETTINGS.weight_decay)],
        training=lambda _epoch: sides["train"].images.numpy(),
        labels=[sides["train"].labels_N.numpy()] * len(seeds),
        validation=sides["validation"].images.numpy(),
        test=sides["test"].images.numpy(),
        clip=SETTINGS.clip,
        device=torch.device("cpu"),
    )
    watched = Watched(learner, nn.Module(), [], [], [])
    course = Course(
        settings=SETTINGS,
        metric="roc_auc",
        seeds=seeds,
        ids=tuple(map(str, range(23))),
        validation_labels=dict.fromkeys(seeds, sides["validation"].labels_N.numpy()),
        what="protocol",
    )
    found = loop.train(watched, course, Checkpoints(tmp_path / "training.pt"))
    for replica, seed in enumerate(seeds):
        expected = oracle.train(
            head(seed),
            ".*",
            order_of(seed),
            **sides,
            rate=SETTINGS.learning_rate,
            decay=SETTINGS.weight_decay,
            most=SETTINGS.clip,
            warm_up=2 * 4,
            chance=void,
        )
        losses_K = [losses_R[replica] for losses_R in watched.losses]
        np.testing.assert_allclose(losses_K, [step.loss for step in expected.steps], rtol=1e-5)
        history = found.training[replica]["history"]
        np.testing.assert_allclose([each["validation"] for each in history], expected.validation_E, atol=1e-8)
        assert found.epoch_R[replica] == expected.best
        np.testing.assert_allclose(found.scores_RTC[replica], expected.scores_NC, rtol=1e-4, atol=1e-6)


def _decays_biases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        optimiser,
        "parameter_groups",
        lambda module, decay: [
            {"params": [each for each in module.parameters() if each.requires_grad], "weight_decay": decay}
        ],
    )


def _decays_nothing(patch: pytest.MonkeyPatch) -> None:
    whole = optimiser.parameter_groups
    patch.setattr(optimiser, "parameter_groups", lambda module, _decay: whole(module, 0.0))


def _does_not_clip(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(networks, "clip", lambda _parameters, _most: None)


def _clips_each_parameter(patch: pytest.MonkeyPatch) -> None:
    clip = optimiser.clip
    patch.setattr(networks, "clip", lambda parameters, most: [clip([each], most) for each in parameters])


def _warms_up_an_epoch_too_long(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "warm_up_of", lambda settings, steps: warm_up_of(settings, steps) + steps)


def _begins_at_a_rate_of_0(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "share_of_rate", lambda step, warm_up: min(1.0, step / warm_up))


def _falls_after_warm_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "share_of_rate", lambda step, warm_up: min((step + 1) / warm_up, (1 + warm_up) / (1 + step)))


def _trains_the_head_faster(patch: pytest.MonkeyPatch) -> None:
    class Faster(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            self.param_groups[-1]["lr"] *= 2
            return super().step(closure)

    def adamw(module: Headed, settings: TrainingSettings) -> torch.optim.AdamW:
        groups = [
            group
            for part in (module.body, module.head)
            for group in optimiser.parameter_groups(part, settings.weight_decay)
        ]
        return Faster(groups, lr=settings.learning_rate)

    patch.setattr(networks, "adamw", adamw)


def _leaves_the_embedding_of_places_frozen(patch: pytest.MonkeyPatch) -> None:
    groups = optimiser.parameter_groups

    def all_but_places(module: Headed, decay: float) -> list[dict[str, object]]:
        cast(Any, module.body).network.pos_embed.requires_grad_(False)
        return groups(module, decay)

    patch.setattr(optimiser, "parameter_groups", all_but_places)


def _sums_the_loss(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(networks, "terms_of", lambda _labels: 1)


def _sees_another_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        loop, "batches", lambda images, batch, *, seed, epoch: batches(images, batch, seed=seed, epoch=epoch + 1)
    )


@pytest.mark.parametrize(
    "fault",
    [
        _decays_biases,
        _decays_nothing,
        _does_not_clip,
        _clips_each_parameter,
        _warms_up_an_epoch_too_long,
        _begins_at_a_rate_of_0,
        _falls_after_warm_up,
        _trains_the_head_faster,
        _leaves_the_embedding_of_places_frozen,
        _sums_the_loss,
        _sees_another_order,
    ],
)
def test_the_oracle_notices_a_training_that(
    fault: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        held_against_the_oracle("imagenet_deitb16", None, tmp_path)


class Told:
    """A learner that learns nothing and whose validation is told beforehand: the ranks of its images, by epoch."""

    replicas, notes = 1, ()

    def __init__(self, ranks_EN: Sequence[Sequence[int]]) -> None:
        self._ranks_EN, self._epoch, self.kept = ranks_EN, -1, list[int]()

    def begin(self, epoch: int, rows_KRB: Tensor) -> None:
        del rows_KRB
        self._epoch = epoch

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        del rows_RB, epoch, share
        return torch.zeros(1)

    def scores(self, side: str) -> Tensor:
        ranks_N = torch.tensor(self._ranks_EN[self._epoch], dtype=torch.float32)
        columns_NC = torch.stack([torch.zeros(len(ranks_N)), ranks_N], dim=1)
        return columns_NC.unsqueeze(0) + (1000 * (self._epoch + 1) if side == "test" else 0)

    def keep_best(self, better_R: Tensor) -> None:
        if bool(better_R[0]):
            self.kept.append(self._epoch + 1)

    def use_best(self) -> None:
        self._epoch = self.kept[-1] - 1

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: object) -> None:
        raise AssertionError(state)


# Two rankings of eight images whose area is 3/5, as floats .6 and .6000000000000001; a worse one and a better one.
LABELS = (0, 0, 1, 0, 1, 0, 0, 1)
FIRST, SECOND = (0, 1, 2, 3, 4, 5, 7, 6), (0, 1, 2, 3, 6, 5, 7, 4)
WORSE, BETTER = (7, 6, 0, 5, 1, 4, 3, 2), (0, 1, 5, 2, 6, 3, 4, 7)


@pytest.mark.parametrize(
    ("ranks_EN", "kept"),
    [
        ((FIRST, FIRST, FIRST), [1]),
        ((FIRST, SECOND), [1]),
        ((SECOND, FIRST), [1]),
        ((WORSE, FIRST, SECOND, WORSE), [1, 2]),
        ((WORSE, SECOND, BETTER, FIRST, BETTER), [1, 2, 3]),
    ],
)
def test_of_epochs_that_are_equally_good_the_first_is_tested(
    ranks_EN: tuple[tuple[int, ...], ...], kept: list[int], tmp_path: Path
) -> None:
    learner = Told(ranks_EN)
    course = Course(
        settings=replace(SETTINGS, epochs=len(ranks_EN)),
        metric="roc_auc",
        seeds=(0,),
        ids=tuple("abcdefgh"),
        validation_labels={0: np.array(LABELS)},
        what="told",
    )
    found = loop.train(learner, course, Checkpoints(tmp_path / "told.pt"))
    assert learner.kept == kept
    assert found.epoch_R.tolist() == [kept[-1]]
    assert found.scores_RTC[0, 0, 0] == 1000 * kept[-1]

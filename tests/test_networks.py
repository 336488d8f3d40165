"""A network's learner: batches in parts, memory that runs out, a prefix that is stored, threads that load.

Networks are tiny and their weights random; images are noise.

Legend: N images, A of the training side, B of a batch, S pixels of a side.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from pytest_fmtransfer.adapt import micro_batches
from pytest_fmtransfer.adapt.heads import build_head
from pytest_fmtransfer.adapt.inputs import Feed, ImageInputs, Inputs, StoredInputs
from pytest_fmtransfer.adapt.losses import summed_loss, terms_of
from pytest_fmtransfer.adapt.networks import Headed, NetworkLearner
from pytest_fmtransfer.adapt.order import batches
from pytest_fmtransfer.backbones import timm as timm_backbones
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.augmentations import NONE, PAPER, Recipe
from pytest_fmtransfer.errors import OutOfMemory, Unavailable

SIZE, IMAGES, BATCH = 32, 24, 8
ROWS = {"train": np.arange(16), "validation": np.arange(16, 20), "test": np.arange(20, 24)}
UNTOUCHED = NONE.at(SIZE)
CPU = torch.device("cpu")
EXACT = 1e-5  # float32, over some steps


def backbone_of(name: str = "imagenet_deitb16.tiny") -> Backbone:
    spec = replace(Registry().backbone(name), image_size=SIZE)
    return timm_backbones.build(spec, None, trainable=True)


def images_of(recipe: Recipe, backbone: Backbone) -> ImageInputs:
    side = recipe.resize
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)
    return ImageInputs(pixels, tuple(f"image{n}" for n in range(IMAGES)), recipe, backbone)


def labels_of(count: int = 16) -> np.ndarray:
    return np.arange(count) % 2


@contextmanager
def learner_of(
    body: nn.Module, inputs: Inputs, *, micro: int = BATCH, loaders: int = 1, **more: Any
) -> Iterator[NetworkLearner]:
    torch.manual_seed(0)
    with torch.no_grad():
        made = body(inputs.evaluation(np.arange(1)))
    pooled_ND = made.pooled_ND if isinstance(body, Backbone) else made[0]
    head = build_head("linear", width=pooled_ND.shape[-1], tokens=1, classes=2, seed=0)
    feed = Feed(inputs, loaders=loaders, pinned=False)
    asked: dict[str, Any] = {
        "labels_A": labels_of(),
        "settings": TrainingSettings(learning_rate=1e-3),
        "dtype": "float32",
    }
    try:
        yield NetworkLearner(Headed(body, head), feed, rows=ROWS, seed=0, micro=micro, device=CPU, **asked | more)
    finally:
        feed.close()


def steps(learner: NetworkLearner, epochs: int = 3) -> list[float]:
    """Losses of every step."""
    losses: list[float] = []
    for epoch in range(epochs):
        rows_KRB = torch.from_numpy(batches(16, BATCH, seed=0, epoch=epoch)[:, None])
        learner.begin(epoch, rows_KRB)
        losses += [float(learner.step(rows_RB, epoch, 1.0)) for rows_RB in rows_KRB]
    return losses


def course_of(
    make: Callable[[], Backbone] = backbone_of, recipe: Recipe = UNTOUCHED, **more: Any
) -> tuple[list[float], np.ndarray]:
    """Losses, and scores of the test side at the end."""
    backbone = make()
    with learner_of(backbone, images_of(recipe, backbone), **more) as learner:
        return steps(learner), learner.scores("test").numpy()


@pytest.mark.parametrize("micro", [1, 3, 4])
def test_a_batch_in_parts_is_the_batch(micro: int) -> None:
    whole, parts = course_of(), course_of(micro=micro)
    assert np.allclose(whole[0], parts[0], atol=EXACT)
    assert np.allclose(whole[1], parts[1], atol=1e-4)
    assert len(set(whole[0])) > 3  # something was learnt


def test_parts_weigh_by_the_labels_that_are_known() -> None:
    labels_AC = np.random.default_rng(1).integers(-1, 2, (16, 2))
    labels_AC[:8] = -1  # of some images nothing is known
    whole, parts = course_of(labels_A=labels_AC), course_of(labels_A=labels_AC, micro=2)
    assert np.allclose(whole[0], parts[0], atol=EXACT)


def test_losses_are_the_usual_ones() -> None:
    logits_BC = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    labels_B = torch.tensor([0, 1, 2, 0, 1, 2])
    expected = nn.functional.cross_entropy(logits_BC, labels_B)
    assert torch.isclose(summed_loss(logits_BC, labels_B) / terms_of(labels_B), expected)
    labels_BC = torch.tensor([[0, 1, -1]] * 6)
    expected = nn.functional.binary_cross_entropy_with_logits(logits_BC[:, :2], labels_BC[:, :2].float())
    assert torch.isclose(summed_loss(logits_BC, labels_BC) / terms_of(labels_BC), expected)


class Small(nn.Module):
    """A body that cannot take more than so many images at once while it learns."""

    def __init__(self, backbone: Backbone, most: int) -> None:
        super().__init__()
        self.backbone, self.most = backbone, most

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled() and self.training and len(images_NCHW) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        made = self.backbone(images_NCHW)
        return made.pooled_ND, made.tokens_NTE


def test_without_memory_for_a_batch_its_parts_are_halved_and_the_result_says_so() -> None:
    whole = course_of()
    backbone = backbone_of()
    with learner_of(Small(backbone, 3), images_of(UNTOUCHED, backbone)) as learner:
        losses = steps(learner)
        assert learner.micro == 2
        assert learner.notes == [
            "out of memory in epoch 1: batches of 8 in parts of 4 from there on",
            "out of memory in epoch 1: batches of 8 in parts of 2 from there on",
        ]
    assert np.allclose(losses, whole[0], atol=EXACT)


def test_without_memory_for_one_image_the_cell_stops_with_a_remedy() -> None:
    backbone = backbone_of()
    with (
        learner_of(Small(backbone, 0), images_of(UNTOUCHED, backbone)) as learner,
        pytest.raises(OutOfMemory, match="memory does not hold the training of one image; choose a smaller backbone"),
    ):
        steps(learner)


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    class Broken(Small):
        def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
            if self.training and torch.is_grad_enabled():
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
            return super().forward(images_NCHW)

    backbone = backbone_of()
    with (
        learner_of(Broken(backbone, 99), images_of(UNTOUCHED, backbone)) as learner,
        pytest.raises(RuntimeError, match="mat1"),
    ):
        steps(learner)


@pytest.mark.parametrize(("free", "expected"), [(None, 8), (10**12, 8), (0, 1)])
def test_parts_fit_into_half_of_the_free_memory(
    free: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micro_batches, "free_memory", lambda: free)
    backbone = backbone_of()
    inputs = images_of(UNTOUCHED, backbone)
    guess = micro_batches.first_guess(backbone, lambda count: inputs.evaluation(np.arange(count)), 8, CPU)
    assert guess == expected


def test_bytes_that_are_kept_grow_with_images_and_leave_modes_alone() -> None:
    backbone = backbone_of("imagenet_resnet152.tiny").train()
    inputs = images_of(UNTOUCHED, backbone)
    statistics = {name: each.clone() for name, each in backbone.named_buffers()}
    two, four = (micro_batches.kept_bytes(backbone, inputs.evaluation(np.arange(count))) for count in (2, 4))
    assert 1.8 * two < four < 2.2 * two
    assert all(each.training for each in backbone.modules())
    assert all(torch.equal(each, statistics[name]) for name, each in backbone.named_buffers())


@pytest.mark.parametrize("name", ["imagenet_deitb16.tiny", "imagenet_resnet152.tiny"])
def test_stored_activations_train_as_the_whole_network_does(name: str) -> None:
    def learning() -> Backbone:
        backbone = backbone_of(name)
        train_from(backbone, 1)
        return backbone

    whole = course_of(learning)
    backbone = learning()
    images = images_of(UNTOUCHED, backbone)
    prefix, suffix = split_at(backbone, 1, side=SIZE)
    stored_N = prefix(images.evaluation(np.arange(IMAGES))).numpy()
    with learner_of(suffix, StoredInputs(stored_N)) as learner:
        losses = steps(learner)
        scores = learner.scores("test").numpy()
    assert np.allclose(losses, whole[0], atol=EXACT)
    assert np.allclose(scores, whole[1], atol=1e-4)


def test_four_loaders_give_what_one_gives_to_the_last_bit() -> None:
    one, four = course_of(recipe=PAPER.at(SIZE)), course_of(recipe=PAPER.at(SIZE), loaders=4)
    assert one[0] == four[0]
    assert one[1].tobytes() == four[1].tobytes()


def test_augmentation_is_another_in_every_epoch_and_none_in_a_test() -> None:
    inputs, rows_B = images_of(PAPER.at(SIZE), backbone_of()), np.arange(4)
    first, again, later = (inputs.training(rows_B, epoch=epoch, seed=0) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, inputs.training(rows_B, epoch=0, seed=1))
    plain = images_of(UNTOUCHED, backbone_of())
    assert torch.equal(inputs.evaluation(rows_B), plain.training(rows_B, epoch=3, seed=7))


def test_a_network_that_dynamo_has_taken_apart_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the code generator, which takes two minutes: it is torch's, and so are its tests.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    plain, compiled = course_of(), course_of(compiled=True)
    assert np.allclose(plain[0], compiled[0], atol=1e-4)


def test_what_cannot_be_compiled_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(module: nn.Module) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            raise TorchDynamoException("no compiler found\nand a long story")

        return forward

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(Unavailable, match=r"cannot take this network \(no compiler found\); leave out --fm-compile"):
        course_of(compiled=True)


def test_a_state_goes_on_to_the_same_end() -> None:
    backbone = backbone_of()
    with learner_of(backbone, images_of(UNTOUCHED, backbone)) as learner:
        steps(learner, 1)
        learner.keep_best(torch.tensor([True]))
        state = {name: _copied(each) for name, each in learner.state().items()}
        expected = steps(learner, 2)
    other = backbone_of()
    with learner_of(other, images_of(UNTOUCHED, other)) as second:
        second.load(state)
        assert steps(second, 2) == expected
        second.use_best()
        at_best = second.scores("test")
        second.load(state)
        assert torch.equal(second.scores("test"), at_best)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in cast("dict[Any, Any]", value).items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def test_the_best_weights_include_the_statistics_of_batch_normalisation() -> None:
    backbone = backbone_of("imagenet_resnet152.tiny")
    with learner_of(backbone, images_of(UNTOUCHED, backbone)) as learner:
        steps(learner, 1)
        learner.keep_best(torch.tensor([True]))
        best = learner.scores("test")
        steps(learner, 2)
        assert not torch.equal(learner.scores("test"), best)
        learner.use_best()
        assert torch.equal(learner.scores("test"), best)

"""Heads trained together are heads trained alone: all seeds, all points of a grid, to rounding.

Data are synthetic. Legend: S seeds, R replicas, N images, A images of the training side, B images of a batch,
C classes or labels, D the embedding's width, T tokens, E a token's width.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.adapt import micro_batches, stacked, stacked_heads
from pytest_fmtransfer.adapt.heads import Head, build_head
from pytest_fmtransfer.adapt.losses import loss_and_gradient, terms
from pytest_fmtransfer.adapt.order import batches
from pytest_fmtransfer.adapt.stacked import Point, StackedLearner, groups
from pytest_fmtransfer.adapt.stacked_heads import StackedModules
from pytest_fmtransfer.catalog.regime_settings import HeadKind
from pytest_fmtransfer.errors import InvalidInput, OutOfMemory
from pytest_fmtransfer.metrics import UNKNOWN
from tests.helpers import LAWS

CPU = torch.device("cpu")
SIDES = {"training": 40, "validation": 12, "test": 70}
BATCH, CLASSES, WIDTH, TOKENS = 8, 3, 24, 9
KINDS: list[HeadKind] = ["linear", "attention", "small_random"]
PLAIN = Point(rate=1e-3, decay=0.01)
GRID = [Point(rate=rate, decay=decay) for rate in (3e-4, 1e-3) for decay in (0.0, 0.1)]
# A transformer's course is chaotic: at a high rate rounding alone leads elsewhere within fifty steps.
GENTLE = 0.1


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Products this small are not worth a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def grid(kind: HeadKind) -> list[Point]:
    return GRID[1:3] if kind == "small_random" else GRID


def gentler(kind: HeadKind, share: float) -> float:
    return share * GENTLE if kind == "small_random" else share


def features(kind: HeadKind, side: str, view: int = 0) -> np.ndarray:
    shape = (SIDES[side], WIDTH) if kind == "linear" else (SIDES[side], TOKENS, WIDTH)
    return np.random.default_rng([len(side), view]).normal(size=shape).astype(np.float32)


def class_indices(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, SIDES["training"])


def several_labels() -> np.ndarray:
    return np.random.default_rng(5).integers(UNKNOWN, 2, (SIDES["training"], CLASSES))


def heads_of(kind: HeadKind, seeds: Sequence[int]) -> list[Head]:
    return [build_head(kind, width=WIDTH, tokens=TOKENS, classes=CLASSES, seed=seed) for seed in seeds]


def learner(
    kind: HeadKind,
    seeds: Sequence[int],
    points: Sequence[Point] = (PLAIN,),
    *,
    labels: np.ndarray | None = None,
    views: int = 1,
    **more: Any,
) -> StackedLearner:
    given = {"validation": features(kind, "validation"), "test": features(kind, "test"), "clip": 1.0, "device": CPU}
    own = class_indices() if labels is None else labels
    points = [Point(rate=gentler(kind, point.rate), decay=point.decay) for point in points]
    return StackedLearner(
        heads=heads_of(kind, seeds),
        points=points,
        training=lambda epoch: features(kind, "training", epoch % views),
        labels=[own] * len(seeds),
        **given | more,
    )


def rows_of(seeds: Sequence[int], points: int, epoch: int) -> Tensor:
    drawn = [batches(SIDES["training"], BATCH, seed=seed, epoch=epoch) for seed in seeds for _ in range(points)]
    return torch.from_numpy(np.stack(drawn, axis=1))


def trained(each: StackedLearner, seeds: Sequence[int], points: int = 1, epochs: range = range(10)) -> Tensor:
    """All losses, K × R; ten epochs are fifty steps."""
    made: list[Tensor] = []
    for epoch in epochs:
        rows_KRB = rows_of(seeds, points, epoch)
        each.begin(epoch, rows_KRB)
        made += [each.step(rows_RB, epoch, min(1.0, (epoch + 1) / 3)) for rows_RB in rows_KRB]
    return torch.stack(made)


def plainly(kind: HeadKind, seed: int, point: Point, labels: np.ndarray, views: int = 1) -> tuple[Tensor, Tensor]:
    """A loop as anyone would write it: its losses, and scores of the test side."""
    (head,) = heads_of(kind, [seed])
    two = [each for name, each in head.named_parameters() if each.ndim > 1 and not name.endswith("bias")]
    rest = [each for each in head.parameters() if not any(each is other for other in two)]
    optimiser = torch.optim.AdamW([{"params": two, "weight_decay": point.decay}, {"params": rest, "weight_decay": 0.0}])
    losses: list[Tensor] = []
    for epoch in range(4):
        inputs = torch.from_numpy(features(kind, "training", epoch % views))
        for rows_RB in rows_of([seed], 1, epoch):
            logits, truth = head(inputs[rows_RB[0]]), torch.from_numpy(labels)[rows_RB[0]]
            if labels.ndim == 1:
                loss = functional.cross_entropy(logits, truth)
            else:
                known = truth != UNKNOWN
                loss = functional.binary_cross_entropy_with_logits(logits[known], truth[known].float())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = gentler(kind, point.rate) * min(1.0, (epoch + 1) / 3)
            optimiser.step()
            losses.append(loss.detach())
    with torch.no_grad():
        return torch.stack(losses), head(torch.from_numpy(features(kind, "test")))


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize(("seeds", "points"), [(2, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("kind", ["attention", "small_random"])
def test_heads_computed_as_one_are_each_alone(kind: HeadKind, seeds: int, points: int, in_turn: bool) -> None:
    heads = heads_of(kind, range(seeds))
    as_one = StackedModules(heads, points, CPU, in_turn=in_turn)
    inputs_SB = torch.from_numpy(features(kind, "training")[: 6 * seeds]).unflatten(0, (seeds, 6))
    gradient_RBC = torch.randn(seeds * points, 6, CLASSES, generator=torch.Generator().manual_seed(0))
    for add in (False, True):
        as_one.backward(inputs_SB, as_one.logits(inputs_SB), gradient_RBC, add=add)
    for replica in range(seeds * points):
        own_R, seed = slice(replica, replica + 1), replica // points
        alone = StackedModules([heads[seed]], 1, CPU, in_turn=True)
        inputs_1B = inputs_SB[seed : seed + 1]
        for add in (False, True):
            alone.backward(inputs_1B, alone.logits(inputs_1B), gradient_RBC[own_R], add=add)
        close(as_one.logits(inputs_SB)[own_R], alone.logits(inputs_1B))
        close(as_one.scores(inputs_SB[0])[own_R], alone.scores(inputs_SB[0]))
        for mine, theirs in zip(as_one.gradients.parts, alone.gradients.parts, strict=True):
            close(mine[own_R], theirs, 1e-4)


def test_on_a_processor_heads_on_tokens_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **more: Any) -> None:
        raise AssertionError("no vmap")

    monkeypatch.setattr(stacked_heads, "vmap", refused)
    sweep = learner("attention", [4], GRID)
    trained(sweep, [4], len(GRID), range(1))
    assert sweep.scores("test").shape == (len(GRID), SIDES["test"], CLASSES)
    several = StackedModules(heads_of("attention", [0, 1]), 1, CPU, in_turn=False)
    with pytest.raises(AssertionError, match="no vmap"):
        several.scores(torch.from_numpy(features("attention", "test")))


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_trained_together_score_as_each_trained_alone(kind: HeadKind) -> None:
    together = learner(kind, [1, 2])
    losses_KR = trained(together, [1, 2])
    assert len(losses_KR) == 50
    for replica, seed in enumerate([1, 2]):
        alone = learner(kind, [seed])
        close(losses_KR[:, replica], trained(alone, [seed])[:, 0])
        for side in ("validation", "test"):
            close(together.scores(side)[replica], alone.scores(side)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("several", [False, True])
def test_a_grid_in_one_pass_is_each_point_in_a_loop_of_its_own(kind: HeadKind, several: bool) -> None:
    labels, points = several_labels() if several else class_indices(), grid(kind)
    sweep = learner(kind, [4, 5], points, labels=labels, views=2)
    losses_KR = trained(sweep, [4, 5], len(points), range(4))
    scores_RNC = sweep.scores("test")
    assert scores_RNC.shape == (2 * len(points), SIDES["test"], CLASSES)
    for replica, (seed, point) in enumerate((seed, point) for seed in (4, 5) for point in points):
        expected_K, expected_NC = plainly(kind, seed, point, labels, views=2)
        close(losses_KR[:, replica], expected_K)
        close(scores_RNC[replica], expected_NC)


def test_a_seed_learns_from_labels_of_its_own() -> None:
    own = [class_indices(1), class_indices(2)]
    both = StackedLearner(
        heads=heads_of("linear", [0, 1]),
        points=[PLAIN],
        training=lambda epoch: features("linear", "training"),
        labels=own,
        validation=features("linear", "validation"),
        test=features("linear", "test"),
        clip=1.0,
        device=CPU,
    )
    trained(both, [0, 1])
    for seed in (0, 1):
        alone = learner("linear", [seed], labels=own[seed])
        trained(alone, [seed])
        close(both.scores("test")[seed], alone.scores("test")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_each_replica_remembers_its_own_best_epoch(kind: HeadKind) -> None:
    each = learner(kind, [0, 1, 2])
    trained(each, [0, 1, 2], epochs=range(1))
    each.keep_best(torch.tensor([True, True, True]))
    first = each.scores("test")
    trained(each, [0, 1, 2], epochs=range(1, 2))
    each.keep_best(torch.tensor([False, True, False]))
    second = each.scores("test")
    trained(each, [0, 1, 2], epochs=range(2, 3))
    each.use_best()
    best = each.scores("test")
    assert torch.equal(best, torch.stack([first[0], second[1], first[2]]))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_restored_midway_ends_as_one_never_stopped(kind: HeadKind) -> None:
    points = grid(kind)
    whole = learner(kind, [0, 1], points)
    trained(whole, [0, 1], len(points), range(1))
    whole.keep_best(torch.arange(whole.replicas) % 2 == 0)
    file = io.BytesIO()
    torch.save(whole.state(), file)
    file.seek(0)
    losses = trained(whole, [0, 1], len(points), range(1, 2))
    again = learner(kind, [7, 8], points)  # whose weights are others
    again.load(torch.load(file, weights_only=True))
    assert torch.equal(trained(again, [0, 1], len(points), range(1, 2)), losses)
    assert torch.equal(again.scores("test"), whole.scores("test"))
    for each in (whole, again):
        each.use_best()
    assert torch.equal(again.scores("test"), whole.scores("test"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("several", [False, True])
def test_a_batch_in_parts_is_a_batch(kind: HeadKind, several: bool) -> None:
    labels, points = several_labels() if several else class_indices(), grid(kind)
    parts = learner(kind, [0], points, labels=labels, micro=3)
    whole = learner(kind, [0], points, labels=labels)
    close(trained(parts, [0], len(points), range(1)), trained(whole, [0], len(points), range(1)))
    close(parts.scores("test"), whole.scores("test"))


def test_out_of_memory_halves_what_is_computed_at_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    each, whole = learner("attention", [0, 1]), learner("attention", [0, 1])
    genuine = each._heads.logits

    def cramped(inputs_SB: Tensor) -> Tensor:
        if inputs_SB.shape[1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return genuine(inputs_SB)

    monkeypatch.setattr(each._heads, "logits", cramped)
    close(trained(each, [0, 1], epochs=range(2)), trained(whole, [0, 1], epochs=range(2)))
    assert each.micro == 2
    assert each.notes == [f"out of memory in epoch 1: batches of 8 in parts of {part} from there on" for part in (4, 2)]
    monkeypatch.setattr(each._heads, "logits", lambda inputs_SB: cramped(inputs_SB.expand(-1, 9, -1, -1)[:, :9]))
    each.micro = 1
    with pytest.raises(OutOfMemory, match="fewer seeds at once"):
        trained(each, [0, 1], epochs=range(1))


def test_no_more_is_computed_at_once_than_memory_is_likely_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_KRB = rows_of([0, 1], 1, 0)
    found: dict[str, int | None] = {}
    for size, free in (("ample", 2**40), ("scarce", 2**14), ("none", 0)):
        monkeypatch.setattr(micro_batches, "free_memory", lambda free=free: free)
        each = learner("attention", [0, 1])
        each.begin(0, rows_KRB)
        found[size] = each.micro
    assert found["ample"] == BATCH
    assert found["none"] == 1
    assert found["scarce"] in range(2, BATCH)


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    each = learner("linear", [0])

    def broken(inputs_SB: Tensor) -> Tensor:
        raise RuntimeError("something else")

    monkeypatch.setattr(each._heads, "logits", broken)
    with pytest.raises(RuntimeError, match="something else"):
        trained(each, [0], epochs=range(1))
    assert not each.notes


@pytest.mark.parametrize("kind", ["linear", "attention"])
def test_features_may_be_mapped_from_a_file_in_half_precision(kind: HeadKind, tmp_path: Path) -> None:
    mapped: dict[str, np.ndarray] = {}
    for side in SIDES:
        np.save(tmp_path / f"{side}.npy", features(kind, side).astype(np.float16))
        mapped[side] = np.load(tmp_path / f"{side}.npy", mmap_mode="r")
    each, held = (
        StackedLearner(
            heads=heads_of(kind, [0, 1]),
            points=[PLAIN],
            training=lambda epoch, sides=sides: sides["training"],
            labels=[class_indices()] * 2,
            validation=sides["validation"],
            test=sides["test"],
            clip=1.0,
            device=CPU,
        )
        for sides in (mapped, {side: array.astype(np.float32) for side, array in mapped.items()})
    )
    assert torch.equal(trained(each, [0, 1], epochs=range(2)), trained(held, [0, 1], epochs=range(2)))
    assert torch.equal(each.scores("test"), held.scores("test"))


def test_training_in_half_precision_is_near_and_scores_are_float32() -> None:
    half, whole = (learner("small_random", [0, 1], dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert torch.equal(half.scores("test"), whole.scores("test"))
    losses, expected = trained(half, [0, 1], epochs=range(2)), trained(whole, [0, 1], epochs=range(2))
    assert not torch.equal(losses, expected)
    close(losses, expected, 0.05)
    assert half.scores("test").dtype == torch.float32


logits = st.integers(1, 3).flatmap(
    lambda replicas: st.tuples(st.just(replicas), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
)


@LAWS
@given(logits, st.sampled_from([0.1, 1.0, 50.0]), st.booleans())
def test_losses_and_gradients_are_torchs(drawn: tuple[int, int, int, int], size: float, several: bool) -> None:
    replicas, batch, classes, seed = drawn
    chance = torch.Generator().manual_seed(seed)
    logits_RBC = (size * torch.randn(replicas, batch, classes, generator=chance)).requires_grad_()
    shape = (replicas, batch, classes) if several else (replicas, batch)
    labels = torch.randint(-1 if several else 0, 2 if several else classes, shape, generator=chance)
    expected: list[Tensor] = []
    for replica in range(replicas):
        own, truth = logits_RBC[replica], labels[replica]
        if several:
            known = truth != UNKNOWN
            loss = functional.binary_cross_entropy_with_logits(own[known], truth[known].float(), reduction="sum")
            expected.append(loss / max(int(known.sum()), 1))
        else:
            expected.append(functional.cross_entropy(own, truth))
    torch.stack(expected).sum().backward()
    losses_R, gradient_RBC = loss_and_gradient(logits_RBC.detach(), labels, terms(labels))
    close(losses_R, torch.stack(expected).detach(), 1e-5)
    assert logits_RBC.grad is not None
    close(gradient_RBC, logits_RBC.grad, 1e-6)


def test_what_is_too_large_to_be_stacked_is_trained_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    head = build_head("linear", width=9, tokens=1, classes=10, seed=0)  # 100 parameters, 1,200 bytes with their moments
    seeds, points = range(5), GRID[:2]

    def sizes(most: int) -> list[tuple[int, int]]:
        monkeypatch.setattr(stacked, "LARGEST_STACK", 1200 * most + 1199)
        made = groups(head, seeds, points, torch.device("cpu"))
        assert [(seed, point) for own, some in made for seed in own for point in some] == [
            (seed, point) for seed in seeds for point in points
        ]
        return [(len(own), len(some)) for own, some in made]

    assert sizes(10) == [(5, 2)]
    assert sizes(9) == [(4, 2), (1, 2)]
    assert sizes(3) == [(1, 2)] * 5
    assert sizes(1) == [(1, 1)] * 10
    assert sizes(0) == [(1, 1)] * 10


def test_seeds_of_a_head_on_tokens_are_trained_one_by_one_on_the_processor_and_together_on_a_card() -> None:
    (head,) = heads_of("attention", [0])
    assert groups(head, range(3), GRID[:2], torch.device("cpu")) == [((seed,), (*GRID[:2],)) for seed in range(3)]
    assert groups(head, range(3), GRID[:2], torch.device("cuda")) == [((0, 1, 2), (*GRID[:2],))]


def test_wrong_features_and_labels_are_said() -> None:
    with pytest.raises(InvalidInput, match="takes tokens features got an array of 2 axes"):
        learner("attention", [0], validation=features("linear", "validation"))
    with pytest.raises(InvalidInput, match="labels of 1 seeds for heads of 2"):
        StackedLearner(
            heads=heads_of("linear", [0, 1]),
            points=[PLAIN],
            training=lambda epoch: features("linear", "training"),
            labels=[class_indices()],
            validation=features("linear", "validation"),
            test=features("linear", "test"),
            clip=1.0,
            device=CPU,
        )

"""Five seeds of a head trained together, beside the same five one by one, on the same core or card.

    python benchmarks/stacked_heads.py [--device=cpu]

One by one is told twice: our own learner with one seed, and a loop as torch's tutorials write it, with `nn.Module`,
`torch.optim.AdamW` (fused), `clip_grad_norm_` and batches by index. Rounds alternate; ratios are of the same round and
told as median and range. The three ways must find the same losses. What is trained together is what a run would train
together: on a processor, the seeds of a head on tokens are not. Then grids of rates and decays for one seed, whose
points share their batches. Features and labels are random numbers: speed does not depend on them.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pytest_fmtransfer.adapt.heads import Head, build_head
from pytest_fmtransfer.adapt.order import batches
from pytest_fmtransfer.adapt.stacked import Point, StackedLearner, groups
from pytest_fmtransfer.backbones.computing import torch_device
from pytest_fmtransfer.backbones.precision import model_of
from pytest_fmtransfer.catalog.regime_settings import HeadKind
from pytest_fmtransfer.devices import Device, device_named

SEEDS, BATCH = range(5), 64
GRID = [Point(rate=rate, decay=decay) for rate in np.logspace(-5, -2, 7).tolist() for decay in (1e-5, 1e-3, 1e-1)]
POINT = Point(rate=1e-4, decay=1e-5)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A head, and the size of what it is trained on: so many steps are timed in each of so many rounds."""

    kind: HeadKind
    images: int
    width: int
    tokens: int
    classes: int
    steps: int
    rounds: int

    @property
    def features(self) -> np.ndarray:
        shape = (self.images, self.width) if self.kind == "linear" else (self.images, self.tokens, self.width)
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)

    @property
    def labels(self) -> np.ndarray:
        return np.random.default_rng(1).integers(0, self.classes, self.images)

    def heads(self, seeds: Sequence[int]) -> list[Head]:
        return [
            build_head(self.kind, width=self.width, tokens=self.tokens, classes=self.classes, seed=seed)
            for seed in seeds
        ]

    def rows(self, seeds: Sequence[int], points: int = 1) -> Tensor:
        """Of the steps that are timed, K × R × B."""
        replicas: list[np.ndarray] = []
        for seed in seeds:
            drawn: list[np.ndarray] = []
            while sum(map(len, drawn)) < self.steps:
                drawn.append(batches(self.images, BATCH, seed=seed, epoch=len(drawn)))
            replicas += [np.concatenate(drawn)[: self.steps]] * points
        return torch.from_numpy(np.stack(replicas, axis=1))


SETTINGS = [
    Setting(kind="linear", images=126, width=1280, tokens=1, classes=2, steps=100, rounds=9),
    Setting(kind="linear", images=2564, width=768, tokens=1, classes=5, steps=100, rounds=9),
    Setting(kind="linear", images=5000, width=1280, tokens=1, classes=8, steps=100, rounds=9),
    Setting(kind="attention", images=126, width=1280, tokens=49, classes=2, steps=2, rounds=3),
    Setting(kind="attention", images=500, width=768, tokens=196, classes=5, steps=1, rounds=3),
    Setting(kind="small_random", images=126, width=1280, tokens=49, classes=2, steps=2, rounds=3),
]


def main(named: Device) -> None:
    device = torch_device(named)
    torch.set_num_threads(1)  # products this small gain nothing from a second
    print(f"torch {torch.__version__}, one thread, {model_of(named)}; synthetic data: features are random numbers")
    for setting in SETTINGS:
        held(setting, list(SEEDS), [POINT], device)
    held(SETTINGS[2], [0], GRID, device)
    held(SETTINGS[3], [0], GRID[::4], device)


def held(setting: Setting, seeds: list[int], points: list[Point], device: torch.device) -> None:
    """Time the three ways in turn and print how they compare."""
    features, labels_N = setting.features, setting.labels
    runs = [(seed, point) for seed in seeds for point in points]
    together = groups(setting.heads(seeds[:1])[0], seeds, points, device)
    ways: dict[str, Callable[[], Tensor]] = {
        "together": lambda: torch.cat(
            [ours(setting, features, labels_N, list(s), list(p), device) for s, p in together], dim=1
        ),
        "ours alone": lambda: torch.cat([ours(setting, features, labels_N, [s], [p], device) for s, p in runs], dim=1),
        "plain loop": lambda: torch.stack([plain(setting, features, labels_N, s, p, device) for s, p in runs], dim=1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(setting.rounds):
        losses: dict[str, Tensor] = {}
        for name, way in ways.items():
            _spent.clear()
            losses[name] = way()
            seconds[name].append(sum(_spent))
        for name in ("ours alone", "plain loop"):
            torch.testing.assert_close(losses[name], losses["together"], rtol=1e-3, atol=1e-3)
    each = statistics.median(seconds["together"]) / setting.steps / len(runs)
    size = f"{setting.images} × " + (f"{setting.tokens} × " if setting.kind != "linear" else "") + str(setting.width)
    what = f"{len(seeds)} seeds" if len(points) == 1 else f"1 seed, {len(points)} points"
    ratios = [
        f"{_ratio(seconds[name], seconds['together'])} {told}"
        for name, told in (("ours alone", "our learner one by one"), ("plain loop", "a plain loop one by one"))
    ]
    print(
        f"{setting.kind}, features {size}, {setting.classes} classes, {what}: "
        f"{1e6 * each:.0f} µs a step and replica; faster than {', than '.join(ratios)}",
        flush=True,
    )


_spent: list[float] = []  # seconds in steps alone, of one way and round: building a head is no part of a step


def ours(
    setting: Setting,
    features: np.ndarray,
    labels_N: np.ndarray,
    seeds: list[int],
    points: list[Point],
    device: torch.device,
) -> Tensor:
    """Losses, K × R."""
    side = features[:2]
    learner = StackedLearner(
        heads=setting.heads(seeds),
        points=points,
        training=lambda epoch: features,
        labels=[labels_N] * len(seeds),
        validation=side,
        test=side,
        clip=1.0,
        device=device,
    )
    rows_KRB = setting.rows(seeds, len(points))
    started = now(device)
    losses_KR = torch.stack([learner.step(rows_RB, 0, 1.0) for rows_RB in rows_KRB])
    _spent.append(now(device) - started)
    return losses_KR


def plain(
    setting: Setting, features: np.ndarray, labels_N: np.ndarray, seed: int, point: Point, device: torch.device
) -> Tensor:
    """Losses, K."""
    (head,) = setting.heads([seed])
    head.to(device)
    decaying = [each for each in head.parameters() if each.ndim > 1]
    others = [each for each in head.parameters() if each.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": point.decay}, {"params": others, "weight_decay": 0.0}],
        lr=point.rate,
        fused=True,
    )
    inputs_N, truth_N = torch.from_numpy(features).to(device), torch.from_numpy(labels_N).to(device)
    rows_KB = setting.rows([seed])[:, 0].to(device)
    losses: list[Tensor] = []
    started = now(device)
    for rows_B in rows_KB:
        loss = nn.functional.cross_entropy(head(inputs_N[rows_B]), truth_N[rows_B])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.detach())
    _spent.append(now(device) - started)
    return torch.stack(losses)


def now(device: torch.device) -> float:
    """The clock, once the device has done all that it was given."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()
    return time.perf_counter()


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    return f"{statistics.median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f} in {len(ratios)} rounds)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=device_named, default="cpu")
    main(parser.parse_args().device)

"""What determinism costs a step of training: the time with `--fm-deterministic` over that without.

    python benchmarks/deterministic.py [cpu|cuda|mps]

Steps with and without are made in turn, so that other work on the machine falls on both; the ratio is of the medians,
and beside it is the range of the middle half of single ratios. On the processor time is that of its cores, added up,
which other work disturbs less than the clock.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch.nn.functional import cross_entropy

from pytest_fmtransfer.backbones.computing import TRAINING_THREADS, torch_device, training_context
from pytest_fmtransfer.backbones.precision import model_of
from pytest_fmtransfer.devices import Device, device_named

NETWORKS = ("resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224")
SIZE, BATCH, WARM, STEPS = 112, 8, 2, 12


def step_of(name: str, device: Device) -> Callable[[bool], float]:
    """A step of training at 112 px, timed, with or without determinism."""
    torch.manual_seed(0)
    place = torch_device(device)
    more: dict[str, Any] = {"img_size": SIZE} if name.startswith("vit") else {}
    network = timm.create_model(name, num_classes=2, **more).to(place).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    images_BCSS = torch.randn(BATCH, 3, SIZE, SIZE).to(place)
    labels_B = torch.randint(0, 2, (BATCH,)).to(place)

    clock = time.process_time if device == "cpu" else time.perf_counter

    def finish() -> None:
        if device != "cpu":
            torch.get_device_module(place).synchronize()

    def step(deterministic: bool) -> float:
        with training_context("float32", device, deterministic):
            finish()
            started = clock()
            loss = cross_entropy(network(images_BCSS), labels_B)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            finish()
            return clock() - started

    return step


def main(device: Device) -> None:
    print(f"{model_of(device)}, {TRAINING_THREADS} threads, torch {torch.__version__}, timm {timm.__version__}")
    print(f"{STEPS} steps each way, batches of {BATCH} at {SIZE} px, float32\n")
    for name in NETWORKS:
        step = step_of(name, device)
        for _ in range(WARM):
            step(False)
            step(True)
        without, with_it = zip(*((step(False), step(True)) for _ in range(STEPS)), strict=True)
        low, _, high = statistics.quantiles([b / a for a, b in zip(without, with_it, strict=True)], n=4)
        plain, same = statistics.median(without), statistics.median(with_it)
        told = f"{1000 * plain:.0f} ms without, {1000 * same:.0f} ms with, ratio {same / plain:.2f}"
        print(f"{name}: {told} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main(device_named(sys.argv[1] if len(sys.argv) > 1 else "cpu"))

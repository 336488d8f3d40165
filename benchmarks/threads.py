"""What a fixed number of threads costs a step of training on the processor: the time with so many over that with as
many as there are cores.

    taskset -c 0 python benchmarks/threads.py; taskset -c 0,1 python benchmarks/threads.py

Numbers of threads take turns, so that other work on the machine falls on all of them; the ratio is of the medians, and
beside it is the range of the middle half of single ratios. Time is that of the cores, added up, which other work
disturbs less than the clock. On one core it is what the clock of an idle machine would say.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from pytest_fmtransfer.backbones.threads import import_torch

import_torch()  # before anything else does: threads that wait must sleep, as they do in a training

import timm  # noqa: E402
import torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from pytest_fmtransfer.backbones.computing import training_context  # noqa: E402
from pytest_fmtransfer.backbones.precision import processor  # noqa: E402
from pytest_fmtransfer.limits import cores  # noqa: E402

NETWORKS = ("resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224")
THREADS = (1, 2, 4, 8)
SIZE, BATCH, STEPS, TURNS = 96, 16, 2, 6


def steps_of(name: str) -> Callable[[int], float]:
    """Some steps of training at 112 px, timed, with so many threads."""
    torch.manual_seed(0)
    more: dict[str, Any] = {"img_size": SIZE} if name.startswith("vit") else {}
    network = timm.create_model(name, num_classes=2, **more).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    images_BCSS, labels_B = torch.randn(BATCH, 3, SIZE, SIZE), torch.randint(0, 2, (BATCH,))

    def step() -> None:
        loss = cross_entropy(network(images_BCSS), labels_B)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def steps(threads: int) -> float:
        with training_context("float32"):
            torch.set_num_threads(threads)
            step()  # another number of threads is started anew
            started = time.process_time()
            for _ in range(STEPS):
                step()
            return time.process_time() - started

    return steps


def main() -> None:
    print(f"{processor()}, {cores()} cores, torch {torch.__version__}, timm {timm.__version__}")
    print(f"{STEPS} steps, batches of {BATCH} at {SIZE} px, float32; ratios are to {cores()} threads\n")
    for name in NETWORKS:
        steps, counts = steps_of(name), sorted({*THREADS, cores()})
        found = [{threads: steps(threads) for threads in counts} for _ in range(TURNS)]
        for threads in counts:
            low, _, high = statistics.quantiles([each[threads] / each[cores()] for each in found], n=4)
            median = statistics.median(each[threads] for each in found)
            usual = statistics.median(each[cores()] for each in found)
            print(f"{name}, {threads} threads: {median:.2f} s, ratio {median / usual:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()

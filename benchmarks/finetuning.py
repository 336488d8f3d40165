"""Fine-tuning: images a second of ours, of a plain PyTorch loop and of Hugging Face's Trainer, on synthetic images.

    python benchmarks/finetuning.py [--device=cpu] [--dtype=float32] [--size=112] [--batch=16] [--steps=5] [--rounds=9]

The same network with the same head and random weights, batch, precision, AdamW (fused), clipping and memory format for
all three; images are noise, already normalised and in memory, and nothing is augmented. They are run in turn in one
process, so that other work on the machine falls on all; the first step of a run is not counted, and ratios are medians
over rounds. Of ours it is told, too, which share of a step is not the forward pass, the backward pass or the optimiser,
clipping included.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast, get_args
from unittest.mock import patch

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pytest_fmtransfer.adapt import networks
from pytest_fmtransfer.adapt.heads import build_head
from pytest_fmtransfer.adapt.inputs import Feed, StoredInputs
from pytest_fmtransfer.adapt.networks import Headed, NetworkLearner
from pytest_fmtransfer.backbones.computing import TRAINING_THREADS, torch_device, training_context
from pytest_fmtransfer.backbones.precision import Dtype, model_of
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RandomWeights
from pytest_fmtransfer.devices import Device, device_named

NETWORKS = ("vit_tiny_patch16_224", "efficientnet_lite0")
CLASSES = 2
SETTINGS = TrainingSettings(recipe="none", epochs=1)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A network as all begin with it, and what it is trained on."""

    network: Headed
    images_NCSS: np.ndarray
    labels_N: np.ndarray
    device: Device
    dtype: Dtype
    batch: int
    steps: int  # of a run, the one before the first not counted

    def copy(self) -> Headed:
        return copy.deepcopy(self.network).train()

    def finish(self) -> None:
        if self.device != "cpu":
            torch.get_device_module(self.device).synchronize()


def bench_of(architecture: str, device: Device, dtype: Dtype, size: int, batch: int, steps: int) -> Bench:
    row = Registry().backbone("efficientnet_lite0")
    spec = replace(row, name=architecture, architecture=architecture, weights=RandomWeights(), image_size=size)
    backbone = build(spec, None, trainable=True).to(torch_device(device))
    if sum(isinstance(each, nn.Conv2d) for each in backbone.modules()) > 1:
        backbone.lay_out(torch.channels_last)
    images_NCSS = np.random.default_rng(0).normal(size=((steps + 1) * batch, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        width = backbone(torch.from_numpy(images_NCSS[:1]).to(device)).pooled_ND.shape[1]
    head = build_head("linear", width=width, tokens=0, classes=CLASSES, seed=0).to(torch_device(device))
    labels_N = np.random.default_rng(1).integers(0, CLASSES, len(images_NCSS))
    return Bench(
        network=Headed(backbone, head),
        images_NCSS=images_NCSS,
        labels_N=labels_N,
        device=device,
        dtype=dtype,
        batch=batch,
        steps=steps,
    )


def ours(bench: Bench, watch: Callable[[NetworkLearner], Any] | None = None) -> float:
    """Seconds of a step."""
    images = len(bench.images_NCSS)
    feed = Feed(StoredInputs(bench.images_NCSS), loaders=1, pinned=bench.device == "cuda")
    learner = NetworkLearner(
        bench.copy(),
        feed,
        rows={"train": np.arange(images)},
        labels_A=bench.labels_N,
        settings=replace(SETTINGS, batch=bench.batch),
        seed=0,
        micro=bench.batch,
        dtype=bench.dtype,
        device=torch_device(bench.device),
    )
    rows_KRB = torch.randperm(images).view(bench.steps + 1, 1, bench.batch)
    learner.begin(0, rows_KRB)
    learner.step(rows_KRB[0], 0, 1.0)
    bench.finish()
    with watch(learner) if watch else ExitStack():
        started = time.perf_counter()
        for rows_RB in rows_KRB[1:]:
            learner.step(rows_RB, 0, 1.0)
        bench.finish()
        seconds = time.perf_counter() - started
    feed.close()
    return seconds / bench.steps


def plain(bench: Bench) -> float:
    """Seconds of a step of a loop as one writes it by hand."""
    network = bench.copy()
    decayed = [each for each in network.parameters() if each.requires_grad and each.ndim > 1]
    others = [each for each in network.parameters() if each.requires_grad and each.ndim <= 1]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay, fused=True)
    images_NCSS, labels_N = torch.from_numpy(bench.images_NCSS), torch.from_numpy(bench.labels_N)
    started = 0.0
    for number, rows_B in enumerate(torch.randperm(len(images_NCSS)).view(bench.steps + 1, bench.batch)):
        if number == 1:
            bench.finish()
            started = time.perf_counter()
        images_BCSS = images_NCSS[rows_B].to(bench.device, non_blocking=True)
        labels_B = labels_N[rows_B].to(bench.device, non_blocking=True)
        with torch.autocast(bench.device, dtype=torch.bfloat16, enabled=bench.dtype == "bfloat16"):
            loss = cross_entropy(network(images_BCSS), labels_B)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), SETTINGS.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    bench.finish()
    return (time.perf_counter() - started) / bench.steps


class WithLoss(nn.Module):
    """As the Trainer takes a network."""

    def __init__(self, network: Headed) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits_BC = self.network(images)
        return {"loss": cross_entropy(logits_BC, labels), "logits": logits_BC}


class Clock(transformers.TrainerCallback):
    """Starts when the first step is done."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.started, self.seconds = bench, 0.0, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == 1:
            self.bench.finish()
            self.started = time.perf_counter()
        if state.global_step == self.bench.steps + 1:
            self.bench.finish()
            self.seconds = time.perf_counter() - self.started


def trainer(bench: Bench) -> float:
    """Seconds of a step of Hugging Face's Trainer."""
    images_NCSS, labels_N = torch.from_numpy(bench.images_NCSS), torch.from_numpy(bench.labels_N)
    rows = [{"images": image, "labels": label} for image, label in zip(images_NCSS, labels_N, strict=True)]
    clock = Clock(bench)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=bench.steps + 1,
            per_device_train_batch_size=bench.batch,
            learning_rate=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            max_grad_norm=SETTINGS.clip,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=2,
            bf16=bench.dtype == "bfloat16",
            use_cpu=bench.device == "cpu",
            dataloader_drop_last=True,
            dataloader_pin_memory=bench.device == "cuda",
            save_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
        )
        training = transformers.Trainer(
            model=WithLoss(bench.copy()), args=arguments, train_dataset=cast(Any, rows), callbacks=[clock]
        )
        training.remove_callback(transformers.PrinterCallback)
        training.train()
    return clock.seconds / bench.steps


@contextmanager
def watching(bench: Bench, spent: dict[str, float], learner: NetworkLearner) -> Iterator[None]:
    """Inside, what the parts of a step take is added up."""

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            bench.finish()
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                bench.finish()
                spent[part] += time.perf_counter() - started

        return run

    module, optimiser = cast(Any, learner)._module, cast(Any, learner)._optimiser
    with (
        patch.object(module, "forward", timed("forward", module.forward)),
        patch.object(networks, "summed_loss", timed("forward", networks.summed_loss)),
        patch.object(Tensor, "backward", timed("backward", Tensor.backward)),
        patch.object(networks, "clip", timed("optimiser", networks.clip)),
        patch.object(optimiser, "step", timed("optimiser", optimiser.step)),
    ):
        yield


def rest_of(bench: Bench) -> tuple[dict[str, float], float]:
    """Shares of a step by part, and of what is none of them."""
    spent: dict[str, float] = defaultdict(float)
    whole = bench.steps * ours(bench, lambda learner: watching(bench, spent, learner))
    return {part: seconds / whole for part, seconds in spent.items()}, 1 - sum(spent.values()) / whole


def main(device: Device, dtype: Dtype, size: int, batch: int, steps: int, rounds: int) -> None:
    transformers.logging.set_verbosity_error()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{model_of(device)}, {TRAINING_THREADS} threads; {versions}")
    print(f"synthetic images of {size} px, batches of {batch}, {dtype}; {rounds} rounds of {steps} steps\n")
    ways = {"ours": ours, "plain loop": plain, "Trainer": trainer}
    with training_context(dtype, device):
        for architecture in NETWORKS:
            bench = bench_of(architecture, device, dtype, size, batch, steps)
            seconds = defaultdict[str, list[float]](list)
            rests: list[tuple[dict[str, float], float]] = []
            for number in range(rounds + 1):
                order = list(ways)[number % 3 :] + list(ways)[: number % 3]
                taken = {name: ways[name](bench) for name in order}
                rest = rest_of(bench)
                if number:  # the first round warms up
                    rests.append(rest)
                    for name, each in taken.items():
                        seconds[name].append(each)
            rates = {name: batch / statistics.median(each) for name, each in seconds.items()}
            print(f"{architecture}: " + ", ".join(f"{name} {rate:.1f} images/s" for name, rate in rates.items()))
            for name in list(ways)[1:]:
                ratios = [theirs / mine for theirs, mine in zip(seconds[name], seconds["ours"], strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4)
                print(f"  ours is {middle:.3f} times as fast as the {name} ({low:.3f} to {high:.3f}, the middle half)")
            parts = {part: statistics.median(each[part] for each, _ in rests) for part in rests[0][0]}
            told = ", ".join(f"{part} {share:.1%}" for part, share in parts.items())
            print(f"  of a step: {told}; anything else {statistics.median(rest for _, rest in rests):.2%}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=device_named, default="cpu")
    parser.add_argument("--dtype", choices=get_args(Dtype), default="float32")
    for name, default in (("size", 112), ("batch", 16), ("steps", 5), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    main(**vars(parser.parse_args()))

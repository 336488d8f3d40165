"""How fast features are extracted with the paper's eight backbones, held against what this machine could do.

    python -m benchmarks.backbones [--images N] [--rounds N] [--bfloat16] [BACKBONE ...]

For each backbone, in one table:

    GFLOP       of one image, multiply and add counted as two (`torch.utils.flop_counter`: products and convolutions)
    extraction  images a second of `extraction.extract`, which every cell goes through: decoded uint8 images in, pooled
                features out, at the pace that is measured where many images are to come; building the network and
                measuring its pace are not counted
    bare        images a second of the best bare loop: `network(images)` alone on normalised images that are there
                already, in the best of four batch sizes and two memory formats, which stands beside it
    of bare     extraction as a share of it
    of ceiling  GFLOP · extraction as a share of the fastest matrix product of the same rounds (2048 × 2048, same dtype)

The first round tries every way of the bare loop and the later ones the two that were fastest there. The parts of a
round are timed in turn, so that other work on the machine meets all of them, and the fastest of each counts. Weights
and pixels are random: speed does not depend on them. `--bfloat16` runs all under bfloat16 autocast, as the profile
`smoke` does where the processor has the instructions; elsewhere it is emulated and tells nothing. A backbone that this
version cannot build is told in a line.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import product

import numpy as np

from pytest_fmtransfer.backbones.precision import Dtype, processor
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import UnknownName
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.places import Places

import_torch()  # before anything else does: threads that wait must sleep, as they do in an extraction

import torch  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from pytest_fmtransfer.backbones import pace  # noqa: E402
from pytest_fmtransfer.backbones.base import Backbone  # noqa: E402
from pytest_fmtransfer.extraction import extract  # noqa: E402

PAPER = (
    "sam_vitb16",
    "seem_focalt",
    "dinov2_vitb14",
    "blip_vitb16",
    "openclip_vitb16",
    "imagenet_deitb16",
    "imagenet_resnet152",
    "dino_vitb16",
)
BATCHES = (1, 4, 16, 32)
FORMATS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}
SIDE = 2048  # of the matrices
KEPT = 2  # ways of the bare loop after the first round


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds an image, how the bare loop ran, and the fastest product in FLOP a second."""

    extraction: float
    bare: float
    way: str
    ceiling: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=PAPER)
    parser.add_argument("--images", type=int, default=32, help="images of a timed pass (32)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the fastest counts (3)")
    parser.add_argument("--bfloat16", action="store_true", help="bfloat16 autocast instead of float32")
    arguments = parser.parse_args()
    dtype: Dtype = "bfloat16" if arguments.bfloat16 else "float32"
    torch.set_num_threads(cores())
    pace.FEWEST = 1
    print(
        f"{processor()}, {cores()} threads, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, "
        f"{dtype}, {arguments.images} images, fastest of {arguments.rounds} rounds, random weights"
    )
    print(f"{'':20}{'GFLOP':>7}{'extraction':>13}{'bare':>10}{'of bare':>9}{'of ceiling':>12}")
    for spec in buildable(arguments.backbones):
        gflop, speed = gflop_of(spec), measure(spec, dtype, arguments.images, arguments.rounds)
        share = gflop * 1e9 / speed.extraction / speed.ceiling
        print(
            f"{spec.name:20}{gflop:7.1f}{1 / speed.extraction:11.1f}/s{1 / speed.bare:8.1f}/s"
            f"{speed.bare / speed.extraction:9.2f}{share:12.2f}  bare: {speed.way}; "
            f"ceiling {speed.ceiling / 1e9:.0f} GFLOP/s",
            flush=True,
        )


def buildable(names: Iterable[str]) -> Iterator[BackboneSpec]:
    """The rows of the names that this version can build, with random weights; the others are told."""
    registry = Registry()
    for name in names:
        try:
            spec = registry.backbone(name)
        except UnknownName:
            print(f"{name:20}  skipped: this version has no such row")
            continue
        if spec.library == "not_built":
            print(f"{name:20}  skipped: this version cannot build it")
            continue
        yield replace(spec, weights=RandomWeights())


def build(spec: BackboneSpec) -> Backbone:
    return import_module(f"pytest_fmtransfer.backbones.{spec.library}").build(spec, None)


def gflop_of(spec: BackboneSpec) -> float:
    """Of one image. Attention is taken apart into its products, because the counter knows no fused one on a CPU."""
    backbone, images_1CSS = build(spec), torch.zeros(1, 3, spec.image_size, spec.image_size)
    torch.backends.mha.set_fastpath_enabled(False)  # as a training pass runs, with which speed is not measured
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        backbone(images_1CSS)
    torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() / 1e9


def measure(spec: BackboneSpec, dtype: Dtype, images: int, rounds: int) -> Speed:
    size = (images, spec.image_size, spec.image_size)
    pixels_NSS = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    backbone = build(spec)
    images_NCSS = backbone.normalise(torch.from_numpy(pixels_NSS))
    # SAM's own forward pass takes images of one size and ends in the neck, which no embedding has.
    forward = backbone.embed if spec.library == "segment_anything" else backbone.network
    ways = {
        f"{batch} {name}": partial(bare_loop, backbone, forward, images_NCSS, batch, memory_format)
        for batch, (name, memory_format) in product((size for size in BATCHES if size <= images), FORMATS.items())
    }
    places = Places.from_environment()
    seconds: dict[str, list[float]] = defaultdict(list)
    products: list[float] = []
    extractions: list[float] = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
        for _ in range(rounds):
            products.append(matrix_product(dtype))
            extractions.append(extract(pixels_NSS, range(images), spec, dtype, places, {"backbone": spec.name})[1])
            for way, run in ways.items():
                seconds[way].append(run())
            ways = {way: ways[way] for way in sorted(ways, key=lambda way: min(seconds[way]))[:KEPT]}
    way = next(iter(ways))
    return Speed(
        extraction=min(extractions) / images,
        bare=min(seconds[way]) / images,
        way=f"batches of {way}",
        ceiling=2 * SIDE**3 / min(products),
    )


def bare_loop(
    backbone: Backbone,
    forward: Callable[[torch.Tensor], object],
    images_NCSS: torch.Tensor,
    batch: int,
    memory_format: torch.memory_format,
) -> float:
    """Seconds of all images."""
    backbone.network.to(memory_format=memory_format)
    batches = [each.contiguous(memory_format=memory_format) for each in images_NCSS.split(batch)]
    started = time.perf_counter()
    for images_BCSS in batches:
        forward(images_BCSS)
    return time.perf_counter() - started


def matrix_product(dtype: Dtype) -> float:
    """Seconds."""
    left, right = torch.rand(2, SIDE, SIDE).to(getattr(torch, dtype))
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

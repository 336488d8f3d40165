"""Images per second of the pocket backbones by batch size: why extraction uses small batches on a CPU.

    python benchmarks/batch_size.py

Sizes are timed in turn, several rounds, and told as the median and as a ratio to batch size 1 of the same run.
The pixels are random: speed does not depend on them.
"""

import statistics
import time

import torch

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.places import Places

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2")
SIZES = (1, 2, 4, 8, 16, 32)
IMAGES, ROUNDS = 32, 5


def main() -> None:
    registry, places = Registry(), Places.from_environment()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    for name in BACKBONES:
        spec = registry.backbone(name)
        backbone = build(spec, weights_file(spec, places))
        backbone.lay_out(torch.channels_last)
        pixels = torch.randint(0, 256, (IMAGES, spec.image_size, spec.image_size), dtype=torch.uint8)
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        with torch.inference_mode():
            for _ in range(ROUNDS):
                for size in SIZES:
                    started = time.perf_counter()
                    for start in range(0, IMAGES, size):
                        backbone(backbone.normalise(pixels[start : start + size]))
                    seconds[size].append(time.perf_counter() - started)
        speed = {size: IMAGES / statistics.median(times) for size, times in seconds.items()}
        print(name, *(f"{size}: {rate:.0f}/s ({rate / speed[1]:.2f}×)" for size, rate in speed.items()), sep="  ")


if __name__ == "__main__":
    main()

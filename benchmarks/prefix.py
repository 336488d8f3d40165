"""An epoch of `partial9` of a transformer with its prefix's activations stored, against one that runs it all.

    python benchmarks/prefix.py [--width=768] [--images=16] [--batch=8] [--rounds=3]

A vision transformer of twelve blocks in the shape of ViT-B/16 at 224 pixels, of random weights, under a linear head:
blocks 9 to 11, the final norm and the head are trained by AdamW, in float32. Both ways take the same steps on the same
batches in turn, an epoch each, several rounds, and are told as medians and their ratio, which counts what the stored
way reads: its activations come from a file that is mapped, as the store maps them. Storing them takes the prefix's
passes once, told apart. The losses of both ways are held against each other: at most 1e-5 apart, relative.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.partial import train_from
from pytest_fmtransfer.backbones.prefix import split_at
from pytest_fmtransfer.backbones.timm import TimmBackbone, build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RandomWeights

BLOCK, CLASSES, SIDE = 9, 5, 224
CLOSE = 1e-5

# A batch's number to its pooled embeddings, N × D.
Embed = Callable[[slice], Tensor]


def transformer(width: int) -> Backbone:
    """ViT-B/16, or one as deep whose tokens are narrower; heads are 64 wide."""
    spec = replace(Registry().backbone("imagenet_deitb16"), name="vit", weights=RandomWeights())
    if width == 768:
        return TimmBackbone(spec, build_network(spec, None), trainable=True)
    from timm.models.vision_transformer import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VisionTransformer(embed_dim=width, num_heads=width // 64, num_classes=0)
    return TimmBackbone(spec, network, trainable=True)


def training(
    module: nn.Module, embed: Embed, labels_N: Tensor, width: int, batch: int
) -> Iterator[tuple[list[float], float]]:
    """Of an epoch each: the losses of its steps, and seconds."""
    torch.manual_seed(0)
    head = nn.Linear(width, CLASSES)
    trained = [each for each in module.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW([*trained, *head.parameters()], lr=1e-4, weight_decay=1e-5, fused=True)
    while True:
        losses: list[Tensor] = []
        started = time.perf_counter()
        for start in range(0, len(labels_N), batch):
            rows = slice(start, start + batch)
            loss = functional.cross_entropy(head(embed(rows)), labels_N[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_([*trained, *head.parameters()], 1.0)
            optimiser.step()
            losses.append(loss.detach())
        yield [float(each) for each in losses], time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("width", 768), ("images", 16), ("batch", 8), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    images_NCSS = torch.randn(given.images, 3, SIDE, SIDE, generator=generator)
    labels_N = torch.randint(CLASSES, (given.images,), generator=generator)

    whole, backbone = transformer(given.width), transformer(given.width)
    train_from(whole, BLOCK)
    prefix, suffix = split_at(backbone, BLOCK, side=SIDE)
    train_from(backbone, BLOCK)
    started = time.perf_counter()
    activations = torch.cat([prefix(part) for part in images_NCSS.split(given.batch)]).numpy()
    storing = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "activations.npy", activations)
        stored = np.load(Path(folder) / "activations.npy", mmap_mode="r")
        plain = training(
            whole.train(), lambda rows: whole(images_NCSS[rows]).pooled_ND, labels_N, given.width, given.batch
        )
        split = training(
            suffix.train(),
            lambda rows: suffix(torch.from_numpy(np.array(stored[rows])))[0],
            labels_N,
            given.width,
            given.batch,
        )
        seconds: dict[str, list[float]] = {"whole": [], "stored": []}
        for number in range(given.rounds + 1):
            (expected, slow), (found, fast) = next(plain), next(split)
            np.testing.assert_allclose(found, expected, rtol=CLOSE)
            if number:  # the first also picks kernels
                seconds["whole"].append(slow)
                seconds["stored"].append(fast)
    slow, fast = (statistics.median(seconds[way]) for way in ("whole", "stored"))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"partial{BLOCK}, 12 blocks of width {given.width}, {given.images} images of {SIDE} px, batch {given.batch}")
    print(f"an epoch of the whole network  {slow:.2f} s")
    print(f"an epoch from the stored       {fast:.2f} s  ({slow / fast:.2f} times as fast)")
    print(f"storing, once                  {storing:.2f} s, {activations.nbytes / given.images / 1e6:.2f} MB an image")


if __name__ == "__main__":
    main()

"""An epoch of `partial9` of a transformer with its prefix's activations stored, against one that runs it all.

    python benchmarks/prefix.py [--width=768] [--images=16] [--batch=8] [--rounds=3]

A vision transformer of twelve blocks in the shape of ViT-B/16 at 224 pixels, of random weights, under a linear head:
blocks 9 to 11, the final norm and the head are trained by AdamW, in float32. Both ways take the same steps on the same
batches in turn, an epoch each, several rounds, and are told as medians and their ratio, which counts what the stored
way reads: its activations come from a file that is mapped, as the store maps them. Storing them takes the prefix's
passes once, told apart. The losses of all ways are held against each other: at most 1e-5 apart, relative.

Without a cache an epoch is 12 blocks forward and 3 back, with it 3 and 3; backward being twice forward, it is at best
2 times as fast. The third way is what a linear head needs of the cache: the last block computes its class token alone.
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
from pytest_fmtransfer.backbones.prefix import Prefix, Suffix, split_at
from pytest_fmtransfer.backbones.timm import TimmBackbone, build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import RandomWeights

BLOCK, CLASSES, SIDE = 9, 5, 224
CLOSE = 1e-5
WHOLE, STORED, ALONE = "of the whole network", "from the stored", "from the stored, class token alone"

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
    module: nn.Module, embed: Embed, labels_N: Tensor, given: argparse.Namespace
) -> Iterator[tuple[list[float], float]]:
    """Of an epoch each: the losses of its steps, and seconds."""
    torch.manual_seed(0)
    head, batch = nn.Linear(given.width, CLASSES), given.batch
    module.train()
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

    whole = transformer(given.width)
    train_from(whole, BLOCK)
    split = {way: split_of(given.width, tokens=way == STORED) for way in (STORED, ALONE)}
    prefix = split[STORED][0]
    started = time.perf_counter()
    activations = torch.cat([prefix(part) for part in images_NCSS.split(given.batch)]).numpy()
    storing = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "activations.npy", activations)
        stored = np.load(Path(folder) / "activations.npy", mmap_mode="r")

        def from_stored(suffix: Suffix) -> Embed:
            return lambda rows: suffix(torch.from_numpy(np.array(stored[rows])))[0]

        ways = {WHOLE: training(whole, lambda rows: whole(images_NCSS[rows]).pooled_ND, labels_N, given)}
        ways |= {way: training(suffix, from_stored(suffix), labels_N, given) for way, (_, suffix) in split.items()}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(given.rounds + 1):
            done = {way: next(epochs) for way, epochs in ways.items()}
            for way, (losses, took) in done.items():
                np.testing.assert_allclose(losses, done[WHOLE][0], rtol=CLOSE)
                if number:  # the first also picks kernels
                    seconds[way].append(took)
    median = {way: statistics.median(each) for way, each in seconds.items()}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"partial{BLOCK}, 12 blocks of width {given.width}, {given.images} images of {SIDE} px, batch {given.batch}")
    for way, epoch in median.items():
        print(f"an epoch {way:35} {epoch:6.2f} s  {median[WHOLE] / epoch:.2f} times as fast")
    megabytes = activations.nbytes / given.images / 1e6
    print(f"storing the activations, once                {storing:6.2f} s  {megabytes:.2f} MB an image")


def split_of(width: int, *, tokens: bool) -> tuple[Prefix, Suffix]:
    backbone = transformer(width)
    train_from(backbone, BLOCK)
    return split_at(backbone, BLOCK, side=SIDE, tokens=tokens)


if __name__ == "__main__":
    main()

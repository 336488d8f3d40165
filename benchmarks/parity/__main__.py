"""How far the paper's eight backbones lie from second implementations on the same weights, at full size in float32.

    python -m benchmarks.parity [--seem-code FILE] [BACKBONE ...]

A file of random weights is written in the publisher's names and nesting (published.py), loaded strictly by the
backbone's row, and by another library or in plain tensor algebra (references.py, seem.py). Both see two images of
random pixels. The table, in Markdown, holds the largest difference over both images, of the pooled embedding and of the
tokens,

    224 px  with three channels
    larger  at 256 px; at 280 px where patches have 14
    grey    at 224 px with one channel, the stem's kernel of which is the first of three

and, under `alone`, the larger of the two between an image alone and the same image first in a batch of 32, as a share
of the largest value where that is above 1. The others are absolute; for ResNet and SEEM, a share of the largest value.
`encode_image` gives no tokens. `--seem-code` is the publisher's own modeling/vision/backbone/focal_dw.py, which
github.com/UX-Decoder has in its repository Segment-Everything-Everywhere-All-At-Once: it is run beside ours, in a row
of its own. Exits 1 when a difference exceeds 2e-5, or 1e-5 under `alone`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.parity import seem
from benchmarks.parity.published import Tensors, row, size_of, tensors_of, write
from benchmarks.parity.references import SECOND, Second, colour, encode_image
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.precision import processor
from pytest_fmtransfer.catalog.specs import BackboneSpec

LIMIT, ALONE = 2e-5, 1e-5
IMAGES, BATCH = 2, 32
SHARES = ("imagenet_resnet152", "seem_focalt")
LIBRARIES = ("torch", "torchvision", "timm", "transformers", "open_clip_torch", "segment-anything")
COLUMNS = ("224 px", "tokens", "larger", "tokens", "grey", "tokens", "alone")


@dataclass(frozen=True, kw_only=True)
class Differences:
    """From one second implementation: pooled and tokens in each setting, None where it gives none; and `alone`."""

    second: str
    settings: Sequence[float | None]
    alone: float

    @property
    def within(self) -> bool:
        return max(each for each in self.settings if each is not None) <= LIMIT and self.alone <= ALONE


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backbones", nargs="*", choices=[[], *SECOND], default=[], metavar="BACKBONE")
    parser.add_argument("--seem-code", type=Path, metavar="FILE", help="the publisher's focal_dw.py")
    arguments = parser.parse_args()
    names: list[str] = arguments.backbones or list(SECOND)
    code: Path | None = arguments.seem_code
    versions = ", ".join(f"{each} {version(each)}" for each in LIBRARIES)
    print(f"{processor()}, {torch.get_num_threads()} threads; {versions}\n")
    print(f"| backbone | second implementation | {' | '.join(COLUMNS)} |", "|---" * (2 + len(COLUMNS)) + "|", sep="\n")
    within = True
    for name in names:
        for found in differences(row(name), code):
            figures = ["" if each is None else f"{each:.1e}" for each in (*found.settings, found.alone)]
            print(f"| `{name}` | {found.second} | {' | '.join(figures)} |", flush=True)
            within &= found.within
    return 0 if within else 1


@torch.inference_mode()
def differences(spec: BackboneSpec, code: Path | None = None) -> Iterator[Differences]:
    """Of a row, or its tiny version, from each second implementation of it."""
    tensors = tensors_of(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = write(spec, tensors, Path(folder))
        build = import_module(f"pytest_fmtransfer.backbones.{spec.library}").build
        ours: dict[int, Backbone] = {channels: build(spec, path, channels=channels) for channels in (3, 1)}
    alone = batch_dependence(ours[3])
    what, second = SECOND[spec.name]
    yield Differences(second=what, settings=list(compared(spec, ours, tensors, second)), alone=alone)
    if spec.name == "openclip_vitb16":
        found, expected = ours[3](images_of(224, 3)).pooled_ND, encode_image(spec, tensors, images_of(224, 3))
        settings = [largest(spec, found, expected), None, None, None, None, None]
        yield Differences(second="open_clip's `encode_image`", settings=settings, alone=alone)
    if spec.name == "seem_focalt" and code is not None and not spec.tiny:

        def published(stored: Mapping[str, Tensor], size: object, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
            return seem.by_its_publisher(code, stored, images_NCHW)

        settings = list(compared(spec, ours, tensors, published))
        yield Differences(second="its publisher's code", settings=settings, alone=alone)


def compared(spec: BackboneSpec, ours: dict[int, Backbone], tensors: Tensors, second: Second) -> Iterator[float]:
    larger = 280 if "14" in spec.architecture else 256
    for side, channels in ((224, 3), (larger, 3), (224, 1)):
        images_NCHW = images_of(side, channels)
        found = ours[channels](images_NCHW)
        pooled_ND, tokens_NTE = second(tensors, size_of(spec), colour(images_NCHW))
        yield largest(spec, found.pooled_ND, pooled_ND)
        yield largest(spec, found.tokens_NTE, tokens_NTE)


def batch_dependence(backbone: Backbone) -> float:
    images_NCHW = images_of(224, 3, number=BATCH)
    among, alone = backbone(images_NCHW), backbone(images_NCHW[:1])
    pairs = ((alone.pooled_ND, among.pooled_ND[:1]), (alone.tokens_NTE, among.tokens_NTE[:1]))
    return max(float((one - other).abs().max()) / max(1.0, float(other.abs().max())) for one, other in pairs)


def largest(spec: BackboneSpec, found: Tensor, expected: Tensor) -> float:
    """The largest difference, in the row's unit. Raises ValueError where the shapes differ."""
    if found.shape != expected.shape:
        raise ValueError(f"{spec.name}: shapes {tuple(found.shape)} and {tuple(expected.shape)}")
    difference = float((found - expected).abs().max())
    return difference / float(expected.abs().max()) if spec.name in SHARES else difference


def images_of(side: int, channels: int, *, number: int = IMAGES) -> Tensor:
    return torch.randn(number, channels, side, side, generator=torch.Generator().manual_seed(1))


if __name__ == "__main__":
    sys.exit(main())

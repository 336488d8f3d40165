"""How far rounding alone moves scores: the numbers behind each regime's tolerance.

    python benchmarks/tolerance.py [--rounding-only] [BACKBONE ...]

For every pocket backbone on br35h, scores from the usual forward pass are held against scores from the same
weights computed another way: `rounding` keeps float32 but changes everything that a processor or a library
may change (batch normalisation not folded, another memory format, another batch size), and `bfloat16` is
autocast, emulated where the processor has no bfloat16 instructions (some ten times slower).
Moves are the largest over test images, in standard deviations of the usual scores. Then, for each of 20 shuffles of
the labels, the move of the AUC: the largest is what a metric's tolerance has to allow.
"""

import argparse
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import timm
import torch

from pytest_fmtransfer._transfer import sides_of
from pytest_fmtransfer.adapt import knn, linear_probe, ridge
from pytest_fmtransfer.adapt.sides import Sides, shuffle_labels
from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.timm import build, build_network
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import SHUFFLES
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.table import TEST
from pytest_fmtransfer.judge.regression import relative_move
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.places import Places

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2")
METHODS = {"knn": knn, "linear_probe": linear_probe, "ridge": ridge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=BACKBONES)
    parser.add_argument(
        "--rounding-only", action="store_true", help="leave bfloat16 out: the long part where it is emulated"
    )
    arguments = parser.parse_args()
    names: list[str] = arguments.backbones
    registry, places = Registry(), Places.from_environment()
    dataset = open_dataset(registry.dataset("br35h"), places)
    labels = dataset.table.labels_N[dataset.table.side(TEST)]
    print(f"{timm.__name__} {timm.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in names:
        spec = registry.backbone(name)
        pixels = np.array(load_images(dataset, spec.image_size, places))
        path = weights_file(spec, places)
        usual = forward(channels_last(build(spec, path)), pixels, 4)
        plain = Unfolded(spec, build_network(spec, path))
        others = {
            "rounding": forward(plain, pixels, 32),
        }
        if not arguments.rounding_only:
            others["bfloat16"] = forward(channels_last(build(spec, path)), pixels, 4, bfloat16=True)
        for regime, method in METHODS.items():
            settings = registry.regime(regime).settings
            stored = method.adapt(sides_of(dataset, usual), settings, 0)
            before = evaluate("roc_auc", labels, stored.scores_TC).value
            for how, features in others.items():
                scores = method.adapt(sides_of(dataset, features), settings, 0)
                move = relative_move(scores.scores_TC[None], stored.scores_TC[None])
                after = evaluate("roc_auc", labels, scores.scores_TC).value
                distance = np.linalg.norm(features - usual) / np.linalg.norm(usual)
                print(
                    f"{name:20} {regime:13} {how:9} features {distance:.1e}  scores {move:.1e} sd  "
                    f"AUC {before:.4f} → {after:.4f} ({abs(after - before):.1e})  "
                    f"{dict(stored.chosen)} → {dict(scores.chosen)}",
                    flush=True,
                )
                both = [sides_of(dataset, usual), sides_of(dataset, features)]
                shuffles_S2 = [
                    [auc(method, settings, labels, sides, seed) for sides in both] for seed in range(SHUFFLES)
                ]
                moves = np.abs(np.diff(shuffles_S2))
                print(f"{name:20} {regime:13} {how:9} {SHUFFLES} shuffles: AUC moves by at most {moves.max():.1e}")


def auc(method: Any, settings: Any, labels: np.ndarray, sides: Sides, seed: int) -> float:
    scores = method.adapt(shuffle_labels(sides, seed), settings, seed)
    return evaluate("roc_auc", labels, scores.scores_TC).value


def channels_last(backbone: Backbone) -> Backbone:
    backbone.lay_out(torch.channels_last)
    return backbone


class Unfolded(Backbone):
    """The same backbone with batch normalisation on its own and the default memory format."""

    @property
    def blocks(self) -> Sequence[torch.nn.Module]:
        return ()

    def embed(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        network = cast(Any, self.network)
        features = network.forward_features(images_NCHW)
        return network.forward_head(features, pre_logits=True), features

    def block_tokens(self, output: torch.Tensor) -> torch.Tensor:
        return output


def forward(backbone: Backbone, pixels: np.ndarray, batch: int, *, bfloat16: bool = False) -> np.ndarray:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        batches = [torch.from_numpy(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
        embedded = [backbone(backbone.normalise(pixels_NSS)).pooled_ND.float().numpy() for pixels_NSS in batches]
        return np.concatenate(embedded)


if __name__ == "__main__":
    main()

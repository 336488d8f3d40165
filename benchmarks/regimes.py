"""Does every regime learn? Each, on every pocket backbone and on a tiny ViT, against its own shuffled labels.

    python benchmarks/regimes.py [--backbone NAME ...] [--regime NAME ...] [--store DIR]

Profile `smoke`, on br35h. A line for each cell: the metric, that of the shuffled labels, the verdict of
`beats` and the seconds it took; exit code 1 where one is not supported. The tiny ViT (`openclip_vitb16.tiny`), for
regimes of blocks, has random weights, and so has the head `.small_random`: their figures say that a regime learns, and
nothing about transfer.

126 images are too few to learn from, and 128 too few to show it, for so small a network with random weights. It is run
on br35h.naive, of which the profile takes 256 and 256, and whose test images have copies among the others: there is
something to learn, which is all that is asked here.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from pytest_fmtransfer import Cell, transfer
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.errors import FmTransferError
from pytest_fmtransfer.places import Places

POCKET = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2")
VIT = "openclip_vitb16.tiny"
ANY = (
    "knn",
    "linear_probe",
    "ridge",
    "fewshot10",
    "frozen_linear",
    "frozen_linear.every",
    "frozen_linear.unaugmented",
    "frozen_linear.sweep",
    "frozen_deitb.small_random",
    "attention_probe",
    "finetune_linear",
    "finetune_deitb.small_random",
    "lora8",
    "scratch",
)
# Blocks are counted from 0; a pyramid's are its stages.
OF_BLOCKS = {
    "efficientnet": ("partial5_linear", "partial5_linear.unaugmented", "drop4_linear"),
    "vit": ("lora8", "partial1_linear", "partial1_linear.unaugmented", "drop0_linear"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", action="append", default=[], help="repeatable; by default the four and the ViT")
    parser.add_argument("--regime", action="append", default=[], help="repeatable; by default every one")
    parser.add_argument("--store", type=Path, help="by default the user's")
    arguments = parser.parse_args()
    places, registry, failed = Places.from_environment(), Registry(), 0
    if arguments.store:
        places = replace(places, store=arguments.store)
    print(f"{'cell':58} {'metric':>7} {'shuffled':>8} {'seconds':>8}  verdict", flush=True)
    for backbone in arguments.backbone or (*POCKET, VIT):
        regimes = OF_BLOCKS["vit"] if backbone == VIT else (*ANY, *OF_BLOCKS["efficientnet"])
        for regime in arguments.regime or regimes:
            dataset = "br35h.naive" if backbone == VIT else "br35h"
            cell, started = Cell(backbone, dataset, regime), time.perf_counter()
            control = Cell(backbone, f"{dataset}.shuffled", regime)
            try:
                found, chance = (
                    transfer(each, profile="smoke", registry=registry, places=places) for each in (cell, control)
                )
                verdict = found.beats(chance)
            except FmTransferError as error:
                print(f"{cell.id:58} {error}", flush=True)
                failed += 1
                continue
            seconds = time.perf_counter() - started
            print(f"{cell.id:58} {found.mean:7.3f} {chance.mean:8.3f} {seconds:8.1f}  {verdict!r}", flush=True)
            failed += verdict.outcome != "supported"
    print(f"{failed} not supported" if failed else "every regime beats its shuffled labels")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

"""What it costs to store a few augmented views instead of making a new one in every epoch: the number behind VIEWS.

    python benchmarks/views.py [--size PIXELS] [--epochs N] [--seeds N] [--batch N] [BACKBONE ...]

For each backbone `frozen_linear` is trained on br35h from 1, 2, 4, 8 and 16 stored views, and from as many as there
are epochs: a new one in every epoch. Those are stored too, and are the same for all seeds, where `.every` draws each
seed's own; for seed 0 they are those of `.every` (tests/test_frozen.py), and a backbone is passed once for all of it.
The fewer views are the first of them. Each is held against the last by the judge's own `not_worse_than` at the
dataset's margin, as one claim. Printed at the end is the smallest number that is shown not to be worse for every
backbone, and for which all larger ones are too.
"""

import argparse
import sys

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.catalog.regime_specs import Profile

VIEWS = (1, 2, 4, 8, 16)
BACKBONES = ("efficientnet_lite0", "mobilenetv2")
DATASET = "br35h"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=BACKBONES)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    registry, places = Registry(), Places.from_environment()
    registry.register(
        Profile(
            name="views",
            forward_dtype="float32",
            head_epochs=arguments.epochs,
            batch=arguments.batch,
            size=arguments.size,
        )
    )
    seeds = tuple(range(arguments.seeds))
    names: list[str] = arguments.backbones
    shown: list[set[int]] = []
    print(
        f"{DATASET}, {arguments.size} px, {arguments.epochs} epochs, batches of {arguments.batch}, {len(seeds)} seeds; "
        f"margin {registry.dataset(DATASET).margin}"
    )
    print(f"{'backbone':20}{'views':>6}{'AUC':>8}{'difference':>12}   90% interval       not worse")
    for name in names:
        cells = {
            views: Cell(name, DATASET, f"frozen_linear.views{views}") for views in sorted({*VIEWS, arguments.epochs})
        }
        results = {
            views: transfer(cell, profile="views", seeds=seeds, registry=registry, places=places)
            for views, cell in cells.items()
        }
        anew, enough = results[arguments.epochs], set[int]()
        for views, result in results.items():
            if views == arguments.epochs:
                print(f"{name:20}{'every':>6}{result.mean:8.4f}")
                continue
            verdict = result.not_worse_than(anew)
            interval = "none" if verdict.lower is None else f"[{verdict.lower:+.4f}, {verdict.upper:+.4f}]"
            print(
                f"{name:20}{views:6}{result.mean:8.4f}{result.mean - anew.mean:+12.4f}   {interval:18} "
                f"{verdict.outcome}"
            )
            if verdict:
                enough.add(views)
        sys.stdout.flush()
        shown.append(enough)
    numbers = [each for each in VIEWS if each < arguments.epochs]
    smallest = [views for views in numbers if all(set(numbers[numbers.index(views) :]) <= enough for enough in shown)]
    print(
        f"smallest number of views shown not to be worse, with all larger ones: {smallest[0] if smallest else 'none'}"
    )


if __name__ == "__main__":
    main()

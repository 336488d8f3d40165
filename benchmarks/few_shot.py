"""What the scale of features is worth to a probe on few images: each feature's own, or one for all.

    python benchmarks/few_shot.py [BACKBONE ...]

For each pocket backbone on br35h and each number of images of each class, the mean AUC over ten draws and its
standard deviation, with features divided by their own deviations over the images fitted (`own`, as the linear probe
has it) and by one deviation (`one`, as few-shot regimes have it). Images, choice of C and fit are those of the regime.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from pytest_fmtransfer.adapt import linear_probe
from pytest_fmtransfer.adapt.sides import Scaling, Sides, on_one_scale, standardised
from pytest_fmtransfer.catalog.regime_families import DRAWS
from pytest_fmtransfer.catalog.regime_settings import LinearProbeSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.subsets import few_shot, up_to
from pytest_fmtransfer.data.table import TEST, VALIDATION
from pytest_fmtransfer.features import load_features
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.places import Places

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2")
SHOTS = (1, 2, 5, 10, 20)
SCALINGS: dict[str, Scaling] = {"own": standardised, "one": on_one_scale}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=BACKBONES)
    names: Sequence[str] = parser.parse_args().backbones
    registry, places = Registry(), Places.from_environment()
    dataset = open_dataset(registry.dataset("br35h"), places)
    for name in names:
        pooled_ND = load_features(dataset, registry.backbone(name), "float32", places).pooled_ND
        for shots in SHOTS:
            told = []
            for how, scaling in SCALINGS.items():
                values = [auc(dataset, pooled_ND, shots, draw, scaling) for draw in range(DRAWS)]
                told.append(f"{how} {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}")
            print(f"{name:20} {shots:2} of each class  {'  '.join(told)}", flush=True)


def auc(dataset: Dataset, pooled_ND: np.ndarray, shots: int, draw: int, scaling: Scaling) -> float:
    table, classes, settings = dataset.table, dataset.spec.classes, LinearProbeSettings()
    train = few_shot(table, classes, shots, draw=draw)
    validation = up_to(table, classes, shots, draw=draw, side=VALIDATION)
    test = table.side(TEST)
    sides = Sides(
        train_AD=pooled_ND[train],
        train_labels_A=table.labels_N[train],
        validation_VD=pooled_ND[validation],
        validation_labels_V=table.labels_N[validation],
        test_TD=pooled_ND[test],
        classes=len(classes),
    )
    c = linear_probe.choose(sides, settings, scaling)
    scores_TC = linear_probe.fit_at(
        c, settings, sides.train_AD, sides.train_labels_A, sides.test_TD, sides.classes, scaling
    )
    return evaluate(dataset.spec.metric, table.labels_N[test], scores_TC).value


if __name__ == "__main__":
    main()

"""The 45 fits of the linear probe's path: ours against scikit-learn's own, and the C that each chooses.

    python benchmarks/probe_path.py [--rounds N] [--each] [PROBLEM ...]

`ours` is `adapt.linear_probe.choose`; `plain` is what one would write with scikit-learn alone: a float32 path of
`LogisticRegression(warm_start=True)` of the same tolerance behind a `StandardScaler`, judged by `log_loss`, with as
many BLAS threads as the library takes. They take turns, and the ratio is of their median times. `exact` is a
float64 path to tolerance 1e-12, up to two decades beyond the best value. Gradients are of the objective that
scikit-learn minimises, the mean log loss and the penalty, in float64, their largest component. Problems are features of
the pocket backbones on br35h, and one that is synthetic: 5,000 images, 768 features, 5 classes that overlap.

Legend: N images, D features, K classes.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any
from unittest.mock import patch
from warnings import simplefilter

import numpy as np
from scipy.special import softmax
from sklearn import __version__
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from pytest_fmtransfer._transfer import sides_of
from pytest_fmtransfer.adapt import linear_probe
from pytest_fmtransfer.adapt.sides import Sides, standardised
from pytest_fmtransfer.catalog.regime_settings import LinearProbeSettings
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.features import load_features
from pytest_fmtransfer.places import Places

PROBLEMS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2", "synthetic")
SETTINGS = LinearProbeSettings()
GRID = np.logspace(np.log10(SETTINGS.smallest_c), np.log10(SETTINGS.largest_c), SETTINGS.steps)
BEYOND = 8  # two decades

Fit = tuple[np.ndarray, np.ndarray]
"""Weights, K × D, or 1 × D of two classes, and intercepts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=PROBLEMS, help=", ".join(PROBLEMS))
    parser.add_argument("--rounds", type=int, default=5, help="times that each path is timed")
    parser.add_argument("--each", action="store_true", help="a line for each C, with the gradient that each path left")
    arguments = parser.parse_args()
    blas = {(each["internal_api"], each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas"}
    print(f"scikit-learn {__version__}; {', '.join(f'{name} of {threads} threads' for name, threads in sorted(blas))}")
    simplefilter("ignore", ConvergenceWarning)
    for name in arguments.problems:
        report(name, synthetic() if name == "synthetic" else on_br35h(name), arguments.rounds, arguments.each)


def on_br35h(backbone: str) -> Sides:
    registry, places = Registry(), Places.from_environment()
    dataset = open_dataset(registry.dataset("br35h"), places)
    return sides_of(dataset, load_features(dataset, registry.backbone(backbone), "float32", places).pooled_ND)


def synthetic() -> Sides:
    """Gaussian classes whose centres lie in 20 of 768 directions, features of unequal scale that go together."""
    generator = np.random.default_rng(0)
    labels_N = generator.integers(0, 5, 9000)
    centres_KD = np.pad(generator.normal(size=(5, 20)) * 0.4, ((0, 0), (0, 748)))
    mixing_DD = np.eye(768) + generator.normal(size=(768, 768)) / np.sqrt(768)
    features_ND = ((centres_KD[labels_N] + generator.normal(size=(9000, 768))) @ mixing_DD).astype(np.float32)
    return Sides(
        train_AD=features_ND[:5000],
        train_labels_A=labels_N[:5000],
        validation_VD=features_ND[5000:7000],
        validation_labels_V=labels_N[5000:7000],
        test_TD=features_ND[7000:],
        classes=5,
    )


def ours(sides: Sides) -> float:
    return linear_probe.choose(sides, SETTINGS)


def plain(sides: Sides) -> float:
    scaler = StandardScaler().fit(sides.train_AD)
    train_ND, validation_ND = scaler.transform(sides.train_AD), scaler.transform(sides.validation_VD)
    probe = LogisticRegression(tol=SETTINGS.tolerance, max_iter=SETTINGS.max_iterations, warm_start=True)
    losses = []
    for c in GRID:
        probe.set_params(C=c).fit(train_ND, sides.train_labels_A)
        losses.append(log_loss(sides.validation_labels_V, probe.predict_proba(validation_ND)))
    return float(GRID[int(np.argmin(losses))])


def exact(sides: Sides) -> float:
    """By Newton's steps, which end at gradients of rounding, where L-BFGS of this tolerance ends above 1e-6.

    The path ends BEYOND values after the one of the lowest loss: what follows is ever less regularised.
    """
    fitted_ND, applied_ND = (rows.astype(np.float64) for rows in standardised(sides.train_AD, sides.validation_VD))
    probe = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=100, warm_start=True)
    losses: list[float] = []
    for c in GRID:
        probe.set_params(C=c).fit(fitted_ND, sides.train_labels_A)
        losses.append(log_loss(sides.validation_labels_V, probe.predict_proba(applied_ND)))
        if len(losses) - int(np.argmin(losses)) > BEYOND:
            break
    return float(GRID[int(np.argmin(losses))])


def fits_of(path: Callable[[Sides], float], sides: Sides) -> tuple[float, list[Fit]]:
    """What a path chooses and the fits it went through, one for each C."""
    fits: list[Fit] = []

    class Remembering(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Remembering":
            super().fit(X, y, sample_weight)
            fits.append((self.coef_.astype(np.float64), np.asarray(self.intercept_, dtype=np.float64)))
            return self

    with (
        patch.object(linear_probe, "LogisticRegression", Remembering),
        patch(f"{__name__}.LogisticRegression", Remembering),
    ):
        chosen = path(sides)
    return chosen, fits


def gradient(sides: Sides, c: float, fit: Fit) -> float:
    """The largest component of the gradient at a fit."""
    fitted_ND = standardised(sides.train_AD, sides.validation_VD)[0].astype(np.float64)
    weights_KD, intercepts_K = fit
    scores_NK = fitted_ND @ weights_KD.T + intercepts_K
    if len(weights_KD) == 1:
        pull_NK = 1 / (1 + np.exp(-scores_NK)) - sides.train_labels_A[:, None]
    else:
        pull_NK = softmax(scores_NK, axis=1) - np.eye(sides.classes)[sides.train_labels_A]
    images = len(fitted_ND)
    of_weights_KD = pull_NK.T @ fitted_ND / images + weights_KD / (c * images)
    return float(max(np.abs(of_weights_KD).max(), np.abs(pull_NK.mean(axis=0)).max()))


def report(name: str, sides: Sides, rounds: int, each: bool) -> None:
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    chosen: dict[str, float] = {}
    gradients: dict[str, list[float]] = {}

    def follow(path: Callable[[Sides], float]) -> None:
        chosen[path.__name__], fits = fits_of(path, sides)
        gradients[path.__name__] = [gradient(sides, float(c), fit) for c, fit in zip(GRID, fits, strict=False)]

    for _ in range(rounds):
        for path in (ours, plain):
            started = time.perf_counter()
            path(sides)
            seconds[path.__name__].append(time.perf_counter() - started)
    follow(ours)
    follow(plain)
    mine, theirs = median(seconds["ours"]), median(seconds["plain"])
    print(
        f"{name}: {len(sides.train_AD)} images, {sides.train_AD.shape[1]} features, {sides.classes} classes\n"
        f"  seconds   ours {mine:.2f}, plain {theirs:.2f}: ratio {mine / theirs:.2f}\n"
        f"  gradients ours up to {max(gradients['ours']):.1e}, plain up to {max(gradients['plain']):.1e}\n"
        f"  C         ours {chosen['ours']:.3g}, plain {chosen['plain']:.3g}",
        flush=True,
    )
    follow(exact)
    apart = [int(np.argmin(np.abs(GRID - chosen[how]))) for how in ("ours", "exact")]
    print(
        f"  exact     C {chosen['exact']:.3g}, {abs(apart[0] - apart[1])} grid steps from ours; "
        f"gradients up to {max(gradients['exact']):.1e}",
        flush=True,
    )
    if each:
        for c, *left in zip(GRID, *gradients.values(), strict=False):
            print(f"    C {c:8.1e}  " + "  ".join(f"{how} {g:.1e}" for how, g in zip(gradients, left, strict=True)))


if __name__ == "__main__":
    main()

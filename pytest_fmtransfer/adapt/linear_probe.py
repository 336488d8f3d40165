"""Logistic regression on standardised frozen features: one for all classes, or one for each label.

Legend: N images, M images applied to, D features, C classes or labels.
"""

import warnings
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt import label_odds
from pytest_fmtransfer.adapt.sides import Adapted, Scaling, Sides, log_loss, standardised
from pytest_fmtransfer.catalog.regime_settings import LinearProbeSettings
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.metrics import UNKNOWN
from pytest_fmtransfer.progress import progress

Scorer = Callable[[float, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""C, features N × D and labels to fit, and features M × D to apply the fit to: scores, M × C. Each call starts from
the fit of the last."""


def adapt(sides: Sides, settings: LinearProbeSettings, seed: int) -> Adapted:
    """C by validation log loss, and with it a fit on training and validation images together, standardised anew.

    Where an image may bear several labels each has a regression of its own, on the images of which it is known, and
    scores are the logarithms of the odds. `seed` changes nothing: the problem is convex.
    """
    del seed
    best = choose(sides, settings)
    both_ND = np.concatenate([sides.train_AD, sides.validation_VD])
    labels_N = np.concatenate([sides.train_labels_A, sides.validation_labels_V])
    scores_TC = fit_at(best, settings, both_ND, labels_N, sides.test_TD, sides.classes)
    return Adapted(scores_TC=scores_TC, chosen={"C": best})


def choose(sides: Sides, settings: LinearProbeSettings, scaling: Scaling = standardised) -> float:
    """C by validation log loss along a path from strong to weak regularisation, each fit starting from the last.

    Ties go to the stronger regularisation. Where an image may bear several labels one C is chosen for all, by the log
    loss over all labels that are known: few validation images bear a rare label, and a C of its own would follow
    those few.
    """
    values = np.logspace(np.log10(settings.smallest_c), np.log10(settings.largest_c), settings.steps)
    loss = label_odds.log_loss if sides.multilabel else _loss_of_classes
    with _alike_everywhere():
        train_ND, validation_ND = scaling(sides.train_AD, sides.validation_VD)
        scores_of = _scorer(settings, sides.train_labels_A, sides.classes)
        losses: list[float] = []
        with progress("linear probe", total=settings.steps, unit="fit") as bar:
            for value in values:
                scores_NC = scores_of(float(value), train_ND, sides.train_labels_A, validation_ND)
                losses.append(loss(sides.validation_labels_V, scores_NC))
                bar.update(1)
    return float(values[int(np.argmin(losses))])


def fit_at(
    c: float,
    settings: LinearProbeSettings,
    fitted_ND: np.ndarray,
    labels_N: np.ndarray,
    applied_MD: np.ndarray,
    classes: int,
    scaling: Scaling = standardised,
) -> np.ndarray:
    """Scores, M × C float32, of a fit that starts from zero."""
    with _alike_everywhere():
        first_ND, second_MD = scaling(fitted_ND, applied_MD)
        scores_MC = _scorer(settings, labels_N, classes)(c, first_ND, labels_N, second_MD)
    return scores_MC.astype(np.float32)


@contextmanager
def _alike_everywhere() -> Generator[None]:
    """Sums split over threads may round differently."""
    with threadpool_limits(1), warnings.catch_warnings():
        # At the weak end of the path the separable problem has no finite optimum; validation judges the fit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _scorer(settings: LinearProbeSettings, labels_N: np.ndarray, classes: int) -> Scorer:
    return (_one_for_each_label if labels_N.ndim > 1 else _one_for_all_classes)(settings, classes)


def _one_for_all_classes(settings: LinearProbeSettings, classes: int) -> Scorer:
    probe = _probe(settings)

    def scores_of(c: float, fitted_ND: np.ndarray, labels_N: np.ndarray, applied_MD: np.ndarray) -> np.ndarray:
        probe.set_params(C=c).fit(fitted_ND, labels_N)
        return _scores(probe, applied_MD, classes)

    return scores_of


def _one_for_each_label(settings: LinearProbeSettings, labels: int) -> Scorer:
    """Fitted side by side, on as many cores as there are; each fit is the same on any."""
    probes = [_probe(settings) for _ in range(labels)]

    def scores_of(c: float, fitted_ND: np.ndarray, labels_NC: np.ndarray, applied_MD: np.ndarray) -> np.ndarray:
        def log_odds_of(label: int) -> np.ndarray:
            return _log_odds(probes[label].set_params(C=c), fitted_ND, labels_NC[:, label], applied_MD)

        with ThreadPoolExecutor(cores()) as pool:
            return np.stack(list(pool.map(log_odds_of, range(labels))), axis=1)

    return scores_of


def _log_odds(
    probe: LogisticRegression, fitted_ND: np.ndarray, label_N: np.ndarray, applied_MD: np.ndarray
) -> np.ndarray:
    """Of one label, (M,); the same for every image where all that is known of it is the same."""
    known_N = label_N != UNKNOWN
    if len(np.unique(label_N[known_N])) < 2:
        (share,) = label_odds.prior_shares(label_N[:, None])
        return np.full(len(applied_MD), np.log(share / (1 - share)))
    probe.fit(fitted_ND if known_N.all() else fitted_ND[known_N], label_N[known_N])
    return probe.decision_function(applied_MD).astype(np.float64)


def _loss_of_classes(labels_N: np.ndarray, scores_NC: np.ndarray) -> float:
    return log_loss(labels_N, log_softmax(scores_NC, axis=1))


def _probe(settings: LinearProbeSettings) -> LogisticRegression:
    return LogisticRegression(tol=settings.tolerance, max_iter=settings.max_iterations, warm_start=True)


def _scores(probe: LogisticRegression, features_ND: np.ndarray, classes: int) -> np.ndarray:
    """One column per class; a class without training images scores lowest everywhere."""
    decision = probe.decision_function(features_ND).astype(np.float64)
    columns = np.stack([-decision / 2, decision / 2], axis=1) if decision.ndim == 1 else decision
    scores_NC = np.full((len(features_ND), classes), columns.min() - 1)
    scores_NC[:, probe.classes_] = columns
    return scores_NC

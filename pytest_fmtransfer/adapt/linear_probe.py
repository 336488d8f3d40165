"""Logistic regression on standardised frozen features.

Legend: N images, D features, C classes.
"""

import warnings

import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pytest_fmtransfer.adapt.sides import Adapted, Sides, log_loss
from pytest_fmtransfer.catalog.specs import LinearProbeSettings
from pytest_fmtransfer.progress import progress


def adapt(sides: Sides, settings: LinearProbeSettings, seed: int) -> Adapted:
    """C by validation log loss along a path from strong to weak regularisation, each fit starting from the last.

    Ties go to the stronger regularisation. The fit that is tested starts from zero on training and
    validation images together, standardised anew. `seed` changes nothing: the problem is convex.
    """
    del seed
    values = np.logspace(np.log10(settings.smallest_c), np.log10(settings.largest_c), settings.steps)
    with threadpool_limits(1):  # sums split over threads may round differently
        train_ND, validation_ND = _standardise(sides.train_AD, sides.validation_VD)
        probe = _probe(settings)
        losses: list[float] = []
        with progress("linear probe", total=settings.steps, unit="fit") as bar:
            for value in values:
                probe.set_params(C=value)
                _fit(probe, train_ND, sides.train_labels_A)
                scores_NC = _scores(probe, validation_ND, sides.classes)
                losses.append(log_loss(sides.validation_labels_V, log_softmax(scores_NC, axis=1)))
                bar.update(1)
        best = float(values[int(np.argmin(losses))])
        both_ND, test_ND = _standardise(np.concatenate([sides.train_AD, sides.validation_VD]), sides.test_TD)
        probe = _probe(settings).set_params(C=best)
        _fit(probe, both_ND, np.concatenate([sides.train_labels_A, sides.validation_labels_V]))
        scores_TC = _scores(probe, test_ND, sides.classes)
    return Adapted(scores_TC=scores_TC.astype(np.float32), chosen={"C": best})


def _probe(settings: LinearProbeSettings) -> LogisticRegression:
    return LogisticRegression(tol=settings.tolerance, max_iter=settings.max_iterations, warm_start=True)


def _fit(probe: LogisticRegression, features_ND: np.ndarray, labels_N: np.ndarray) -> None:
    with warnings.catch_warnings():
        # At the weak end of the path the separable problem has no finite optimum; validation judges the fit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(features_ND, labels_N)


def _scores(probe: LogisticRegression, features_ND: np.ndarray, classes: int) -> np.ndarray:
    """One column per class; a class without training images scores lowest everywhere."""
    decision = probe.decision_function(features_ND).astype(np.float64)
    columns = np.stack([-decision / 2, decision / 2], axis=1) if decision.ndim == 1 else decision
    scores_NC = np.full((len(features_ND), classes), columns.min() - 1)
    scores_NC[:, probe.classes_] = columns
    return scores_NC


def _standardise(fitted_ND: np.ndarray, applied_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean and deviation of the first, float32; a constant feature becomes zero in the first."""
    mean_D = fitted_ND.mean(axis=0, dtype=np.float64)
    deviation_D = fitted_ND.std(axis=0, dtype=np.float64)
    scale_D = np.where(deviation_D > 1e-12, deviation_D, 1.0)
    first, second = ((rows - mean_D) / scale_D for rows in (fitted_ND, applied_ND))
    return first.astype(np.float32), second.astype(np.float32)

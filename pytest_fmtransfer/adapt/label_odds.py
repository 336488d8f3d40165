"""Labels one by one: the logarithm of the odds that an image bears each, and how well such odds foretell labels.

What nobody knows (`UNKNOWN`) is left out, label by label.

Legend: N images, C labels.
"""

import numpy as np

from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.metrics import UNKNOWN


def prior_shares(labels_NC: np.ndarray) -> np.ndarray:
    """The share of images that bear each label, (C,), in (0, 1) whatever the labels are.

    Half an image with and half an image without are added to those that are known (Jeffreys' prior).
    """
    return ((labels_NC == 1).sum(axis=0) + 0.5) / ((labels_NC != UNKNOWN).sum(axis=0) + 1)


def log_loss(labels_NC: np.ndarray, log_odds_NC: np.ndarray) -> float:
    """Mean negative log-probability over all labels that are known: what hyperparameters are chosen by.

    Raises DatasetError where none is known.
    """
    known_NC = known(labels_NC)
    towards_NC = np.where(labels_NC == 1, -log_odds_NC, log_odds_NC)
    return float(np.logaddexp(0, towards_NC[known_NC]).mean())


def known(labels_NC: np.ndarray) -> np.ndarray:
    """Which labels of the validation side are, N × C. Raises DatasetError where none is."""
    known_NC = labels_NC != UNKNOWN
    if not known_NC.any():
        raise DatasetError(
            f"no label of the {len(labels_NC)} validation images is known, so that nothing can be chosen by them; put "
            "images with known labels on the validation side"
        )
    return known_NC

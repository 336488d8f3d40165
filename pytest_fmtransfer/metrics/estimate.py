"""What metrics are made of, and what is said of one: its value, and each image's influence on it.

The influence of an image is its share in the metric's linearisation: the metric moves by about the sum of
the influences of the images that are drawn once more. Influences sum to zero within a stratum; the strata
are the parts of the sample that are drawn separately (classes, or everything).

Legend: N images, K groups, M memberships (of an image in a group), B sets of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = NDArray[Any]
"""Whole numbers of any unsigned type that holds twice their total, or float64; never negative."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric's value, each image's influence on it, and the stratum that each image belongs to.

    `influence_N` is None where the metric has no influence values, or was weighted.
    """

    value: float
    influence_N: Floats | None
    stratum_N: Ints


class Prepared(Protocol):
    """A metric of given labels and scores, sorted and counted as far as it can be without weights."""

    def measured(self) -> tuple[float, Floats | None]:
        """The value with every image once, and the influences (N,); None where the metric has none."""
        ...

    def weighed(self, weights_NB: Weights) -> Floats:
        """The value under each set of weights, (B,); nan where it is undefined."""
        ...


@dataclass(frozen=True, kw_only=True)
class MeanOverImages:
    """A metric that is the mean of a number per image."""

    value_N: Floats

    def measured(self) -> tuple[float, Floats]:
        mean = float(self.value_N.mean())
        return mean, (self.value_N - mean) / len(self.value_N)

    def weighed(self, weights_NB: Weights) -> Floats:
        return weighed_sum(self.value_N, weights_NB) / weights_NB.sum(axis=0)


def sums_by_group(group_M: Ints, image_M: Ints, groups: int, images: int) -> Callable[[Weights], Weights]:
    """A function from weights (N, B) to their sums by group (K, B), in the type of the weights.

    An image may be in several groups, and in one group several times.
    """
    once_M = np.ones(len(image_M), dtype=np.uint8)  # the narrowest type, so that a product has that of the weights
    member_KN = csr_array((once_M, (group_M, image_M)), shape=(groups, images))
    return lambda weights_NB: member_KN @ weights_NB


def weighed_sum(value_N: Floats, weights_NB: Weights) -> Floats:
    """(B,); einsum converts whole-number weights as it reads them, where a matrix product would copy them all."""
    return np.einsum("n,nb->b", value_N, weights_NB)

"""Shapes of what changes from seed to seed, each with mean 0 and standard deviation 1."""

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

_SKEW = 0.8  # standard deviation of the logarithm
_FAILING, _DROP = 0.05, 8.0  # share of runs that fail, and by how many standard deviations of the others


def normal(rng: Generator, shape: Shape) -> Floats:
    return rng.standard_normal(shape)


def heavy_tailed(rng: Generator, shape: Shape) -> Floats:
    """Student's t with 3 degrees of freedom."""
    return rng.standard_t(3, shape) / math.sqrt(3)


def skewed(rng: Generator, shape: Shape) -> Floats:
    """A log-normal with its long tail downwards: now and then a seed is much worse."""
    mean, square = math.exp(_SKEW**2 / 2), math.exp(_SKEW**2)
    return (mean - rng.lognormal(0, _SKEW, shape)) / (mean * math.sqrt(square - 1))


def failing_runs(rng: Generator, shape: Shape) -> Floats:
    """Normal, but one run in twenty fails and lies eight standard deviations lower."""
    drawn = rng.standard_normal(shape) - _DROP * (rng.random(shape) < _FAILING)
    return (drawn + _DROP * _FAILING) / math.sqrt(1 + _DROP**2 * _FAILING * (1 - _FAILING))


SHAPES: dict[str, Callable[[Generator, Shape], Floats]] = {
    "normal": normal,
    "heavy-tailed": heavy_tailed,
    "skewed": skewed,
    "failing": failing_runs,
}

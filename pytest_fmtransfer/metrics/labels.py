"""What labels say of images: which belong to a class, and which bear a label, bear it not, or are not known to.

Labels are class indices (N,), or where an image may bear several labels 1, 0 or `UNKNOWN` for each (N, C).

Legend: N images, C classes or labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # a label that nobody knows of an image: neither learnt from nor tested on


def images_by_class(labels: NDArray[np.integer], classes: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which images are of each class, (N,) by its name, in the order of the classes.

    Where an image may bear several labels, each makes two: the images known to bear it, under its name, and those
    known not to, under 'no ' and its name. An image of which a label is unknown is in neither.
    """
    if labels.ndim == 1:
        return {name: labels == label for label, name in enumerate(classes)}
    sides: dict[str, NDArray[np.bool_]] = {}
    for name, label_N in zip(classes, labels.T, strict=True):
        sides[name], sides[f"no {name}"] = label_N == 1, label_N == 0
    return sides


def absent_labels(labels: NDArray[np.integer], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes without an image, or the labels that no image is known to bear, or none known not to."""
    if labels.ndim == 1:
        return tuple(name for name, of_class_N in images_by_class(labels, classes).items() if not of_class_N.any())
    there_C = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)
    return tuple(name for name, is_there in zip(classes, there_C, strict=True) if not is_there)

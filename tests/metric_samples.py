"""Labels and scores that a metric takes, for tests of laws. Legend: N images, C classes or labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pytest_fmtransfer.metrics import METRICS, UNKNOWN
from tests.helpers import LAWS

FEWER = settings(LAWS, max_examples=25)  # where a law is tried on every metric
every_metric = pytest.mark.parametrize("metric", sorted(METRICS))

# Few distinct values, so that ties are common; a grid so fine that they are rare; any finite ones that float32 holds.
TIED = st.integers(-2, 2).map(float)
GRID = st.integers(-512, 512).map(lambda value: value / 128)
ANYTHING = st.floats(-1e6, 1e6, width=32)

# Metrics that are undefined without images of every class, or of two classes.
EVERY_CLASS = {"roc_auc", "roc_auc_ovo", "roc_auc_ovr", "average_precision"}
TWO_CLASSES = {"quadratic_kappa", "linear_kappa"}


@dataclass(frozen=True)
class Sample:
    labels: NDArray[np.int64]
    scores_NC: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, images: Any) -> "Sample":
        """Of some images, as an index of arrays takes them."""
        return Sample(self.labels[images], self.scores_NC[images])


@st.composite
def samples(
    draw: st.DrawFn, metric: str, *, fewest: int = 1, with_each: int = 0, values: st.SearchStrategy[float] | None = None
) -> Sample:
    """Of `fewest` images upwards in each class present, scores from `values`. Where an image may bear several labels,
    at least `with_each` bear each of them, and as many do not.
    """
    task = METRICS[metric].task
    classes = 2 if task == "binary" else draw(st.integers(2, 4))
    if task == "multilabel":
        images, lowest = draw(st.integers(max(fewest, 2 * with_each), 14)), draw(st.sampled_from([0, UNKNOWN]))
        labels = draw(arrays(np.int64, (images, classes), elements=st.integers(lowest, 1)))
        if with_each:
            labels[: 2 * with_each] = np.repeat([[0], [1]], with_each, axis=0)
            labels = np.stack([draw(st.permutations(each.tolist())) for each in labels.T], axis=1)
    else:
        lacking = 0 if metric in EVERY_CLASS else classes - (2 if metric in TWO_CLASSES else 1)
        absent = draw(st.sets(st.integers(0, classes - 1), max_size=lacking))
        present = [label for label in range(classes) if label not in absent]
        others = draw(st.lists(st.sampled_from(present), max_size=12))
        labels = np.array(draw(st.permutations([*present * fewest, *others])), dtype=np.int64)
    elements = draw(st.sampled_from([TIED, GRID, ANYTHING])) if values is None else values
    return Sample(labels, draw(arrays(np.float64, (len(labels), classes), elements=elements)))


@st.composite
def counted(draw: st.DrawFn, metric: str) -> tuple[Sample, NDArray[np.int64]]:
    """A sample and how often each image is drawn, from 0 to 3 times: (N, replicates)."""
    sample = draw(samples(metric, values=draw(st.sampled_from([TIED, GRID]))))
    replicates = draw(st.integers(1, 2))
    return sample, draw(arrays(np.int64, (len(sample), replicates), elements=st.integers(0, 3)))


def perfect(metric: str, images: int = 12) -> Sample:
    """Three labels or classes, or two; the right ones score highest by far."""
    if METRICS[metric].task == "multilabel":
        labels = np.random.default_rng(0).integers(0, 2, (images, 3))
        return Sample(labels, 100.0 * labels)
    labels = np.arange(images) % (2 if METRICS[metric].task == "binary" else 3)
    return Sample(labels, 100.0 * np.eye(labels.max() + 1)[labels])

"""What the laws of verdicts are tried on. Legend: S seeds, N images, C classes."""

import numpy as np
from hypothesis import strategies as st

from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.results import Result
from tests.helpers import CANDIDATE, REFERENCE, labels_of, make_result, noisy_scores

margins = st.floats(0.001, 0.3)
levels = st.builds(Court, alpha=st.floats(0.001, 0.4), family_size=st.integers(1, 200))


@st.composite
def pairs(draw: st.DrawFn, fewest: int = 20) -> tuple[Result, Result]:
    """Two results on the same images, of any metric, with a few patients more than images need."""
    metric = draw(st.sampled_from(["roc_auc", "accuracy", "balanced_accuracy"]))
    classes = 2 if metric == "roc_auc" else draw(st.integers(2, 3))
    counts = [draw(st.integers(fewest, fewest + 60)) for _ in range(classes)]
    repeats = draw(st.integers(1, 2))
    labels_N = labels_of(*counts).repeat(repeats)
    patients_N = np.arange(sum(counts)).repeat(repeats).astype(np.str_)
    seeded = draw(st.booleans())
    seeds = draw(st.integers(2, 5)) if seeded else 1

    def drawn(cell: str) -> Result:
        signal, noise = draw(st.floats(0, 2)), draw(st.integers(0, 2**32 - 1 - seeds))
        scores = [noisy_scores(labels_N, signal, seed=noise + i, classes=classes) for i in range(seeds)]
        return make_result(cell, labels_N, np.stack(scores), patients_N, seeded, metric)

    return drawn(CANDIDATE), drawn(REFERENCE)

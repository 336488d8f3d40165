"""Regimes that read pooled features of the plain transform: how they come by these, and what that cost.

Legend: N images of a dataset, D features.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pytest_fmtransfer.adapt.embeddings import check_embeddings
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.sides import Adapted
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.features import load_features


def on_pooled(
    job: Job, adapt: Callable[[np.ndarray], Iterable[Adapted]], *, sides: Sequence[str] = (TRAIN, VALIDATION, TEST)
) -> Ran:
    """What `adapt` makes, of each seed, of the features of every image of the dataset, N × D in the table's order.

    It reads those of `sides`, which are looked at before.
    Raises as `load_features` does, and InvalidInput for features that nothing can be learnt from.
    """
    started = time.perf_counter()
    features = load_features(job.dataset, job.spec, job.dtype, job.places)
    loading = time.perf_counter() - started
    read_N = np.sort(np.concatenate([job.rows[side] for side in sides]))
    check_embeddings(job, features.pooled_ND[read_N], read_N.tolist())
    return Ran(
        adapted=tuple(adapt(features.pooled_ND)),
        forward_passes=features.forward_passes,
        forward_seconds=features.seconds,
        feature_bytes=features.pooled_ND.nbytes,
        loading_seconds=loading,
    )

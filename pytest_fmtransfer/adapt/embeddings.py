"""Embeddings are looked at before anything learns from them.

Legend: N images, D features, T tokens, E a token's width.
"""

from collections.abc import Sequence

import numpy as np

from pytest_fmtransfer.adapt.job import Job
from pytest_fmtransfer.catalog.specs import NoWeights, StandInWeights
from pytest_fmtransfer.errors import InvalidInput, first_few

ROWS = 1024  # looked at at once: features may be mapped from disk


def check_embeddings(job: Job, features: np.ndarray, rows_N: Sequence[int]) -> None:
    """Raises InvalidInput, with the backbone and the images, for embeddings that are not finite or all the same.

    `features` are N × D or N × T × E, of the rows of the dataset that `rows_N` names. A control may see nothing in the
    images, a stand-in may be blind to all that its images show, and a probe that looks at no picture may find all files
    alike.
    """
    ids, spec, dataset = job.dataset.table.ids_N, job.spec, job.dataset.spec.name
    starts = range(0, len(features), ROWS)
    finite_N = [np.isfinite(features[at : at + ROWS]).reshape(-1, features[0].size).all(axis=1) for at in starts]
    bad: list[int] = np.flatnonzero(~np.concatenate(finite_N)).tolist() if finite_N else []
    if bad:
        named = first_few([str(ids[rows_N[at]]) for at in bad])
        raise InvalidInput(
            f"{spec.name} on {dataset}: embeddings of {len(bad)} of {len(features)} images are not finite: {named}; "
            "look at these images and at the network, which may divide by the deviation of an image that has none"
        )
    pictures = job.dataset.contents.pictures_N[list(rows_N)]
    if spec.is_control or isinstance(spec.weights, NoWeights | StandInWeights) or len(np.unique(pictures)) < 2:
        return
    if all((features[at : at + ROWS] == features[0]).all() for at in starts):
        raise InvalidInput(
            f"{spec.name} on {dataset}: all {len(features)} images have one and the same embedding, from "
            f"{ids[rows_N[0]]} to {ids[rows_N[-1]]}; nothing can be learnt from it. Look at the weights, "
            "and at mean and std of the input"
        )


def check_width(job: Job, width: int) -> None:
    """Raises InvalidInput for an embedding of as many numbers as there are classes: a classifier's output."""
    if isinstance(job.spec.weights, NoWeights) or width != job.classes:
        return
    raise InvalidInput(
        f"{job.spec.name} on {job.dataset.spec.name}: the embedding has {width} numbers, as many as the dataset has "
        "classes: this is what a classifier gives, and not what it is given. Return what comes before the last layer"
    )

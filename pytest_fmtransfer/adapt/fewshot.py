"""A linear probe on k training images of each class; the seed is the draw.

Nothing beyond k labelled images of each class is fitted on, and C is chosen by as many of the validation side: a fit
that is chosen by hundreds of labelled images was not made from few. The fit that is tested is that of the k, which
validation images do not join as they do in the linear probe. The subsets of a draw are nested, so that more of them
against fewer is a comparison of the same images and some others.

All features are put on one scale, and none on a scale of its own as in the linear probe: the deviation of a feature
over ten images is mostly chance, and one that hardly differs in them would be blown up on all others. docs/regimes.md
says what that was worth.

Legend: N images of a dataset.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pytest_fmtransfer.adapt import linear_probe
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.pooled import on_pooled
from pytest_fmtransfer.adapt.sides import Adapted, Sides, on_one_scale
from pytest_fmtransfer.catalog.regime_settings import FewShotSettings
from pytest_fmtransfer.data.subsets import few_shot, up_to
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table


def run(job: Job, settings: FewShotSettings, seeds: Sequence[int]) -> Ran:
    """A draw for each seed, from pooled features of the plain transform.

    On shuffled labels an image belongs to the class that it was given. Raises InvalidInput where a class has fewer
    training images than `shots`, and as `load_features` does.
    """
    rows_of = {seed: training_rows(job, settings.shots, seed) for seed in seeds}  # before features, which take longer

    def adapted(pooled_ND: np.ndarray) -> list[Adapted]:
        return [_adapted(job, pooled_ND, settings, seed, rows) for seed, rows in rows_of.items()]

    return on_pooled(job, adapted)


def training_rows(job: Job, shots: int, seed: int) -> np.ndarray:
    """Row numbers of the images that a draw is fitted on. Raises as `data.subsets.few_shot` does."""
    return few_shot(_table(job, seed), job.dataset.spec.classes, shots, draw=seed)


def _adapted(job: Job, pooled_ND: np.ndarray, settings: FewShotSettings, seed: int, train: np.ndarray) -> Adapted:
    table, probe = _table(job, seed), settings.probe
    validation = up_to(table, job.dataset.spec.classes, settings.shots, draw=seed, side=VALIDATION)
    sides = Sides(
        train_AD=pooled_ND[train],
        train_labels_A=table.labels_N[train],
        validation_VD=pooled_ND[validation],
        validation_labels_V=table.labels_N[validation],
        test_TD=pooled_ND[job.rows[TEST]],
        classes=job.classes,
    )
    best = linear_probe.choose(sides, probe, on_one_scale)
    scores_TC = linear_probe.fit_at(
        best, probe, sides.train_AD, sides.train_labels_A, sides.test_TD, job.classes, on_one_scale
    )
    return Adapted(scores_TC=scores_TC, chosen={"C": best})


def _table(job: Job, seed: int) -> Table:
    """The dataset's, with the labels that may be learnt from."""
    labels_N = job.dataset.table.labels_N.copy()
    for side in (TRAIN, VALIDATION):
        labels_N[job.rows[side]] = job.labels_of(side, seed)
    return replace(job.dataset.table, labels_N=labels_N)

"""Whether a table's labels are such as its dataset's row declares, whichever reader read them.

Legend: N images, C classes or labels.
"""

from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.table import UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.metrics import metric_named
from pytest_fmtransfer.words import counted


def check_labels(spec: DatasetSpec, table: Table) -> None:
    """Raises DatasetError, naming the first image, for a label that the row's classes or metric do not allow.

    A metric of several labels takes 0, 1 or `UNKNOWN` for each of the classes, N × C; any other the index of a class.
    """
    labels, classes = table.labels_N, len(spec.classes)
    several = metric_named(spec.metric).task == "multilabel"
    if labels.ndim != (2 if several else 1) or not np.issubdtype(labels.dtype, np.integer):
        raise DatasetError(
            f"{spec.name} is measured in {spec.metric}, which takes {'a row of labels' if several else 'one class'} of "
            f"each image, and has labels of shape {labels.shape} and type {labels.dtype}; declare another metric, such "
            f"as {'accuracy' if several else 'mean_roc_auc'}, or read the labels otherwise"
        )
    if several and labels.shape[1] != classes:
        raise DatasetError(
            f"{spec.name} has {labels.shape[1]} labels of each image, and its row names {classes} classes"
        )
    allowed_N = np.isin(labels, (0, 1, UNKNOWN)).all(axis=1) if several else (labels >= 0) & (labels < classes)
    if not allowed_N.all():
        first = int(np.flatnonzero(~allowed_N)[0])
        raise DatasetError(
            f"{int((~allowed_N).sum())} of {len(labels)} images of {spec.name} have labels other than "
            f"{f'0, 1 and {UNKNOWN} (unknown)' if several else f'0 to {classes - 1}'}, the first of them "
            f"{table.ids_N[first]}: {labels[first].tolist()}"
        )


def check_validation(folder: Path, spec: DatasetSpec, table: Table) -> None:
    """Raises DatasetError for a validation side by which nothing can be chosen: all its images have one label.

    Where an image may bear several labels, one of them must be borne by some of the images and not by others.
    """
    labels = table.labels_N[table.side(VALIDATION)]
    if labels.ndim == 1:
        found = [spec.classes[label] for label in np.unique(labels)]
        if len(found) > 1:
            return
        what = f"are all of class {found[0]}" if found else "are none"
    else:
        if ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).any():
            return
        what = "bear no label that others of them are known not to bear"
    raise DatasetError(
        f"{folder}: the {counted(len(labels), 'validation image')} of {spec.name} {what}, and nothing can be chosen by "
        "them; put images of every class on the validation side"
    )

"""CheXpert: chest radiographs with fourteen findings that were read off their reports.

`train.csv`: `Path`, such as `CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg`, whose first component (in the
small release `CheXpert-v1.0-small`) stands for the dataset's folder, and the findings as its last fourteen columns:
1.0, 0.0, -1.0 for uncertain, blank for not mentioned. The patient is the component `patient…`. 223,414 images; Stanford
University's research use agreement, https://stanfordmlgroup.github.io/competitions/chexpert/.

Labels: blank is 0. `uncertain=zeros`, as Palés Huix et al. 2024, makes -1 a 0; `ones` a 1; `ignore` `UNKNOWN`, which is
neither learnt nor tested. An image without any finding then gets No Finding = 1; where a finding is `UNKNOWN` and none
is 1, whether there is none is not known either.

Split: rows sorted by `Path`; the first int(0.2 · N) + 15 are held out, the first half of them validation, the second
test; both boundaries move on to the next patient, so that none is on two sides.

Legend: N images, C findings.
"""

import re
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.checks import arranged, check_paths, option
from pytest_fmtransfer.data.columns import read_columns, shown
from pytest_fmtransfer.data.identifiers import by_name
from pytest_fmtransfer.data.table import TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.words import counted

POLICIES = {"zeros": 0, "ones": 1, "ignore": UNKNOWN}
HELD_OUT, MORE = 0.2, 15
VALUES = {"": 0, "nan": 0, "0": 0, "1": 1}
UNCERTAIN = "-1"
PATIENT = re.compile(r"/(patient[0-9]+)/.*")  # with the rest of its line: one of each


def read(folder: Path, spec: DatasetSpec) -> Table:
    """Every row of train.csv.

    Raises DatasetError, with its row, for a finding that is none of 1, 0, -1 and blank, and for a path
    without a patient, or that leaves the folder.
    """
    uncertain = POLICIES[option(spec, "uncertain", tuple(POLICIES))]
    file = folder / "train.csv"
    columns = read_columns(file, ("Path", *spec.classes))
    paths = columns["Path"]
    ids = [path.partition("/")[2] or path for path in paths]
    check_paths(file, ids)
    patients = PATIENT.findall("\n".join(paths))
    if len(patients) != len(paths):
        unnamed = [row for row, path in enumerate(paths, start=2) if not PATIENT.search(path)]
        raise DatasetError(
            f"{file}: {counted(len(unnamed), 'path')} without a patient, such as {paths[unnamed[0] - 2]!r} "
            f"({shown(unnamed)}); restore the file"
        )
    # The protocol's order, which is that of the ids too where all paths begin alike.
    order = np.array(sorted(range(len(paths)), key=paths.__getitem__))
    labels_NC = _findings(file, spec.classes, columns, uncertain)[order].astype(np.int64)
    patients_N = np.array(patients)[order]
    return arranged(
        file,
        spec.classes,
        ids_N=np.array(ids)[order],
        labels_N=labels_NC,
        patients_N=patients_N,
        split_N=positions_split(patients_N),
    )


def positions_split(patients_N: np.ndarray) -> np.ndarray:
    """The sides of rows in the order of their paths."""
    held = int(HELD_OUT * len(patients_N)) + MORE
    middle, end = (_next_patient(patients_N, boundary) for boundary in (held // 2, held))
    split_N = np.full(len(patients_N), TRAIN, dtype="<U10")
    split_N[:middle], split_N[middle:end] = VALIDATION, TEST
    return split_N


def _next_patient(patients_N: np.ndarray, boundary: int) -> int:
    while 0 < boundary < len(patients_N) and patients_N[boundary] == patients_N[boundary - 1]:
        boundary += 1
    return boundary


def _findings(file: Path, classes: tuple[str, ...], columns: dict[str, list[str]], uncertain: int) -> np.ndarray:
    """N × C int8, which is an eighth of the memory to go through."""
    value_of = by_name(VALUES | {UNCERTAIN: uncertain})
    texts = set[str]().union(*(columns[name] for name in classes))
    known = {text: value for text in texts if (value := value_of(text)) is not None}
    labels_NC = np.empty((len(columns["Path"]), len(classes)), dtype=np.int8)
    for place, name in enumerate(classes):
        try:
            labels_NC[:, place] = np.fromiter(map(known.__getitem__, columns[name]), np.int8, len(labels_NC))
        except KeyError as error:
            rows = [row for row, text in enumerate(columns[name], start=2) if text not in known]
            raise DatasetError(
                f"{file}: column {name!r} holds 1.0, 0.0, -1.0 or nothing, not {error.args[0]!r} ({shown(rows)}); "
                "restore the file"
            ) from error
    none_N = ~(labels_NC == 1).any(axis=1)
    unsure_N = (labels_NC == UNKNOWN).any(axis=1)
    labels_NC[none_N, classes.index("No Finding")] = np.where(unsure_N, UNKNOWN, 1)[none_N]
    return labels_NC

"""Digital Database for Screening Mammography, as whole images that Wu et al. 2018 made of it.

https://github.com/jimmyyhwu/ddsm-visual-primitives has the lists in `data/ddsm_raw_image_lists`, and a script,
`data/download-data.sh`, that fetches `ddsm_raw`. The code of the publications that read them carries neither.

`ddsm_raw_image_lists/{train,val,test}.txt` hold one path a line below `ddsm_raw`, such as
`cancer_05-C_0128_1.LEFT_CC.LJPEG.1.jpg`: the class, the volume, and DDSM's own name of case and view. The lists are the
split. The label is the name's prefix: normal, or benign and cancer. A patient is a DDSM case, `C_0128`, read from the
name. The lists name 10,420 images of 2,587 cases, of which five are on two sides. Public; cite Heath et al. 2001.

Legend: N images.
"""

import re
from pathlib import Path

import numpy as np

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.checks import arranged, check_paths
from pytest_fmtransfer.data.columns import check_unique, class_indices, read_lines, shown
from pytest_fmtransfer.data.identifiers import one_spelling
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.words import counted

LISTS = {TRAIN: "train.txt", VALIDATION: "val.txt", TEST: "test.txt"}
PREFIXES = ("normal", "benign", "cancer")
CASE = re.compile(r"(?:^|[^A-Za-z0-9])([A-D]_[0-9]{4})_[0-9]+\.(?:LEFT|RIGHT)_(?:CC|MLO)", re.IGNORECASE)


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images of the three lists.

    Raises DatasetError, with list and row, for a name without one of the prefixes or without a DDSM case, for
    a path that leaves the folder, and for an image that is listed twice.
    """
    lists = folder / "ddsm_raw_image_lists"
    ids: list[str] = []
    patients: list[str] = []
    sides: list[str] = []
    labels: list[np.ndarray] = []
    listed: dict[str, str] = {}
    for side, name in LISTS.items():
        file = lists / name
        paths = read_lines(file)
        check_paths(file, paths, first=1)
        check_unique(file, "path", paths, first=1)
        names = [path.rpartition("/")[2] for path in paths]
        prefixes = [name.partition("_")[0] for name in names]
        labels.append(np.minimum(class_indices(file, "prefix", prefixes, PREFIXES, first=1), 1))
        cases = [CASE.search(name) for name in names]
        unnamed = [row for row, case in enumerate(cases, start=1) if case is None]
        if unnamed:
            raise DatasetError(
                f"{file}: {counted(len(unnamed), 'name')} without a DDSM case, such as {names[unnamed[0] - 1]!r} "
                f"({shown(unnamed)}); "
                "keep the names of the release, such as cancer_05-C_0128_1.LEFT_CC.LJPEG.1.jpg"
            )
        for row, path in enumerate(paths, start=1):
            if path in listed:
                raise DatasetError(f"{file}: row {row} lists {path}, which is in {listed[path]}; leave it in one list")
        listed |= dict.fromkeys(paths, name)
        ids += [f"ddsm_raw/{path}" for path in paths]
        patients += [case[1] for case in cases if case is not None]
        sides += [side] * len(paths)
    spelt = one_spelling(patients)
    return arranged(
        lists,
        spec.classes,
        ids_N=np.array(ids),
        labels_N=np.concatenate(labels),
        patients_N=np.array([spelt[patient] for patient in patients]),
        split_N=np.array(sides),
    )

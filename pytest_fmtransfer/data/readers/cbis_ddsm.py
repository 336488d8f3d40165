"""CBIS-DDSM, the curated subset of DDSM, as The Cancer Imaging Archive has it: four tables and DICOM files, CC BY 3.0.

In the folder CBIS-DDSM of the data root, which is the one of that name that the NBIA Data Retriever makes, lie a folder
for each mammogram (`Mass-Training_P_00001_LEFT_CC`), one for each abnormality (`Mass-Training_P_00001_LEFT_CC_1`), and
`{mass,calc}_case_description_{train,test}_set.csv`. They list 3,103 mammograms and 3,568 abnormalities of 1,566 women.

An id is the name of its folder: what is below it is named by the retriever's version (UIDs and `000000.dcm`, or dates
and `1-1.dcm`), and the tables' paths, some with a line break in them, fit only the first. Of the two files of an
abnormality one is its picture and one its mask, in no certain order, whatever the tables' paths and the folders' names
say. What a file is stands in its own header, as its series' description: "cropped images" or "ROI mask images". Some
headers have none: where neither file of an abnormality is described, or both alike, the one
whose pixels have at most two values is the mask. Where that does not tell either, the folder is refused.

A mammogram in both the mass and the calcification table is one image: malignant if any abnormality of either is. The
test side is the official one. Masses and calcifications were split apart, so that a woman may be on both sides: her
training images are left out. 15 % of the other women are the validation side, of those with a malignancy as of those
without. `image=full` reads mammograms, `image=crops` a picture for each abnormality. Patients are column `patient_id`.

Legend: N images.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from pydicom import dcmread

from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.columns import check_unique, class_indices, read_columns, shown
from pytest_fmtransfer.data.decoding import read_pixels
from pytest_fmtransfer.data.identifiers import is_missing, one_spelling
from pytest_fmtransfer.data.pictures import FilePictures
from pytest_fmtransfer.data.splits import stratified_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, InvalidInput, UnreadableImage, first_few, nearest
from pytest_fmtransfer.store import FileState, file_state
from pytest_fmtransfer.words import counted

TABLES = {
    f"{kind}_case_description_{side}_set.csv": side == "test" for kind in ("mass", "calc") for side in ("train", "test")
}
PATHOLOGIES = ("BENIGN", "BENIGN_WITHOUT_CALLBACK", "MALIGNANT")
IMAGES = ("full", "crops")
# What the description of a series has, and no other kind of series has.
PICTURE, MASK = "crop", "mask"
VALIDATION_SHARE = 0.15
SPLIT_SEED = 42
_COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "pathology",
    "image file path",
    "cropped image file path",
)
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Abnormality:
    """A row of a table; `full` and `crop` are folders."""

    patient: str
    breast: str
    view: str
    malignant: bool
    full: str
    crop: str
    test: bool


def read(folder: Path, spec: DatasetSpec) -> Table:
    """The images that stand on a side; `found` are all that the tables list.

    Raises DatasetError for a table that is missing or lacks a column, for a pathology that is none, an abnormality
    that stands twice, a path that is no path below a folder of its image, and for a side without images.
    """
    kind = spec.options["image"]
    if kind not in IMAGES:
        raise InvalidInput(f"option image={kind!r} of {spec.name}; {nearest(kind, IMAGES)}")
    rows = _each_in_one_spelling([row for name, test in TABLES.items() for row in _listed(folder / name, test)])
    tested = {row.patient for row in rows if row.test}
    images: dict[str, tuple[str, bool, bool]] = {}  # by id: patient, malignant, on the test side
    if kind == "crops":
        found = len(rows)
        images = {row.crop: (row.patient, row.malignant, row.test) for row in rows}
    else:
        found = len({row.full for row in rows})
        mammograms: dict[tuple[str, str, str], list[Abnormality]] = {}
        for row in rows:
            mammograms.setdefault((row.patient, row.breast, row.view), []).append(row)
        for (patient, _, _), own in mammograms.items():
            test = any(row.test for row in own)
            name = min(row.full for row in own if row.test == test)
            images[name] = (patient, any(row.malignant for row in own), test)
    ids = sorted(name for name, (patient, _, test) in images.items() if test or patient not in tested)
    patients = [images[name][0] for name in ids]
    labels = [int(images[name][1]) for name in ids]
    validation = _validation_patients(
        (patient, label) for patient, label in zip(patients, labels, strict=True) if patient not in tested
    )
    split = [TEST if patient in tested else VALIDATION if patient in validation else TRAIN for patient in patients]
    if empty := sorted({TRAIN, VALIDATION, TEST} - set(split)):
        raise DatasetError(f"{folder} has no images for {', '.join(empty)}; get the four tables again")
    return Table(
        ids_N=np.array(ids),
        labels_N=np.array(labels, dtype=np.int64),
        patients_N=np.array(patients),
        split_N=np.array(split),
        found=found,
    )


def pictures(folder: Path, table: Table, spec: DatasetSpec) -> FilePictures:
    """The file of each image. Raises DatasetError for those not there, with their number and the first five."""
    choose = _crop if spec.options["image"] == "crops" else _only
    wrong: list[str] = []
    names: list[str] = []
    for name in table.ids_N.tolist():
        files = sorted((folder / name).rglob("*.dcm"))
        path = choose(files)
        if path is None:
            wrong.append(f"{name} ({counted(len(files), 'DICOM file')})")
        else:
            names.append(path.relative_to(folder).as_posix())
    if wrong:
        has = "a picture and a mask that can be told apart" if spec.options["image"] == "crops" else "one DICOM file"
        raise DatasetError(
            f"{len(wrong)} of {len(table.ids_N)} folders in {folder} do not hold {has}: {first_few(wrong)}; "
            "get them again with the NBIA Data Retriever"
        )
    decode = partial(read_pixels, channels=spec.stored_channels, intensity=spec.intensity)
    return FilePictures(folder=folder, ids=tuple(names), decode=decode, intensity=spec.intensity)


def _only(files: list[Path]) -> Path | None:
    return files[0] if len(files) == 1 else None


def _crop(files: list[Path]) -> Path | None:
    """Of a picture and its mask the picture; None where they cannot be told apart."""
    if len(files) != 2:
        return None
    kinds = [_described(path, file_state(path)) for path in files]
    if len(set(kinds)) < 2:
        kinds = [_kind_of_pixels(path, file_state(path)) for path in files]
    if set(kinds) not in ({PICTURE, MASK}, {PICTURE, ""}, {MASK, ""}):
        return None
    place = kinds.index(PICTURE) if PICTURE in kinds else 1 - kinds.index(MASK)
    return files[place]


@lru_cache(maxsize=2**14)
def _described(path: Path, state: FileState) -> str:
    """What the header of a file says it is, "" where it does not; read once while the file stays as it is."""
    del state  # part of the key only
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesDescription"])
    except Exception:  # of any kind: what broken bytes make a parser raise, its authors did not foresee either
        return ""
    words = str(header.get("SeriesDescription") or "").casefold()
    said = [kind for kind in (PICTURE, MASK) if kind in words]
    return said[0] if len(said) == 1 else ""


@lru_cache(maxsize=2**14)
def _kind_of_pixels(path: Path, state: FileState) -> str:
    """MASK for a picture of at most two values, PICTURE for any other, "" for what cannot be read."""
    del state  # part of the key only
    try:
        pixels_HW = read_pixels(path, channels=1)
    except UnreadableImage:
        return ""
    return MASK if len(np.unique(pixels_HW)) <= 2 else PICTURE


def _listed(path: Path, test: bool) -> list[Abnormality]:
    columns = {name: [text.strip() for text in texts] for name, texts in read_columns(path, _COLUMNS).items()}
    classes_N = class_indices(path, "pathology", columns["pathology"], PATHOLOGIES)
    full, crop = (_folders(path, name, columns[name]) for name in ("image file path", "cropped image file path"))
    check_unique(path, "cropped image file path", crop)
    nobody = [row for row, text in enumerate(columns["patient_id"], start=2) if is_missing(text)]
    if nobody:
        raise DatasetError(f"{path}: {shown(nobody)} has no patient_id; get the table again")
    return [
        Abnormality(
            patient=columns["patient_id"][row],
            breast=columns["left or right breast"][row],
            view=columns["image view"][row],
            malignant=bool(classes_N[row] == PATHOLOGIES.index("MALIGNANT")),
            full=full[row],
            crop=crop[row],
            test=test,
        )
        for row in range(len(classes_N))
    ]


def _each_in_one_spelling(rows: list[Abnormality]) -> list[Abnormality]:
    """Women, breasts and views, so that two tables that write one differently mean the same."""
    patients, breasts, views = (
        one_spelling(getattr(row, name) for row in rows) for name in ("patient", "breast", "view")
    )
    return [
        replace(row, patient=patients[row.patient], breast=breasts[row.breast], view=views[row.view]) for row in rows
    ]


def _folders(path: Path, column: str, texts: list[str]) -> list[str]:
    """The first part of each path: the folder of an image."""
    names = [text.partition("/")[0] for text in texts]
    for number, (name, text) in enumerate(zip(names, texts, strict=True), start=2):
        if _NAME.fullmatch(name) is None:
            raise DatasetError(
                f"{path}: row {number} has {text!r} in column {column!r}, no path below an image's folder"
            )
    return names


def _validation_patients(images: Iterable[tuple[str, int]]) -> set[str]:
    """A share of the patients with a malignant image, and of those without."""
    malignant: dict[str, int] = {}
    for patient, label in images:
        malignant[patient] = max(malignant.get(patient, 0), label)
    patients = sorted(malignant)
    labels = np.array([malignant[patient] for patient in patients])
    split = stratified_split(labels, validation=VALIDATION_SHARE, test=0, seed=SPLIT_SEED)
    return {patient for patient, side in zip(patients, split.tolist(), strict=True) if side == VALIDATION}

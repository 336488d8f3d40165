"""CheXpert: findings under the three policies, both releases, the paper's split, and what the table is refused for."""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.data.table import SIDES, TEST, TRAIN, UNKNOWN, VALIDATION, Table
from pytest_fmtransfer.errors import DatasetError, FmTransferError, InvalidInput
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS
from tests.trees import chexpert, chexpert_as, chexpert_rows

ZEROS, ONES, IGNORE = (Registry().dataset(name) for name in ("chexpert", "chexpert.uones", "chexpert.uignore"))
IMAGES = 223414
SOME = chexpert_rows(300)

Rows = list[tuple[str, list[str]]]


def table_of(root: Path, spec: DatasetSpec = ZEROS, images: int | None = None) -> Table:
    places = Places(store=root / "store", data_root=root)
    return read_table(replace(spec, expected_images=images), places)[1]


def refused(root: Path) -> str:
    with pytest.raises(DatasetError) as raised:
        table_of(root)
    return str(raised.value)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Table]:
    """The rows of a table as long as the published one, and what is read of it."""
    rows, root = chexpert_rows(IMAGES), tmp_path_factory.mktemp("chexpert")
    chexpert(root, rows)
    return rows, table_of(root, images=IMAGES)


def test_the_split_is_that_of_the_paper_with_each_patient_on_one_side(published: tuple[Rows, Table]) -> None:
    rows, table = published
    paths = sorted(path for path, _ in rows)
    patients = [path.split("/")[1] for path in paths]
    held = int(0.2 * len(paths)) + 15
    bounds = [held // 2, held]
    for place in (0, 1):
        while patients[bounds[place]] == patients[bounds[place] - 1]:
            bounds[place] += 1
    sides = {VALIDATION: paths[: bounds[0]], TEST: paths[bounds[0] : bounds[1]], TRAIN: paths[bounds[1] :]}
    for side, names in sides.items():
        assert table.ids_N[table.side(side)].tolist() == names
    assert sum(map(len, sides.values())) == IMAGES
    of = [set(table.patients_N[table.side(side)].tolist()) for side in SIDES]
    assert len(set().union(*of)) == sum(map(len, of))


def test_the_split_is_as_it_was(published: tuple[Rows, Table]) -> None:
    _, table = published
    assert Counter(table.split_N.tolist()) == {"validation": 22349, "test": 22350, "train": 178715}
    assert {side: table.ids_N[table.side(side)][[0, -1]].tolist() for side in SIDES} == {
        "train": ["train/patient14900/study1/view1_frontal.jpg", "train/patient74472/study1/view2_lateral.jpg"],
        "validation": ["train/patient00001/study1/view1_frontal.jpg", "train/patient07449/study3/view1_frontal.jpg"],
        "test": ["train/patient07450/study1/view1_frontal.jpg", "train/patient14899/study3/view1_frontal.jpg"],
    }


def test_findings_stand_with_their_image(published: tuple[Rows, Table]) -> None:
    rows, table = published
    texts_NC = np.array([findings for _, findings in sorted(rows)])
    labels_NC = (texts_NC == "1.0").astype(int)
    labels_NC[:, 0] |= ~labels_NC.any(axis=1)
    assert (table.labels_N == labels_NC).all()


@pytest.mark.parametrize("release", ["CheXpert-v1.0", "CheXpert-v1.0-small"])
def test_the_release_stands_for_the_folder(release: str, tmp_path: Path) -> None:
    chexpert_as(tmp_path, release, reversed(SOME))
    table = table_of(tmp_path)
    assert table.found == 300
    assert table.ids_N.tolist() == sorted(path for path, _ in SOME)
    assert table.ids_N[0] == "train/patient00001/study1/view1_frontal.jpg"
    assert table.patients_N.tolist() == [name.split("/")[1] for name in table.ids_N.tolist()]


def findings(**texts: str) -> list[str]:
    named = {name.replace("_", " "): text for name, text in texts.items()}
    return [named.get(name, "") for name in ZEROS.classes]


CASES: list[tuple[list[str], DatasetSpec, dict[str, int]]] = [
    (findings(), ZEROS, {"No Finding": 1}),
    (findings(), ONES, {"No Finding": 1}),
    (findings(), IGNORE, {"No Finding": 1}),
    (findings(No_Finding="0.0", Edema="0"), ZEROS, {"No Finding": 1}),
    (findings(Edema="nan"), ZEROS, {"No Finding": 1}),
    (findings(Edema="1.0"), IGNORE, {"Edema": 1}),
    (findings(No_Finding="1", Support_Devices="1.0"), ZEROS, {"No Finding": 1, "Support Devices": 1}),
    (findings(Edema="-1.0"), ZEROS, {"No Finding": 1}),
    (findings(Edema="-1.0"), ONES, {"Edema": 1}),
    (findings(Edema="-1.0"), IGNORE, {"No Finding": UNKNOWN, "Edema": UNKNOWN}),
    (findings(Edema="-1", Fracture="1.0"), ZEROS, {"Fracture": 1}),
    (findings(Edema="-1", Fracture="1.0"), ONES, {"Edema": 1, "Fracture": 1}),
    (findings(Edema="-1", Fracture="1.0"), IGNORE, {"Edema": UNKNOWN, "Fracture": 1}),
]


@pytest.mark.parametrize(("texts", "spec", "labels"), CASES)
def test_uncertain_findings_follow_the_policy(
    texts: list[str], spec: DatasetSpec, labels: dict[str, int], tmp_path: Path
) -> None:
    chexpert(tmp_path, [*SOME, ("train/patient99999/study1/view1_frontal.jpg", texts)])
    table = table_of(tmp_path, spec)
    assert table.patients_N[-1] == "patient99999"
    assert table.labels_N[-1].tolist() == [labels.get(name, 0) for name in spec.classes]


@pytest.mark.parametrize(
    ("path", "texts", "told"),
    [
        (
            "train/patient9/a.jpg",
            findings(Edema="2.0"),
            "column 'Edema' holds 1.0, 0.0, -1.0 or nothing, not '2.0' (row",
        ),
        ("train/patient9/a.jpg", findings(Fracture="yes"), "not 'yes' (row 302)"),
        ("train/a.jpg", findings(), "1 path without a patient, such as 'CheXpert-v1.0/train/a.jpg' (row 302)"),
        ("train/patient/a.jpg", findings(), "1 path without a patient"),
        (
            "../patient9/a.jpg",
            findings(),
            "outside the dataset's folder, such as '../patient9/a.jpg' (row 302)",
        ),
        ("/patient9/a.jpg", findings(), "(row 302)"),
        ("train/patient9/", findings(), "(row 302)"),
        (SOME[0][0], findings(), f"1 image listed more than once, such as {SOME[0][0]} on side validation"),
        ("train/patient9/a.jpg", ["1.0"], "1 row without the 19 fields of its first: row 302"),
    ],
)
def test_a_row_that_is_wrong_is_told(path: str, texts: Sequence[str], told: str, tmp_path: Path) -> None:
    file = chexpert(tmp_path, [*SOME, (path, texts)]) / "train.csv"
    message = refused(tmp_path)
    assert message.startswith(f"{file}: ")
    assert told in message


def test_a_path_that_is_only_a_file_names_no_patient(tmp_path: Path) -> None:
    file = chexpert(tmp_path, SOME) / "train.csv"
    file.write_text(file.read_text() + "a.jpg" + "," * 18 + "\n")
    assert "1 path without a patient, such as 'a.jpg' (row 302)" in refused(tmp_path)


def test_a_missing_file_or_column_is_told(tmp_path: Path) -> None:
    file = chexpert(tmp_path, SOME) / "train.csv"
    file.write_text(file.read_text().replace("Pleural Other", "Pleural other", 1))
    assert f"{file} has no column 'Pleural Other'; did you mean" in refused(tmp_path)
    file.rename(file.with_name("training.csv"))  # an empty folder would count as absent
    assert f"cannot read {file} (No such file or directory)" in refused(tmp_path)


def test_a_finding_without_training_images_or_a_side_without_any_is_told(tmp_path: Path) -> None:
    chexpert(tmp_path / "finding", [(path, ["1.0", *texts[1:13], "0.0"]) for path, texts in SOME])
    assert "no training image is of class Support Devices" in refused(tmp_path / "finding")
    chexpert(tmp_path / "side", SOME[:12])
    assert "a side of the split has no images (train 0, " in refused(tmp_path / "side")


def test_another_number_of_images_or_an_unknown_policy_is_told(tmp_path: Path) -> None:
    chexpert(tmp_path, SOME)
    with pytest.raises(DatasetError, match="holds 300 images, chexpert has 223414"):
        table_of(tmp_path, images=IMAGES)
    with pytest.raises(InvalidInput, match="option uncertain='zero' of chexpert; did you mean zeros"):
        table_of(tmp_path, replace(ZEROS, options={"uncertain": "zero"}))


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    tables: list[Table] = []
    for name, rows in (("sorted", SOME), ("mixed", sorted(SOME, key=lambda row: re.sub("[/0]", "", row[0])[::-1]))):
        chexpert(tmp_path / name, rows)
        tables.append(table_of(tmp_path / name))
    for column in ("ids_N", "labels_N", "patients_N", "split_N"):
        assert (getattr(tables[0], column) == getattr(tables[1], column)).all()


@settings(LAWS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([ZEROS, ONES, IGNORE]), st.data())
def test_a_mangled_table_is_read_or_refused(tmp_path: Path, spec: DatasetSpec, data: st.DataObject) -> None:
    file = chexpert(tmp_path, SOME[:120]) / "train.csv"
    content = bytearray(file.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    file.write_bytes(content)
    with contextlib.suppress(FmTransferError):
        assert len(table_of(tmp_path, spec).ids_N) <= 123

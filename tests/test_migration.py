"""Baselines of the schema before, which named images and patients, written anew without.

Legend: S seeds, N test images, C classes.
"""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.baselines import Baselines, Pair
from pytest_fmtransfer.cli import baseline, main
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.errors import OldBaseline
from pytest_fmtransfer.results import OLD_SCHEMA, Result, record_checksum, scores_checksum
from tests.small import DATASET, catalogue, write_images

CELL = Cell("tiny", "stripes", "knn")
CONFTEST = """
from tests import small

def pytest_fmtransfer_register(registry):
    small.register(registry)
"""


@pytest.fixture(scope="module")
def measured(small: Places) -> Result:
    return transfer(CELL, registry=catalogue(), places=small)


@pytest.fixture
def stored(measured: Result, small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Baselines:
    """A folder with a baseline as version 0.1.0 wrote it; its dataset is in the catalogue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(baseline, "Registry", catalogue)
    made = Baselines(folder=Path("baselines"), locks=small.store / "locks")
    made.write(measured)
    make_old(made.pair(CELL), small)
    return made


def make_old(pair: Pair, places: Places) -> None:
    """Put the dataset's own ids in the place of pseudonyms, in their order, as schema 2 has them."""
    side = named_test_side(open_dataset(DATASET, places))
    with np.load(pair.scores) as archive:
        now = {name: archive[name] for name in archive.files}
    order_N = np.argsort(side.ids_T)
    ids_N = side.ids_T[order_N]
    old: dict[str, Any] = {"ids_N": ids_N, "patients_N": np.array([f"patient of {name}" for name in ids_N.tolist()])}
    old |= {"labels_N": now["labels_N"][order_N], "scores_SNC": now["scores_SNC"][:, order_N]}
    np.savez_compressed(stream := io.BytesIO(), **old)
    pair.scores.write_bytes(stream.getvalue())
    record = json.loads(pair.record.read_text()) | {"schema": OLD_SCHEMA, "scores": scores_checksum(**old)}
    record["recorded"]["date"] = "2026-11-25"
    write(pair, record)


def write(pair: Pair, record: dict[str, Any]) -> None:
    pair.record.write_text(json.dumps(record | {"checksum": record_checksum(record)}))


def migrate(small: Places, *arguments: str) -> int:
    return main(["baseline", "migrate", f"--data-root={small.data_root}", f"--store={small.store}", *arguments])


def test_an_old_baseline_says_what_to_type(stored: Baselines) -> None:
    with pytest.raises(OldBaseline, match=r"names of images and of patients; .*baseline migrate --folder=baselines"):
        stored.load(CELL)


def test_it_holds_what_it_held_under_other_names(
    stored: Baselines, measured: Result, small: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads(stored.pair(CELL).record.read_text())
    assert migrate(small) == 0
    record, scores = stored.pair(CELL)
    assert capsys.readouterr().out == f"{CELL}: written anew, {record} and .npz\n"
    assert stored.load(CELL) == measured
    after = json.loads(record.read_text())
    assert {name for name in after if after[name] != before[name]} == {"schema", "scores", "checksum"}
    assert after["recorded"]["date"] == "2026-11-25"
    files = record.read_bytes(), scores.read_bytes()
    assert migrate(small) == 0
    assert capsys.readouterr().out == f"{CELL}: is up to date\n"
    assert (record.read_bytes(), scores.read_bytes()) == files


def test_what_waits_is_migrated_too(stored: Baselines, measured: Result, small: Places) -> None:
    stored.keep_obtained(measured)
    make_old(stored.obtained(CELL), small)
    assert migrate(small) == 0
    assert stored.load_obtained(CELL) == measured


def left(capsys: pytest.CaptureFixture[str], stored: Baselines, files: tuple[bytes, bytes]) -> str:
    """What a migration that failed says; the files are as they were."""
    assert (stored.pair(CELL).record.read_bytes(), stored.pair(CELL).scores.read_bytes()) == files
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"fmtransfer baseline: {stored.pair(CELL).record} is left as it is: ")
    assert told.err.count("\n") == 1
    return told.err


def files_of(stored: Baselines) -> tuple[bytes, bytes]:
    record, scores = stored.pair(CELL)
    return record.read_bytes(), scores.read_bytes()


def edited(stored: Baselines) -> None:
    record = stored.pair(CELL).record
    record.write_text(record.read_text().replace('"margin": 0.02', '"margin": 0.03'))


def of_other_data(stored: Baselines) -> None:
    record = json.loads(stored.pair(CELL).record.read_text())
    record["question"]["dataset_fingerprint"] = "0" * 32
    write(stored.pair(CELL), record)


def with_other_arrays(stored: Baselines, **others: Any) -> None:
    pair = stored.pair(CELL)
    with np.load(pair.scores) as archive:
        arrays = {name: archive[name] for name in archive.files} | others
    np.savez_compressed(stream := io.BytesIO(), **arrays)
    pair.scores.write_bytes(stream.getvalue())
    write(pair, json.loads(pair.record.read_text()) | {"scores": scores_checksum(**arrays)})


def with_labels_flipped(stored: Baselines) -> None:
    with np.load(stored.pair(CELL).scores) as archive:
        labels_N = archive["labels_N"]
    with_other_arrays(stored, labels_N=1 - labels_N)


def with_an_image_renamed(stored: Baselines) -> None:
    with np.load(stored.pair(CELL).scores) as archive:
        ids_N = archive["ids_N"].copy()
    ids_N[3] = "zz/00.jpg"
    with_other_arrays(stored, ids_N=ids_N)


def with_an_image_twice(stored: Baselines) -> None:
    with np.load(stored.pair(CELL).scores) as archive:
        ids_N = archive["ids_N"].copy()
    ids_N[3] = ids_N[4]
    with_other_arrays(stored, ids_N=ids_N)


def damaged(stored: Baselines) -> None:
    stored.pair(CELL).scores.write_bytes(b"damaged")


def of_an_older_schema(stored: Baselines) -> None:
    write(stored.pair(CELL), json.loads(stored.pair(CELL).record.read_text()) | {"schema": 1})


OTHER_DATA = "the data here are not those that it was measured on; restore these, or record it again"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edited, "was edited after it was written"),
        (of_other_data, OTHER_DATA),
        (with_labels_flipped, OTHER_DATA),
        (with_an_image_renamed, OTHER_DATA),
        (with_an_image_twice, OTHER_DATA),
        (damaged, "the file of scores is damaged"),
        (of_an_older_schema, "is of no schema that can be migrated, which is 2"),
    ],
)
def test_what_cannot_be_migrated_is_left_and_told(
    stored: Baselines, small: Places, capsys: pytest.CaptureFixture[str], damage: Any, reason: str
) -> None:
    damage(stored)
    files = files_of(stored)
    assert migrate(small) == 2
    assert reason in left(capsys, stored, files)


def test_without_the_data_it_says_where_they_belong(
    stored: Baselines, small: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(stored)
    (tmp_path / "empty").mkdir()
    assert migrate(replace(small, data_root=tmp_path / "empty")) == 2
    assert "no images of stripes: get it from" in left(capsys, stored, files)


def test_images_that_were_written_again_are_other_data(
    stored: Baselines, small: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "data")
    image = tmp_path / "data" / "stripes" / "yes" / "07.jpg"
    image.write_bytes(image.read_bytes()[:-1] + b"\1")
    files = files_of(stored)
    assert migrate(replace(small, data_root=tmp_path / "data")) == 2
    assert OTHER_DATA in left(capsys, stored, files)


def test_a_row_of_a_conftest_asks_for_the_tests_beside_it(
    stored: Baselines,
    measured: Result,
    small: Places,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(baseline, "Registry", Registry)
    files = files_of(stored)
    assert main(["baseline", "migrate", f"--store={small.store}"]) == 2
    told = left(capsys, stored, files)
    assert "unknown dataset 'stripes'" in told
    assert "where a conftest.py registers it, name the tests beside that behind the same command" in told
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    places = (f"--data-root={small.data_root}", f"--store={small.store}")
    command = [sys.executable, "-m", "pytest_fmtransfer", "baseline", "migrate", "test_it.py", *places]
    root = str(Path(__file__).parent.parent)  # for `tests.small`
    subprocess.run(command, env={**os.environ, "PYTHONPATH": root}, check=True, timeout=120)
    assert stored.load(CELL) == measured


def test_a_pair_of_another_cell_is_left(stored: Baselines, small: Places, capsys: pytest.CaptureFixture[str]) -> None:
    other = stored.pair(Cell("tiny", "ward7", "knn"))
    for mine, theirs in zip(stored.pair(CELL), other, strict=True):
        mine.rename(theirs)
    assert migrate(small) == 2
    assert f"{other.record} is left as it is: it holds the result of {CELL}; restore" in capsys.readouterr().err


def test_an_old_baseline_has_a_row_in_the_list(stored: Baselines, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "list"]) == 2
    assert capsys.readouterr().out.splitlines()[-1].split() == [CELL.id, "schema", "2"]


def test_images_are_named_for_who_has_them(
    stored: Baselines, small: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert migrate(small) == 0
    capsys.readouterr()
    command = ["baseline", "images", CELL.id, f"--store={small.store}"]
    assert main([*command, f"--data-root={small.data_root}"]) == 0
    side = named_test_side(open_dataset(DATASET, small))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [list(pair) for pair in zip(side.images_T.tolist(), side.ids_T.tolist(), strict=True)]
    (tmp_path / "empty").mkdir()
    assert main([*command, f"--data-root={tmp_path / 'empty'}"]) == 2
    assert "no images of stripes: get it from" in capsys.readouterr().err


def test_a_ci_writes_no_baseline(
    stored: Baselines, small: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "1")
    files = files_of(stored)
    assert migrate(small) == 2
    assert files_of(stored) == files
    assert "migrate refuses to write baselines where CI is set" in capsys.readouterr().err


def test_an_empty_folder_has_nothing_to_migrate(
    small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert main(["baseline", "migrate", f"--folder={tmp_path}", f"--store={small.store}"]) == 0
    assert capsys.readouterr().out == f"no baseline in {tmp_path}\n"


def test_a_comparison_names_images_where_the_data_are(
    measured: Result, small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the image whose score moved most is the one of the file."""
    side = named_test_side(open_dataset(DATASET, small))
    monkeypatch.setattr(baseline, "Registry", catalogue)
    ids = baseline.ids_here(measured, small)
    assert ids == dict(zip(side.images_T.tolist(), side.ids_T.tolist(), strict=True))
    never_hashed = replace(small, store=tmp_path / "new")
    assert baseline.ids_here(measured, never_hashed) == {}

"""Pseudonyms of images and patients: what they keep, and what they do not tell.

Legend: N images.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.judge.causes import other_patients
from pytest_fmtransfer.pseudonyms import check_pseudonyms, images_called, patients_called
from pytest_fmtransfer.store import CorruptEntry, file_digest
from tests.datasets import Row, dataset_of
from tests.helpers import LAWS
from tests.pictures import head
from tests.small import catalogue

CELL = Cell("tiny", "stripes", "knn")
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9)
rows = st.lists(st.tuples(text, st.sampled_from("abcd")), min_size=1, max_size=12, unique_by=lambda row: row[0])


def called(found: list[tuple[str, str]], dataset: str = "scans", content: str = "00ff") -> np.ndarray:
    return images_called(dataset, np.array([name for name, _ in found]), np.array([content] * len(found)))


@LAWS
@given(rows, st.randoms(use_true_random=False))
def test_who_shares_a_patient_with_whom_is_kept_and_nothing_else_of_patients(
    found: list[tuple[str, str]], random: object
) -> None:
    images_N, patients_N = np.sort(called(found)), np.array([patient for _, patient in found])
    called_N = patients_called(images_N, patients_N)
    check_pseudonyms(images_N, called_N)
    assert other_patients(called_N, patients_N) == 0
    renamed_N = np.array([{"a": "z", "b": "a", "c": "b", "d": "0"}[patient] for patient in patients_N.tolist()])
    np.testing.assert_array_equal(patients_called(images_N, renamed_N), called_N)


@LAWS
@given(rows, st.permutations(range(12)))
def test_patients_are_called_alike_whatever_the_order(found: list[tuple[str, str]], order: list[int]) -> None:
    images_N, patients_N = called(found), np.array([patient for _, patient in found])
    order_N = np.array([place for place in order if place < len(found)])
    again_N = patients_called(images_N[order_N], patients_N[order_N])
    np.testing.assert_array_equal(again_N, patients_called(images_N, patients_N)[order_N])


@LAWS
@given(rows)
def test_images_of_equal_content_are_told_apart(found: list[tuple[str, str]]) -> None:
    assert len(set(called(found).tolist())) == len(found)


def test_a_pseudonym_is_of_the_content_the_dataset_and_the_id() -> None:
    one = [("a.png", "a")]
    [usual] = called(one)
    assert re.fullmatch("[0-9a-f]{32}", usual)
    assert called(one) == usual
    assert called(one, dataset="scans.shuffled") == usual  # the same images
    assert called(one, content="00fe") != usual  # who has not the image cannot try ids
    assert called(one, dataset="others") != usual
    assert called([("b.png", "a")]) != usual


def test_the_test_side_is_named_and_in_order(tmp_path: Path) -> None:
    found = [Row(f"{n}.png", side="test" if n % 2 else "train", label=n // 4, patient=f"p{n // 4}") for n in range(8)]
    dataset = dataset_of(tmp_path, {row: head(number) for number, row in enumerate(found)})
    side = named_test_side(dataset)
    check_pseudonyms(side.images_T, side.patients_T)
    assert sorted(side.ids_T.tolist()) == ["1.png", "3.png", "5.png", "7.png"]
    assert [int(name[0]) // 4 for name in side.ids_T] == side.labels_T.tolist()
    assert len(set(side.patients_T.tolist())) == 2
    rows_T = dataset.table.side("test")[side.order_T]
    np.testing.assert_array_equal(dataset.table.ids_N[rows_T], side.ids_T)


def test_scores_follow_their_images(small: Places) -> None:
    """Each image's score is the one that it has where nothing is in another order."""
    found = transfer(CELL, registry=catalogue(), places=small)
    assert (np.diff(found.labels_N) != 0).sum() > 2  # the order is not that of the classes' folders
    assert found.mean > 0.9  # the stripes are seen; scores in another order would be as good as chance


def test_what_the_store_holds_is_held_to_the_dataset(small: Places, tmp_path: Path) -> None:
    """Labels that were flipped in the store, with checksums to match, are not taken for the dataset's."""
    places = replace(small, store=tmp_path / "store")
    found = transfer(CELL, registry=catalogue(), places=places)
    entry = places.store / "results" / found.key[:2] / found.key
    flipped = replace(found, labels_N=1 - found.labels_N, scores_SNC=found.scores_SNC[:, :, ::-1])
    (entry / "result.json").write_text(json.dumps(flipped.record()))
    (entry / "scores.npz").write_bytes(flipped.scores_file())
    manifest = json.loads((entry / "entry.json").read_text())
    manifest["files"] = {name: file_digest(entry / name) for name in manifest["files"]}
    (entry / "entry.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptEntry, match=r"is not of the test images, patients and labels of stripes.*remove"):
        transfer(CELL, registry=catalogue(), places=places)

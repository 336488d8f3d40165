"""Sizes that the catalogue expects of data sets that are absent agree with what it says elsewhere."""

from dataclasses import replace

import pytest

from pytest_fmtransfer.catalog.expected import expected_of
from pytest_fmtransfer.catalog.regime_specs import Caps
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.data.splits import shuffled_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION

ROWS = [row for row in Registry().rows(DatasetSpec) if row.expected_images is not None]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sides_make_up_all_images_and_classes_the_test_side(row: DatasetSpec, registry: Registry) -> None:
    found = expected_of(row, None)
    assert found is not None
    assert found.train + found.validation + found.test == row.expected_images
    if found.by_class:
        assert tuple(found.by_class) == row.classes
        assert sum(found.by_class.values()) == pytest.approx(found.test, abs=2)
    assert expected_of(registry.dataset(f"{row.name}.shuffled"), None) is not None


@pytest.mark.parametrize(("name", "held_out"), [("aptos2019", 0.3), ("isic2019", 0.2)])
def test_sides_of_the_paper_are_those_of_its_split(name: str, held_out: float, registry: Registry) -> None:
    row = registry.dataset(name)
    assert row.expected_images is not None
    split_N = shuffled_split(row.expected_images, held_out=held_out).tolist()
    found = expected_of(row, None)
    assert found is not None
    assert (found.train, found.validation, found.test) == tuple(map(split_N.count, (TRAIN, VALIDATION, TEST)))


def test_a_profile_takes_what_it_caps_and_classes_keep_their_shares(registry: Registry) -> None:
    found = expected_of(registry.dataset("aptos2019"), Caps(train=100, validation=1000, test=183))
    assert found is not None
    assert (found.train, found.validation, found.test) == (100, 549, 183)
    assert found.by_class == {"no DR": 90, "mild": 18, "moderate": 50, "severe": 10, "proliferative": 15}


def test_nothing_is_expected_of_what_nobody_counted(registry: Registry) -> None:
    assert expected_of(replace(registry.dataset("ddsm"), name="other", expected_images=None), None) is None


def test_sides_that_nobody_tells_are_assumed_and_others_are_taken_as_they_are_told(registry: Registry) -> None:
    other = replace(registry.dataset("ddsm"), name="other", expected_images=100)
    for row, sides, source in (
        (other, (80, 10, 10), "assumed: a tenth each to validate and test"),
        (replace(other, options={"samples": "30 20 50"}), (30, 20, 50), "as its authors split it"),
        (registry.dataset("medmnist.pathmnist_64"), (89_996, 10_004, 7_180), "as MedMNIST splits it"),
        (registry.dataset("chexpert"), (178_717, 22_348, 22_349), "by the rules of Palés Huix et al. 2024"),
        (registry.dataset("chexpert.shuffled"), (178_717, 22_348, 22_349), "by the rules of Palés Huix et al. 2024"),
    ):
        found = expected_of(row, Caps(train=10**6, validation=10**6, test=10**6))
        assert found is not None
        assert ((found.train, found.validation, found.test), found.source) == (sides, source)

"""What a profile spends is told before a run, and in its report where it leaves images out."""

import json
from dataclasses import replace

import pytest

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.catalog.profile_words import in_words
from pytest_fmtransfer.catalog.regime_specs import Caps, Profile
from pytest_fmtransfer.catalog.regimes import PROFILES
from pytest_fmtransfer.data.capped import capped
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.reports.rows import Report, cell_row, gather
from pytest_fmtransfer.reports.tables import csv, markdown
from tests.helpers import result
from tests.small import DATASET, catalogue

FEW = Profile(name="few", forward_dtype="float32", caps=Caps(train=10, validation=500, test=44))


def test_help_names_every_profile_and_what_it_spends(pytester: pytest.Pytester) -> None:
    told = " ".join(pytester.runpytest("--help").stdout.str().split())
    assert all(in_words(profile) in told for profile in PROFILES)
    assert in_words(PROFILES[0]) == (
        "smoke (up to 256 + 128 + 256 images, epochs 8, scratch 40, heads 60, 3 seeds, up to 112 px, "
        "bfloat16_where_native)"
    )


def test_a_profile_that_limits_all_epochs_alike_says_it_once() -> None:
    for epochs, told in ((1, "1 epoch"), (8, "8 epochs"), (None, "the regime's epochs")):
        spent = replace(FEW, caps=None, epochs=epochs, head_epochs=epochs)
        assert in_words(spent) == f"few (every image, {told}, {spent.seeds} seeds, float32)"


def test_a_dataset_that_is_capped_says_of_which_sides(small: Places) -> None:
    whole = open_dataset(DATASET, small)
    sides = {side: len(whole.table.side(side)) for side in ("train", "validation", "test")}
    assert capped(whole, FEW.caps).used == {"train": (10, sides["train"]), "test": (44, sides["test"])}
    assert capped(whole, Caps(train=10**6, validation=10**6, test=10**6)).used == {}
    assert capped(whole, None).used == {}


def test_a_result_keeps_what_was_used(small: Places) -> None:
    registry = catalogue()
    registry.register(FEW)
    found = transfer(Cell("tiny", "stripes", "knn"), profile="few", registry=registry, places=small)
    assert found.subject["used_images"] == {"train": [10, 48], "test": [44, 48]}
    assert "used_images" not in transfer(Cell("tiny", "stripes", "knn"), registry=registry, places=small).subject


def report(*subjects: dict[str, object], profile: str = "ci") -> Report:
    cells = [
        cell_row(result(f"net{at}.model-br35h-knn", 1.0, subject=subject, profile=profile))
        for at, subject in enumerate(subjects)
    ]
    row = {"file": "f", "test": "t", "family": None, "expected": None, "claim": {}, "telling": None, "verdicts": []}
    row["cells"] = json.loads(json.dumps(cells))
    return gather([row], datasets=[replace(Registry().dataset("br35h"), caveats=("a caveat",))])


def test_the_report_says_how_many_images_a_profile_used() -> None:
    some = {"used_images": {"train": [2000, 20265], "test": [2000, 2500]}}
    text = markdown(report(some, some))
    assert text.count("Profile ci: 2,000 of 20,265 training images, 2,000 of 2,500 test images. A caveat.") == 1
    assert report(some).datasets[0]["used_images"] == {"ci": some["used_images"]}
    assert "used_images" not in csv(report(some)).splitlines()[0]


def test_where_every_image_was_used_the_report_says_nothing_of_it() -> None:
    assert "rofile ci:" not in markdown(report({}))

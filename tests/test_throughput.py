"""Seconds and sizes of the past, each with its source: this machine, then a baseline, then nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_fmtransfer._transfer import Asked
from pytest_fmtransfer.backbones.precision import processor
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings, plain
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.features import FeatureKey
from pytest_fmtransfer.results import Cost, Result
from pytest_fmtransfer.store import Store, fingerprint
from pytest_fmtransfer.throughput import Figure, Past
from tests.helpers import result, retrained

NETWORK = {"architecture": "net", "image_size": 32, "forward_dtype": "float32"}


def asked(regime: str = "knn", *, images: str = "data", seeds: int = 1, **subject: Any) -> Asked:
    """A question about the images of a dataset, to a network."""
    question = result(f"a-data-{regime}", 1.0, dataset_fingerprint=images).question
    key = FeatureKey(backbone="", whole="")
    return Asked(
        question=question,
        subject=here(**subject),
        spec=Registry().backbone("mobilenetv2"),
        settings=Registry().regime(regime).settings,
        dtype="float32",
        training_dtype="float32",
        seeds=tuple(range(seeds)),
        seeded=False,
        features=key,
        key="",
    )


def earlier(cell: str, cost: tuple[int, float, float], *, subject: Mapping[str, Any], images: str = "") -> Result:
    """A result on 100 test images, and its cost: forward passes, their seconds, the regime's seconds."""
    passes, forward, adapt = cost
    fingerprint = images or Cell.parse(cell).dataset
    found = result(cell, 1.0, counts=(50, 50), dataset_fingerprint=fingerprint)
    spent = Cost(forward_passes=passes, forward_seconds=forward, adapt_seconds=adapt, feature_bytes=4000)
    return replace(found, cost=spent, subject=subject)


def stored(store: Store, *results: Result) -> Store:
    for each in results:

        def compute(entry: Path, each: Result = each) -> None:
            (entry / "result.json").write_text(json.dumps(each.record()))

        store.fetch("results", fingerprint(each.cell.id, each.cost.forward_seconds), compute, about={})
    return store


def here(**more: Any) -> dict[str, Any]:
    return NETWORK | {"processor": processor()} | more


THERE = NETWORK | {"processor": "another processor"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path)


def test_forward_passes_go_at_the_speed_that_this_machine_had(store: Store) -> None:
    stored(
        store,
        earlier("a-data-knn", (100, 2.0, 0.1), subject=here()),
        earlier("b-data-knn", (300, 2.0, 0.1), subject=here()),  # the same network under another name: a twin
        earlier("c-data-knn", (10, 90.0, 0.1), subject=here(image_size=64)),
        earlier("d-data-knn", (0, 0.0, 0.1), subject=here()),  # took its features from another dataset's
    )
    baseline = earlier("a-data-knn", (100, 50.0, 0.1), subject=THERE)
    assert Past(store, [baseline]).forward(asked(), 1000) == Figure(amount=10.0, source="this machine")


def test_without_a_measurement_a_baseline_tells_and_names_its_processor(store: Store) -> None:
    stored(store, earlier("a-data-knn", (100, 2.0, 0.1), subject=THERE))  # a store that was copied here
    baseline = earlier("a-data-knn", (100, 50.0, 0.1), subject=THERE)
    found = Past(store, [baseline]).forward(asked(), 10)
    assert found == Figure(amount=5.0, source="baseline, on another processor")


def test_nothing_tells_of_a_network_that_never_ran(store: Store) -> None:
    past = Past(store, [earlier("a-data-knn", (100, 50.0, 0.1), subject=THERE)])
    assert past.forward(asked(architecture="other"), 10) == Figure(amount=None, source="speed unknown")
    assert past.forward(asked(architecture="other"), 0).amount == 0.0


def test_adapting_takes_what_it_took_on_the_same_images(store: Store) -> None:
    stored(
        store,
        earlier("a-data-knn", (1, 1.0, 2.0), subject=here()),
        earlier("b-data-knn", (1, 2.0, 4.0), subject=here()),
        earlier("a-data-linear_probe", (1, 3.0, 64.0), subject=here()),
        earlier("a-other-knn", (1, 4.0, 128.0), subject=here()),
    )
    past = Past(store, [earlier("c-data-knn", (1, 1.0, 256.0), subject=THERE)])
    assert past.adapt(asked(), "a", 100) == Figure(amount=2.0, source="this machine")
    assert past.adapt(asked(), "c", 100) == Figure(amount=3.0, source="this machine")
    assert past.adapt(asked(seeds=20), "a", 100).amount == 40.0


def test_a_result_of_several_seeds_tells_of_one(store: Store) -> None:
    found = retrained("a-data-knn", 1.0, 1.1, 1.2, 1.3)
    question = replace(found.question, dataset_fingerprint="data")
    cost = replace(found.cost, adapt_seconds=12.0)
    stored(store, replace(found, question=question, cost=cost, subject=here()))
    assert Past(store, []).adapt(asked(), "a", len(found.ids_N)) == Figure(amount=3.0, source="this machine")


def test_a_baseline_of_the_same_images_tells_more_than_other_images(store: Store) -> None:
    stored(store, earlier("a-other-knn", (1, 1.0, 2.0), subject=here()))
    baseline = earlier("a-data-knn", (1, 1.0, 7.0), subject=THERE)
    assert Past(store, [baseline]).adapt(asked(), "a", 100) == Figure(
        amount=7.0, source="baseline, on another processor"
    )
    assert Past(store, []).adapt(asked(), "a", 300) == Figure(amount=6.0, source="this machine, scaled from other")
    assert Past(store, []).adapt(asked("linear_probe"), "a", 300).source == "time of the regime unknown"


def test_training_of_the_same_network_in_the_same_steps_is_timed_by_the_epoch(store: Store) -> None:
    settings = Registry().regime("finetune_linear").settings
    assert isinstance(settings, TrainingSettings)
    subject = here(training_dtype="float32")

    def at(**more: Any) -> Asked:
        changed = replace(settings, **more)
        return replace(asked("finetune_linear"), settings=changed, subject=subject)

    found = earlier("a-data-finetune_linear", (0, 0.0, 50.0), subject=subject)
    trained = replace(found, question=replace(found.question, settings=plain(replace(settings, epochs=10))))
    stored(store, trained)
    past = Past(store, [])
    assert past.adapt(at(epochs=10), "a", 100) == Figure(amount=50.0, source="this machine")
    assert past.adapt(at(epochs=20), "a", 100) == Figure(amount=100.0, source="this machine, by the epoch")
    warm = at(epochs=20, warm_up_steps=100, learning_rate=1e-3)
    assert past.adapt(warm, "a", 200).amount == 200.0
    never = "training time not included: this network was never trained so here"
    assert past.adapt(at(epochs=20, batch=8), "a", 100) == Figure(amount=None, source=never)
    assert past.adapt(at(trained="head"), "a", 100) == Figure(amount=None, source=never)


def test_a_probe_of_files_is_timed_by_the_test_images(store: Store) -> None:
    stored(store, earlier("probe-data-knn", (0, 3.0, 0.1), subject=here()))
    past = Past(store, [])
    assert past.probe(asked("linear_probe"), 100) == Figure(amount=3.0, source="this machine")
    assert past.probe(asked(images="other"), 200) == Figure(amount=6.0, source="this machine, scaled from data")


def test_sizes_are_those_of_the_same_network(store: Store) -> None:
    stored(store, earlier("a-data-knn", (0, 3.0, 0.1), subject=here()))
    past = Past(store, [])
    assert past.feature_bytes(asked(), 100, 250) == Figure(amount=4000 + 250 * 128, source="this machine")
    scaled = past.feature_bytes(asked(images="other"), 200, 500)
    assert scaled == Figure(amount=8000 + 500 * 128, source="this machine, scaled from data")
    unknown = Figure(amount=None, source="width of features unknown")
    assert past.feature_bytes(asked(architecture="other"), 100, 250) == unknown


def test_a_damaged_record_tells_nothing(store: Store) -> None:
    stored(store, earlier("a-data-knn", (100, 2.0, 0.1), subject=here()))
    [record] = store.root.rglob("result.json")
    whole = json.loads(record.read_text())
    for damaged in ("{", "{}", json.dumps(whole | {"cell": "none"}), json.dumps(whole | {"cost": {"seconds": 1}})):
        record.write_text(damaged)
        assert Past(store, []).forward(asked(), 10).amount is None
    record.write_text(json.dumps(whole))
    assert Past(store, []).forward(asked(), 10).amount is not None

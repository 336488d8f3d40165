"""A training's scores do not depend on how many cores, workers of pytest-xdist or threads of OpenMP there are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pytest_fmtransfer import limits, transfer
from pytest_fmtransfer.backbones.computing import TRAINING_THREADS, computing, training_context
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.places import Places
from tests.small import catalogue

# Cores of the machine, workers of pytest-xdist, OMP_NUM_THREADS; and the threads of a forward pass.
SURROUNDINGS = {
    "one core": (1, None, None, 1),
    "four cores": (4, None, None, 4),
    "four cores and -n 2": (4, "2", None, 2),
    "four cores and -n 4": (4, "4", None, 1),
    "four cores of which one is asked for": (4, None, "1", 1),
}
PAIR = ("four cores", "four cores and -n 4")
VIT, CONVOLUTIONS = "imagenet_deitb16.tiny", "tiny"
TRAINED = (
    f"{CONVOLUTIONS}-stripes-finetune_linear",
    f"{CONVOLUTIONS}-stripes-scratch",
    f"{VIT}-stripes-lora2",
    f"{VIT}-stripes-partial1_linear.unaugmented",
)
# Their features are passed with all threads there are, and move by rounding. That may decide more on another backbone:
# docs/devices.md.
ON_FEATURES = (
    f"{VIT}-stripes-knn",
    f"{VIT}-stripes-linear_probe",
    f"{VIT}-stripes-ridge",
    f"{VIT}-stripes-frozen_linear",
    f"{VIT}-stripes-attention_probe",
)
TOLERANCE = 1e-4  # of the scores' standard deviation


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = catalogue()
    registry.register(Profile(name="least", forward_dtype="float32", epochs=3, head_epochs=3, batch=16, size=32))
    return registry


def surrounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cores, workers, asked, _ = SURROUNDINGS[name]
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(limits, "_quotas", lambda: iter(()))
    for variable, value in (("PYTEST_XDIST_WORKER_COUNT", workers), ("OMP_NUM_THREADS", asked)):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)


def cold(cell: str, name: str, registry: Registry, places: Places, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    with monkeypatch.context() as patch:
        surrounded(name, patch)
        own = replace(places, store=places.store.parent / f"{places.store.name} {name}", device="cpu")
        return transfer(cell, profile="least", registry=registry, places=own).scores_SNC


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_training_has_its_own_number_of_threads_and_a_forward_pass_its_share(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded(name, monkeypatch)
    before = torch.get_num_threads()
    with training_context("float32"):
        assert torch.get_num_threads() == TRAINING_THREADS
        with computing("float32"):
            assert torch.get_num_threads() == SURROUNDINGS[name][3]
        assert torch.get_num_threads() == TRAINING_THREADS
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("cell", TRAINED)
def test_a_cold_training_comes_to_the_same_with_workers_and_without(
    cell: str, registry: Registry, small: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, worker = (cold(cell, name, registry, small, monkeypatch) for name in PAIR)
    np.testing.assert_array_equal(worker, alone)


@pytest.mark.parametrize("cell", ON_FEATURES)
def test_what_is_learnt_from_features_comes_to_the_same_within_rounding(
    cell: str, registry: Registry, small: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, worker = (cold(cell, name, registry, small, monkeypatch) for name in PAIR)
    np.testing.assert_allclose(worker, alone, rtol=0, atol=TOLERANCE * float(alone.std()))

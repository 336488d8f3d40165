"""Every library that runs while a cell is computed is named in its result, or is known to move no score."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pytest_fmtransfer import Cell, Places, libraries, transfer
from pytest_fmtransfer.availability import DISTRIBUTIONS
from pytest_fmtransfer.catalog.regime_settings import RegimeSettings, TrainingSettings, ZeroShotSettings, method_of
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.text_places import Tower, tower_of
from tests.small import DATASET, catalogue

CELLS = (
    "tiny-stripes-knn",
    "tiny-stripes-ridge",
    "tiny-stripes-linear_probe",
    "tiny-stripes-fewshot5",
    "imagenet_deitb16.tiny-stripes-frozen_linear",
    "imagenet_deitb16.tiny-stripes-finetune_deitb.small_random",
    "imagenet_deitb16.tiny-stripes-lora2",
    "openclip_vitb16.tiny-stripes-zeroshot",
    "blip_vitb16.tiny-stripes-zeroshot",
    "sam_vitb16.tiny-stripes-knn",
    "shortcut.metadata-stripes-knn",
)
# What is called and computes nothing.
MOVES_NO_SCORE = {
    "pytest-fmtransfer": "the text of our modules is in the key",
    "filelock": "locks the store",
    "threadpoolctl": "says how many threads compute",
    "tqdm": "draws progress",
    "packaging": "compares versions",
    "typing-extensions": "marks functions",
    "narwhals": "asks of what kind an array is",
    "huggingface-hub": "checks configurations",
    "safetensors": "reads tensors, whose values are in the key",
    "joblib": "asks how many cores there are",
    **dict.fromkeys(("jsonschema", "attrs", "referencing", "rpds-py"), "checks a record against its schema"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    root = tmp_path_factory.mktemp("called")
    command = [sys.executable, "-m", "tests.called_libraries", str(root), *CELLS]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def normal(names: list[str]) -> set[str]:
    return {name.lower().replace("_", "-") for name in names}


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_called_is_declared(cell: str, told: dict[str, dict[str, list[str]]]) -> None:
    called, declared = normal(told[cell]["called"]), normal(told[cell]["declared"])
    assert "numpy" in called
    assert called - set(MOVES_NO_SCORE) <= declared


def test_every_method_tower_and_library_is_traced() -> None:
    registry = catalogue()
    cells = [Cell.parse(cell) for cell in CELLS]
    settings = [registry.regime(cell.regime).settings for cell in cells]
    assert {method_of(each) for each in settings} == {method_of(each) for each in ONE_OF_EACH}
    backbones = [registry.backbone(cell.backbone) for cell in cells]
    assert set(DISTRIBUTIONS) <= {spec.library for spec in backbones}
    read = [isinstance(each, ZeroShotSettings) for each in settings]
    assert {tower_of(spec) for spec, reads in zip(backbones, read, strict=True) if reads} == set(get_args(Tower))


ONE_OF_EACH: list[RegimeSettings] = [
    *(Registry().regime(name).settings for name in ("knn", "linear_probe", "ridge", "fewshot5", "zeroshot")),
    TrainingSettings(trained="head"),
    TrainingSettings(trained="all"),
]


@pytest.mark.parametrize(
    ("regime", "library"), [("frozen_linear", "torchvision"), ("lora2", "peft"), ("linear_probe", "scikit-learn")]
)
def test_another_version_of_what_a_regime_declares_computes_its_result_again(
    regime: str, library: str, small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.called_libraries import LEAST

    places, registry = replace(small, store=tmp_path / "store"), catalogue()
    registry.register(LEAST)
    cells = [Cell("imagenet_deitb16.tiny", "stripes", each) for each in (regime, "knn")]

    def origins() -> list[str]:
        return [transfer(cell, profile="least", registry=registry, places=places).origin for cell in cells]

    origins()
    assert origins() == ["store", "store"]
    installed = libraries.version
    monkeypatch.setattr(libraries, "version", lambda name: "99" if name == library else installed(name))
    assert origins() == ["computed", "store"]


def test_a_reader_that_needs_a_library_declares_it() -> None:
    assert libraries.of_data(Registry().dataset("patchcamelyon")) == ("h5py",)
    assert libraries.of_data(DATASET) == ()

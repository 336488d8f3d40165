"""Every file that is read from a folder of transformers is in the key."""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights, RandomWeights
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.places import Places
from tests import small

_heard: list[set[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _heard and isinstance(arguments[0], str | bytes):
        _heard[-1].add(os.path.realpath(os.fsdecode(arguments[0])))


@contextmanager
def hearing() -> Generator[set[str]]:
    sys.addaudithook(_hear)  # inert outside the block
    _heard.append(set())
    try:
        yield _heard[-1]
    finally:
        _heard.pop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and beside it whatever else such folders hold; `config.4.0.0.json` is what the library reads of both."""
    folder = tmp_path / "model"
    save(folder, seed=0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"configuration_files": ["config.4.0.0.json"]}))
    (folder / "config.4.0.0.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-5}))
    torch.save(model(seed=1).state_dict(), folder / "pytorch_model.bin")
    for name in ("generation_config.json", "tokenizer.json", "special_tokens_map.json", "README.md"):
        (folder / name).write_text("{}")
    return folder


def model(*, seed: int) -> Dinov2Model:
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Dinov2Model(config)


def save(folder: Path, *, seed: int) -> None:
    model(seed=seed).save_pretrained(folder)


def row(folder: Path, weights: Path | None) -> BackboneSpec:
    own = replace(small.BACKBONE, library="transformers", architecture=f"hf:{folder}", image_size=56)
    return replace(own, weights=FileWeights(path=weights) if weights else RandomWeights())


def named(spec: BackboneSpec, places: Places) -> object:
    return subject_of(spec, "float32", places)["weights"]


@pytest.mark.parametrize("kind", ["folder", "file", "twin"])
def test_a_change_of_any_file_that_is_opened_is_another_backbone(kind: str, folder: Path, tmp_path: Path) -> None:
    places = Places(store=tmp_path / "store")
    spec = row(folder, {"folder": folder, "file": folder / "model.safetensors", "twin": None}[kind])
    with hearing() as heard:
        build_backbone(spec, places)
    opened = {Path(each) for each in heard if Path(each).parent == folder.resolve()}
    assert {path.name for path in opened} >= {"config.json", "config.4.0.0.json"}
    before = named(spec, places)
    for path in opened:
        if path.suffix == ".json":
            content = path.read_bytes()
            path.write_bytes(content + b"\n")
            assert named(spec, places) != before, path.name
            path.write_bytes(content)
            assert named(spec, places) == before
    if kind != "twin":  # a library of its own opens them, unheard by Python
        save(tmp_path / "other", seed=2)
        os.replace(tmp_path / "other" / "model.safetensors", folder / "model.safetensors")
        assert named(spec, places) != before


def test_the_file_that_is_loaded_is_the_one_that_is_named(folder: Path, tmp_path: Path) -> None:
    """Of a folder with two, the library alone would load one whichever is named."""
    loaded = build_backbone(row(folder, folder / "pytorch_model.bin"), Places(store=tmp_path / "store"))
    tensors, expected = loaded.network.state_dict(), model(seed=1).state_dict()
    assert all(torch.equal(tensors[name], expected[name]) for name in tensors)

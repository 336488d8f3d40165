"""A file of published weights serves the rows of its publisher alone, and it is found where a skip says to put it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.text_places import VOCABULARY
from pytest_fmtransfer.weights_places import find_weights, short_way_to, torch_cache, ways_to
from tests.hub import cached, use_hub_cache

LINES = (
    "mine=timm:resnet18",
    "mine=open_clip:ViT-B-16/laion2b_s34b_b88k",
    "mine=hf:facebook/dinov2-base",
)


def published_rows() -> Iterator[tuple[BackboneSpec, PublishedWeights]]:
    registry = Registry()
    rows = [
        *registry.rows(BackboneSpec),
        registry.backbone("timm.resnet18"),
        *(UserBackbone.parse(line).row for line in LINES),
    ]
    for row in rows:
        if isinstance(row.weights, PublishedWeights):
            yield row, row.weights
    yield registry.backbone("blip_vitb16"), VOCABULARY
    # Rows of a user's own project: names that say nothing, and a revision.
    own = registry.backbone("imagenet_resnet18")
    for name, file, hub, revision in (
        ("one", "model.safetensors", "", ""),
        ("two", "model.safetensors", "", ""),
        ("three", "weights/model.pth", "org/three", "v1.0"),
        ("four", "weights/model.pth", "org/three", ""),
    ):
        url = f"https://example.org/{name}/{file}"
        yield replace(own, name=name), PublishedWeights(file=file, url=url, hub=hub, revision=revision)


ROWS = list(published_rows())
IDS = [f"{spec.name}-{Path(weights.file).name}-{at}" for at, (spec, weights) in enumerate(ROWS)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    use_hub_cache(monkeypatch, tmp_path / "hf" / "hub")
    return Places(store=tmp_path / "store", weights=tmp_path / "weights")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def told_places(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Iterator[Path]:
    """Every place that the messages tell, as somebody who reads them takes it."""
    told = f"{ways_to(spec, weights, places)}\n{short_way_to(spec, weights, places)}"
    for file, folder in re.findall(r"put (\S+) into (\S+?)(?=,| from |\n|$)", told):
        yield Path(folder) / file
    for folder in re.findall(r"into torch\.hub's (\S+?)(?=,|\n|$)", told):
        yield Path(folder) / weights.file
    for repository, revision, cache in re.findall(
        r"or have (\S+)(?: at (\S+))? in Hugging Face's (\S+?)(?=,|\n|$)", told
    ):
        yield cached(Path(cache), repository, weights.file, revision=revision or "main", commit="c0ffee")


@pytest.mark.parametrize(("spec", "weights"), ROWS, ids=IDS)
def test_a_file_is_found_exactly_where_the_message_says_to_put_it(
    spec: BackboneSpec, weights: PublishedWeights, here: Places
) -> None:
    places = list(told_places(spec, weights, here))
    assert places
    for place in places:
        assert find_weights(spec, weights, here) is None
        assert find_weights(spec, weights, here) == put(place) or find_weights(spec, weights, here) == place
        place.unlink()


@pytest.mark.parametrize(("spec", "weights"), ROWS, ids=IDS)
def test_the_message_names_a_place_too_where_no_folder_is_named(
    spec: BackboneSpec, weights: PublishedWeights, here: Places
) -> None:
    (file,) = {
        name
        for text in (ways_to(spec, weights, replace(here, weights=None)), short_way_to(spec, weights, here))
        for name in re.findall(r"put (\S+) into", text)
    }
    assert here.weights is not None
    assert find_weights(spec, weights, here) is None
    place = put(here.weights / file)
    assert find_weights(spec, weights, here) == place


@pytest.mark.parametrize(("spec", "weights"), ROWS, ids=IDS)
def test_a_file_serves_no_row_of_another_publisher(spec: BackboneSpec, weights: PublishedWeights, here: Places) -> None:
    for place in [put(place) for place in told_places(spec, weights, here)]:
        assert place.is_file()
    for other, theirs in ROWS:
        same = other.architecture == spec.architecture and theirs.file == weights.file
        if (theirs.url, theirs.revision) != (weights.url, weights.revision) and not (same and "timm" in weights.url):
            assert find_weights(other, theirs, here) is None, other.name


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin"])
def test_a_name_that_any_network_has_is_nothing_in_torch_hubs_cache(name: str, here: Places, tmp_path: Path) -> None:
    put(tmp_path / "torch" / "hub" / "checkpoints" / name)
    assert here.weights is not None
    put(here.weights / name)
    put(here.store / "downloads" / name)
    assert [spec.name for spec, weights in ROWS if find_weights(spec, weights, here)] == []


def test_another_revision_of_a_repository_is_another_file(here: Places, tmp_path: Path) -> None:
    spec, cache = Registry().backbone("imagenet_resnet18"), tmp_path / "hf" / "hub"
    weights = PublishedWeights(file="vit.pth", url="https://example.org", hub="org/vit")
    branch = put(cached(cache, "org/vit", "vit.pth", revision="v2", commit="b2"))
    assert find_weights(spec, weights, here) is None
    assert find_weights(spec, replace(weights, revision="v2"), here) == branch
    assert find_weights(spec, replace(weights, revision="b2"), here) == branch


def test_doctor_names_places_that_are_searched(here: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert here.weights is not None
    here.weights.mkdir()
    assert main(["doctor", f"--weights={here.weights}", f"--store={here.store}"]) == 0
    blocks = re.split(r"\n(?=\S)", capsys.readouterr().out)  # a row's further lines are indented
    texts = [re.split(r"\s{2,}", block.strip()) for block in blocks]
    told = {row[0]: row for row in texts if "no weights" in row and str(here.weights) in row}
    rows = {row.name: row for row in Registry().rows(BackboneSpec) if isinstance(row.weights, PublishedWeights)}
    assert set(told) == set(rows)
    for name, spec in rows.items():
        assert isinstance(spec.weights, PublishedWeights)
        *_, file, _ = told[name]
        place = put(here.weights / file)
        assert find_weights(spec, spec.weights, here) == place
        place.unlink()


def test_the_hubs_own_variables_are_heard(tmp_path: Path) -> None:
    script = (
        "from pytest_fmtransfer.weights_places import hub_cache, hub_endpoint, hub_is_offline\n"
        "print(hub_cache(), hub_endpoint(), hub_is_offline())"
    )
    said = {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9/", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | said, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path), "http://127.0.0.1:9", "True"]


@pytest.mark.parametrize("said", [{}, {"XDG_CACHE_HOME": "/somewhere"}, {"TORCH_HOME": "~/torch"}], ids=str)
def test_torch_hubs_cache_is_where_torch_hub_says(said: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in said.items():
        monkeypatch.setenv(variable, value)
    assert torch_cache() == Path(torch.hub.get_dir()) / "checkpoints"

"""A file of published weights is the one that was published, or an error names both digests; hashed once."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_fmtransfer import checksums
from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import CheckpointMismatch
from pytest_fmtransfer.places import Places
from tests.hub import cached, use_hub_cache

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def row(**weights: str) -> BackboneSpec:
    published = PublishedWeights(file="vit.pth", url="https://example.org/vit.pth", **weights)
    return replace(Registry().backbone("imagenet_resnet18"), name="vit", weights=published)


@pytest.fixture
def own(tmp_path: Path) -> Places:
    (tmp_path / "weights").mkdir()
    return Places(store=tmp_path / "store", weights=tmp_path / "weights")


@pytest.fixture
def file(own: Places) -> Path:
    assert own.weights is not None
    path = own.weights / "vit.pth"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("told", ["", SHA256, SHA256[:8]], ids=["nothing", "all", "first digits"])
def test_the_published_file_is_taken(told: str, own: Places, file: Path) -> None:
    assert weights_file(row(sha256=told), own) == file


@pytest.mark.parametrize("told", ["0" * 64, "0" * 8], ids=["all", "first digits"])
def test_another_file_is_an_error_that_names_it_both_digests_and_what_to_do(told: str, own: Places, file: Path) -> None:
    with pytest.raises(CheckpointMismatch) as raised:
        weights_file(row(sha256=told), own)
    for part in (str(file), SHA256, told, "weights of vit", "get vit.pth again from https://example.org/vit.pth"):
        assert part in str(raised.value)


def test_every_row_with_a_sha256_refuses_another_file(own: Places) -> None:
    assert own.weights is not None
    for spec in Registry().rows(BackboneSpec):
        if isinstance(spec.weights, PublishedWeights) and spec.weights.sha256:
            place = own.weights / spec.name / spec.weights.file
            place.parent.mkdir()
            place.write_bytes(CONTENT)
            with pytest.raises(CheckpointMismatch, match=spec.weights.sha256):
                weights_file(spec, own)


def test_names_that_end_in_digits_of_the_sha256_are_rows_that_tell_it() -> None:
    """torch.hub's convention: what stands behind the last hyphen is how the file's SHA-256 begins."""
    for spec in Registry().rows(BackboneSpec):
        if isinstance(spec.weights, PublishedWeights) and not spec.weights.hub:
            digits = Path(spec.weights.file).stem.rpartition("-")[2]
            if len(digits) == 8 and not set(digits) - set("0123456789abcdef"):
                assert spec.weights.sha256.startswith(digits), spec.name


def test_a_file_is_hashed_once_and_anew_when_it_was_written(
    own: Places, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    digest = hashlib.file_digest

    def counted(stream: object, algorithm: object) -> object:
        hashed.append(str(algorithm))
        return digest(stream, algorithm)  # pyright: ignore

    monkeypatch.setattr(checksums.hashlib, "file_digest", counted)
    for _ in range(3):
        weights_file(row(sha256=SHA256), own)
    assert hashed.count("sha256") == 1
    before = file.stat()
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CheckpointMismatch):
        weights_file(row(sha256=SHA256), own)
    weights_file(row(), own)  # whose publisher tells nothing
    assert hashed.count("sha256") == 2


def test_the_hubs_cache_names_a_large_file_by_its_sha256(
    own: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that was damaged on disk, of a row that tells no SHA-256 itself."""
    cache = use_hub_cache(monkeypatch, tmp_path / "hub")
    link = cached(cache, "org/vit", "vit.pth")
    blob = cache / "models--org--vit" / "blobs" / SHA256
    blob.parent.mkdir()
    blob.write_bytes(CONTENT)
    link.symlink_to(os.path.relpath(blob, link.parent))
    assert weights_file(row(hub="org/vit"), own) == link
    blob.write_bytes(b"Weights")
    with pytest.raises(CheckpointMismatch, match=SHA256):
        weights_file(row(hub="org/vit"), own)


@pytest.fixture
def legacy(own: Places) -> tuple[Path, str]:
    """What torch.save wrote, and its SHA-256."""
    assert own.weights is not None
    path = own.weights / "vit.pth"
    torch.save({"weight": torch.ones(2, 3)}, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_converted_stands_for_the_file_that_it_was_made_of(own: Places, legacy: tuple[Path, str]) -> None:
    path, digest = legacy
    assert main(["convert", str(path)]) == 0
    converted = path.with_suffix(".safetensors")
    for beside in (True, False):
        if not beside:
            path.unlink()
        assert weights_file(row(sha256=digest), own) == converted
        with pytest.raises(CheckpointMismatch, match=r"vit\.\w+ is not the file that was published"):
            weights_file(row(sha256="0" * 64), own)


def test_what_was_converted_of_another_file_is_told_by_the_file_beside_it(
    own: Places, legacy: tuple[Path, str], tmp_path: Path
) -> None:
    """As `fmtransfer convert` wrote it before it told of what."""
    from safetensors.torch import save_file

    path, digest = legacy
    save_file({"weight": torch.ones(2, 3)}, path.with_suffix(".safetensors"))
    assert weights_file(row(sha256=digest), own) == path.with_suffix(".safetensors")
    path.unlink()
    with pytest.raises(CheckpointMismatch, match=r"convert vit\.pth again"):
        weights_file(row(sha256=digest), own)
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    (path.with_suffix(".safetensors")).write_bytes(b"short")
    with pytest.raises(CheckpointMismatch, match="its SHA-256 is not told"):
        weights_file(row(sha256=digest), own)

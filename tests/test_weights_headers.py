"""What lies where weights belong and cannot be weights is told before anything is loaded."""

import io
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from pytest_fmtransfer.availability import backbone_ready
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import FileWeights, PublishedWeights
from pytest_fmtransfer.missing import Missing, Ready
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.weights_headers import damage
from tests.helpers import LAWS

ROW = Registry().backbone("mobilenetv2")


def saved(**how: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.arange(300.0)}, stream, **how)
    return stream.getvalue()


SOUND = {
    "zip.pt": saved(),
    "row_of_pickles.pth": saved(_use_new_zipfile_serialization=False),
    "flat.safetensors": save_safetensors({"a": np.arange(300.0), "b": np.zeros((0, 3))}),
    "none.safetensors": save_safetensors({}),
}
EMPTY = io.BytesIO()
torch.save({}, EMPTY, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_pass(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SOUND[name])
    assert damage(tmp_path / name) is None
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.safetensors").write_bytes(SOUND["flat.safetensors"])
    assert damage(tmp_path / "folder") is None


def test_the_shortest_file_of_torch_save_passes(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(EMPTY.getvalue())
    assert damage(tmp_path / "w.pt") is None


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "safetensors"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"abcd", "4 bytes"),
        (b"\x80\x02\x8a\n", "4 bytes"),
        (b"PK\x03\x04", "is cut off"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>" * 9, "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a pointer of Git LFS"),
        (b"\x00" * 400, "400 bytes"),
    ],
    ids=["empty", "four bytes", "half a pickle", "half a zip", "page", "pointer", "zeros"],
)
def test_what_is_no_file_of_weights(suffix: str, content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(content)
    told = damage(file)
    assert told is not None
    if suffix != "safetensors" or "bytes" not in said + told:
        assert said in told or suffix == "safetensors"


@given(name=st.sampled_from(["zip.pt", "flat.safetensors"]), share=st.floats(0, 0.999))
@LAWS
def test_a_download_that_broke_off_is_told(name: str, share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("cut") / name
    file.write_bytes(SOUND[name][: int(share * len(SOUND[name]))])
    assert damage(file) is not None


@pytest.mark.parametrize("header", [b"[]", b"{", b"null", b'{"a": 3}', b'{"a": {"data_offsets": []}}'])
def test_a_header_of_safetensors_that_is_none(header: bytes, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    assert "header cannot be read" in str(damage(file))


def test_another_archive_and_a_folder_without_weights(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    assert "archive of something else" in str(damage(tmp_path / "w.npz"))
    (tmp_path / "folder").mkdir()
    assert damage(tmp_path / "folder") == "is a folder without a file of weights"
    (tmp_path / "folder" / "model.safetensors").touch()
    assert damage(tmp_path / "folder") == "holds model.safetensors, which is empty"


def test_a_file_that_is_mended_is_looked_at_again(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    file.write_bytes(b"abcd")
    assert damage(file) is not None
    file.write_bytes(SOUND["zip.pt"])
    assert damage(file) is None


def test_it_imports_no_torch() -> None:
    code = "import sys, pytest_fmtransfer.weights_headers; assert not {'torch', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_such_a_file_is_not_ready(tmp_path: Path) -> None:
    places = Places(store=tmp_path / "store", weights=tmp_path)
    file = tmp_path / "vit.pth"
    file.write_bytes(b"abcd")
    published = replace(ROW, weights=PublishedWeights(file="vit.pth", url="https://example.org/vit"))
    own = replace(ROW, weights=FileWeights(path=file))
    for row in (published, own):
        found = backbone_ready(row, places)
        assert isinstance(found, Missing)
        assert found.damaged
        assert found.reason == "damaged weights of mobilenetv2"
        assert f"{file} is no file of torch.save: it has 4 bytes" in found.remedy
    file.write_bytes(SOUND["zip.pt"])
    for row in (published, own):
        assert backbone_ready(row, places) == Ready()
    other = replace(published, weights=replace(published.weights, sha256="0123abcd"))
    found = backbone_ready(other, places)
    assert isinstance(found, Missing)
    assert found.damaged
    assert "begins with 0123abcd" in found.remedy


SUITE = """
import pytest

@pytest.mark.fm_cells(backbones=["mine"], datasets=["br35h"], regimes=["knn"])
def test_it(candidate):
    pass
"""


def test_it_is_an_error_of_its_tests_and_no_skip(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=SUITE)
    (pytester.path / "four.pt").write_bytes(b"abcd")
    mine = "--fm-backbone=mine=timm:resnet18,weights=four.pt"
    result = pytester.runpytest(mine)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*damaged weights of mine: *four.pt is no file of torch.save: it has 4 bytes*"])
    plan = pytester.runpytest(mine, "--fm-plan")
    plan.stdout.fnmatch_lines(["*damaged weights of mine*"])

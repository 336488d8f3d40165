"""Every kind of file that weights are published in: read, fingerprinted and converted, and nothing in it is run."""

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pytest_fmtransfer.backbones import fingerprints
from pytest_fmtransfer.backbones.checkpoints import read_tensors
from pytest_fmtransfer.backbones.fingerprints import weights_fingerprint
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import CheckpointMismatch, LegacyPickle
from pytest_fmtransfer.store import Store

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def tensors() -> dict[str, Tensor]:
    """Of every common dtype; one without sides, one empty, two in one storage and one of these turned."""
    shared = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return {
        **{f"of.{dtype}": torch.arange(5).to(dtype) for dtype in DTYPES},
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "rows": shared[1:3],
        "turned": shared.t(),
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def contiguous(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous().clone() for name, tensor in stored.items()}


def write(kind: str, folder: Path, stored: dict[str, Tensor]) -> Path:
    """A checkpoint of one kind; the path is what a user would name."""
    folder.mkdir(parents=True, exist_ok=True)
    own = contiguous(stored)
    if kind in ("a.pth", "a.pt", "a.bin"):
        torch.save(stored, folder / kind)
    elif kind == "old.pth":
        torch.save(OrderedDict(stored), folder / kind, _use_new_zipfile_serialization=False)
    elif kind == "a.safetensors":
        save_file(own, folder / kind)
    else:
        suffix, stem = kind.split("-")[1], "model" if kind.endswith("safetensors") else "pytorch_model"
        parts = [dict(list(own.items())[:5]), dict(list(own.items())[5:])]
        names = [f"{stem}-{number}-of-2.{suffix}" for number in (1, 2)]
        for part, name in zip(parts, names, strict=True):
            (save_file if suffix == "safetensors" else torch.save)(part, folder / name)
        weight_map = {tensor: name for part, name in zip(parts, names, strict=True) for tensor in part}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
        return folder
    return folder / kind


KINDS = ("a.pth", "a.pt", "a.bin", "old.pth", "a.safetensors", "sharded-safetensors", "sharded-bin")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read(kind: str, tmp_path: Path) -> None:
    assert same(dict(read_tensors(write(kind, tmp_path / "f", tensors()))), tensors())


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_same_tensors_have_the_same_fingerprint_in_every_kind_of_file(
    kind: str, tmp_path: Path, store: Store
) -> None:
    first = weights_fingerprint(write("a.pth", tmp_path / "one", tensors()), store)
    backwards = dict(reversed(tensors().items()))
    assert weights_fingerprint(write(kind, tmp_path / "two", backwards), store) == first


@pytest.mark.parametrize("kind", ["a.pth", "old.pth", "a.safetensors", "sharded-bin"])
@pytest.mark.parametrize("change", ["value", "name", "dtype", "shape"])
def test_a_tensor_that_differs_changes_the_fingerprint(kind: str, change: str, tmp_path: Path, store: Store) -> None:
    other = tensors()
    if change == "name":
        other["rowz"] = other.pop("rows")
    else:
        other["rows"] = {
            "value": other["rows"] + 1,
            "dtype": other["rows"].clone().view(torch.int32),
            "shape": other["rows"].reshape(6, 2),
        }[change]
    first = weights_fingerprint(write(kind, tmp_path / "one", tensors()), store)
    assert weights_fingerprint(write(kind, tmp_path / "two", other), store) != first


def test_one_mapping_around_the_tensors_and_numbers_beside_them_do_not_count(tmp_path: Path, store: Store) -> None:
    torch.save(tensors(), tmp_path / "a.pth")
    torch.save({"model": tensors(), "epoch": 3, "lr": [0.1]}, tmp_path / "b.pth")
    assert weights_fingerprint(tmp_path / "a.pth", store) == weights_fingerprint(tmp_path / "b.pth", store)


def test_every_mapping_of_tensors_counts(tmp_path: Path, store: Store) -> None:
    for name, offset in (("a.pth", 0), ("b.pth", 1)):
        torch.save({"model": tensors(), "ema": {"rows": torch.zeros(2) + offset}}, tmp_path / name)
    assert weights_fingerprint(tmp_path / "a.pth", store) != weights_fingerprint(tmp_path / "b.pth", store)


def test_a_fingerprint_is_remembered_until_the_file_changes_and_needs_no_torch(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.pth", tmp_path, tensors())
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from pytest_fmtransfer.backbones.fingerprints import weights_fingerprint\n"
        "from pytest_fmtransfer.store import Store\n"
        "print(weights_fingerprint(Path(sys.argv[1]), Store(root=Path(sys.argv[2]))), 'torch' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, path, store.root], capture_output=True, text=True, check=True)
    first = weights_fingerprint(path, store)
    assert told.stdout.split() == [first, "False"]
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints, "shards_of", lambda _: pytest.fail("read again"))
        patch.setattr(fingerprints, "_files", lambda path: [path])
        assert weights_fingerprint(path, store) == first
    path.write_bytes(bytes(path.stat().st_size))
    assert weights_fingerprint(path, store) != first


def test_an_entry_is_read_beside_other_things(tmp_path: Path) -> None:
    torch.save({"model": tensors(), "optimizer": {"state": {0: {"step": 1}}}, "epoch": 3}, tmp_path / "a.pth")
    assert same(dict(read_tensors(tmp_path / "a.pth", "model")), tensors())
    with pytest.raises(CheckpointMismatch, match="no entry 'teacher'"):
        read_tensors(tmp_path / "a.pth", "teacher")


@pytest.mark.parametrize("broken", ["no_shard", "outside", "another_tensor", "no_map"])
def test_a_broken_index_is_named(broken: str, tmp_path: Path) -> None:
    folder = write("sharded-bin", tmp_path / "f", tensors())
    index, shard = folder / "pytorch_model.bin.index.json", folder / "pytorch_model-1-of-2.bin"
    if broken == "no_shard":
        shard.unlink()
    elif broken == "another_tensor":
        torch.save({"other": torch.zeros(1)}, shard)
    else:
        index.write_text(json.dumps({"weight_map": {"a": "../a.bin"}} if broken == "outside" else {}))
    with pytest.raises(CheckpointMismatch, match=r"index|shard"):
        read_tensors(folder)


class Malice:
    """Writes a file when it is unpickled."""

    def __init__(self, victim: Path, how: str) -> None:
        self.victim, self.how = victim, how

    def __reduce__(self) -> tuple[object, ...]:
        code = f"open({str(self.victim)!r}, 'w').close()"
        match self.how:
            case "system":
                return os.system, (f"touch {self.victim}",)
            case "eval":
                return eval, (code,)
            case "state":  # the call is the state that a harmless object is given
                return OrderedDict, (), {"inner": Malice(self.victim, "eval")}
            case _:  # the call makes an argument of another call
                return argparse.Namespace, (), {"args": [Malice(self.victim, "system")]}


HOWS = ("system", "eval", "state", "argument")


def malicious(how: str, writer: str, tmp_path: Path) -> tuple[Path, Path]:
    victim, path = tmp_path / "victim", tmp_path / "m.pth"
    content = {"model": tensors(), "malice": Malice(victim, how)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content["malice"]))
    elif writer == "poisoned":  # a sound archive whose pickle was exchanged
        torch.save(tensors(), tmp_path / "sound.pth")
        with zipfile.ZipFile(tmp_path / "sound.pth") as sound, zipfile.ZipFile(path, "w") as archive:
            for name in sound.namelist():
                is_pickle = name.endswith("data.pkl")
                archive.writestr(name, pickle.dumps(content["malice"]) if is_pickle else sound.read(name))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "zip")
    return path, victim


@pytest.mark.parametrize("writer", ["zip", "old", "pickle", "poisoned"])
@pytest.mark.parametrize("how", HOWS)
def test_malice_is_run_by_nobody(how: str, writer: str, tmp_path: Path, store: Store) -> None:
    path, victim = malicious(how, writer, tmp_path)
    with pytest.raises(CheckpointMismatch):
        read_tensors(path)
    weights_fingerprint(path, store)
    assert main(["convert", str(path)]) == (0 if writer in ("zip", "old") else 2)
    assert not victim.exists()
    if writer in ("zip", "old"):
        assert same(load_file(tmp_path / "m.safetensors"), tensors())


@pytest.mark.parametrize("how", HOWS)
def test_the_malice_above_is_real(how: str, tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malice(tmp_path / "victim", how)))
    assert (tmp_path / "victim").exists()


@pytest.fixture(params=["zip", "old"])
def legacy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.save(
        {
            "args": argparse.Namespace(lr=0.1),
            "best": np.float64(0.9),
            "model": OrderedDict(tensors() | {"updates": 7}),
            "optimizer": {"state": {0: torch.zeros(3)}},
            "epoch": 3,
        },
        tmp_path / "old.pth",
        _use_new_zipfile_serialization=request.param == "zip",
    )
    return tmp_path / "old.pth"


def test_a_legacy_pickle_is_refused_with_what_to_type(legacy: Path) -> None:
    with pytest.raises(LegacyPickle, match=rf"argparse\.Namespace.*fmtransfer convert {legacy}$"):
        read_tensors(legacy, "model")


def test_convert_keeps_the_tensors_and_tells_what_it_dropped(
    legacy: Path, capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    assert main(["convert", str(legacy)]) == 0
    told = capsys.readouterr().out
    assert same(dict(read_tensors(legacy.with_suffix(".safetensors"), "model")), tensors())
    assert "12 tensors" in told
    assert "from entry model" in told
    for line in ("args (argparse.Namespace)", "optimizer (a mapping of 1)", "epoch (int)", "model > updates (int)"):
        assert f"dropped: {line}\n" in told
    plain = write("a.pth", legacy.parent / "plain", tensors())
    assert weights_fingerprint(legacy.with_suffix(".safetensors"), store) == weights_fingerprint(plain, store)


def test_convert_keeps_the_entry_that_is_named(legacy: Path, tmp_path: Path) -> None:
    torch.save({"small": {"a": torch.ones(2)}, "large": tensors()}, legacy)
    assert main(["convert", str(legacy), "--inside", "small", "-o", str(tmp_path / "s.safetensors")]) == 0
    assert same(load_file(tmp_path / "s.safetensors"), {"a": torch.ones(2)})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["old.pth", "--inside", "teacher"], "no tensors directly in an entry 'teacher'; entries that do: model"),
        (["old.pth", "-o", "a.bin"], r"name a file that ends in \.safetensors"),
        (["old.pth", "-o", "there.safetensors"], "exists; remove it"),
        (["absent.pth"], "is no file"),
        (["there.safetensors"], "safetensors already"),
        (["text.pth"], "not a file that torch.save wrote"),
    ],
)
def test_convert_says_what_to_type(
    arguments: list[str],
    told: str,
    legacy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(legacy.parent)
    (legacy.parent / "text.pth").write_text("no weights")
    (legacy.parent / "there.safetensors").write_text("kept")
    assert main(["convert", *arguments]) == 2
    assert re.search(told, capsys.readouterr().err)
    assert (legacy.parent / "there.safetensors").read_text() == "kept"


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3, 2)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as sound, zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:
        for name in sound.namelist():
            # The shape (3, 2) stands in the pickle as two one-byte numbers: K 3, K 2.
            archive.writestr(name, sound.read(name).replace(b"K\x03K\x02", b"K\x7fK\x7f"))
    assert main(["convert", str(tmp_path / "b.pth")]) == 2
    assert not list(tmp_path.glob("*.safetensors"))

"""Checkpoints whose headers lie: one sentence, and memory in proportion to the file."""

import io
import json
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pytest_fmtransfer.backbones.inert_pickle import InertUnpickler, Storage, TensorPlace
from pytest_fmtransfer.backbones.shards import shards_of
from pytest_fmtransfer.backbones.tensor_files import load_file
from pytest_fmtransfer.backbones.torch_files import TorchFile, open_torch_file
from pytest_fmtransfer.errors import CheckpointMismatch

MIB = 2**20
STATE = OrderedDict(weight=torch.arange(12.0).reshape(3, 4), bias=torch.zeros(3), steps=torch.tensor(7))


def read_without_torch(file: Path) -> object:
    with open_torch_file(file) as stored:
        return [stored.array(place) for each in stored.mappings().values() for place in each.values()]


READERS: list[Callable[[Path], object]] = [read_without_torch, load_file]


@pytest.mark.parametrize("read", READERS)
def test_a_small_archive_that_unpacks_to_much_is_refused_before_it_is_unpacked(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "bomb.pt"
    torch.save(STATE, file)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb/data/9", "w") as member:
        for _ in range(300):
            member.write(bytes(MIB))
    assert file.stat().st_size < MIB
    tracemalloc.start()
    with pytest.raises(CheckpointMismatch, match="says that it unpacks to 300 MiB, which no weights do"):
        read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * MIB


@pytest.mark.parametrize("put", [b"r" + struct.pack("<I", 2**26), b"p67108864\n"])
def test_a_pickle_cannot_ask_for_a_large_memo(put: bytes) -> None:
    """Python makes room for as many entries as the largest number, 8 bytes each and twice as many."""
    tracemalloc.start()
    with pytest.raises(pickle.UnpicklingError, match="a memo that is larger than the pickle"):
        InertUnpickler(io.BytesIO(b"\x80\x02}" + put + b".")).load()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * MIB


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((0,) * 80, (1,) * 80), ((0, 2**70), (1, 1)), ((1,) * 80, (1,) * 80), ((2**40,), (0,)), ((2,), (2**62,))],
    ids=map(str, range(5)),
)
def test_a_tensor_of_an_impossible_shape_is_refused(shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    place = TensorPlace(Storage("float32", "0", 4), 0, shape, stride)
    stored = TorchFile(
        path=Path("a.pt"), content={}, foreign=frozenset(), storage=lambda kept: np.zeros(kept.elements, "<u4")
    )
    with pytest.raises(CheckpointMismatch):
        stored.array(place)


@pytest.mark.parametrize("layout", ["zip", "pickles", "safetensors"])
def test_any_bytes_are_tensors_or_one_error(layout: str, tmp_path: Path) -> None:
    file = tmp_path / ("a.safetensors" if layout == "safetensors" else "a.pt")
    if layout == "safetensors":
        save_file(dict(STATE), file)
    else:
        torch.save(STATE, file, _use_new_zipfile_serialization=layout == "zip")
    sound, chance = file.read_bytes(), random.Random(0)
    for _ in range(400):
        data = bytearray(sound)
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(len(data))
            if chance.random() < 0.5:
                data[at] ^= 1 << chance.randrange(8)
            elif chance.random() < 0.5:
                del data[at : at + chance.randrange(1, 30)]
            else:
                data[at : at + 4] = chance.randbytes(4)
        file.write_bytes(bytes(data))
        for read in READERS if layout != "safetensors" else [load_file]:
            try:
                read(file)
            except CheckpointMismatch as error:
                assert str(file) in str(error)  # noqa: PT017 - bytes that change no header are tensors


@pytest.mark.parametrize(
    "index", [{"weight_map": {"a": 5}}, {"weight_map": {"a": None}}, {"weight_map": {"a": ["x"]}}, {"weight_map": 3}, 7]
)
def test_an_index_of_shards_of_other_types_is_refused(index: object, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors.index.json"
    for text in (json.dumps(index), "[" * 100_000):
        file.write_text(text)
        with pytest.raises(CheckpointMismatch, match="is not an index of shards"):
            shards_of(tmp_path)

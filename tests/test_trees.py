"""Laws of checkpoints in checkpoints: what is wrapped is the same network, and no choice is made between two."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.fingerprints import weights_fingerprint
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import CheckpointMismatch
from pytest_fmtransfer.store import Store
from tests.helpers import LAWS

Content = dict[str, Any]
ENTRIES = ("state_dict", "model", "model_state_dict", "net", "teacher", "student", "model_ema", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.", "net.", "module.model.")
BESIDE: Content = {
    "epoch": 3,
    "lr_schedulers": [{"last_epoch": 3}],
    "hyper_parameters": {"width": 4},
    "optimizer": {
        "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4, 3)}},
        "param_groups": [{"lr": 0.1}],
    },
    "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 3)}}}],
}


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))


def drawn(seed: int) -> dict[str, Tensor]:
    """Tensors of the network's names and shapes, other values for each seed."""
    return {name: tensor + seed + 1 for name, tensor in network().state_dict().items()}


def holds(module: nn.Module, tensors: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, tensors[name]) for name, tensor in module.state_dict().items())


def prefixed(prefix: str) -> Callable[[Content], Content]:
    return lambda tree: {f"{prefix}{name}": each for name, each in tree.items()}


def beside(name: str, others: Content) -> Callable[[Content], Content]:
    return lambda tree: {**others, name: tree}


layers = st.lists(st.sampled_from(PREFIXES), max_size=3).map(lambda names: "".join(names)).map(prefixed)
others = st.sets(st.sampled_from([*BESIDE])).map(lambda names: {name: BESIDE[name] for name in sorted(names)})
entries = st.lists(st.builds(beside, st.sampled_from(ENTRIES), others), max_size=3)


def written(content: Content, folder: str, name: str = "a.pth") -> Path:
    path = Path(folder) / name
    torch.save(content, path)
    return path


@given(layers, entries)
@LAWS
def test_whatever_is_put_around_a_state_dict_the_same_network_is_loaded(
    prefix: Callable[[Content], Content], around: list[Callable[[Content], Content]]
) -> None:
    content, module = prefix(drawn(0)), network()
    for wrap in around:
        content = wrap(content)
    with TemporaryDirectory() as folder:
        load_strictly(module, written(content, folder), "same_keys")
    assert holds(module, drawn(0))


def together(one: Content, other: Content, where: str) -> Content:
    """Two trees in one file: in entries of their own, behind prefixes of one mapping, or one beside an entry."""
    if where == "entries":
        return {"epoch": 3, "model": one, "model_ema": other}
    if where == "prefixes":
        return prefixed("model.")(one) | prefixed("ema.")(other)
    return one | {"ema": {"shadow": other}}


@given(layers, layers, st.sampled_from(["entries", "prefixes", "beside"]), st.integers(0, 1))
@LAWS
def test_of_two_networks_that_fit_neither_is_chosen_and_the_same_one_twice_is_that_one(
    first: Callable[[Content], Content], second: Callable[[Content], Content], where: str, seed: int
) -> None:
    content, module = together(first(drawn(0)), second(drawn(seed)), where), network()
    with TemporaryDirectory() as folder:
        path = written(content, folder)
        if seed == 0:
            load_strictly(module, path, "same_keys")
            assert holds(module, drawn(0))
            return
        with pytest.raises(CheckpointMismatch, match="several networks that fit") as caught:
            load_strictly(module, path, "same_keys")
        # Whichever the message names is taken, and is the one that is then loaded.
        *_, entry = str(caught.value).rpartition("--entry=")
        assert main(["convert", str(path), f"--entry={entry}", "-o", f"{folder}/b.safetensors"]) == 0
        load_strictly(module, Path(folder) / "b.safetensors", "same_keys")
        assert holds(module, drawn(1 if "ema" in entry else 0))


@given(layers, entries, st.booleans())
@LAWS
def test_files_that_load_different_networks_have_different_fingerprints(
    prefix: Callable[[Content], Content], around: list[Callable[[Content], Content]], flat: bool
) -> None:
    def file_of(seed: int, folder: str) -> Path:
        content = prefix(drawn(seed))
        if flat:
            save_file(content, Path(folder) / f"{seed}.safetensors")
            return Path(folder) / f"{seed}.safetensors"
        for wrap in around:
            content = wrap(content)
        return written(content, folder, f"{seed}.pth")

    with TemporaryDirectory() as folder:
        store = Store(root=Path(folder) / "store")
        assert len({weights_fingerprint(file_of(seed, folder), store) for seed in (0, 1)}) == 2


def test_names_of_any_length_are_read(tmp_path: Path) -> None:
    """A hostile file holds names of a million parts; what stands before a network's names has few."""
    content = drawn(0) | {"a." * 1_000_000 + "b": torch.zeros(1)}
    with pytest.raises(CheckpointMismatch):
        load_strictly(network(), written(content, str(tmp_path)), "same_keys")

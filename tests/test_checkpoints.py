"""A file of weights meets an architecture strictly, and no code in it is run."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.checkpoints import load_strictly, read_tensors
from pytest_fmtransfer.errors import CheckpointMismatch


class Malice:
    """Creates a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.victim,)


def network(*, width: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def saved(state: Mapping[str, Tensor], folder: Path) -> Path:
    torch.save(dict(state), folder / "weights.pth")
    return folder / "weights.pth"


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"features.{at}": tensor for at, tensor in enumerate(state.values())}


def other_weights() -> dict[str, Tensor]:
    """Tensors of the network's shapes, every value of them another than the network has."""
    return {
        name: tensor + torch.arange(1, tensor.numel() + 1, dtype=tensor.dtype).view(tensor.shape)
        for name, tensor in network().state_dict().items()
    }


def test_tensors_of_the_same_names_are_loaded(tmp_path: Path) -> None:
    module, stored = network(), other_weights()
    load_strictly(module, saved(dict(reversed(stored.items())), tmp_path), "same_keys")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in module.state_dict().items())


def test_tensors_of_other_names_are_loaded_in_their_order(tmp_path: Path) -> None:
    module, stored = network(), other_weights()
    load_strictly(module, saved(renamed(stored), tmp_path))
    assert all(torch.equal(tensor, stored[name]) for name, tensor in module.state_dict().items())


def test_the_first_tensor_of_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = saved(renamed(network(width=5).state_dict()), tmp_path)
    expected = f"{path}: tensor 'features.0' has shape (5, 3), the architecture's '0.weight' has (4, 3)"
    with pytest.raises(CheckpointMismatch, match=f"^{re.escape(expected)}; give"):
        load_strictly(network(), path)


def test_shapes_are_compared_under_same_keys_too(tmp_path: Path) -> None:
    stored = network().state_dict() | {"2.bias": torch.zeros(3)}
    with pytest.raises(CheckpointMismatch, match=re.escape("'2.bias' has shape (3,), the architecture's '2.bias'")):
        load_strictly(network(), saved(stored, tmp_path), "same_keys")


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_number_of_tensors_names_both_numbers_and_the_first_of_each(change: int, tmp_path: Path) -> None:
    stored = renamed(network().state_dict())
    stored = dict(list(stored.items())[:change]) if change < 0 else stored | {"classifier": torch.zeros(1)}
    expected = f"{9 + change} tensors in the file, 9 in the architecture; first in the file 'features.0'"
    with pytest.raises(CheckpointMismatch, match=expected) as caught:
        load_strictly(network(), saved(stored, tmp_path))
    assert "in the architecture '0.weight'" in str(caught.value)


def test_a_tensor_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    stored = network().state_dict()
    del stored["1.running_var"]
    with pytest.raises(CheckpointMismatch, match=r"'1\.running_var' of the architecture is not in the file"):
        load_strictly(network(), saved(stored, tmp_path), "same_keys")


def test_names_that_a_wrapper_stands_before_are_read_without_it(tmp_path: Path) -> None:
    module, stored = network(), other_weights()
    wrapped = {f"module.encoder.{name}": tensor for name, tensor in stored.items()}
    load_strictly(module, saved(wrapped, tmp_path), "same_keys")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in module.state_dict().items())


def test_a_tensor_that_only_the_file_has_is_named(tmp_path: Path) -> None:
    stored = network().state_dict() | {"head.weight": torch.zeros(1)}
    with pytest.raises(CheckpointMismatch, match=r"'head\.weight' of the file is not in the architecture"):
        load_strictly(network(), saved(stored, tmp_path), "same_keys")


@pytest.mark.parametrize("layout", ["same_order", "same_keys"])
def test_a_file_that_does_not_fit_leaves_the_network_as_it_was(layout: str, tmp_path: Path) -> None:
    module, before = network(), network().state_dict()
    stored = other_weights() | {"2.bias": torch.zeros(3)}
    with pytest.raises(CheckpointMismatch):
        load_strictly(module, saved(stored, tmp_path), layout)  # pyright: ignore[reportArgumentType]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_code_in_a_file_is_refused_and_not_run(writer: str, tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "weights.pth"
    content = {"weight": torch.zeros(1), "malice": Malice(victim)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(Malice(victim)))
    with pytest.raises(CheckpointMismatch, match="is not a file of tensors"):
        read_tensors(path)
    assert not victim.exists()


def test_the_malice_above_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malice(tmp_path / "victim")))
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
def test_a_truncated_file_is_named(kept: float, tmp_path: Path) -> None:
    path = saved(network().state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(CheckpointMismatch, match=f"{re.escape(str(path))} is not a file of tensors"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content",
    [[torch.zeros(1)], torch.zeros(1), {"model": {"weight": torch.zeros(1)}}, {"epoch": 3}],
    ids=["list", "tensor", "nested", "number"],
)
def test_anything_but_a_flat_mapping_of_tensors_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointMismatch, match=r"does not hold a flat mapping from names to tensors; .*convert"):
        read_tensors(tmp_path / "weights.pth")


def test_tensors_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    names = ["z", "a", "m"]
    assert list(read_tensors(saved({name: torch.zeros(1) for name in names}, tmp_path))) == names

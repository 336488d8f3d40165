"""Modules that a user's function returns: what they may give, how they are loaded, and what names them.

Weights are random.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_fmtransfer.backbones.base import Features
from pytest_fmtransfer.backbones.python import build, tensors_digest
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.places import Places

NETS = """
import torch
from torch import nn
from pytest_fmtransfer.backbones.base import Features


class Net(nn.Module):
    def __init__(self, give="map", channels=3):
        super().__init__()
        self.give = give
        self.blocks = nn.Sequential(nn.Conv2d(channels, 6, 4, stride=4), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1))
        self.scale = nn.Parameter(torch.linspace(1, 2, 6).view(1, 6, 1, 1))

    def forward(self, x):
        map = self.blocks(x) * self.scale
        tokens = map.flatten(2).transpose(1, 2)
        return {
            "map": map, "tokens": tokens, "pooled": map.amax((2, 3)), "features": Features(pooled_ND=map.amax((2, 3)),
            tokens_NTE=tokens), "tuple": (map,), "flat": map.sum((1, 2, 3)), "five": map[None], "integers": map.long(),
            "one": tokens[:1],
        }[self.give]


def make(): return Net()
def tokens(): return Net("tokens")
def pooled(): return Net("pooled")
def features(): return Net("features")
def tuple_(): return Net("tuple")
def flat(): return Net("flat")
def five(): return Net("five")
def integers(): return Net("integers")
def one(): return Net("one")
def grey(channels): return Net(channels=channels)
def number(): return 3
def linear(): return nn.Linear(3, 3)
constant = 3
"""


@pytest.fixture(scope="module")
def _nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    (folder / "nets_of_a_user.py").write_text(NETS)
    return folder


@pytest.fixture(autouse=True)
def nets(_nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(_nets)


def row(function: str, **options: object) -> BackboneSpec:
    text = "".join(f",{key}={value}" for key, value in options.items())
    return UserBackbone.parse(f"mine=py:nets_of_a_user:{function}{text}").row


def images(number: int = 2, channels: int = 3, size: int = 16) -> torch.Tensor:
    return torch.rand(number, channels, size, size, generator=torch.Generator().manual_seed(1))


def features(spec: BackboneSpec, images_NCHW: torch.Tensor, weights: Path | None = None) -> Features:
    with torch.inference_mode():
        return build(spec, weights, channels=images_NCHW.shape[1])(images_NCHW)


def test_a_map_and_tokens_are_pooled_by_their_mean() -> None:
    of_map, of_tokens = features(row("make"), images()), features(row("tokens"), images())
    assert of_map.tokens_NTE.shape == (2, 16, 6)
    torch.testing.assert_close(of_map.pooled_ND, of_map.tokens_NTE.mean(dim=1))
    torch.testing.assert_close(of_tokens.tokens_NTE, of_map.tokens_NTE)
    torch.testing.assert_close(of_tokens.pooled_ND, of_map.pooled_ND)


def test_a_pooled_embedding_is_its_own_token() -> None:
    found = features(row("pooled"), images())
    assert found.pooled_ND.shape == (2, 6)
    assert torch.equal(found.tokens_NTE[:, 0], found.pooled_ND)


def test_features_are_taken_as_they_are() -> None:
    found = features(row("features"), images())
    assert torch.equal(found.pooled_ND, features(row("pooled"), images()).pooled_ND)
    assert torch.equal(found.tokens_NTE, features(row("tokens"), images()).tokens_NTE)


def test_it_is_frozen_and_in_evaluation_mode() -> None:
    backbone = build(row("make"), None)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())


def test_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    alone, together = features(row("make"), images(32)[:1]), features(row("make"), images(32))
    torch.testing.assert_close(alone.pooled_ND, together.pooled_ND[:1], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.tokens_NTE, together.tokens_NTE[:1], rtol=0, atol=1e-5)


def test_blocks_are_what_the_module_calls_so() -> None:
    backbone = build(row("make"), None)
    assert len(backbone.blocks) == 3
    with torch.inference_mode():
        assert backbone(images(), blocks=[0, -1]).blocks[-1].shape == (2, 16, 6)
    with pytest.raises(InvalidInput, match="give it an attribute `blocks`"):
        _ = build(row("linear"), None).blocks


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("tuple_", "something of type tuple"),
        ("flat", r"torch.float32 of shape \(2,\)"),
        ("five", r"torch.float32 of shape \(1, 2, 6, 4, 4\)"),
        ("integers", r"torch.int64 of shape \(2, 6, 4, 4\)"),
        ("one", r"torch.float32 of shape \(1, 16, 6\) for 2 images"),
    ],
)
def test_other_outputs_are_refused(function: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"of nets_of_a_user:{function} gives {message}.*tokens N × T × E"):
        features(row(function), images())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "returned something of type int; return an nn.Module"),
        ("constant", "is no function"),
        ("mkae", "did you mean make"),
    ],
)
def test_a_function_that_returns_no_module_is_refused(function: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build(row(function), None)


FILELESS = """
import torch
def fileless():
    return torch.load("nope.pt")
def grey(channels):
    raise ValueError(f"no\\n  {channels}")
"""


@pytest.mark.parametrize(
    ("function", "message", "cause"),
    [
        (
            "fails:fileless",
            r"^fails:fileless failed: FileNotFoundError: .*nope\.pt.* \(fails\.py, line 4\); it is called without "
            r"arguments$",
            FileNotFoundError,
        ),
        ("fails:grey", r"^fails:grey failed: ValueError: no 3 \(fails\.py, line 6\); .* with channels=3$", ValueError),
        (
            "imports:make",
            r"^imports:make cannot be imported: ModuleNotFoundError: .*no_such_library.* \(imports\.py, line 1\)$",
            ModuleNotFoundError,
        ),
    ],
)
def test_what_a_function_raises_is_told_in_a_sentence_with_its_line(
    function: str, message: str, cause: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails.py").write_text(FILELESS)
    (tmp_path / "imports.py").write_text("import no_such_library\ndef make(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fails", raising=False)
    with pytest.raises(InvalidInput, match=message) as raised:
        build(replace(row("make"), architecture=function), None)
    assert isinstance(raised.value.__cause__, cause)


def test_grey_images() -> None:
    """Told to the function where it can be told; else the stem keeps its first channel, as the protocol does."""
    assert features(row("grey"), images(channels=1)).pooled_ND.shape == (2, 6)
    first = images(channels=1)
    padded = torch.cat([first, torch.zeros(2, 2, 16, 16)], dim=1)
    torch.testing.assert_close(features(row("make"), first).pooled_ND, features(row("make"), padded).pooled_ND)
    with pytest.raises(InvalidInput, match="let it take `channels`"):
        build(row("linear"), None, channels=1)


def checkpoint(path: Path, **changed: torch.Tensor | None) -> Path:
    tensors = build(row("make"), None).network.state_dict() | {"scale": torch.full((1, 6, 1, 1), 7.0)} | changed
    torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def test_a_file_of_weights_is_loaded(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pt")
    network = build(row("make", weights=path), path).network
    assert torch.equal(network.state_dict()["scale"], torch.full((1, 6, 1, 1), 7.0))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"scale": None}, "'scale' of the architecture is not in the file"),
        ({"more": torch.ones(1)}, "'more' of the file is not in the architecture"),
        ({"scale": torch.ones(6)}, "'scale' has shape"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    changed: dict[str, torch.Tensor | None], named: str, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path / "a.pt", **changed)
    with pytest.raises(CheckpointMismatch, match=named):
        build(row("make", weights=path), path)


def test_the_random_twin_is_drawn_anew_and_seeded(tmp_path: Path) -> None:
    """Of a function whose module comes with its weights too."""
    registry = Registry()
    registry.register(row("make"))
    twin = registry.backbone("mine.random")
    before = torch.get_rng_state()
    first, second, learnt = (build(each, None).network.state_dict() for each in (twin, twin, row("make")))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["blocks.0.weight"], learnt["blocks.0.weight"])
    assert not torch.equal(first["scale"], learnt["scale"])
    assert sorted(first["scale"].flatten()) == sorted(learnt["scale"].flatten())


def subject(spec: BackboneSpec, tmp_path: Path) -> dict[str, object]:
    return subject_of(spec, "float32", Places(store=tmp_path))


def test_the_module_and_its_tensors_name_a_subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "nets_that_change.py"
    text = "import torch\n\ndef make():\n    net = torch.nn.Conv2d(3, 2, 1)\n    return net\n"
    monkeypatch.syspath_prepend(tmp_path)

    def subject_after(text: str) -> dict[str, object]:
        source.write_text(text)
        monkeypatch.delitem(__import__("sys").modules, "nets_that_change", raising=False)
        monkeypatch.setattr("sys.dont_write_bytecode", True)
        return subject(UserBackbone.parse("mine=py:nets_that_change:make").row, tmp_path)

    first = subject_after(text)
    assert subject_after(text) == first
    commented = subject_after(text + "# and more\n")
    assert commented["code"] != first["code"]
    assert commented["weights"] == first["weights"]
    other = subject_after(text.replace("return net", "torch.nn.init.zeros_(net.bias); return net"))
    assert other["weights"] != first["weights"]


def test_a_digest_sees_names_shapes_and_values() -> None:
    make, tokens, linear = (tensors_digest(row(name), "code") for name in ("make", "tokens", "linear"))
    assert make == tokens != linear


def test_a_file_of_weights_names_a_subject_without_torch(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pt")
    told = subject(row("number", weights=path), tmp_path)  # a function that would fail if it were called
    assert set(told) >= {"code", "weights"}

"""Files as training scripts leave them: each is loaded, or says what to type."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.open_clip import build_model
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.errors import CheckpointMismatch, LegacyPickle
from pytest_fmtransfer.places import Places
from tests.test_weights_named import SOURCES, row_of, saved

__all__ = ["saved"]  # a fixture


class Encoder(nn.Module):
    """A buffer that is not to be saved, a layer that stands in two places, a list of layers."""

    scale: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem = nn.Conv2d(3, 4, 16, stride=16)
            self.norm = nn.BatchNorm2d(4)
            self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.again = self.blocks[1]
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        tokens_NTE = self.norm(self.stem(images_NCHW)).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens_NTE = block(tokens_NTE)
        return self.again(tokens_NTE) * self.scale


class Plain(nn.Module):
    """What TorchScript tells no more of than a state dict does."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem, self.norm = nn.Conv2d(3, 4, 16, stride=16), nn.BatchNorm2d(4)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.norm(self.stem(images_NCHW))


def state(seed: int = 1, before: str = "") -> dict[str, Tensor]:
    return {f"{before}{name}": tensor for name, tensor in Encoder(seed).state_dict().items()}


HEAD = {"head.weight": torch.zeros(5, 4), "head.bias": torch.zeros(5)}
LIGHTNING: dict[str, Any] = {
    "epoch": 9,
    "global_step": 100,
    "pytorch-lightning_version": "2.4.0",
    "hyper_parameters": {"lr": 0.1, "name": "x"},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 4)}}, "param_groups": []}],
    "lr_schedulers": [],
    "callbacks": {},
}
ONE_NETWORK: dict[str, Callable[[], object]] = {
    "state dict": lambda: state(),
    "state_dict": lambda: {"state_dict": state()},
    "model": lambda: {"model": state(), "epoch": 3},
    "model_state_dict": lambda: {
        "model_state_dict": state(),
        "optimizer_state_dict": {"state": {}, "param_groups": []},
    },
    "net": lambda: {"net": state(), "acc": 0.9},
    "Lightning": lambda: LIGHTNING | {"state_dict": state(before="model.") | {"criterion.weight": torch.ones(5)}},
    "DDP": lambda: state(before="module."),
    "compiled": lambda: state(before="_orig_mod."),
    "compiled under DDP": lambda: {"state_dict": state(before="module._orig_mod.")},
    "head beside the encoder": lambda: state(before="encoder.") | HEAD,
    "half precision": lambda: {"model": {name: each.half() for name, each in state().items()}},
    "EMA of equal values": lambda: {"model": state(), "model_ema": state(before="module.")},
    "teacher alone": lambda: {"teacher": state(before="backbone.") | HEAD, "epoch": 3},
}


@pytest.mark.parametrize("form", ONE_NETWORK)
def test_the_one_network_in_a_file_is_loaded(form: str, tmp_path: Path) -> None:
    torch.save(ONE_NETWORK[form](), tmp_path / "a.ckpt")
    module = Encoder()
    load_strictly(module, tmp_path / "a.ckpt", "same_keys")
    for name, tensor in module.state_dict().items():
        expected = state()[name]
        assert torch.equal(tensor, expected.half().to(expected.dtype) if form == "half precision" else expected)


SEVERAL: dict[str, tuple[Callable[[], object], list[str]]] = {
    "DINO": (
        lambda: {
            "teacher": state(1, "backbone.") | HEAD,
            "student": {f"module.{name}": each for name, each in (state(2, "backbone.") | HEAD).items()},
            "epoch": 3,
        },
        ["teacher/backbone", "student/module.backbone"],
    ),
    "EMA": (lambda: {"model": state(1), "model_ema": state(2, "module.")}, ["model", "model_ema/module"]),
    "MoCo": (
        lambda: {"state_dict": state(1, "module.encoder_q.") | state(2, "module.encoder_k.")},
        ["state_dict/module.encoder_q", "state_dict/module.encoder_k"],
    ),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_of_several_networks_none_is_chosen_and_convert_takes_the_one_that_is_named(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (make, names), file = SEVERAL[form], tmp_path / "a.pth"
    torch.save(make(), file)
    with pytest.raises(CheckpointMismatch, match="several networks") as caught:
        load_strictly(Encoder(), file, "same_keys")
    assert all(name in str(caught.value) for name in names)
    assert "fmtransfer convert" in str(caught.value)
    for seed, name in enumerate(names, start=1):
        out = tmp_path / f"{seed}.safetensors"
        assert main(["convert", str(file), f"--entry={name}", "-o", str(out)]) == 0
        assert f"from entry {name}" in capsys.readouterr().out
        module = Encoder()
        load_strictly(module, out, "same_keys")
        assert all(torch.equal(tensor, state(seed)[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("form", ["DINO", "EMA"])
def test_convert_keeps_neither_of_two_networks_unasked(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, names = SEVERAL[form]
    torch.save(make(), tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth")]) == 2
    told = capsys.readouterr().err
    assert all(name.partition("/")[0] in told for name in names)
    assert f"fmtransfer convert {tmp_path / 'a.pth'} --entry=" in told
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_network_of_several_is_taken_out_of_safetensors_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    own = {name: each.clone() for name, each in (state(1, "encoder_q.") | state(2, "encoder_k.")).items()}
    save_file(own, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"-o NEW\.safetensors"):
        load_strictly(Encoder(), tmp_path / "a.safetensors", "same_keys")
    given = ["convert", str(tmp_path / "a.safetensors"), "--entry=encoder_k"]
    assert main(given) == 2
    assert main([*given, "-o", str(tmp_path / "b.safetensors")]) == 0
    load_strictly(module := Encoder(), tmp_path / "b.safetensors", "same_keys")
    assert torch.equal(module.stem.weight, state(2)["stem.weight"])


def test_a_head_that_stands_among_the_network_is_left_over_and_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": each for name, each in (state() | HEAD).items()}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointMismatch, match=r"'head\.weight' of the file.*'state_dict/module'"):
        load_strictly(Encoder(), tmp_path / "a.pth", "same_keys")


def test_a_tensor_that_a_wrapped_network_lacks_is_named(tmp_path: Path) -> None:
    stored = state(before="module.")
    del stored["module.norm.bias"]
    torch.save({"optimizer": {"a": torch.zeros(3)}, "state_dict": stored}, tmp_path / "a.pth")
    with pytest.raises(CheckpointMismatch, match=r"'norm\.bias' of the architecture.*'state_dict/module'"):
        load_strictly(Encoder(), tmp_path / "a.pth", "same_keys")


@pytest.mark.parametrize("around", ["alone", "in an entry", "in an object", "under DDP"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_of_a_module_that_was_saved_whole_the_tensors_are_kept(around: str, protocol: int, tmp_path: Path) -> None:
    model, file = Encoder(1), tmp_path / "a.pth"
    content: object = {
        "alone": model,
        "in an entry": {"epoch": 3, "model": model, "ema": None},
        "in an object": {"trainer": argparse.Namespace(best=model)},
        "under DDP": nn.DataParallel(model),
    }[around]
    torch.save(content, file, pickle_protocol=protocol)
    with pytest.raises(LegacyPickle, match=r"fmtransfer convert"):
        load_strictly(Encoder(), file, "same_keys")
    assert main(["convert", str(file)]) == 0
    load_strictly(module := Encoder(), file.with_suffix(".safetensors"), "same_keys")
    assert all(torch.equal(tensor, state()[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("made", ["scripted", "traced"])
def test_of_a_torchscript_archive_the_tensors_are_kept(made: str, tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is going
        model = Plain(1).eval()
        archive = torch.jit.script(model) if made == "scripted" else torch.jit.trace(model, torch.zeros(1, 3, 32, 32))
        torch.jit.save(archive, str(file))
    with pytest.raises(LegacyPickle, match=r"fmtransfer convert"):
        load_strictly(Plain(), file, "same_keys")
    assert main(["convert", str(file)]) == 0
    load_strictly(module := Plain(), file.with_suffix(".safetensors"), "same_keys")
    assert all(torch.equal(tensor, Plain(1).state_dict()[name]) for name, tensor in module.state_dict().items())


def test_tensors_in_no_entry_are_named_too(tmp_path: Path) -> None:
    torch.save(state(1) | {"shadow": state(2)}, file := tmp_path / "a.pth")
    with pytest.raises(CheckpointMismatch, match=r"differ: \., shadow; "):
        load_strictly(Encoder(), file, "same_keys")
    assert main(["convert", str(file), "--entry=."]) == 0
    load_strictly(module := Encoder(), file.with_suffix(".safetensors"), "same_keys")
    assert torch.equal(module.stem.weight, state(1)["stem.weight"])


def test_a_file_without_tensors_says_what_to_do_where_the_network_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"config": argparse.Namespace(lr=0.1)}, tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth")]) == 2
    assert "torch.save(network.state_dict(), FILE)" in capsys.readouterr().err


def test_a_module_that_holds_itself_is_no_endless_loop(tmp_path: Path) -> None:
    model = Plain()
    model._modules["own"] = model
    torch.save(model, tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth")]) == 2


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_loads_a_wrapped_file_as_it_loads_the_tensors_alone(
    kind: str, saved: Path, tmp_path: Path
) -> None:
    source, places = SOURCES[kind], Places(store=tmp_path / "store")
    pixels_NCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found: list[Tensor] = []
    for name, wrap in (("bare", lambda t: t), ("lightning", lambda t: LIGHTNING | {"state_dict": t})):
        before = "model.module." if name == "lightning" else ""
        torch.save(wrap({f"{before}{each}": t for each, t in source.tensors(0).items()}), tmp_path / f"{name}.pth")
        spec = row_of(source, saved, tmp_path / f"{name}.pth")
        with torch.no_grad():
            found.append(build_backbone(spec, places)(pixels_NCHW).pooled_ND)
    assert torch.equal(*found)
    both = {"student": source.tensors(0), "teacher": source.tensors(1)}
    torch.save(both, tmp_path / "both.pth")
    with pytest.raises(CheckpointMismatch, match=r"student, teacher"):
        build_backbone(row_of(source, saved, tmp_path / "both.pth"), places)


def test_the_classifier_of_a_wrapped_timm_file_has_its_place(tmp_path: Path) -> None:
    network: Any = timm.create_model("resnet10t", num_classes=5)
    torch.save(
        LIGHTNING | {"state_dict": {f"model.{n}": t for n, t in network.state_dict().items()}}, tmp_path / "a.ckpt"
    )
    row = UserBackbone.parse(f"mine=timm:resnet10t,weights={tmp_path / 'a.ckpt'},size=32").row
    with torch.no_grad():
        pixels_NCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        found = build_backbone(row, Places(store=tmp_path / "store"))(pixels_NCHW).pooled_ND
        expected = network.eval().forward_head(network.forward_features(pixels_NCHW), pre_logits=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_both_towers_of_a_wrapped_open_clip_file_are_met(tmp_path: Path) -> None:
    tensors = {f"module.{name}": each for name, each in SOURCES["open_clip"].tensors(0).items()}
    lost = next(name for name in tensors if "transformer.resblocks" in name and "visual" not in name)
    del tensors[lost]
    torch.save({"state_dict": tensors}, tmp_path / "a.pt")
    with pytest.raises(CheckpointMismatch, match=lost.removeprefix("module.").replace(".", r"\.")):
        build_model(row_of(SOURCES["open_clip"], tmp_path, tmp_path / "a.pt"), tmp_path / "a.pt")

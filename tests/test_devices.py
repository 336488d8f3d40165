"""What computes: told without torch, chosen by name, named in every result, and torch set for it and then as it was."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch

from pytest_fmtransfer import Cell, Places, devices, transfer
from pytest_fmtransfer.adapt.feature_rows import rows_of
from pytest_fmtransfer.backbones import precision
from pytest_fmtransfer.backbones.computing import WORKSPACE, computing, is_out_of_memory, torch_device, training_context
from pytest_fmtransfer.backbones.precision import Dtype, dtype_of, processor
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.devices import DEVICES, Device, best_device
from pytest_fmtransfer.errors import InvalidInput, Unavailable
from pytest_fmtransfer.features import load_features, subject_of
from tests.small import catalogue

CELL = Cell("tiny", "stripes", "knn")
Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose torch has a library, whose driver shows itself, and whose system is of some kind."""

    def make(*, library: str | None, driver: bool, system: str = "linux", chip: str = "x86_64") -> None:
        (tmp_path / "torch" / "lib").mkdir(parents=True)
        if library:
            (tmp_path / "torch" / "lib" / library).touch()
        if driver:
            (tmp_path / "nvidiactl").touch()
        spec = ModuleSpec("torch", None, is_package=True)
        spec.submodule_search_locations = [str(tmp_path / "torch")]
        monkeypatch.setattr(devices, "find_spec", lambda name: spec)
        monkeypatch.setattr(devices, "_CONTROL", tmp_path / "nvidiactl")
        monkeypatch.setattr(devices.shutil, "which", lambda name: "C:/nvidia-smi.exe" if driver else None)
        monkeypatch.setattr(devices.sys, "platform", system)
        monkeypatch.setattr(devices.platform, "machine", lambda: chip)

    return make


CUDA, WINDOWS = "libtorch_cuda.so", "torch_cuda.dll"


@pytest.mark.parametrize(
    ("library", "driver", "system", "chip", "device"),
    [
        (CUDA, True, "linux", "x86_64", "cuda"),
        (CUDA, False, "linux", "x86_64", "cpu"),
        ("libtorch_cpu.so", True, "linux", "x86_64", "cpu"),
        (None, False, "linux", "aarch64", "cpu"),
        (WINDOWS, True, "win32", "AMD64", "cuda"),
        (WINDOWS, False, "win32", "AMD64", "cpu"),
        (CUDA, True, "win32", "AMD64", "cpu"),
        (None, False, "darwin", "arm64", "mps"),
        (None, False, "darwin", "x86_64", "cpu"),
    ],
)
def test_the_best_device_is_told_from_what_is_here(
    library: str | None, driver: bool, system: str, chip: str, device: Device, machine: Machine
) -> None:
    machine(library=library, driver=driver, system=system, chip=chip)
    assert best_device({}) == device


@pytest.mark.parametrize(
    ("visible", "device"), [("", "cpu"), ("-1", "cpu"), (" -1 ,0", "cpu"), ("0", "cuda"), ("1,0", "cuda")]
)
def test_a_card_that_is_hidden_is_not_there(visible: str, device: Device, machine: Machine) -> None:
    machine(library=CUDA, driver=True)
    assert best_device({"CUDA_VISIBLE_DEVICES": visible}) == device


def test_under_wsl2_the_card_is_behind_a_device_of_windows(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(library=CUDA, driver=False)
    monkeypatch.setattr(devices, "_WSL", tmp_path / "dxg")
    monkeypatch.setattr(devices, "_WSL_DRIVER", tmp_path / "libcuda.so.1")
    (tmp_path / "dxg").touch()
    assert best_device({}) == "cpu"  # Windows has a card that is not NVIDIA's
    (tmp_path / "libcuda.so.1").touch()
    assert best_device({}) == "cuda"


@pytest.mark.parametrize(
    ("text", "found"),
    [("cuda:1", ("cuda", 1)), ("cuda:0", ("cuda", 0)), ("cuda", ("cuda", None)), ("cpu", ("cpu", None))],
)
def test_one_of_several_cards_is_named_by_its_number(
    text: str, found: tuple[Device, int | None], tmp_path: Path
) -> None:
    assert devices.device_and_card(text) == found
    for places in (
        Places.from_environment({"FMTRANSFER_DEVICE": text}),
        Places(store=tmp_path, device=text),  # pyright: ignore[reportArgumentType]
    ):
        assert (places.device, places.card) == found


@pytest.mark.parametrize("text", ["cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "gpu:1", "cuda:1:2"])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cuda:1 is the second of several cards"):
        devices.device_and_card(text)


def test_each_worker_takes_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert torch_device("cuda") == torch.device("cuda")
    assert torch_device("cuda", 1) == torch.device("cuda:1")
    for worker, card in (("gw0", 0), ("gw1", 1), ("gw2", 0)):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        assert torch_device("cuda") == torch.device("cuda", card)
        assert torch_device("cuda", 0) == torch.device("cuda:0")
    with pytest.raises(Unavailable, match="there is no card cuda:2 here; the last is cuda:1: --fm-device=cuda:1"):
        torch_device("cuda", 2)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18.1 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["cuda", "mps", "cudnn", "cublas", "driver", "cpu"],
)
def test_every_library_is_understood_when_it_has_no_memory(error: RuntimeError) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "text", ["CUDA error: device-side assert triggered", "cuDNN error: CUDNN_STATUS_BAD_PARAM", ""]
)
def test_no_other_error_counts_as_want_of_memory(text: str) -> None:
    assert not is_out_of_memory(RuntimeError(text))


def test_without_torch_the_processor_computes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(library=CUDA, driver=True)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert best_device({}) == "cpu"


def test_places_compute_on_the_best_device_unless_one_is_named(machine: Machine, tmp_path: Path) -> None:
    machine(library=CUDA, driver=True)
    assert Places(store=tmp_path).device == "cuda"
    assert Places.from_environment({"FMTRANSFER_STORE": "/s"}).device == "cuda"
    assert Places.from_environment({"FMTRANSFER_DEVICE": "cpu"}).device == "cpu"
    assert Places.from_environment({"CUDA_VISIBLE_DEVICES": ""}).device == "cpu"
    with pytest.raises(InvalidInput, match="FMTRANSFER_DEVICE=gpu: no device 'gpu'; valid names: cpu, cuda, mps"):
        Places.from_environment({"FMTRANSFER_DEVICE": "gpu"})


def test_cards_are_named_by_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = devices.card.__wrapped__
    for at, model in enumerate(["NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3", "NVIDIA L4"]):
        (tmp_path / f"0000:0{at}:00.0").mkdir()
        (tmp_path / f"0000:0{at}:00.0" / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 17\n")
    monkeypatch.setattr(devices, "_CARDS", tmp_path)
    assert named() == "NVIDIA H100 80GB HBM3, NVIDIA L4"


@pytest.mark.skipif(sys.platform == "win32", reason="the tool is a script here")
@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("echo NVIDIA A10", "NVIDIA A10"),
        ("echo no driver; exit 9", "a card that its driver does not name"),
    ],
)
def test_where_the_system_shows_no_card_the_drivers_tool_tells(
    script: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(devices, "_CARDS", tmp_path)
    monkeypatch.setattr(devices, "_TOOL", str(tool))
    assert devices.card.__wrapped__() == name
    monkeypatch.setattr(devices, "_TOOL", str(tmp_path / "none"))
    assert devices.card.__wrapped__() == "a card that its driver does not name"


@pytest.mark.parametrize(
    ("card", "dtype"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16"),
        ("NVIDIA A100-SXM4-40GB", "bfloat16"),
        ("NVIDIA GeForce RTX 3090", "bfloat16"),
        ("NVIDIA RTX 6000 Ada Generation", "bfloat16"),
        ("NVIDIA L4", "bfloat16"),
        ("Tesla V100-SXM2-16GB", "float32"),
        ("Tesla T4", "float32"),
        ("NVIDIA GeForce RTX 2080 Ti", "float32"),
        ("NVIDIA GeForce GTX 1660", "float32"),
        ("Quadro RTX 6000", "float32"),
        ("NVIDIA H100 80GB HBM3, Tesla T4", "float32"),
    ],
)
def test_bfloat16_is_native_from_ampere_on(card: str, dtype: Dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "card", lambda: card)
    assert dtype_of("bfloat16_where_native", "cuda") == dtype
    assert dtype_of("float32", "cuda") == "float32"
    assert dtype_of("bfloat16_where_native", "mps") == "float32"


def test_a_subject_says_what_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "card", lambda: "NVIDIA L4")
    network, probe = Registry().backbone("mobilenetv2.random"), Registry().backbone("shortcut.metadata")

    def told(spec, **where) -> dict[str, object]:
        subject = subject_of(spec, "float32", Places(store=tmp_path, **where))
        return {name: subject[name] for name in ("processor", "device", "deterministic") if name in subject}

    assert told(network, device="cpu") == {"processor": processor(), "device": "cpu"}
    assert told(network, device="mps") == {"processor": processor(), "device": "mps"}
    assert told(network, device="cuda") == {"processor": "NVIDIA L4", "device": "cuda"}
    deterministic = {"processor": processor(), "device": "cpu", "deterministic": True}
    assert told(network, device="cpu", deterministic=True) == deterministic
    # What no network computes is computed on the processor, wherever networks are.
    assert told(probe, device="cuda", deterministic=True) == {"processor": processor(), "device": "cpu"}


def test_a_device_that_torch_cannot_use_is_told_in_a_sentence(small: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("cpu") == torch.device("cpu")
    elsewhere = Places(store=small.store, weights=small.weights, data_root=small.data_root, device="cuda")
    with pytest.raises(Unavailable, match=r"^torch cannot use cuda here; compute on the processor: --fm-device=cpu"):
        transfer(CELL, registry=catalogue(), places=elsewhere)
    with pytest.raises(Unavailable, match=r"^torch cannot use cuda:1 here; compute on the processor"):
        torch_device("cuda", 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(Unavailable, match="torch cannot use mps"), computing("float32", "mps"):
        pass


def flags() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        os.environ.get(WORKSPACE),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic),
    )


@pytest.mark.parametrize("context", [computing, training_context])
@pytest.mark.parametrize("deterministic", [False, True])
def test_torch_is_as_before_afterwards(context: Callable[..., object], deterministic: bool) -> None:
    before = flags()
    with context("bfloat16", "cpu", deterministic):  # pyright: ignore[reportGeneralTypeIssues]
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        assert torch.is_inference_mode_enabled() == (context is computing)
        assert torch.is_autocast_enabled("cpu") == (context is computing)
    assert flags() == before


def test_a_users_own_choice_of_determinism_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":16:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        before = flags()
        with training_context("float32", "cpu", deterministic=True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            assert os.environ[WORKSPACE] == ":16:8"
        assert flags() == before
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("dtype", "rounded"), [("float32", False), ("bfloat16", True)])
@pytest.mark.parametrize("deterministic", [False, True])
def test_on_a_card_convolutions_are_as_exact_as_products(
    dtype: Dtype, rounded: bool, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for variable in (WORKSPACE, "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(variable, raising=False)
    before = flags()
    with training_context(dtype, "cuda", deterministic):
        cudnn = torch.backends.cudnn
        assert (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic) == (rounded, not deterministic, deterministic)
        assert (WORKSPACE in os.environ) == deterministic
    assert flags() == before


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set "
            "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this operation",
            "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, .*leave out --fm-determ",
        ),
        (
            "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` or … set "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8",
            "cuBLAS was in use before --fm-deterministic asked for it; set CUBLAS_WORKSPACE_CONFIG=:4096:8 beforehand",
        ),
    ],
)
def test_what_cannot_be_deterministic_is_told_in_a_sentence(raised: str, told: str) -> None:
    before = flags()
    with pytest.raises(Unavailable, match=told) as caught, training_context("float32", "cpu", deterministic=True):
        raise RuntimeError(raised)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="another"), training_context("float32", "cpu", deterministic=True):
        raise RuntimeError("another error")
    assert flags() == before


def test_a_deterministic_run_says_so_and_scores_as_another_does(small: Places) -> None:
    places = Places(store=small.store, weights=small.weights, data_root=small.data_root, device="cpu")
    plain = transfer(CELL, registry=catalogue(), places=places)
    exact = transfer(
        CELL,
        registry=catalogue(),
        places=Places(
            store=places.store, weights=places.weights, data_root=places.data_root, device="cpu", deterministic=True
        ),
    )
    assert "deterministic" not in plain.subject
    assert exact.subject == {**plain.subject, "deterministic": True}
    assert exact.mean == pytest.approx(plain.mean, abs=1e-6)


ON_A_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA card that torch can use")


@ON_A_CARD
@pytest.mark.parametrize("room", [2**40, 0], ids=["held", "streamed"])
def test_tokens_reach_a_card_whether_they_have_room_there_or_not(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room, room))
    tokens_NTE = np.random.default_rng(0).standard_normal((9, 4, 8)).astype(np.float16)
    rows_SB, card = torch.tensor([[8, 1], [3, 3]]), torch.device("cuda")
    there = rows_of(tokens_NTE, card).batch(rows_SB)
    assert there.device.type == "cuda"
    np.testing.assert_array_equal(there.cpu().numpy(), tokens_NTE[rows_SB.numpy()].astype(np.float32))


@ON_A_CARD
@pytest.mark.parametrize("backbone", ["tiny", "imagenet_deitb16.tiny", "efficientnet_lite0.tiny"])
def test_a_card_sees_and_trains_as_the_processor_does(backbone: str, small: Places) -> None:
    """In float32 no product and no convolution is rounded to TF32, which would move features by a thousandth."""
    registry, features, scores = catalogue(), [], []
    registry.register(
        Profile(name="least", forward_dtype="float32", epochs=3, head_epochs=3, batch=16, size=32, seeds=2)
    )
    for device in ("cpu", "cuda"):
        places = replace(small, device=device)
        dataset = open_dataset(registry.dataset("stripes"), places)
        features.append(load_features(dataset, registry.backbone(backbone), "float32", places).pooled_ND)
        cell = Cell(backbone, "stripes", "finetune_linear.unaugmented")
        scores.append(transfer(cell, profile="least", registry=registry, places=places).scores_SNC)
    largest = np.abs(features[0]).max()
    np.testing.assert_allclose(features[1] / largest, features[0] / largest, rtol=0, atol=2e-5)
    np.testing.assert_allclose(scores[1], scores[0], rtol=0, atol=2e-3)


CONFTEST = """
from pytest_fmtransfer.plugin.settings import settings_of

def pytest_report_header(config):
    places = settings_of(config).places
    return f"computes on {places.device}, deterministic {places.deterministic}"
"""


@pytest.mark.parametrize(
    ("option", "ini", "environment", "told"),
    [
        ([], "", "", "cpu, deterministic False"),
        ([], "", "mps", "mps, deterministic False"),
        ([], "fm_device = cuda", "mps", "cuda, deterministic False"),
        (["--fm-device=mps"], "fm_device = cuda", "cpu", "mps, deterministic False"),
        (["--fm-deterministic"], "", "", "cpu, deterministic True"),
        ([], "fm_deterministic = true", "", "cpu, deterministic True"),
    ],
)
def test_the_option_goes_before_the_ini_value_and_that_before_the_environment(
    option: list[str],
    ini: str,
    environment: str,
    told: str,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
) -> None:
    machine(library=None, driver=False, system=sys.platform)
    monkeypatch.setenv("FMTRANSFER_DEVICE", environment)
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makeconftest(CONFTEST)
    pytester.runpytest("--co", *option).stdout.fnmatch_lines([f"computes on {told}"])


@pytest.mark.parametrize(
    ("option", "ini", "environment", "message"),
    [
        (
            ["--fm-device=gpu"],
            "",
            "",
            "--fm-device=gpu: no device 'gpu'; valid names: cpu, cuda, mps",
        ),
        (
            ["--fm-device=cuda:x"],
            "",
            "",
            "--fm-device=cuda:x: no device 'cuda:x'; valid names: cpu, cuda, mps",
        ),
        ([], "fm_device = gpu", "", "fm_device=gpu: no device 'gpu'; valid names: cpu, cuda, mps"),
        ([], "", "gpu", "FMTRANSFER_DEVICE=gpu: no device 'gpu'; valid names: cpu, cuda, mps"),
        ([], "fm_deterministic = perhaps", "", "invalid truth value 'perhaps'"),
    ],
)
def test_a_wrong_device_is_a_usage_error(
    option: list[str],
    ini: str,
    environment: str,
    message: str,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FMTRANSFER_DEVICE", environment)
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = pytester.runpytest(*option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_devices_are_named_once() -> None:
    assert DEVICES == ("cpu", "cuda", "mps")

"""How torch computes while we do: threads, dtype, matrix precision and determinism, set for our work and then as they
were.
"""

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager, nullcontext

import torch

from pytest_fmtransfer.backbones.precision import MATMUL_PRECISION, Dtype
from pytest_fmtransfer.devices import Device
from pytest_fmtransfer.errors import Unavailable
from pytest_fmtransfer.limits import cores

# What cuBLAS needs to compute the same every time, and what torch refuses to be deterministic without:
# https://docs.nvidia.com/cuda/cublas/#results-reproducibility
WORKSPACE, OF_ONE_SIZE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"

# Each number of threads adds gradients up in another order, and training amplifies that rounding. A training therefore
# has this many on every machine and with any number of pytest-xdist's workers. docs/devices.md has what it costs.
TRAINING_THREADS = 2

_OUT_OF_MEMORY = (
    "out of memory",  # "MPS backend out of memory", "CUDA error: out of memory"
    "can't allocate memory",  # "DefaultCPUAllocator: can't allocate memory"
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "cudnn_status_internal_error_host_allocation_failed",
    "cudnn_status_internal_error_device_allocation_failed",
)


def torch_device(device: Device, card: int | None = None) -> torch.device:
    """A device that torch can use: of several cards the one that is named, else one for each of pytest-xdist's workers.

    Raises Unavailable where it cannot.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that does not fit; the error says all there is to do
        there = {
            "cpu": lambda: True,
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
        }[device]()
    if not there:
        named = device if card is None else f"{device}:{card}"
        raise Unavailable(
            f"torch cannot use {named} here; compute on the processor: --fm-device=cpu or FMTRANSFER_DEVICE=cpu"
        )
    index = _card(card) if device == "cuda" else None
    return torch.device(device) if index is None else torch.device(device, index)


def _card(asked: int | None) -> int | None:
    """None where neither the user nor pytest-xdist chooses: torch's current card."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if asked is None and not worker.isdecimal():
        return None
    there = max(1, torch.cuda.device_count())
    if asked is not None and asked >= there:
        last = f"cuda:{there - 1}"
        raise Unavailable(f"there is no card cuda:{asked} here; the last is {last}: --fm-device={last}")
    return int(worker) % there if asked is None else asked


@contextmanager
def computing(
    dtype: Dtype, device: Device = "cpu", deterministic: bool = False, card: int | None = None
) -> Generator[None]:
    """Inside, forward passes keep no gradients and are made in `dtype`, on the device, or on our share of the cores.

    Raises as `training_context` does.
    """
    with (
        training_context(dtype, device, deterministic, card),
        torch.inference_mode(),
        torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bfloat16"),
    ):
        torch.set_num_threads(cores())  # as before again when `training_context` is left
        yield


@contextmanager
def training_context(
    dtype: Dtype, device: Device = "cpu", deterministic: bool = False, card: int | None = None
) -> Generator[None]:
    """Inside, torch computes with TRAINING_THREADS, float32 products and convolutions as exactly as `dtype` has it.

    Autocast is not in it: it keeps what it has cast until it is left, and weights that learn move, so it is entered
    anew in every step. Where float32 is to be float32 beside such steps, as in a test, `dtype` is "float32".

    With `deterministic` the same call computes the same bits every time, at some cost (`benchmarks/deterministic.py`);
    an operation that cannot is Unavailable. Raises Unavailable too for a device that is not here.
    """
    chosen = torch_device(device, card)
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(TRAINING_THREADS)
    torch.set_float32_matmul_precision(MATMUL_PRECISION[dtype])
    try:
        # Events and random numbers are of the card that is current, not of the one that tensors lie on.
        with (
            nullcontext() if chosen.index is None else torch.cuda.device(chosen),
            _cudnn(dtype, device, deterministic),
            _determinism(deterministic),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, one of its libraries, or the CPU's allocator has no memory left.

    torch has a class of its own for CUDA's allocator alone. Of all others it hands on what they say: Metal, cuDNN,
    cuBLAS and the driver (c10/cuda/CUDAException.cpp, aten/src/ATen/mps/MPSAllocator.mm, c10/core/CPUAllocator.cpp).
    """
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def begin_gradients(device: torch.device) -> None:
    """Let torch's own thread, which computes gradients on a card, take the card up: where its first work is a product
    of matrices, cuBLAS warns that there is no context yet."""
    if device.type == "cuda":
        torch.ones((), device=device, requires_grad=True).exp().backward()


@contextmanager
def _cudnn(dtype: Dtype, device: Device, deterministic: bool) -> Generator[None]:
    """Of convolutions on a card: their precision, and whether the fastest kernel is looked for; it may be another one
    in every run."""
    if device != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic)
    exact = MATMUL_PRECISION[dtype] == "highest"
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = not exact, not deterministic, deterministic
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


@contextmanager
def _determinism(wanted: bool) -> Generator[None]:
    if not wanted:
        yield
        return
    workspace = os.environ.get(WORKSPACE)
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    os.environ.setdefault(WORKSPACE, OF_ONE_SIZE)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition(". ")[0]
        if WORKSPACE in str(error):  # cuBLAS reads it once, when it is first used
            raise Unavailable(
                f"cuBLAS was in use before --fm-deterministic asked for it; set {WORKSPACE}={OF_ONE_SIZE} beforehand"
            ) from None
        if "does not have a deterministic implementation" in str(error):
            raise Unavailable(f"{reason}; leave out --fm-deterministic, or compute with --fm-device=cpu") from None
        raise
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        if workspace is None:
            os.environ.pop(WORKSPACE, None)

"""How torch computes while we do: threads, dtype and matrix precision, set for our work and then as they were."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from pytest_fmtransfer.backbones.precision import MATMUL_PRECISION, Dtype
from pytest_fmtransfer.data.decoding import cores


@contextmanager
def computing(dtype: Dtype) -> Generator[None]:
    """Inside, forward passes keep no gradients and run on our share of the cores."""
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(cores())
    torch.set_float32_matmul_precision(MATMUL_PRECISION[dtype])
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)


@contextmanager
def training_context(dtype: Dtype, device: str, *, deterministic: bool) -> Generator[None]:
    """Inside, training runs on our share of the cores, and chance goes on outside as it was."""
    del device, deterministic
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(cores())
    torch.set_float32_matmul_precision(MATMUL_PRECISION[dtype])
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)

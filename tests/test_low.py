"""The run with the oldest instructions: that it is one, and which files it takes."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests import low

CONVOLUTION = """
import torch
torch.conv2d(torch.ones(2, 16, 32, 32), torch.ones(32, 16, 3, 3))
torch.ones(64, 64) @ torch.ones(64, 64)
"""


def told(script: str, **more: str) -> str:
    """By a process that has the variables set."""
    environment = os.environ | low.variables() | more
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=low.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_oldest_instructions_are_in_force() -> None:
    """In a run that is meant to have them in this process; in any other in one with its variables."""
    if low.MARK in os.environ:
        found = low.in_force()
    else:
        found = json.loads(told("import json; from tests import low; print(json.dumps(low.in_force()))"))
    assert (found["torch"], found["numpy"]) == ("DEFAULT", [])
    cores = found["openblas"]
    assert isinstance(cores, list)
    assert set(cores) <= ({"Katmai", "Prescott"} if low.INTEL else {"armv8", "ARMV8"})


@pytest.mark.skipif(
    not (low.INTEL and torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()),
    reason="torch has neither oneDNN nor MKL for this processor",
)
def test_onednn_and_mkl_take_theirs_too() -> None:
    lines = told(CONVOLUTION, ONEDNN_VERBOSE="1", MKL_VERBOSE="1")
    assert "isa:Intel SSE4.1" in lines
    assert "CNR:COMPATIBLE" in lines


def test_files_that_compare_numbers_are_taken_and_no_others() -> None:
    taken = low.numerical()
    assert {f"tests/test_{name}.py" for name in ("low", "lora", "metrics", "selective_scan", "transforms")} <= {*taken}
    assert not {f"tests/test_{name}.py" for name in ("light", "cell", "plugin_families")} & {*taken}

"""Run the tests that compare numbers with the oldest instructions that each library has, whatever the processor has.

Two ways to compute one thing are rounded as instructions have it: what agrees to the last bit on one processor may not
on another. `make low` runs this; `python -m tests.low tests/test_lora.py -x` takes pytest's own arguments.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = "FMTRANSFER_TESTS_LOW"  # set in such a run, so that a test in it can see to it that it is one
COMPARES = re.compile(r"\b(equal|\w*array_equal|assert_close|\w*allclose|approx|relative)\(")
# What these compare are counts, sizes and places, and they take long.
LEFT_OUT = (
    "test_plugin_", "test_planning", "test_cli_", "test_full_disk", "test_file_state", "test_damaged_training",
    "test_isic2019", "test_matsoukas2021", "test_medmnistplus2025",
)  # fmt: skip
INTEL = platform.machine().lower() in ("x86_64", "amd64")


def variables() -> dict[str, str]:
    """What to set before the libraries are imported.

    numpy is to be told what it has on this processor: it warns of a name that it does not know.
    """
    cores = {"OPENBLAS_CORETYPE": "Prescott" if INTEL else "ARMV8"}
    intels = {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"} if INTEL else {}
    numpys = {"NPY_DISABLE_CPU_FEATURES": " ".join(names)} if (names := numpy_has()) else {}
    return {MARK: "1", "ATEN_CPU_CAPABILITY": "default"} | cores | intels | numpys


def numpy_has() -> list[str]:
    """The sets of instructions beyond the oldest that numpy has code for and may use."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]


def in_force() -> dict[str, object]:
    """What the libraries of this process say that they use."""
    import scipy.linalg  # noqa: F401  # for its own OpenBLAS
    import torch
    from threadpoolctl import threadpool_info

    cores = {str(each["architecture"]) for each in threadpool_info() if each["internal_api"] == "openblas"}
    return {"torch": torch.backends.cpu.get_cpu_capability(), "numpy": numpy_has(), "openblas": sorted(cores)}


def numerical() -> list[str]:
    """The test files that compare numbers, and the one that sees to it that the run is what it is meant to be."""
    return [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").glob("**/test_*.py"))
        if not file.name.startswith(LEFT_OUT)
        and (file.name == "test_low.py" or COMPARES.search(file.read_text(encoding="utf-8")))
    ]


def main(arguments: list[str]) -> int:
    named = any((ROOT / each.partition("::")[0]).exists() for each in arguments)
    command = [sys.executable, "-m", "pytest", *([] if named else numerical()), *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

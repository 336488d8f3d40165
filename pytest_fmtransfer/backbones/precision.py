"""In which dtype and matrix precision a forward pass runs, told without importing torch.

bfloat16 autocast only pays where the processor has bfloat16 instructions; elsewhere it is emulated,
some ten times slower than float32. The profile says what is wanted, the processor what is native.
"""

import platform
from functools import cache
from pathlib import Path
from typing import Literal

from pytest_fmtransfer.catalog.specs import PrecisionRule

Dtype = Literal["float32", "bfloat16"]

# Of float32 matrix products. A profile that asks for float32 gets it whole, because less moves scores.
MATMUL_PRECISION: dict[Dtype, Literal["highest", "medium"]] = {"float32": "highest", "bfloat16": "medium"}

# x86: AVX-512 BF16 and AMX; Arm: FEAT_BF16. As Linux lists them in /proc/cpuinfo.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def dtype_of(rule: PrecisionRule) -> Dtype:
    """What a profile's rule comes to on this processor."""
    return "bfloat16" if rule == "bfloat16_where_native" and _has_bfloat16() else "float32"


@cache
def processor() -> str:
    """The processor as a person would name it, as far as the system tells."""
    for line in _cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _has_bfloat16() -> bool:
    for line in _cpuinfo().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not _BFLOAT16_FLAGS.isdisjoint(value.split())
    return False


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return ""

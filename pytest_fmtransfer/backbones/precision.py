"""In which dtype and matrix precision a forward pass runs, told without importing torch.

bfloat16 autocast only pays where the processor has bfloat16 instructions; elsewhere it is emulated,
some ten times slower than float32. The profile says what is wanted, the processor what is native. Of NVIDIA's cards
those from Ampere on have them; Apple's first do not, so that float32 is computed there.
"""

import platform
import re
from functools import cache
from pathlib import Path
from typing import Literal

from pytest_fmtransfer.catalog.regime_specs import PrecisionRule
from pytest_fmtransfer.devices import Device, card

Dtype = Literal["float32", "bfloat16"]

# Of float32 matrix products. A profile that asks for float32 gets it whole, because less moves scores.
MATMUL_PRECISION: dict[Dtype, Literal["highest", "medium"]] = {"float32": "highest", "bfloat16": "medium"}

# x86: AVX-512 BF16 and AMX; Arm: FEAT_BF16. As Linux lists them in /proc/cpuinfo.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

# Names of cards older than Ampere. NVIDIA gave up the brands Tesla, Quadro, TITAN and GTX with it.
# Cards by their capability, of which bfloat16 takes 8: https://developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus.
_BEFORE_AMPERE = re.compile(r"Tesla|Quadro|TITAN|GTX|\bRTX 20\d\d\b|\bMX\d+\b|\b[KMPTV]\d+\b", re.IGNORECASE)


def dtype_of(rule: PrecisionRule, device: Device = "cpu") -> Dtype:
    """What a profile's rule comes to on a device of this machine."""
    native = {"cpu": _has_bfloat16, "cuda": _card_has_bfloat16, "mps": lambda: False}[device]
    return "bfloat16" if rule == "bfloat16_where_native" and native() else "float32"


def model_of(device: Device) -> str:
    """The processor, or the card, as a person would name it."""
    return card() if device == "cuda" else processor()


@cache
def processor() -> str:
    """The processor as a person would name it, as far as the system tells."""
    for line in _cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _card_has_bfloat16() -> bool:
    return _BEFORE_AMPERE.search(card()) is None


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

"""What can compute: the processor, an NVIDIA card or Apple's graphics; told without importing torch.

Collecting tests and looking results up import no torch, and yet a result is found by the device that computed it. So
the best device is told from what is installed and from what the system shows. Where torch, once imported, says
otherwise, `backbones.computing` says what to type.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from pytest_fmtransfer.errors import InvalidInput

Device = Literal["cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = get_args(Device)

# What the driver of NVIDIA shows of itself on Linux: a way to it, and a folder of every card.
_CONTROL, _CARDS = Path("/dev/nvidiactl"), Path("/proc/driver/nvidia/gpus")
_TOOL = "nvidia-smi"
# Under WSL2 the card is behind a device of Windows', and its driver's library is mounted from there:
# https://docs.nvidia.com/cuda/wsl-user-guide
_WSL, _WSL_DRIVER = Path("/dev/dxg"), Path("/usr/lib/wsl/lib/libcuda.so.1")
_WSL_TOOL = "/usr/lib/wsl/lib/nvidia-smi"  # not always on the path


def device_named(text: str) -> Device:
    """The device of that name. Raises InvalidInput, naming those that there are."""
    for device in DEVICES:
        if text == device:
            return device
    raise InvalidInput(f"no device {text!r}; valid names: {', '.join(DEVICES)}; cuda:1 is the second of several cards")


def device_and_card(text: str) -> tuple[Device, int | None]:
    """The device of a name, and of `cuda:1` the number of the card, which counts from 0. Raises as `device_named`."""
    kind, colon, number = text.partition(":")
    if kind == "cuda" and colon and number.isdecimal():
        return "cuda", int(number)
    return device_named(text), None


def best_device(environ: Mapping[str, str] = os.environ) -> Device:
    """An NVIDIA card where torch is built for one and one is there, else Apple's graphics, else the processor."""
    if _has_cuda(environ):
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def _has_cuda(environ: Mapping[str, str]) -> bool:
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.partition(",")[0].strip() in ("", "-1"):
        return False
    windows = sys.platform == "win32"
    driver = (
        shutil.which(_TOOL) is not None if windows else _CONTROL.exists() or (_WSL.exists() and _WSL_DRIVER.exists())
    )
    if not driver:
        return False
    torch = find_spec("torch")
    library = "torch_cuda.dll" if windows else "libtorch_cuda.so"
    folders = (torch.submodule_search_locations or []) if torch is not None else []
    return any((Path(folder) / "lib" / library).is_file() for folder in folders)


@cache
def card() -> str:
    """The NVIDIA card as its driver names it; where there are unlike ones, all of their names."""
    files = sorted(_CARDS.glob("*/information"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return ", ".join(sorted({*(models or _told_by_the_tool())})) or "a card that its driver does not name"


def _told_by_the_tool() -> list[str]:
    tool = shutil.which(_TOOL) or shutil.which(_WSL_TOOL) or _TOOL
    try:
        done = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []

"""Runs on devices other than the processor that somebody has seen pass: `device_runs.json`, which this package carries.

A device without one is untested, and `fmtransfer doctor` says so. docs/devices.md says how a run is recorded.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_fmtransfer.devices import Device, device_named

RECORDED = Path(__file__).with_name("device_runs.json")
NAMES: dict[Device, str] = {"cpu": "the CPU", "cuda": "CUDA", "mps": "MPS"}


@dataclass(frozen=True, kw_only=True)
class DeviceRun:
    """What ran, on which card, on what day, an ISO date; with torch's version and the words of pytest's last line."""

    device: Device
    card: str
    command: str
    date: str
    torch: str
    outcome: str

    def __post_init__(self) -> None:
        device_named(self.device)


@cache
def device_runs() -> tuple[DeviceRun, ...]:
    """Those on record, in their order. Raises TypeError for a record with other fields."""
    return tuple(DeviceRun(**run) for run in json.loads(RECORDED.read_text(encoding="utf-8")))


def standing_of(device: Device) -> str:
    """'untested on CUDA', or the last run that is on record; empty of the processor, where every test runs."""
    if device == "cpu":
        return ""
    runs = [run for run in device_runs() if run.device == device]
    if not runs:
        return f"untested on {NAMES[device]}"
    last = runs[-1]
    return (
        f"last run on {NAMES[device]}: {last.command} on {last.card}, {last.date}, torch {last.torch}: {last.outcome}"
    )

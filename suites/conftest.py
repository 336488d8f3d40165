"""Rows that several suites use, and which suites are run only when they are named.

Timing is: `pytest suites/throughput`, or `--benchmark-only`. So is the leaderboard, which claims nothing and would
train every backbone on every data set: `pytest suites/leaderboard`.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_fmtransfer import Registry

THROUGHPUT, LEADERBOARD = (Path(__file__).parent / name for name in ("throughput", "leaderboard"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # pytest does not ask about a path that was named on the command line.
    if collection_path == THROUGHPUT:
        return None if config.getoption("--benchmark-only", default=False) else True
    return True if collection_path == LEADERBOARD else None


@pytest.hookimpl(optionalhook=True)
def pytest_fmtransfer_register(registry: "Registry") -> None:
    # What is trained again and again is trained on small pictures, a fifth of the pixels: fine-tuning at 224 would take
    # longer than everything else in the pocket suite together. Here, because suites/regression holds its baselines too.
    registry.register(replace(registry.backbone("efficientnet_lite0"), name="pocket.lite0_at_96", image_size=96))

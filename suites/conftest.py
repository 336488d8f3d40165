"""Rows that several suites use, and timing only when asked for: `pytest suites/throughput`, or `--benchmark-only`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_fmtransfer import Registry

THROUGHPUT = Path(__file__).parent / "throughput"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # pytest does not ask about a path that was named on the command line.
    return True if collection_path == THROUGHPUT and not config.getoption("--benchmark-only", default=False) else None


@pytest.hookimpl(optionalhook=True)
def pytest_fmtransfer_register(registry: "Registry") -> None:
    # What is trained again and again is trained on small pictures, a fifth of the pixels: fine-tuning at 224 would take
    # longer than everything else in the pocket suite together. Here, because suites/regression holds its baselines too.
    registry.register(replace(registry.backbone("efficientnet_lite0"), name="pocket.lite0_at_96", image_size=96))

"""Timing is measured only when asked for: `pytest suites/throughput`, or `pytest suites --benchmark-only`."""

from pathlib import Path

import pytest

THROUGHPUT = Path(__file__).parent / "throughput"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # pytest does not ask about a path that was named on the command line.
    return True if collection_path == THROUGHPUT and not config.getoption("--benchmark-only", default=False) else None

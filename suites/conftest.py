"""Timing is measured only when asked for: `pytest suites/throughput`, or `pytest suites --benchmark-only`."""

from pathlib import Path

import pytest

THROUGHPUT = Path(__file__).parent / "throughput"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path != THROUGHPUT or config.getoption("--benchmark-only", default=False):
        return None
    asked = [Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args]
    return None if any(path == THROUGHPUT or THROUGHPUT in path.parents for path in asked) else True

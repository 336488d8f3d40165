"""Adds one backbone to every session below this folder, as any project does from its own conftest."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_fmtransfer import Registry


def pytest_configure() -> None:
    try:
        distribution("pytest-fmtransfer")
    except PackageNotFoundError:
        raise pytest.UsageError(
            "the plugin pytest-fmtransfer is not installed; run `pip install -e '.[pocket]'` for suites/, "
            "`pip install -e '.[test]'` for tests/, or `make suite` or `make test`, which do it for you"
        ) from None


@pytest.hookimpl(optionalhook=True)
def pytest_fmtransfer_register(registry: "Registry") -> None:
    # The weights of lite0 at a smaller input: does a cheaper image size transfer as well?
    lite0 = registry.backbone("efficientnet_lite0")
    registry.register(replace(lite0, name="example.lite0_at_160", image_size=160))

"""The hooks that a project may implement in its conftest."""

import pytest

from pytest_fmtransfer.catalog.registry import Registry


@pytest.hookspec(historic=True)
def pytest_fmtransfer_register(registry: Registry) -> None:
    """Add backbones, datasets, regimes or profiles: `registry.register(BackboneSpec(...))`.

    Historic: a conftest in a sub-folder, which pytest loads late, is heard too.
    """

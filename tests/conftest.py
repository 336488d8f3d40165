"""Warnings are errors here, and one store serves the whole run: real features are computed once."""

import os
from pathlib import Path

import pytest
from pytest_retry.configs import Defaults

# pytester forgets the modules that an inner run imports, and numpy cannot be imported twice: all that inner
# runs use is imported here, once.
import pytest_fmtransfer._transfer
import pytest_fmtransfer.adapt.knn
import pytest_fmtransfer.adapt.linear_probe
import pytest_fmtransfer.backbones.metadata
import pytest_fmtransfer.baselines
import pytest_fmtransfer.data.readers.br35h
import pytest_fmtransfer.exports
import pytest_fmtransfer.planning
import pytest_fmtransfer.reports.plans
import pytest_fmtransfer.reports.tables  # noqa: F401
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.places import Places
from tests.hub import use_hub_cache

import_torch()  # before any test module does: workers share the cores, and spinning threads would keep each other off

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent


def _configured_anew(config: pytest.Config) -> None:
    """pytest-retry keeps what a first run was configured with, and tests run pytest many times in one process."""
    object.__setattr__(Defaults, "_opts", dict(Defaults._DEFAULT_CONFIG))
    type(Defaults).configure(Defaults, config)


object.__setattr__(Defaults, "configure", _configured_anew)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A store of this run's own: nothing of the user's cache is read or written.

    Workers of one run share it, so that real images are hashed, audited and passed once in all: a test must not mind
    that another has computed already what it asks for.
    """
    base = tmp_path_factory.getbasetemp()
    store = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "store"
    store.mkdir(exist_ok=True)
    return Places(store=store)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """The synthetic data and weights of `tests/small.py`, with a store of their own."""
    from tests.small import write_images, write_weights

    root = tmp_path_factory.mktemp("small")
    write_images(root / "data")
    write_weights(root / "weights")
    return Places(store=root / "store", weights=root / "weights", data_root=root / "data")


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture(autouse=True)
def _own_environment(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, and the pytest runs inside them, see this run's store and no CI."""
    monkeypatch.setenv("FMTRANSFER_STORE", str(places.store))
    for variable in ("CI", "FMTRANSFER_WEIGHTS", "FMTRANSFER_DATA", "FMTRANSFER_DEVICE", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("TORCH_HOME", "HF_HOME"):  # weights on the machine are not those of a test
        monkeypatch.setenv(variable, str(places.store / "no-cache"))
    for variable in ("HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    use_hub_cache(monkeypatch, places.store / "no-cache" / "hub")
    assert os.environ["FMTRANSFER_STORE"] == str(places.store)

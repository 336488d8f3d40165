"""The pytest shell. Hooks only; each does its work in a module of its own, imported when it is needed."""

from collections.abc import Generator

import pytest

from pytest_fmtransfer.plugin import (
    claiming,
    collection,
    judging,
    options,
    planning,
    recorded,
    reporting,
    settings,
    workers,
)
from pytest_fmtransfer.plugin.failing import end_at_the_users_line, printable_mistakes
from pytest_fmtransfer.plugin.fixtures import (
    baseline,
    candidate,
    candidates,
    case,
    cell,
    controls,
    ranked,
    reference,
    references,
    telling,
)

__all__ = (
    "baseline",
    "candidate",
    "candidates",
    "case",
    "cell",
    "controls",
    "ranked",
    "reference",
    "references",
    "telling",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_fmtransfer.plugin import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    with printable_mistakes():
        _configure(config)


def _configure(config: pytest.Config) -> None:
    config.pluginmanager.register(judging.AroundSetUp(), "fmtransfer-court")
    settings.configure(config)
    collection.register_marks(config)
    reporting.configure(config)
    planning.configure(config)
    claiming.configure(config)
    workers.configure(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    collection.parametrise(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, object, object]:
    return recorded.leave_out_nothing((yield))


def pytest_itemcollected(item: pytest.Item) -> None:
    collection.answer_to_names(item)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    with printable_mistakes():
        collection.refuse_mistakes(config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    judging.set_up(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    return (yield from judging.judge(pyfuncitem))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        end_at_the_users_line(call.excinfo.value)

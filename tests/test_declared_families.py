"""The sizes that our suites declare are the numbers of claims that a full collection finds."""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from pytest_fmtransfer.plugin.families import Family, families

ROOT = Path(__file__).parents[1]

# Families that declare more claims than there are tests so far, with the reason.
INCOMPLETE: dict[str, str] = {}


class Collected:
    """Hears of every item before any selection."""

    def __init__(self) -> None:
        self.families: Mapping[str, Family] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.families = families(items)


@pytest.fixture(scope="module")
def declared() -> Mapping[str, Family]:
    heard, told = Collected(), io.StringIO()
    with redirect_stdout(told):
        # Nothing is asserted in there, and what is imported already cannot be rewritten without a warning.
        options = ["--co", "-q", "--assert=plain", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
        code = pytest.main([*options, str(ROOT / "suites")], plugins=[heard])
    assert code == pytest.ExitCode.OK, told.getvalue()
    return heard.families


def test_every_family_declares_as_many_claims_as_there_are(declared: Mapping[str, Family]) -> None:
    complete = {name: family for name, family in declared.items() if sentence_of(name) not in INCOMPLETE}
    assert {name: family.declared for name, family in complete.items()} == {
        name: {len(family.claims)} for name, family in complete.items()
    }


def test_what_is_known_to_be_incomplete_is(declared: Mapping[str, Family]) -> None:
    found = {sentence_of(name) for name, family in declared.items() if len(family.claims) < max(family.declared)}
    assert found == set(INCOMPLETE)


def sentence_of(family: str) -> str:
    """A family's name without its datasets and regime."""
    return family.rpartition(" [")[0]
